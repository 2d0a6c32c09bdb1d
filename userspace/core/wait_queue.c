/* SPDX-License-Identifier: MIT */
/*
 *	QUEUED ---wake (with the lock)---> CHOSEN ---post arrives (own loop)---> WOKEN
 *	   |
 *	   +---deadline, cancelled (with the lock)---> gone
 *
 * A waiter lies on its task's stack. Once it is chosen a message is on its way to it, so its task
 * stays for that, whatever else happens.
 */

#include <weir/wait_queue.h>

#include <weir/loop.h>

struct waiter {
	struct weir_list link; /* in the queue; with the lock */
	struct weir_post post;
	struct weir_loop *loop;
	struct weir_task *task;
	bool woken; /* own loop alone */
};

static void waiter_on_post(struct weir_post *post)
{
	struct waiter *waiter = weir_container_of(post, struct waiter, post);

	waiter->woken = true;
	weir_task_wake(waiter->task);
}

void weir_wait_queue_init(struct weir_wait_queue *queue)
{
	weir_list_init(&queue->waiters);
	queue->waiting = 0;
}

bool weir_wait_queue_wake(struct weir_wait_queue *queue)
{
	struct weir_list *link = weir_list_pop(&queue->waiters);
	struct waiter *waiter;

	if (!link)
		return false;
	waiter = weir_container_of(link, struct waiter, link);
	queue->waiting--;
	/* Its stack may be gone once the message is on its way. */
	weir_loop_post(waiter->loop, &waiter->post);
	return true;
}

void weir_wait_queue_wake_all(struct weir_wait_queue *queue)
{
	while (weir_wait_queue_wake(queue))
		;
}

/* Takes the waiter out unless it was chosen meanwhile. */
static bool waiter_leave(struct weir_wait_queue *queue, pthread_mutex_t *lock,
			 struct waiter *waiter)
{
	bool queued;

	pthread_mutex_lock(lock);
	queued = !weir_list_is_empty(&waiter->link);
	if (queued) {
		weir_list_del(&waiter->link);
		queue->waiting--;
	}
	pthread_mutex_unlock(lock);
	return queued;
}

int weir_wait_queue_wait(struct weir_wait_queue *queue, pthread_mutex_t *lock, const char *what,
			 uint64_t deadline)
{
	struct waiter waiter = {
		.post = { .fn = waiter_on_post },
		.loop = weir_loop_current(),
		.task = weir_task_current(),
	};
	int status = 0;

	weir_list_add_tail(&queue->waiters, &waiter.link);
	queue->waiting++;
	pthread_mutex_unlock(lock);
	while (!waiter.woken && !status)
		status = weir_task_park(what, deadline);
	if (waiter.woken)
		return 0;
	if (waiter_leave(queue, lock, &waiter))
		return status;
	while (!waiter.woken)
		(void)!weir_task_park_firmly(what, WEIR_NEVER);
	return 0;
}
