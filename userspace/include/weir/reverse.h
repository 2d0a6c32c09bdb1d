/* SPDX-License-Identifier: MIT */
#ifndef WEIR_REVERSE_H
#define WEIR_REVERSE_H

/*
 * The reverse proxy: the innermost HTTP service, which has an upstream answer.
 *
 * Each attempt picks an endpoint that this call has not tried, exchanges over a pooled connection, and
 * reports how it ended. Request and response bodies stream; a request's body is kept, up to a
 * limit, as long as it may have to be sent again. The client's going away ends everything.
 *
 * Fields are forwarded as they are: who the client is, is told by weir/forwarded.h. CONNECT is
 * refused (501): it asks for a way to elsewhere, and this is one to an upstream.
 */

#include <weir/breaker.h>
#include <weir/http_client.h>
#include <weir/upstream.h>

/* When an attempt is repeated. Statuses, resets and timeouts only of requests that may be sent twice:
 * of idempotent ones, unless retry.unsafe. */
#define WEIR_RETRY_CONNECT 1u	/* no connection was made, or nothing was sent */
#define WEIR_RETRY_RESET   2u	/* it broke before a response, or that was no HTTP */
#define WEIR_RETRY_TIMEOUT 4u	/* retry.try_ms, or the client's first_byte_ms */
#define WEIR_RETRY_502	   8u	/* Bad Gateway */
#define WEIR_RETRY_503	   16u	/* Service Unavailable */
#define WEIR_RETRY_504	   32u	/* Gateway Timeout */
#define WEIR_RETRY_NEVER   128u /* alone: no retries */

/* Zero means the default in parentheses, everywhere below. */
struct weir_retry_conf {
	unsigned attempts;	 /* in all (2), at most WEIR_ATTEMPTS_MAX */
	unsigned on;		 /* set of WEIR_RETRY_ (connect and reset) */
	bool unsafe;		 /* requests that are not idempotent, too: they may be done twice */
	uint64_t try_ms;	 /* to the response's head of one attempt (no limit of its own) */
	uint64_t backoff_ms;	 /* before the first retry at most, doubling; a random part (25) */
	uint64_t backoff_max_ms; /* (250) */
	uint64_t replay_bytes; /* of a body that is kept (64 KiB); a larger one is not sent again */
};

/* Who serves a client again and again. */
enum weir_sticky {
	WEIR_STICKY_NONE,
	WEIR_STICKY_COOKIE, /* a cookie that Weir issues names the endpoint */
};

struct weir_sticky_conf {
	enum weir_sticky mode;
	const char *cookie; /* its name (WEIRID); copied */
	const char *path;   /* ("/"); copied */
	uint64_t max_age_s; /* (until the browser ends) */
	bool secure;	    /* over https alone, also when the client came without */
};

/* What the upstream's hash goes by. */
enum weir_hash_by {
	WEIR_HASH_ADDRESS, /* the client's, as weir/forwarded.h found it */
	WEIR_HASH_HEADER,
	WEIR_HASH_COOKIE, /* the application's own */
	WEIR_HASH_PATH,	  /* and query */
};

struct weir_reverse_conf {
	struct weir_upstream *upstream;	     /* gets a reference */
	struct weir_http_client_conf client; /* its connector is taken over in every case; its
					      * metrics and name are ours; no hook */
	struct weir_retry_conf retry;
	struct {
		uint64_t delay_ms; /* a second attempt follows when the first has no response by
				    * then: first come, first served. Safe methods without a
				    * body, no upgrades (0: no hedging) */
	} hedge;
	struct weir_breaker *breaker; /* gets a reference; NULL: one of its own, without limits */
	struct weir_sticky_conf sticky;
	struct {
		enum weir_hash_by by;
		const char *name; /* of header or cookie; copied. Who sends none: by address */
	} hash;
	uint64_t total_ms; /* from the call's arrival here to the response's last byte (no limit) */
	struct weir_metrics *metrics; /* borrowed; may be NULL */
};

/* One a worker. handle() returns WEIR_ELIMIT when the breaker is open, what weir_balancer_pick()
 * and weir_http_client_exchange() do, -ETIMEDOUT after total_ms; call->result.why says more. */
struct weir_http_service *weir_http_reverse_service(const struct weir_reverse_conf *conf,
						    struct weir_error *error) WEIR_MUST_CHECK;

#endif
