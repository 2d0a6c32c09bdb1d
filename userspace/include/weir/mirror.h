/* SPDX-License-Identifier: MIT */
#ifndef WEIR_MIRROR_H
#define WEIR_MIRROR_H

/*
 * Shadow traffic: a copy of each request goes to another service, whose answers are dropped.
 * The real call never waits for it: a request without body is copied at once, one with a body
 * when the real service has read all of it. What would be too much is not copied, and counted.
 */

#include <weir/call.h>
#include <weir/error.h>
#include <weir/metrics.h>

/* Zero means the default in parentheses. */
struct weir_mirror_conf {
	struct weir_http_service *shadow; /* taken over in every case */
	double percent;			  /* of the calls (100) */
	unsigned max_active;		  /* copies at one time, each worker (64) */
	size_t max_bytes;		  /* of a request's body (64 KiB) */
	uint64_t timeout_ms;		  /* of a copy (30 s) */
	struct weir_counter *sent;	  /* may be NULL */
	struct weir_counter *dropped;	  /* for want of room; may be NULL */
};

/* A stack with this layer is freed from a task. */
struct weir_http_service *weir_http_mirror_layer(struct weir_http_service *inner,
						 const struct weir_mirror_conf *conf,
						 struct weir_error *error) WEIR_MUST_CHECK;

#endif
