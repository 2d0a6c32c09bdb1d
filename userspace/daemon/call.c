/* SPDX-License-Identifier: MIT */
/*
 * Questions from control to the workers: a post there, and the same post back.
 */

#include <errno.h>
#include <stdlib.h>

#include "daemon/process.h"

struct calls {
	struct weir_task *asker;
	unsigned pending;
};

struct call {
	struct weir_post post;
	struct calls *calls;
	struct worker *worker;
	void (*fn)(struct worker *worker, void *slot);
	void *slot;
};

/* On the control loop. */
static void call_on_answer(struct weir_post *post)
{
	struct call *call = weir_container_of(post, struct call, post);
	struct calls *calls = call->calls;

	calls->pending--;
	if (calls->pending == 0)
		weir_task_wake(calls->asker);
}

/* On the worker's loop. */
static void call_on_worker(struct weir_post *post)
{
	struct call *call = weir_container_of(post, struct call, post);

	call->fn(call->worker, call->slot);
	post->fn = call_on_answer;
	weir_loop_post(call->worker->daemon->loop, post);
}

int daemon_call_workers(struct weir_daemon *daemon, void (*fn)(struct worker *worker, void *slot),
			void *slots, size_t slot_bytes)
{
	struct calls calls = { .asker = weir_task_current(), .pending = daemon->n_workers };
	struct call *list = calloc(daemon->n_workers, sizeof(*list));
	unsigned i;

	if (list == NULL)
		return -ENOMEM;
	for (i = 0; i < daemon->n_workers; i++) {
		list[i].post.fn = call_on_worker;
		list[i].calls = &calls;
		list[i].worker = &daemon->workers[i];
		list[i].fn = fn;
		list[i].slot = slots == NULL ? NULL : (char *)slots + i * slot_bytes;
		weir_loop_post(daemon->workers[i].loop, &list[i].post);
	}
	while (calls.pending > 0)
		(void)!weir_task_park_firmly("workers", WEIR_NEVER);
	free(list);
	return 0;
}
