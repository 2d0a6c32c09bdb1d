/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SYNC_H
#define WEIR_SYNC_H

/*
 * Waiting for each other, between tasks of one loop. No locks: a task runs until it parks.
 */

#include <weir/list.h>
#include <weir/task.h>

/* A counting semaphore with a bounded, fair queue of waiters. */
struct weir_semaphore {
	uint64_t available;
	unsigned waiting;	  /* read-only */
	unsigned max_waiting;	  /* 0: nobody waits; UINT_MAX: unbounded */
	struct weir_list waiters; /* private */
};

void weir_semaphore_init(struct weir_semaphore *semaphore, uint64_t available,
			 unsigned max_waiting);
/* Takes one, first come first served. 0; WEIR_EQUEUE when the queue is full; -ETIMEDOUT after
 * DEADLINE; -ECANCELED. */
int weir_semaphore_get(struct weir_semaphore *semaphore, uint64_t deadline) WEIR_MUST_CHECK;
void weir_semaphore_put(struct weir_semaphore *semaphore);

/* A condition that is set once or again and again: wakes all that wait. */
struct weir_event {
	bool set;
	struct weir_list waiters; /* private */
};

void weir_event_init(struct weir_event *event);
/* Until the event is set. 0, -ETIMEDOUT, -ECANCELED. */
int weir_event_wait(struct weir_event *event, const char *what, uint64_t deadline) WEIR_MUST_CHECK;
void weir_event_set(struct weir_event *event);
void weir_event_clear(struct weir_event *event);

#endif
