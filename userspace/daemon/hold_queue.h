/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_HOLD_QUEUE_H
#define WEIR_DAEMON_HOLD_QUEUE_H

/*
 * What a worker tells the keeper of its flows. That one is in the kernel is told a moment later and
 * for many at once, so that a short flow is never told of; all else is told at once, because a
 * socket is closed when its last descriptor is. On the worker's thread.
 */

#include <uv.h>

#include <weir/offload.h>

#include "daemon/keeper_link.h"

struct hold_op;

struct hold_queue {
	struct keeper_link *link; /* borrowed */
	uv_timer_t *timer;	  /* runs while something is queued */
	struct hold_op *ops;	  /* oldest first */
	size_t n;
	size_t capacity;
	bool failed; /* it was said that the keeper does not take it */
};

/* For OFFLOAD, whose loop does not run yet. Without a keeper nothing happens. 0 or -ENOMEM. */
int hold_queue_open(struct hold_queue *queue, struct keeper_link *link, struct weir_loop *loop,
		    struct weir_offload *offload) WEIR_MUST_CHECK;
/* The offload was freed; the loop is freed next. */
void hold_queue_close(struct hold_queue *queue);

#endif
