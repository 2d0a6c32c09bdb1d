/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_SERVER_INTERNAL_H
#define WEIR_HTTP_SERVER_INTERNAL_H

/*
 * The HTTP server's parts: the connection's loop (http_server.c), writing responses
 * (server_answer.c), the client that goes away (server_hangup.c), what comes after a 101
 * (server_tunnel.c), numbers (server_metrics.c).
 */

#include <weir/http_date.h>
#include <weir/http_server.h>
#include <weir/list.h>

#include "http/h1_conn.h"

struct weir_counter;
struct weir_gauge;
struct weir_histogram;

/* The cells of one listener: looked up when another listener's connection comes. */
struct server_metrics {
	struct weir_metrics *registry;	  /* borrowed; may be NULL */
	const char *listener;		  /* whose cells these are; borrowed, compared by address */
	struct weir_counter *requests[6]; /* by status / 100 */
	struct weir_counter *aborted;
	struct weir_gauge *connections;
	struct weir_gauge *tunnels;
	struct weir_histogram *duration_s;
};

struct server {
	struct weir_service svc;
	struct weir_http_server_conf conf; /* complete; its texts are owned */
	struct weir_list idle;		   /* connections between two requests */
	bool draining;
	struct server_metrics metrics;
	int64_t date_s; /* what date says */
	char date[WEIR_HTTP_DATE_TEXT];
};

/* What happens to a connection after a call. */
enum server_next {
	SERVER_KEEP,   /* the next request */
	SERVER_CLOSE,  /* the end: all was read, or the client has closed */
	SERVER_LINGER, /* the end, but the client may still be sending */
	SERVER_BREAK,  /* reset: the response is incomplete */
};

struct server_conn {
	struct server *server;
	struct weir_conn *conn;
	struct h1_conn h1;
	struct weir_task *task;
	struct weir_list idle_link;
	unsigned served; /* requests */
};

/*
 *	READING --head complete--> HANDLING --head of the response--> ANSWERING
 */
enum server_call_state {
	SERVER_READING,
	SERVER_HANDLING,  /* interim responses may go */
	SERVER_ANSWERING, /* nothing else may */
};

struct server_call {
	struct weir_call call;
	struct server_conn *sc;
	enum server_call_state state;
	bool continued;		     /* 100 has gone */
	bool must_close;	     /* the connection ends with this response */
	struct weir_watch_hook hook; /* see server_hangup.c */
	bool hung_up;		     /* the client has sent its end */
	bool gone;		     /* the client is not there any more */
};

static inline struct server_call *server_call_of(struct weir_call *call)
{
	return weir_container_of(call, struct server_call, call);
}

/* ---- server_answer.c ---- */

/* Writes the call's response, or one about what went wrong with it. Parks. */
enum server_next server_answer(struct server_call *c);
/* Answers a request that was not understood, or the failure of a service. */
enum server_next server_refuse(struct server_call *c, unsigned status, const char *why);
/* As weir_call's inform. */
int server_inform(struct weir_call *call, unsigned status, const struct weir_headers *headers);
/* As h1_conn's before_body: 100 goes when somebody wants the body. */
void server_before_body(struct h1_conn *h1);

/* ---- server_hangup.c ---- */

/* From now on the call's scope is cancelled when the client goes away. */
void server_hangup_start(struct server_call *c);
void server_hangup_stop(struct server_call *c);

/* ---- server_tunnel.c ---- */

/* Whether the response turns the connection into a tunnel. */
bool server_is_tunnel(const struct server_call *c);
/* After the head is written: carries until both are done. Parks. */
enum server_next server_tunnel(struct server_call *c);

/* ---- server_metrics.c ---- */

/* Looks up the cells of LISTENER if they are not there. */
void server_metrics_use(struct server_metrics *metrics, const char *listener);
/* A call has ended, answered or not. */
void server_metrics_count(struct server_metrics *metrics, const struct weir_call *call);
/* A request was refused before any service saw it. */
void server_metrics_refuse(struct server_metrics *metrics, const char *cause);

#endif
