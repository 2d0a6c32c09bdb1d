/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_CLIENT_H
#define WEIR_HTTP_CLIENT_H

/*
 * A client: sends calls to targets over connections that are kept and used again. One per
 * worker. HTTP/1.1.
 *
 * A connection belongs to one call at a time. It goes back to the pool when the response's body
 * was read to its end and both sides let it live. A connection that dies before the first byte
 * of a response, after it was used before, is not the call's fault: an idempotent request, or
 * one of which nothing was sent, goes out again on a new one.
 */

#include <weir/call.h>
#include <weir/connector.h>
#include <weir/h1.h>

struct weir_http_client;
struct weir_metrics;

/* Zero means the default in parentheses. */
struct weir_http_client_conf {
	struct weir_connector *connector; /* taken over in every case */
	struct weir_h1_limits limits;	  /* of responses: WEIR_EPROTO, which is 502 */
	uint32_t max_connections;	  /* to one target, idle ones included (unlimited) */
	uint32_t max_idle;		  /* kept for one target (128) */
	uint64_t idle_ms;		  /* an idle one is closed after (30 s) */
	uint32_t max_requests;		  /* on one connection (unlimited) */
	uint32_t queue;	   /* calls waiting for a connection to one target (1024): WEIR_EQUEUE */
	uint64_t queue_ms; /* (5 s): WEIR_EQUEUE */
	uint64_t first_byte_ms; /* from the end of the request to the response's head (60 s):
				   * -ETIMEDOUT */
	uint64_t body_idle_ms;	/* between two pieces of the response's body, and while the
				   * target takes none of the request (60 s): -ETIMEDOUT */
	uint64_t continue_ms;	/* waiting for 100 before the body goes anyway (1 s) */
	uint64_t kernel_bytes;	/* as in weir/http_server.h */
	bool proxy; /* targets are proxies: requests name scheme and host in their target */
	struct weir_metrics *metrics; /* borrowed; may be NULL */
	const char *name;	      /* upstream's name for metrics; copied; may be NULL */
	/* Called when CALL has got its connection, before anything is sent; may be NULL. Must not
	 * park. */
	void (*on_connected)(void *ctx, struct weir_call *call);
	void *ctx; /* borrowed */
};

/* NULL with ERROR. */
struct weir_http_client *weir_http_client_new(const struct weir_http_client_conf *conf,
					      struct weir_error *error) WEIR_MUST_CHECK;
/* Closes idle connections. No call is under way. Accepts NULL. */
void weir_http_client_free(struct weir_http_client *client);

/* Sends CALL's request to TO and fills its response; interim responses are passed on by
 * weir_call_inform(). The response's body gives the connection back when it is freed. The
 * request's body goes on being sent by a task of the call's scope while the response is read.
 * Fields are sent as they are, but hop-by-hop ones. Parks. 0, or what connecting returned,
 * -ECONNRESET, -ETIMEDOUT, WEIR_EPROTO, WEIR_EQUEUE, -ECANCELED. */
int weir_http_client_exchange(struct weir_http_client *client, struct weir_call *call,
			      const struct weir_target *to) WEIR_MUST_CHECK;

/* Whether anything of the last exchange's request has reached the peer's socket, so that sending
 * it again might do it twice. */
bool weir_http_client_has_sent(const struct weir_call *call);
/* Whether the last exchange failed because of the request's own body: the target is not to blame. */
bool weir_http_client_broke_source(const struct weir_call *call);
/* After the response's body was freed: why it broke off, or 0. */
int weir_http_client_body_status(const struct weir_call *call);
/* Until the last exchange, whose response was dropped, takes nothing more of the request's body:
 * before that is read again. Parks, firmly and shortly. */
void weir_http_client_settle(struct weir_call *call);

/* A service that sends every call to TO. Takes CLIENT over in every case. */
struct weir_http_service *weir_http_client_service(struct weir_http_client *client,
						   const struct weir_target *to,
						   struct weir_error *error) WEIR_MUST_CHECK;

#endif
