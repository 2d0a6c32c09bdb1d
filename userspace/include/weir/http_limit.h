/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_LIMIT_H
#define WEIR_HTTP_LIMIT_H

/*
 * Layers of HTTP services that bound what a call may cost, and one that tries again. Their
 * constructors follow weir/http_layer.h. What several workers count together is in an object
 * that the caller makes once; NULL: this worker counts for itself. Counters may be NULL.
 *
 * A layer limits what passes it: around a router that is all calls, in a route the calls of that
 * route.
 */

#include <weir/call.h>
#include <weir/metrics.h>

/* ------------------------------------------------------------------------------------------
 * Time
 */

struct weir_http_timeout_conf {
	uint64_t response_ms; /* until the response's head is there: 504; 0: no limit */
	/* Of the whole call, the bodies included: breaks off what is late. Bodies then pass
	 * through userspace. 0: no limit. One of the two at least. */
	uint64_t total_ms;
	struct weir_counter *refused;
};

struct weir_http_service *weir_http_timeout_layer(struct weir_http_service *inner,
						  const struct weir_http_timeout_conf *conf,
						  struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Size of requests
 */

struct weir_http_body_limit_conf {
	uint64_t max_bytes; /* of a request's body, as announced or as counted; 0: none at all */
	struct weir_counter *refused;
};

/* 413, before anything is read when the length was announced. */
struct weir_http_service *weir_http_body_limit_layer(struct weir_http_service *inner,
						     const struct weir_http_body_limit_conf *conf,
						     struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Calls at one time
 */

struct weir_http_concurrency_shared;
struct weir_http_concurrency_shared *weir_http_concurrency_shared_new(void) WEIR_MUST_CHECK;
struct weir_http_concurrency_shared *weir_http_concurrency_shared_get(
	struct weir_http_concurrency_shared *shared);
void weir_http_concurrency_shared_put(struct weir_http_concurrency_shared *shared);

struct weir_http_concurrency_conf {
	uint64_t max;	   /* calls from their head to their last byte; at least 1 */
	uint32_t queue;	   /* that wait for a place, first come first served (none) */
	uint64_t queue_ms; /* and how long (1 s) */
	struct weir_http_concurrency_shared *shared; /* gets a reference */
	struct weir_counter *refused;
};

/* 503 with Retry-After: 1. */
struct weir_http_service *weir_http_concurrency_layer(struct weir_http_service *inner,
						      const struct weir_http_concurrency_conf *conf,
						      struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Calls in time
 */

struct weir_http_rate_shared;
struct weir_http_rate_shared *weir_http_rate_shared_new(void) WEIR_MUST_CHECK;
struct weir_http_rate_shared *weir_http_rate_shared_get(struct weir_http_rate_shared *shared);
void weir_http_rate_shared_put(struct weir_http_rate_shared *shared);

struct weir_http_rate_limit_conf {
	double rate;	 /* calls a second with one key; over 0 */
	uint64_t burst;	 /* at once before the rate counts (the rate, at least 1) */
	const char *key; /* a template ("{network}"); calls with an empty one share a bucket */
	size_t max_keys; /* remembered at one time; the one unused for longest goes (65536) */
	struct weir_http_rate_shared *shared; /* gets a reference */
	struct weir_counter *refused;
};

/* 429 with Retry-After. */
struct weir_http_service *weir_http_rate_limit_layer(struct weir_http_service *inner,
						     const struct weir_http_rate_limit_conf *conf,
						     struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Load
 */

struct weir_http_shed_conf {
	/* A worker is overloaded when for interval_ms every iteration of its loop took longer
	 * than delay_ms; then calls are refused whose turn comes later than that in one. */
	uint64_t delay_ms;	/* (20) */
	uint64_t interval_ms;	/* (100) */
	uint64_t max_active;	/* calls of this worker at one time (unlimited) */
	unsigned retry_after_s; /* (1) */
	struct weir_counter *refused;
};

/* 503 with Retry-After. */
struct weir_http_service *weir_http_shed_layer(struct weir_http_service *inner,
					       const struct weir_http_shed_conf *conf,
					       struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Trying again
 */

struct weir_http_retry_conf {
	unsigned attempts;	  /* in all (2) */
	const uint16_t *statuses; /* of responses that are failures (502, 503, 504) */
	size_t n_statuses;
	bool all_methods;    /* else idempotent ones (RFC 9110 section 9.2.2) */
	uint64_t body_bytes; /* kept of a request's body; with more there is no retry (64 KiB) */
	uint64_t backoff_ms; /* before the second attempt, doubled each time, a random part
				 * of it (25) */
	uint64_t max_backoff_ms; /* (1 s) */
	unsigned budget_percent; /* retries among the calls of this worker, 10 a second free (20) */
	struct weir_counter *retried;
	struct weir_counter *refused; /* wanted and not in the budget */
};

/* Around any service: one that failed without an answer from a peer, or with one of the
 * statuses, is asked again. */
struct weir_http_service *weir_http_retry_layer(struct weir_http_service *inner,
						const struct weir_http_retry_conf *conf,
						struct weir_error *error) WEIR_MUST_CHECK;

#endif
