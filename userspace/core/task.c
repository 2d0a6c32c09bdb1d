/* SPDX-License-Identifier: MIT */
/*
 * Tasks: spawn, park, wake, end.
 *
 * A task's struct lies at the top of its stack, so an idle task costs one page. Its timer is a
 * libuv timer that is re-armed lazily: a park with a later deadline than the armed one leaves
 * it alone, and when it fires too early it is armed anew. A connection whose idle timeout moves
 * with every message therefore costs no timer operation.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/loop_internal.h"

#define NS_PER_MS 1000000ull

static _Thread_local struct weir_loop *current_loop;

struct weir_loop *weir_loop_current(void)
{
	return current_loop;
}

void loop_set_current(struct weir_loop *loop)
{
	current_loop = loop;
}

struct weir_task *weir_task_current(void)
{
	return current_loop ? current_loop->running : NULL;
}

struct weir_loop *weir_task_loop(const struct weir_task *task)
{
	return task->loop;
}

struct weir_scope *weir_task_scope(void)
{
	return current_loop->running->scope;
}

struct weir_scope *weir_task_home(void)
{
	return current_loop->running->home;
}

const char *weir_task_name(const struct weir_task *task)
{
	return task->name;
}

/* ------------------------------------------------------------------------------------------
 * Timer
 */

static void task_arm(struct weir_task *task);

static void task_on_timer(uv_timer_t *timer)
{
	struct weir_task *task = timer->data;

	task->armed = WEIR_NEVER;
	if (task->state != TASK_PARKED)
		return;
	if (weir_now() >= task->deadline)
		task_resume(task, -ETIMEDOUT);
	else
		task_arm(task);
}

static void task_on_timer_close(uv_handle_t *handle)
{
	free(handle);
}

static uv_timer_t *task_timer(struct weir_task *task)
{
	if (task->timer)
		return task->timer;
	task->timer = malloc(sizeof(*task->timer));
	if (!task->timer)
		abort(); /* 152 bytes: there is no sensible way to wait without them */
	uv_timer_init(&task->loop->uv, task->timer);
	task->timer->data = task;
	return task->timer;
}

/* Sees to it that the timer fires no later than the deadline. */
static void task_arm(struct weir_task *task)
{
	uint64_t now = task->loop->now;
	uint64_t ms;

	if (task->deadline >= task->armed)
		return;
	ms = task->deadline <= now ? 0 : (task->deadline - now + NS_PER_MS - 1) / NS_PER_MS;
	uv_timer_start(task_timer(task), task_on_timer, ms, 0);
	task->armed = task->deadline;
}

static void task_drop_timer(struct weir_task *task)
{
	if (!task->timer)
		return;
	uv_close((uv_handle_t *)task->timer, task_on_timer_close);
	task->timer = NULL;
	task->armed = WEIR_NEVER;
}

/* ------------------------------------------------------------------------------------------
 * Life
 */

static void task_main(void *arg)
{
	struct weir_task *task = arg;

	task->status = task->fn(task->arg);
	task->state = TASK_ENDED;
	context_leave(&task->context, &task->loop->context);
}

int task_spawn(struct weir_scope *scope, const char *name, weir_task_fn *fn, void *arg,
	       struct weir_task **out)
{
	struct weir_loop *loop = scope->loop;
	struct stack *stack = stack_get(&loop->stacks);
	struct weir_task *task;
	size_t size;

	if (!stack)
		return -ENOMEM;
	size = stack->size - ((sizeof(*task) + 63) & ~(size_t)63);
	task = (struct weir_task *)(void *)(stack->bottom + size);
	*task = (struct weir_task){
		.loop = loop,
		.home = scope,
		.scope = scope,
		.stack = stack,
		.state = TASK_READY,
		.deadline = WEIR_NEVER,
		.armed = WEIR_NEVER,
		.name = name,
		.what = "start",
		.since = loop->now,
		.started = loop->now,
		.fn = fn,
		.arg = arg,
	};
	context_init(&task->context, stack->bottom, size, task_main, task);
	weir_list_add_tail(&loop->ready, &task->link);
	weir_list_add_tail(&loop->tasks, &task->all_link);
	weir_list_add_tail(&scope->members, &task->scope_link);
	loop->live++;
	if (out)
		*out = task;
	return 0;
}

static void task_end(struct weir_task *task)
{
	struct weir_loop *loop = task->loop;
	struct weir_scope *home = task->home;
	int status = task->status;

	assert(task->scope == home && "a scope was entered and not left");
	weir_list_del(&task->scope_link);
	weir_list_del(&task->all_link);
	task_drop_timer(task);
	context_fini(&task->context);
	stack_put(&loop->stacks, task->stack);
	loop->live--;
	scope_on_task_end(home, status);
}

