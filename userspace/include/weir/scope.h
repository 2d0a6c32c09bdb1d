/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SCOPE_H
#define WEIR_SCOPE_H

/*
 * A scope is the lifetime, the deadline and the cancellation of a group of tasks. It lives in
 * its owner's memory (usually the stack of the task that opens it) and ends only after its
 * tasks: weir_scope_join() before it goes out of sight. Scopes form a tree: cancelling or
 * timing out a scope does so to its children.
 *
 *	struct weir_scope scope;
 *
 *	weir_scope_init(&scope, NULL);			// child of the running task's scope
 *	weir_scope_set_timeout_ms(&scope, 3000);
 *	status = weir_scope_spawn(&scope, "race", race, &first, NULL);
 *	...
 *	weir_scope_join(&scope);			// waits for all of them
 *	weir_scope_fini(&scope);
 *
 * A task can also enter a scope itself, to bound what it calls (the timeout layer):
 *
 *	weir_scope_init(&scope, NULL);
 *	weir_scope_set_timeout_ms(&scope, 3000);
 *	weir_scope_enter(&scope);
 *	status = weir_serve(svc->inner, conn);
 *	weir_scope_leave(&scope);
 *	weir_scope_fini(&scope);
 */

#include <stdbool.h>

#include <weir/list.h>
#include <weir/task.h>

struct weir_scope {
	struct weir_loop *loop;
	struct weir_scope *parent; /* NULL at the root */
	struct weir_list link;	   /* private: in the parent's children */
	struct weir_list children; /* private */
	struct weir_list members;  /* private: tasks whose innermost scope this is */
	struct weir_task *joiner;  /* private */
	unsigned live;		   /* tasks spawned here and not ended; read-only */
	int status;		   /* 0, or -ECANCELED (or the reason given) once cancelled */
	uint64_t deadline;	   /* ns; never later than the parent's; WEIR_NEVER */
	int first_error;	   /* first negative status of a task spawned here, else 0 */
};

/* A child of PARENT; NULL: of the running task's scope. */
void weir_scope_init(struct weir_scope *scope, struct weir_scope *parent);
/* A scope without parent, for a loop that may not run yet. */
void weir_scope_init_root(struct weir_scope *scope, struct weir_loop *loop);
/* No task and no child is left. */
void weir_scope_fini(struct weir_scope *scope);

/* Starts FN(ARG) as a task of SCOPE; it runs after the caller parks. NAME is static memory.
 * TASK (may be NULL) is valid until the task ends. 0, -ENOMEM, or the status of a scope that
 * has ended. */
int weir_scope_spawn(struct weir_scope *scope, const char *name, weir_task_fn *fn, void *arg,
		     struct weir_task **task) WEIR_MUST_CHECK;

/* Waits, firmly, until every task spawned in SCOPE has ended. Returns its first_error. */
int weir_scope_join(struct weir_scope *scope);

/* Ends SCOPE and its children: parked calls return -ECANCELED. Twice is harmless. Outside of
 * tasks too. */
void weir_scope_cancel(struct weir_scope *scope);

/* A deadline in ns of weir_loop_now()'s clock; an ancestor's earlier one stays in force. */
void weir_scope_set_deadline(struct weir_scope *scope, uint64_t deadline);
/* From now; 0: none of its own. */
void weir_scope_set_timeout_ms(struct weir_scope *scope, uint64_t ms);

/* 0, -ECANCELED, or -ETIMEDOUT once the deadline has passed. */
int weir_scope_check(const struct weir_scope *scope);

/* The running task moves into SCOPE (a child of its present one) and back. In pairs. */
void weir_scope_enter(struct weir_scope *scope);
void weir_scope_leave(struct weir_scope *scope);

#endif
