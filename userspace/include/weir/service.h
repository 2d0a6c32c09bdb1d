/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SERVICE_H
#define WEIR_SERVICE_H

/*
 * A service serves a connection. A layer is a service around a service: an ordinary function
 * that calls the next one, before and after which it does its own. The innermost service does
 * the work (forwards, echoes, answers).
 *
 * Stacks are written from the inside out, and each constructor takes over the inner service in
 * every case: given NULL it returns NULL; when it fails it frees the inner one, fills the
 * error and returns NULL. So a stack is checked once, at its end. A stack belongs to one
 * worker.
 */

#include <weir/base.h>
#include <weir/conn.h>
#include <weir/error.h>

struct weir_service;

/* What a service must see of the payload. */
enum weir_needs {
	WEIR_NEEDS_NOTHING,
	WEIR_NEEDS_FIRST_BYTES, /* then the kernel may carry the rest */
	WEIR_NEEDS_ALL_BYTES,
};

struct weir_service_ops {
	const char *name;
	enum weir_needs needs;
	/* It can be given a connection with conn->resumed set: then it refuses nothing, counts it as
	 * its own, and takes nothing from its stream. */
	bool resumes;
	/* It connects once for each connection: a descriptor must be left for that, or accepting
	 * waits. */
	bool connects;
	/* Serves until the connection is done. Parks. 0, or why it failed; the listener closes
	 * the stream, and resets it when the status is a refusal or an error. */
	int (*serve)(struct weir_service *svc, struct weir_conn *conn);
	/* A stop, or a reload, waits for connections: ends those that are idle between two uses
	 * and lets the others end at the next chance. Must not park. NULL: nothing is idle. */
	void (*drain)(struct weir_service *svc);
	/* Frees this service alone; the inner one is freed by weir_service_free(). */
	void (*free)(struct weir_service *svc);
};

struct weir_service { /* embed as the first member */
	const struct weir_service_ops *ops;
	struct weir_service *inner; /* owned; NULL of the innermost */
};

static inline int weir_serve(struct weir_service *svc, struct weir_conn *conn)
{
	return svc->ops->serve(svc, conn);
}

/* Drains the stack from here inwards. On its worker, outside of tasks too. Accepts NULL. */
void weir_service_drain(struct weir_service *svc);
/* Whether all services from here inwards can resume. */
bool weir_service_resumes(const struct weir_service *svc);
/* Whether one of them connects. */
bool weir_service_connects(const struct weir_service *svc);

/* Frees the stack from here inwards. No connection is in it. Accepts NULL. */
void weir_service_free(struct weir_service *svc);

#endif