void task_run(struct weir_task *task)
{
	struct weir_loop *loop = task->loop;

	assert(!loop->running);
	loop->running = task;
	task->state = TASK_RUNNING;
	context_switch(&loop->context, &task->context);
	loop->running = NULL;
	if (task->state == TASK_ENDED)
		task_end(task);
}

/* ------------------------------------------------------------------------------------------
 * Park and wake
 */

void task_resume(struct weir_task *task, int status)
{
	assert(task->state == TASK_PARKED);
	task->state = TASK_READY;
	task->status = status;
	weir_list_del(&task->link);
	weir_list_add_tail(&task->loop->ready, &task->link);
}

void weir_task_wake(struct weir_task *task)
{
	if (task->state == TASK_PARKED)
		task_resume(task, 0);
	else
		task->woken = true;
}

static int task_park(struct weir_task *task, const char *what, uint64_t deadline)
{
	struct weir_loop *loop = task->loop;

	if (task->woken) {
		task->woken = false;
		return 0;
	}
	task->deadline = deadline;
	task->what = what;
	task->since = loop->now;
	task->state = TASK_PARKED;
	weir_list_add_tail(&loop->parked, &task->link);
	if (deadline != WEIR_NEVER)
		task_arm(task);
	context_switch(&task->context, &loop->context);
	return task->status;
}

int weir_task_park(const char *what, uint64_t deadline)
{
	struct weir_task *task = weir_task_current();
	int status = weir_scope_check(task->scope);

	if (status)
		return status;
	return task_park(task, what, WEIR_MIN(deadline, task->scope->deadline));
}

int weir_task_park_firmly(const char *what, uint64_t deadline)
{
	struct weir_task *task = weir_task_current();
	int status;

	task->firm = true;
	status = task_park(task, what, deadline);
	task->firm = false;
	return status;
}

void task_set_scope_deadline(struct weir_task *task)
{
	if (task->state != TASK_PARKED || task->firm || task->deadline <= task->scope->deadline)
		return;
	task->deadline = task->scope->deadline;
	task_arm(task);
}

int weir_task_check(void)
{
	return weir_scope_check(weir_task_scope());
}

int weir_task_yield(void)
{
	struct weir_task *task = weir_task_current();
	int status = weir_task_check();

	if (status)
		return status;
	task->state = TASK_READY;
	task->what = "yield";
	task->since = task->loop->now;
	task->status = 0;
	weir_list_add_tail(&task->loop->ready, &task->link);
	context_switch(&task->context, &task->loop->context);
	return weir_task_check();
}

int weir_task_sleep_ms(uint64_t ms)
{
	struct weir_task *task = weir_task_current();
	uint64_t until = weir_now() + ms * NS_PER_MS;
	int status;

	do {
		status = weir_task_park("sleep", until);
	} while (status == 0);
	/* Ours, unless the scope's deadline came first. */
	if (status == -ETIMEDOUT && task->scope->deadline > until)
		return weir_task_check();
	return status;
}

static void nap_queue(struct weir_loop *loop, struct nap *nap)
{
	struct weir_list *at = &loop->naps;

	while (at->prev != &loop->naps &&
	       weir_container_of(at->prev, struct nap, link)->deadline > nap->deadline)
		at = at->prev;
	weir_list_add_before(at, &nap->link);
}

int weir_task_nap_us(unsigned us)
{
	struct weir_task *task = weir_task_current();
	struct nap nap = { .task = task, .deadline = weir_now() + us * 1000ull };
	int status;

	nap_queue(task->loop, &nap);
	status = weir_task_park("nap", WEIR_NEVER);
	weir_list_del(&nap.link);
	return status;
}

/* ------------------------------------------------------------------------------------------
 * Upkeep and looking in
 */

void task_trim_idle(struct weir_loop *loop)
{
	while (!weir_list_is_empty(&loop->parked)) {
		struct weir_list *link = loop->parked.next;
		struct weir_task *task = weir_container_of(link, struct weir_task, link);

		if (task->since + TASK_IDLE_NS > loop->now)
			break;
		weir_list_del(link);
		weir_list_add_tail(&loop->idle, link);
		stack_trim(&loop->stacks, task->stack, task->context.resume);
	}
}

static const char *task_what(const struct weir_task *task)
{
	switch (task->state) {
	case TASK_READY:
		return "ready";
	case TASK_RUNNING:
		return "running";
	default:
		return task->what;
	}
}

void weir_task_each(struct weir_loop *loop, bool measure,
		    void (*fn)(void *ctx, const struct weir_task_info *info), void *ctx)
{
	for (struct weir_list *link = loop->tasks.next; link != &loop->tasks; link = link->next) {
		struct weir_task *task = weir_container_of(link, struct weir_task, all_link);
		struct weir_task_info info = {
			.name = task->name,
			.what = task_what(task),
			.since_ns = task->since,
			.started_ns = task->started,
			.stack_used = measure ? stack_used(task->stack) : 0,
		};

		fn(ctx, &info);
	}
}
