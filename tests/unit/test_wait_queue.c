/* SPDX-License-Identifier: MIT */
/* Waiting for what workers share: order, deadlines, gifts that nobody may lose, two loops. */

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <weir/loop.h>
#include <weir/scope.h>
#include <weir/wait_queue.h>

#include "stage.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_wait_queue queue;

struct waiting {
	int status;
	int order;
};
static int woken;

static int wait_main(void *arg)
{
	struct waiting *waiting = arg;

	pthread_mutex_lock(&lock);
	waiting->status = weir_wait_queue_wait(&queue, &lock, "test", WEIR_NEVER);
	waiting->order = ++woken;
	return 0;
}

static bool wake(void)
{
	bool any;

	pthread_mutex_lock(&lock);
	any = weir_wait_queue_wake(&queue);
	pthread_mutex_unlock(&lock);
	return any;
}

static int order_main(void *arg)
{
	struct waiting all[3] = { 0 };
	struct weir_scope scope;

	(void)arg;
	weir_wait_queue_init(&queue);
	assert_false(wake());
	weir_scope_init(&scope, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(weir_scope_spawn(&scope, "wait", wait_main, &all[i], NULL), 0);
	assert_int_equal(weir_task_yield(), 0);
	assert_int_equal(queue.waiting, 3);
	assert_true(wake());
	assert_int_equal(queue.waiting, 2);
	pthread_mutex_lock(&lock);
	weir_wait_queue_wake_all(&queue);
	pthread_mutex_unlock(&lock);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(all[i].status, 0);
		assert_int_equal(all[i].order, i + 1);
	}
	return 0;
}

static void first_come_first_served(void **state)
{
	struct stage stage;

	(void)state;
	woken = 0;
	stage_open(&stage);
	stage_run(&stage, order_main, NULL);
	stage_close(&stage);
}

static int deadline_main(void *arg)
{
	struct waiting one = { 0 };
	struct weir_scope scope;

	(void)arg;
	pthread_mutex_lock(&lock);
	assert_int_equal(weir_wait_queue_wait(&queue, &lock, "test",
					      weir_loop_now(weir_loop_current()) + 1000000),
			 -ETIMEDOUT);
	assert_int_equal(queue.waiting, 0);
	/* Cancelled while it waits: not woken. */
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "wait", wait_main, &one, NULL), 0);
	assert_int_equal(weir_task_yield(), 0);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(one.status, -ECANCELED);
	assert_false(wake());
	/* Cancelled when it was chosen already: it has the gift. */
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "wait", wait_main, &one, NULL), 0);
	assert_int_equal(weir_task_yield(), 0);
	assert_true(wake());
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(one.status, 0);
	return 0;
}

static void who_gives_up_is_not_woken(void **state)
{
	struct stage stage;

	(void)state;
	stage_open(&stage);
	stage_run(&stage, deadline_main, NULL);
	stage_close(&stage);
}

/* ---- two loops pass one place to and fro ---- */

#define TASKS 8
#define TURNS 200

static unsigned inside, most, turns;
static unsigned long given_up;

static int turn_main(void *arg)
{
	(void)arg;
	for (int i = 0; i < TURNS; i++) {
		int status = 0;

		pthread_mutex_lock(&lock);
		if (inside == 0) {
			inside = 1;
			pthread_mutex_unlock(&lock);
		} else {
			/* Some give up at once, which races with being chosen. */
			uint64_t patience = i % 3 == 0 ? 0 : WEIR_NEVER;

			status = weir_wait_queue_wait(&queue, &lock, "turn", patience);
		}
		pthread_mutex_lock(&lock);
		if (status)
			given_up++;
		else
			turns++;
		most = WEIR_MAX(most, inside);
		pthread_mutex_unlock(&lock);
		if (!status) {
			assert_int_equal(weir_task_yield(), 0);
			pthread_mutex_lock(&lock);
			if (!weir_wait_queue_wake(&queue))
				inside = 0;
			pthread_mutex_unlock(&lock);
		}
	}
	return 0;
}

static int turns_main(void *arg)
{
	struct weir_scope scope;

	(void)arg;
	weir_scope_init(&scope, NULL);
	for (int i = 0; i < TASKS; i++)
		assert_int_equal(weir_scope_spawn(&scope, "turn", turn_main, NULL, NULL), 0);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	return 0;
}

static void *loop_main(void *arg)
{
	struct stage stage;

	(void)arg;
	stage_open(&stage);
	stage_run(&stage, turns_main, NULL);
	stage_close(&stage);
	return NULL;
}

static void loops_pass_one_place(void **state)
{
	pthread_t threads[2];

	(void)state;
	weir_wait_queue_init(&queue);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, loop_main, NULL), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(inside, 0);
	assert_int_equal(most, 1);
	assert_int_equal(queue.waiting, 0);
	assert_int_equal(turns + given_up, 2 * TASKS * TURNS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_come_first_served),
		cmocka_unit_test(who_gives_up_is_not_woken),
		cmocka_unit_test(loops_pass_one_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
