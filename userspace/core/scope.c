/* SPDX-License-Identifier: MIT */
/*
 * Scopes form a tree. Cancelling and deadlines walk down it, to the tasks whose innermost scope
 * lies in it; the end of a task walks one step, to the scope it was spawned in.
 */

#include <assert.h>
#include <errno.h>

#include "core/loop_internal.h"

static void scope_init(struct weir_scope *scope, struct weir_loop *loop, struct weir_scope *parent)
{
	*scope = (struct weir_scope){ .loop = loop, .parent = parent, .deadline = WEIR_NEVER };
	weir_list_init(&scope->link);
	weir_list_init(&scope->children);
	weir_list_init(&scope->members);
	if (!parent)
		return;
	scope->deadline = parent->deadline;
	scope->status = parent->status;
	weir_list_add_tail(&parent->children, &scope->link);
}

void weir_scope_init(struct weir_scope *scope, struct weir_scope *parent)
{
	if (!parent)
		parent = weir_task_scope();
	scope_init(scope, parent->loop, parent);
}

void weir_scope_init_root(struct weir_scope *scope, struct weir_loop *loop)
{
	scope_init(scope, loop, NULL);
}

void weir_scope_fini(struct weir_scope *scope)
{
	assert(scope->live == 0);
	assert(weir_list_is_empty(&scope->children));
	assert(weir_list_is_empty(&scope->members));
	weir_list_del(&scope->link);
}

int weir_scope_check(const struct weir_scope *scope)
{
	if (scope->status)
		return scope->status;
	if (scope->deadline != WEIR_NEVER && scope->loop->now >= scope->deadline)
		return -ETIMEDOUT;
	return 0;
}

int weir_scope_spawn(struct weir_scope *scope, const char *name, weir_task_fn *fn, void *arg,
		     struct weir_task **task)
{
	int status = weir_scope_check(scope);

	if (!status)
		status = task_spawn(scope, name, fn, arg, task);
	if (!status)
		scope->live++;
	return status;
}

void scope_on_task_end(struct weir_scope *scope, int status)
{
	assert(scope->live > 0);
	scope->live--;
	if (status < 0 && scope->first_error == 0)
		scope->first_error = status;
	if (scope->live == 0 && scope->joiner)
		weir_task_wake(scope->joiner);
}

int weir_scope_join(struct weir_scope *scope)
{
	assert(!scope->joiner);
	scope->joiner = weir_task_current();
	while (scope->live > 0)
		(void)!weir_task_park_firmly("join", WEIR_NEVER);
	scope->joiner = NULL;
	return scope->first_error;
}

void weir_scope_cancel(struct weir_scope *scope)
{
	scope->status = -ECANCELED;
	for (struct weir_list *link = scope->members.next; link != &scope->members;
	     link = link->next) {
		struct weir_task *task = weir_container_of(link, struct weir_task, scope_link);

		if (task->state == TASK_PARKED && !task->firm)
			task_resume(task, -ECANCELED);
	}
	for (struct weir_list *link = scope->children.next; link != &scope->children;
	     link = link->next)
		weir_scope_cancel(weir_container_of(link, struct weir_scope, link));
}

void weir_scope_set_deadline(struct weir_scope *scope, uint64_t deadline)
{
	uint64_t limit = scope->parent ? scope->parent->deadline : WEIR_NEVER;

	scope->deadline = WEIR_MIN(deadline, limit);
	for (struct weir_list *link = scope->members.next; link != &scope->members;
	     link = link->next)
		task_set_scope_deadline(weir_container_of(link, struct weir_task, scope_link));
	for (struct weir_list *link = scope->children.next; link != &scope->children;
	     link = link->next) {
		struct weir_scope *child = weir_container_of(link, struct weir_scope, link);

		if (child->deadline > scope->deadline)
			weir_scope_set_deadline(child, scope->deadline);
	}
}

void weir_scope_set_timeout_ms(struct weir_scope *scope, uint64_t ms)
{
	weir_scope_set_deadline(scope, ms ? weir_now() + ms * 1000000ull : WEIR_NEVER);
}

void weir_scope_enter(struct weir_scope *scope)
{
	struct weir_task *task = weir_task_current();

	assert(scope->parent == task->scope);
	weir_list_del(&task->scope_link);
	weir_list_add_tail(&scope->members, &task->scope_link);
	task->scope = scope;
}

void weir_scope_leave(struct weir_scope *scope)
{
	struct weir_task *task = weir_task_current();

	assert(task->scope == scope && scope->parent);
	weir_list_del(&task->scope_link);
	weir_list_add_tail(&scope->parent->members, &task->scope_link);
	task->scope = scope->parent;
}
