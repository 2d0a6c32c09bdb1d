/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CALL_H
#define WEIR_CALL_H

/*
 * A call: one HTTP request and its response, on its way through a stack of HTTP services. The
 * server makes one for each request that it reads; a client makes its own.
 *
 *	server: head read --> weir_handle() --> response head filled --> server writes it, pulls the
 *	body to its end --> tasks of the scope are joined --> bodies are freed --> deferred functions
 *	run, newest first --> memory goes
 */

#include <weir/conn.h>
#include <weir/message.h>

struct weir_call;
struct weir_tunnel;

struct weir_deferred {
	struct weir_deferred *next; /* private */
	void (*fn)(struct weir_call *call, void *ctx);
	void *ctx;
};

struct weir_call {
	uint64_t id;		/* unique in this process; never 0 */
	struct weir_conn *conn; /* the client's; NULL of a call that this process makes itself */
	struct weir_arena arena;
	struct weir_extensions extensions; /* the parent is the connection's */
	struct weir_scope scope; /* for tasks that help (pumping a request body); cancelled
					    * when the client goes away */
	uint64_t started_ns;
	struct weir_request request;
	struct weir_response response;

	/* Of a 101 or a 2xx to CONNECT: what the server connects the client's stream with once
	 * the head is written. Owned by the call. */
	struct weir_tunnel *tunnel;

	/* Sends a 1xx response to the client at once; NULL: there is nobody. See weir_call_inform(). */
	int (*inform)(struct weir_call *call, unsigned status, const struct weir_headers *headers);
	struct weir_deferred *deferred; /* private */

	/* What happened, for access log and metrics; filled as it becomes known. */
	struct {
		const char *route;	      /* NULL: none matched */
		const char *upstream;	      /* group's name; NULL: none was asked */
		struct weir_address endpoint; /* size 0: none */
		unsigned attempts;	      /* requests sent upstream */
		uint64_t connect_ns;	      /* 0: a connection was reused, or none was made */
		uint64_t first_byte_ns;	      /* from start to the response's head; 0: none */
		uint64_t request_bytes;	      /* of body read from the client */
		uint64_t response_bytes;      /* of body written to the client */
		const char *
			why; /* why the response is not the upstream's ("timeout", "no_route"); static
				  * memory; NULL */
		int status; /* negative when the call broke off (the client went away) */
	} result;
};

/* A call of its own, without connection (CONN NULL) or on one. In a task: its scope is a child of
 * the running task's. */
void weir_call_init(struct weir_call *call, struct weir_conn *conn);
/* Cancels and joins helping tasks, ends bodies and tunnel, runs deferred functions, frees memory.
 * Parks. */
void weir_call_fini(struct weir_call *call);

/* Runs FN when the last byte of the response is gone or the call has broken off. 0 or -ENOMEM. */
int weir_call_defer(struct weir_call *call, void (*fn)(struct weir_call *call, void *ctx),
		    void *ctx) WEIR_MUST_CHECK;
/* The same, behind all others: what frees memory that the response's head may lie in. */
int weir_call_defer_last(struct weir_call *call, void (*fn)(struct weir_call *call, void *ctx),
			 void *ctx) WEIR_MUST_CHECK;

/* Forwards or sends an interim response (RFC 9110 section 15.2), 101 excepted. HEADERS may be
 * NULL. 0 also when nobody wants it (HTTP/1.0, no client). */
int weir_call_inform(struct weir_call *call, unsigned status, const struct weir_headers *headers);

/* Fills the response: STATUS, Content-Type (NULL: none) and the body BODY, which is copied.
 * to HEAD its size alone. An earlier response is dropped. Returns 0 or -ENOMEM, for `return weir_call_respond(...)`. */
int weir_call_respond(struct weir_call *call, unsigned status, const char *type,
		      struct weir_text body) WEIR_MUST_CHECK;
/* The same with a short text of its own: "404 Not Found\n". WHY goes to call->result. */
int weir_call_refuse(struct weir_call *call, unsigned status, const char *why) WEIR_MUST_CHECK;
/* Drops what response there is: before another attempt. */
void weir_call_reset_response(struct weir_call *call);

/* The status to answer with when a service failed: WEIR_ERATE 429, WEIR_ELIMIT, WEIR_EQUEUE and
 * WEIR_ENOENDPOINT 503, -ETIMEDOUT 504, -ENOMEM 500, what came from a peer 502, ... */
unsigned weir_http_status(int status);

/* ------------------------------------------------------------------------------------------
 * Services
 */

struct weir_http_service;

struct weir_http_ops {
	const char *name;
	/* 0 with the response head filled; its body is pulled later, and weir_call_defer() runs
	 * code when the last byte is gone. A negative status: the server answers for it
	 * (weir_http_status()). Parks. */
	int (*handle)(struct weir_http_service *svc, struct weir_call *call);
	/* Frees this service alone. */
	void (*free)(struct weir_http_service *svc);
};

struct weir_http_service { /* embed as the first member */
	const struct weir_http_ops *ops;
	struct weir_http_service *inner; /* owned; NULL of the innermost */
};

static inline int weir_handle(struct weir_http_service *svc, struct weir_call *call)
{
	return svc->ops->handle(svc, call);
}

/* Frees the stack from here inwards. Accepts NULL. */
void weir_http_service_free(struct weir_http_service *svc);

/* A service that is one function. CTX is borrowed. */
struct weir_http_service *weir_http_function(int (*fn)(struct weir_call *call, void *ctx),
					     void *ctx, struct weir_error *error) WEIR_MUST_CHECK;

#endif
