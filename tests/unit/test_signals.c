/* SPDX-License-Identifier: MIT */
/* Signals as messages: all of them arrive, in the loop, and none does what it would by default. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/scope.h>
#include <weir/signals.h>
#include <weir/sync.h>

#include "tests/unit/loopback.h"

#define TIMES 300

static const int numbers[] = { SIGUSR1, SIGTERM, 0 };

struct heard {
	struct weir_event event;
	atomic_uint usr1;
	atomic_uint term;
	pthread_t thread;
};

static void on_signal(void *ctx, int number)
{
	struct heard *heard = ctx;

	assert_non_null(weir_loop_current());
	heard->thread = pthread_self();
	if (number == SIGUSR1)
		heard->usr1++;
	else if (number == SIGTERM)
		heard->term++;
	weir_event_set(&heard->event);
}

static bool is_blocked(int number)
{
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	return sigismember(&mask, number);
}

/* ---- what is told ---- */

static int wait_for_both(struct heard *heard)
{
	int status = 0;

	while (!status && (heard->usr1 == 0 || heard->term == 0)) {
		status = weir_event_wait(&heard->event, "signals", WEIR_NEVER);
		weir_event_clear(&heard->event);
	}
	return status;
}

/* The first one was sent before anybody listened, the second one after that. */
static int both_main(void *arg)
{
	struct weir_signals signals;
	struct heard heard = { 0 };
	int status;

	(void)arg;
	weir_event_init(&heard.event);
	weir_signals_block(numbers);
	kill(getpid(), SIGTERM);
	assert_int_equal(weir_signals_open(&signals, numbers, on_signal, &heard), 0);
	kill(getpid(), SIGUSR1);
	status = wait_for_both(&heard);
	assert_int_equal(heard.usr1, 1);
	assert_int_equal(heard.term, 1);
	assert_true(pthread_equal(heard.thread, pthread_self()));
	weir_signals_close(&signals);
	assert_true(is_blocked(SIGTERM)); /* as it was found */
	return status;
}

static void a_signal_is_told_even_if_it_was_early(void **state)
{
	sigset_t before;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	loopback_run(both_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- many, while tasks come and go ---- */

struct crowd {
	struct heard heard;
	struct weir_scope scope;
	atomic_bool done;
};

static int short_main(void *arg)
{
	(void)arg;
	return weir_task_yield();
}

static int short_ones_main(void *arg)
{
	struct crowd *crowd = arg;
	int status = 0;

	while (!status && !crowd->done) {
		for (int i = 0; i < 4 && !status; i++)
			status = weir_scope_spawn(&crowd->scope, "short", short_main, NULL, NULL);
		if (!status)
			status = weir_task_yield();
	}
	return status;
}

/* The next one when the one before was heard: those that wait count once. */
static void *sender_main(void *arg)
{
	struct crowd *crowd = arg;
	unsigned patience = 100000;

	for (unsigned i = 0; i < TIMES && patience > 0; i++) {
		kill(getpid(), SIGUSR1);
		for (; crowd->heard.usr1 <= i && patience > 0; patience--)
			usleep(500);
	}
	crowd->done = true;
	return NULL;
}

static int crowd_main(void *arg)
{
	struct crowd *crowd = arg;
	struct weir_signals signals;
	pthread_t sender;

	weir_event_init(&crowd->heard.event);
	weir_scope_init(&crowd->scope, NULL);
	assert_int_equal(weir_signals_open(&signals, numbers, on_signal, &crowd->heard), 0);
	assert_int_equal(pthread_create(&sender, NULL, sender_main, crowd), 0);
	assert_int_equal(weir_scope_spawn(&crowd->scope, "spawner", short_ones_main, crowd, NULL),
			 0);
	weir_scope_join(&crowd->scope);
	weir_scope_fini(&crowd->scope);
	pthread_join(sender, NULL);
	weir_signals_close(&signals);
	return 0;
}

static void none_is_lost_while_tasks_end(void **state)
{
	struct crowd crowd = { 0 };

	(void)state;
	loopback_run(crowd_main, &crowd);
	assert_int_equal(crowd.heard.usr1, TIMES);
}

/* ---- the end ---- */

static int close_main(void *arg)
{
	struct weir_signals signals;
	struct heard *heard = arg;

	weir_event_init(&heard->event);
	assert_int_equal(weir_signals_open(&signals, numbers, on_signal, heard), 0);
	assert_true(is_blocked(SIGTERM));
	/* Nobody has read these when it closes: they must not end the program. */
	kill(getpid(), SIGTERM);
	kill(getpid(), SIGUSR1);
	weir_signals_close(&signals);
	assert_false(is_blocked(SIGTERM));
	weir_signals_close(&signals);
	return 0;
}

static void closing_forgets_what_waits(void **state)
{
	struct heard heard = { 0 };

	(void)state;
	loopback_run(close_main, &heard);
	assert_int_equal(heard.usr1 + heard.term, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_is_told_even_if_it_was_early),
		cmocka_unit_test(none_is_lost_while_tasks_end),
		cmocka_unit_test(closing_forgets_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
