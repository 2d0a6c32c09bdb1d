/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_EXCHANGE_H
#define WEIR_HTTP_EXCHANGE_H

/*
 * One request and its response on one connection of a pool. Lives in the call's arena; what it holds
 * ends with the call, after all that weir_call_defer() was asked for.
 *
 * The connection goes back when the response is read to its end and nobody writes any more: at once
 * when there is no body, else when the body is freed. A pump, a task of the call's scope, sends
 * the request's body when it does not fit at once.
 *
 *	upload:  NONE ---> PUMPED ---> DONE
 *	           |         |
 *	           +---------+-------> FAILED
 */

#include <weir/call.h>
#include <weir/http_server.h>

#include "http/h1_conn.h"
#include "http/http_pool.h"

/* Part of the client's configuration, with defaults filled in. */
struct http_rules {
	struct weir_h1_limits limits;
	uint64_t first_byte_ns;
	uint64_t continue_ns;
	uint64_t body_idle_ms;
	uint64_t kernel_bytes;
	bool absolute; /* as the plan's */
};

/* How far the request has got. */
enum http_upload {
	HTTP_UPLOAD_NONE,
	HTTP_UPLOAD_PUMPED, /* by a task */
	HTTP_UPLOAD_DONE,
	HTTP_UPLOAD_FAILED, /* or was not wanted */
};

/* A request's body of which the first piece may have been taken already. */
struct http_fed {
	struct weir_body body;
	struct weir_body *inner; /* borrowed: the call's */
	struct weir_text first;	 /* what was taken */
	bool given;		 /* and handed on */
	bool copied;		 /* FIRST lies in the call's arena */
	bool touched;		 /* the inner one was asked */
};

struct http_exchange {
	struct weir_call *call;
	const struct http_rules *rules; /* borrowed, of the client */
	struct http_pooled *pooled;	/* NULL: given back, or not yet lent */
	bool reused;
	struct h1_conn conn;
	struct weir_h1_plan plan;
	struct weir_buffer head; /* of the request, until it is written */
	struct http_fed *fed;	 /* NULL: no body */

	enum http_upload upload;
	int upload_status;	       /* of FAILED; 0: not wanted */
	struct weir_scope *pump_scope; /* while the pump is in it */
	struct weir_task *waiter;      /* to be woken when the pump ends */

	bool reading;  /* the response is not read to its end */
	bool keep;     /* both sides let the connection live on */
	bool sent;     /* something of the request has reached the socket */
	bool answered; /* something has come back */
	bool broke_source;
	int body_status;		      /* why the response's body broke off */
	uint64_t written_before, read_before; /* on this stream */
	struct weir_tunnel tunnel;
	struct http_pooled *tunnel_pooled;
};

/* The last one of CALL; NULL. */
struct http_exchange *http_exchange_find(const struct weir_call *call);

/* FED may be NULL; it may have been used by an exchange that may be repeated. NULL when memory is
 * out. */
struct http_exchange *http_exchange_new(struct weir_call *call, const struct http_rules *rules,
					struct http_fed *fed) WEIR_MUST_CHECK;
/* For the request's body, if there is one. 0 or -ENOMEM. */
int http_fed_new(struct weir_call *call, struct http_fed **fed) WEIR_MUST_CHECK;

/* Exchanges over POOLED, which is taken over. As weir_http_client_exchange(). */
int http_exchange_run(struct http_exchange *ex, struct http_pooled *pooled) WEIR_MUST_CHECK;
/* After STATUS: whether the connection had died before this request, as far as can be told, and
 * sending it again does no harm. */
bool http_exchange_may_repeat(const struct http_exchange *ex, int status);
/* Until nobody takes from the request's body any more. Parks, firmly and shortly. */
void http_exchange_await_pump(struct http_exchange *ex);

#endif
