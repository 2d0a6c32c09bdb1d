/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TASK_H
#define WEIR_TASK_H

/*
 * Tasks: coroutines with a stack of their own, on one loop for life. A task runs until it
 * parks; blocking-looking calls of this library park it. Nothing else runs meanwhile on its
 * worker, so no locks are needed between two parking calls.
 *
 * Tasks live in scopes (weir/scope.h). A parked call returns -ECANCELED when its scope was
 * cancelled and -ETIMEDOUT when its deadline passed; every later parking call returns the same
 * at once. Such a function leaves through its own exit label.
 *
 * Stacks are small (64 KiB, guard page below): no large arrays, no deep recursion.
 */

#include <stdbool.h>

#include <weir/base.h>

struct weir_loop;
struct weir_scope;
struct weir_task;

/* The status is kept for whoever joins. */
typedef int weir_task_fn(void *arg);

#define WEIR_NEVER UINT64_MAX /* as a deadline: none */

/* The running task; NULL outside of tasks. */
struct weir_task *weir_task_current(void);
struct weir_loop *weir_task_loop(const struct weir_task *task);
/* The innermost scope of the running task. */
struct weir_scope *weir_task_scope(void);
/* The scope that the running task was spawned in: for tasks that go on after it has ended, and end
 * before what it stands on does. */
struct weir_scope *weir_task_home(void);
/* "accept", "conn": borrowed from the spawn call. */
const char *weir_task_name(const struct weir_task *task);

/* Parks the running task until weir_task_wake(), DEADLINE (ns, weir_loop_now()'s clock), or
 * the end of its scope. WHAT says to people what it waits for; static memory. Returns 0 when
 * woken (which may be spurious: look at your condition again), -ETIMEDOUT, -ECANCELED. */
int weir_task_park(const char *what, uint64_t deadline) WEIR_MUST_CHECK;
/* The same, but neither cancelling nor the scope's deadline ends it: for clean-up that must
 * wait. 0 or -ETIMEDOUT. */
int weir_task_park_firmly(const char *what, uint64_t deadline) WEIR_MUST_CHECK;
/* Makes TASK runnable if it is parked, or makes its next park return at once. Its own loop's
 * thread only. */
void weir_task_wake(struct weir_task *task);

/* Lets all other runnable tasks and pending events go first. 0, -ECANCELED, -ETIMEDOUT. */
int weir_task_yield(void) WEIR_MUST_CHECK;
/* 0, or -ECANCELED, or -ETIMEDOUT when the scope ended first. */
int weir_task_sleep_ms(uint64_t ms) WEIR_MUST_CHECK;
/* Sleeps for less than a timer's millisecond; for short waits on the kernel. The worker sleeps
 * in epoll, it does not spin. */
int weir_task_nap_us(unsigned us) WEIR_MUST_CHECK;

/* -ECANCELED or -ETIMEDOUT when the innermost scope has ended, else 0. */
int weir_task_check(void) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * For operators.
 */

struct weir_task_info {
	const char *name;
	const char *what;  /* what it is parked for; "running", "ready" */
	uint64_t since_ns; /* of the state above */
	uint64_t started_ns;
	size_t stack_used; /* high-water mark in bytes; measured when asked for */
};

/* Calls FN for every task of the loop; FN must not park. MEASURE: fill stack_used, which
 * reads all stacks. */
void weir_task_each(struct weir_loop *loop, bool measure,
		    void (*fn)(void *ctx, const struct weir_task_info *info), void *ctx);

#endif
