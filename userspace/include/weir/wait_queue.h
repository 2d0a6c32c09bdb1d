/* SPDX-License-Identifier: MIT */
#ifndef WEIR_WAIT_QUEUE_H
#define WEIR_WAIT_QUEUE_H

/*
 * Tasks of any loop that wait, first come first served, for something that the workers share and
 * a lock of its owner guards. All calls are made with that lock held. Being woken is a gift: what
 * the waker passes on belongs to the woken one, also when its scope has ended meanwhile.
 */

#include <pthread.h>

#include <weir/list.h>
#include <weir/task.h>

struct weir_wait_queue {
	struct weir_list waiters; /* private */
	unsigned waiting;	  /* read-only */
};

void weir_wait_queue_init(struct weir_wait_queue *queue);

/* Gives LOCK free, and parks until it is woken, or until DEADLINE (ns, weir_loop_now()'s clock).
 * WHAT says to people what it waits for; static memory. 0 when woken; -ETIMEDOUT or -ECANCELED
 * when not. The lock is not taken again. */
int weir_wait_queue_wait(struct weir_wait_queue *queue, pthread_mutex_t *lock, const char *what,
			 uint64_t deadline) WEIR_MUST_CHECK;

/* Wakes the one that waits for longest. False when nobody does. */
bool weir_wait_queue_wake(struct weir_wait_queue *queue);
void weir_wait_queue_wake_all(struct weir_wait_queue *queue);

#endif
