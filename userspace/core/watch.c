/* SPDX-License-Identifier: MIT */
/*
 * Watches: edge-triggered readiness. The kernel reports an edge once; the bits stay until
 * whoever met EAGAIN clears them. Events only set bits and make tasks ready, and hooks do no
 * more, so no event of a batch can meet a watch that another one has freed.
 */

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/loop_internal.h"

#define WATCH_DATA (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)
#define WATCH_END  (EPOLLRDHUP | EPOLLET)

static int watch_control(struct weir_watch *watch, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(watch->loop->epoll, op, watch->fd, &event) ? -errno : 0;
}

int weir_watch_add(struct weir_watch *watch, int fd)
{
	int status;

	*watch = (struct weir_watch){ .loop = weir_loop_current(), .fd = fd };
	status = watch_control(watch, EPOLL_CTL_ADD, WATCH_DATA);
	if (status)
		watch->loop = NULL;
	return status;
}

void weir_watch_del(struct weir_watch *watch)
{
	if (!watch->loop)
		return;
	watch_control(watch, EPOLL_CTL_DEL, 0);
	watch->loop = NULL;
}

void weir_watch_close(struct weir_watch *watch)
{
	if (!watch->loop)
		return;
	if (watch->duplicated)
		watch_control(watch, EPOLL_CTL_DEL, 0);
	close(watch->fd);
	watch->loop = NULL;
	watch->fd = -1;
}

void weir_watch_init(struct weir_watch *watch)
{
	*watch = (struct weir_watch){ .fd = -1 };
}

int weir_watch_set_data(struct weir_watch *watch, bool data)
{
	if (data)
		watch->ready |= WEIR_READABLE | WEIR_WRITABLE;
	return watch_control(watch, EPOLL_CTL_MOD, data ? WATCH_DATA : WATCH_END);
}

static void watch_wake(struct weir_watch *watch)
{
	for (int i = 0; i < 2; i++) {
		if (watch->waiter[i] && watch->wanted[i] & watch->ready)
			weir_task_wake(watch->waiter[i]);
	}
	if (watch->hook && watch->hook->events & watch->ready)
		watch->hook->fn(watch->hook, watch->ready);
}

void weir_watch_raise(struct weir_watch *watch, unsigned events)
{
	watch->ready |= events;
	watch_wake(watch);
}

void watch_on_event(struct weir_watch *watch, uint32_t events)
{
	unsigned ready = 0;

	if (events & EPOLLIN)
		ready |= WEIR_READABLE;
	if (events & EPOLLOUT)
		ready |= WEIR_WRITABLE;
	if (events & EPOLLPRI)
		ready |= WEIR_URGENT;
	if (events & (EPOLLRDHUP | EPOLLHUP))
		ready |= WEIR_HANGUP | WEIR_READABLE;
	if (events & (EPOLLERR | EPOLLHUP))
		ready |= WEIR_READABLE | WEIR_WRITABLE;
	if (events & EPOLLERR)
		ready |= WEIR_ERROR;
	weir_watch_raise(watch, ready);
}

void weir_watch_subscribe(struct weir_watch *watch, unsigned events, struct weir_task *task)
{
	int slot = watch->waiter[0] == NULL || watch->waiter[0] == task ? 0 : 1;

	assert(watch->waiter[slot] == NULL || watch->waiter[slot] == task);
	watch->waiter[slot] = task;
	watch->wanted[slot] = events;
	if (watch->ready & events)
		weir_task_wake(task);
}

void weir_watch_unsubscribe(struct weir_watch *watch, struct weir_task *task)
{
	for (int i = 0; i < 2; i++) {
		if (watch->waiter[i] == task)
			watch->waiter[i] = NULL;
	}
}

void weir_watch_set_hook(struct weir_watch *watch, struct weir_watch_hook *hook)
{
	watch->hook = hook;
	if (hook && hook->events & watch->ready)
		hook->fn(hook, watch->ready);
}

int weir_watch_wait(struct weir_watch *watch, unsigned events)
{
	struct weir_task *task = weir_task_current();
	const char *what = events & WEIR_READABLE ? "readable" : "writable";
	int status = 0;

	if (watch->ready & events)
		return weir_task_check();
	weir_watch_subscribe(watch, events, task);
	while (status == 0 && !(watch->ready & events))
		status = weir_task_park(what, WEIR_NEVER);
	weir_watch_unsubscribe(watch, task);
	return status;
}
