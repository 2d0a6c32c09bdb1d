/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_STAGE_H
#define TESTS_UNIT_STAGE_H

/*
 * A stage for services: one loop, connections on real loopback sockets (or memory streams), each
 * served by a stack in a task of its own as a listener would do it.
 */

#include <weir/connector.h>
#include <weir/loop.h>
#include <weir/scope.h>
#include <weir/service.h>
#include <weir/sync.h>

struct stage {
	struct weir_loop *loop;
	struct weir_scope root;
};

void stage_open(struct stage *stage);
void stage_close(struct stage *stage);
/* Runs FN(ARG) as a task, until it and all tasks that it started have ended. */
void stage_run(struct stage *stage, weir_task_fn *fn, void *arg);

/* A connection between a test (peer) and a service (conn.stream). */
struct stage_conn {
	struct weir_conn conn;
	struct weir_service *svc;
	struct weir_stream *peer;
	struct weir_scope scope;
	bool ended;
	int status;
};

enum stage_kind { STAGE_TCP, STAGE_MEMORY };

/* Two connected streams. */
void stage_pair(struct weir_stream *ends[2], enum stage_kind kind);
/* Serves a new connection by SVC in a task. From a task. CLIENT: its address in text, or NULL. */
void stage_connect(struct stage_conn *c, struct weir_service *svc, enum stage_kind kind,
		   const char *client);
/* Waits until it was served, closes the peer, and returns the service's status. */
int stage_finish(struct stage_conn *c);
/* Served at once and not parked in the service: what a refusal is. */
bool stage_is_over(struct stage_conn *c);

/* An innermost service that waits for an event, and then returns what it is told. */
struct gate {
	struct weir_service svc;
	struct weir_event open;
	int status;
	int inside; /* now */
	int served; /* ever */
	int freed;
};
struct weir_service *gate_init(struct gate *gate);

/* A connector that gives out the far end of a pair, whose near end is in ORIGIN. */
struct pair_connector {
	struct weir_connector connector;
	enum stage_kind kind;
	struct weir_stream *origin; /* the test closes it */
	int status;		    /* not 0: what connect() returns instead */
	int freed;
};
struct weir_connector *pair_connector_init(struct pair_connector *pair, enum stage_kind kind);

#endif
