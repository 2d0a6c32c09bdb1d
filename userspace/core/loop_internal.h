/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CORE_LOOP_INTERNAL_H
#define WEIR_CORE_LOOP_INTERNAL_H

/*
 * What loop.c, task.c, scope.c and watch.c know of each other. The loop is the thread's own
 * context; tasks are switched to from it and switch back to it, never to each other.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include <weir/loop.h>
#include <weir/scope.h>
#include <weir/task.h>

#include "core/blocks.h"
#include "core/context.h"
#include "core/stack.h"

/*
 *	NEW ----> READY <------------- PARKED
 *	            |      wake, timer,    ^
 *	            v      cancel          |
 *	         RUNNING ------------------+----> ENDED
 */
enum task_state {
	TASK_READY,
	TASK_RUNNING,
	TASK_PARKED,
	TASK_ENDED,
};

/* Lies near the top of its own stack. */
struct weir_task {
	struct weir_list link;	     /* loop->ready, or loop->parked or loop->idle by age */
	struct weir_list all_link;   /* loop->tasks */
	struct weir_list scope_link; /* scope->members */
	struct weir_loop *loop;
	struct weir_scope *home;  /* spawned in; counts it */
	struct weir_scope *scope; /* innermost */
	struct context context;
	struct stack *stack;
	uv_timer_t *timer; /* made when first needed, kept with the stack */
	enum task_state state;
	bool woken;	   /* a wake-up came while it was not parked */
	bool firm;	   /* parked so that only a wake-up or its own deadline ends it */
	int status;	   /* what park returns */
	uint64_t deadline; /* of the present park; WEIR_NEVER */
	uint64_t armed;	   /* when the timer will fire; WEIR_NEVER: not started */
	const char *name;
	const char *what;
	uint64_t since;
	uint64_t started;
	weir_task_fn *fn;
	void *arg;
};

struct nap {
	struct weir_list link;
	uint64_t deadline;
	struct weir_task *task;
};

struct weir_loop {
	uv_loop_t uv;
	int epoll;
	int event; /* eventfd: posts and stop */
	unsigned index;
	uint64_t now;

	struct context context;
	struct weir_task *running;
	struct stack_pool stacks;
	struct block_pool blocks;
	struct weir_list ready;
	struct weir_list parked; /* by time of parking, oldest first */
	struct weir_list idle;	 /* parked for long: their unused pages were given back */
	struct weir_list naps;	 /* struct nap, by deadline */
	struct weir_list tasks;	 /* all that live */
	uint64_t next_trim;
	unsigned live;

	pthread_mutex_t post_lock;
	struct weir_list posts;
	atomic_bool stopping;
	bool only_ms; /* the kernel has no epoll_pwait2() */
	char *scratch;

	struct weir_list attachments; /* struct attachment */
	struct weir_list upkeeps;     /* struct weir_upkeep */
	struct weir_list flushes;     /* struct weir_flush: of this round */
};

struct attachment {
	struct weir_list link;
	const struct weir_loop_key *key;
	void *value;
};

/* Pages of tasks that have been parked for so long are given back. */
#define TASK_IDLE_NS 1000000000ull

/* task.c */
/* The loop that this thread runs; NULL: none any more. */
void loop_set_current(struct weir_loop *loop);
int task_spawn(struct weir_scope *scope, const char *name, weir_task_fn *fn, void *arg,
	       struct weir_task **out);
/* Runs a ready task until it parks or ends. From the loop's context. */
void task_run(struct weir_task *task);
/* Makes a parked task ready, to return STATUS from its park. */
void task_resume(struct weir_task *task, int status);
/* The scope's deadline has moved: parks that it bounds are bounded anew. */
void task_set_scope_deadline(struct weir_task *task);
/* Gives back what tasks that are parked for long do not use. */
void task_trim_idle(struct weir_loop *loop);

/* scope.c */
void scope_on_task_end(struct weir_scope *scope, int status);

/* watch.c */
void watch_on_event(struct weir_watch *watch, uint32_t events);

#endif
