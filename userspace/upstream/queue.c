/* SPDX-License-Identifier: MIT */
/*
 * The queue for a free place, over all workers. A place that is given back goes to who waits
 * longest, directly: it is taken again under the lock, and the waiter's loop gets a message.
 * So nobody overtakes and nobody wakes up in vain.
 *
 * No place is lost between "none is free" and "I wait": a waiter adds itself to `waiting` and
 * looks again, a giver gives and looks at `waiting`; both in sequentially consistent order, so
 * one of them sees the other.
 */

#include <errno.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/task.h>

#include "upstream/upstream_internal.h"

/* On the stack of the task that waits. */
struct waiter {
	struct weir_list link; /* under the lock; unlinked when it was served */
	struct weir_post post;
	struct weir_loop *loop;
	struct weir_task *task;
	struct weir_endpoint *const *skip;
	size_t n_skip;
	struct weir_endpoint *endpoint; /* counted, with a place; NULL: there will be none */
	bool served;			/* the message has come; own thread only */
};

static void waiter_on_post(struct weir_post *post)
{
	struct waiter *waiter = weir_container_of(post, struct waiter, post);

	waiter->served = true;
	weir_task_wake(waiter->task);
}

/* With the lock held. */
static void waiter_part(struct weir_upstream *upstream, struct waiter *waiter)
{
	weir_list_del(&waiter->link);
	atomic_fetch_sub(&upstream->waiting, 1);
}

void weir_queue_serve(struct weir_upstream *upstream)
{
	struct weir_list *link = upstream->waiters.next;

	while (link != &upstream->waiters) {
		struct waiter *waiter = weir_container_of(link, struct waiter, link);
		struct weir_endpoint *endpoint;
		bool any;

		link = link->next;
		endpoint = weir_set_take(upstream->set, upstream->conf.limit.connections,
					 waiter->skip, waiter->n_skip, &any);
		if (endpoint || (!any && !upstream->unanswered)) {
			waiter_part(upstream, waiter);
			waiter->endpoint = endpoint ? weir_endpoint_get(endpoint) : NULL;
			weir_loop_post(waiter->loop, &waiter->post);
		} else if (!waiter->n_skip) {
			return; /* who skips some has even less choice */
		}
	}
}

void weir_queue_give(struct weir_upstream *upstream, struct weir_endpoint *endpoint)
{
	weir_endpoint_give(endpoint);
	if (atomic_load(&upstream->waiting) == 0)
		return;
	pthread_mutex_lock(&upstream->lock);
	weir_queue_serve(upstream);
	pthread_mutex_unlock(&upstream->lock);
}

static void waiter_join(struct weir_upstream *upstream, struct waiter *waiter)
{
	pthread_mutex_lock(&upstream->lock);
	weir_list_add_tail(&upstream->waiters, &waiter->link);
	atomic_fetch_add(&upstream->waiting, 1);
	weir_queue_serve(upstream);
	pthread_mutex_unlock(&upstream->lock);
}

/* Leaves the queue. False when it was served meanwhile; then the message is waited for, because
 * it lies in this task's memory. */
static bool waiter_leave(struct weir_upstream *upstream, struct waiter *waiter)
{
	bool queued;

	pthread_mutex_lock(&upstream->lock);
	queued = !weir_list_is_empty(&waiter->link);
	if (queued)
		waiter_part(upstream, waiter);
	pthread_mutex_unlock(&upstream->lock);
	while (!queued && !waiter->served)
		(void)!weir_task_park_firmly("a free place", WEIR_NEVER);
	return queued;
}

int weir_queue_wait(struct weir_upstream *upstream, struct weir_endpoint *const *skip,
		    size_t n_skip, uint64_t deadline, struct weir_endpoint **endpoint)
{
	struct waiter waiter = {
		.post.fn = waiter_on_post,
		.loop = weir_loop_current(),
		.task = weir_task_current(),
		.skip = skip,
		.n_skip = n_skip,
	};
	int status = 0;

	waiter_join(upstream, &waiter);
	while (!waiter.served && !status)
		status = weir_task_park("a free place", deadline);
	if (!waiter.served && waiter_leave(upstream, &waiter))
		return weir_task_check() ? status : WEIR_EQUEUE;
	if (!waiter.endpoint)
		return WEIR_ENOENDPOINT;
	/* Served at the last moment. Only who was cancelled does not want it. */
	status = weir_task_check();
	if (status) {
		weir_queue_give(upstream, waiter.endpoint);
		weir_endpoint_put(waiter.endpoint);
		return status;
	}
	*endpoint = waiter.endpoint;
	return 0;
}
