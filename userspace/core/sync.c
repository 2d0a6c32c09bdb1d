/* SPDX-License-Identifier: MIT */
/*
 * Semaphores and events. A waiter lies on the stack of its task; whoever hands something over
 * marks the waiter, so that a spurious wake-up is no grant and a grant is never lost.
 */

#include <assert.h>
#include <errno.h>

#include <weir/error.h>
#include <weir/sync.h>

struct waiter {
	struct weir_list link;
	struct weir_task *task;
	bool granted;
};

static void waiter_grant(struct weir_list *link)
{
	struct waiter *waiter = weir_container_of(link, struct waiter, link);

	waiter->granted = true;
	weir_task_wake(waiter->task);
}

/* Waits in LIST until granted. A grant that comes together with a cancellation counts. */
static int waiter_wait(struct weir_list *list, const char *what, uint64_t deadline)
{
	struct waiter waiter = { .task = weir_task_current() };
	int status = 0;

	weir_list_add_tail(list, &waiter.link);
	while (!waiter.granted && !status)
		status = weir_task_park(what, deadline);
	weir_list_del(&waiter.link);
	return waiter.granted ? 0 : status;
}

void weir_semaphore_init(struct weir_semaphore *semaphore, uint64_t available, unsigned max_waiting)
{
	*semaphore = (struct weir_semaphore){ .available = available, .max_waiting = max_waiting };
	weir_list_init(&semaphore->waiters);
}

int weir_semaphore_get(struct weir_semaphore *semaphore, uint64_t deadline)
{
	int status;

	if (semaphore->available > 0) {
		semaphore->available--;
		return 0;
	}
	if (semaphore->waiting >= semaphore->max_waiting)
		return WEIR_EQUEUE;
	semaphore->waiting++;
	status = waiter_wait(&semaphore->waiters, "semaphore", deadline);
	semaphore->waiting--;
	return status;
}

void weir_semaphore_put(struct weir_semaphore *semaphore)
{
	struct weir_list *link = weir_list_pop(&semaphore->waiters);

	if (link)
		waiter_grant(link);
	else
		semaphore->available++;
}

void weir_event_init(struct weir_event *event)
{
	event->set = false;
	weir_list_init(&event->waiters);
}

int weir_event_wait(struct weir_event *event, const char *what, uint64_t deadline)
{
	if (event->set)
		return weir_task_check();
	return waiter_wait(&event->waiters, what, deadline);
}

void weir_event_set(struct weir_event *event)
{
	struct weir_list *link;

	event->set = true;
	while ((link = weir_list_pop(&event->waiters)))
		waiter_grant(link);
}

void weir_event_clear(struct weir_event *event)
{
	event->set = false;
}
