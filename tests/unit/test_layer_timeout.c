/* SPDX-License-Identifier: MIT */
/* The timeout layer: what is inside ends when the time is over, not before. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/layer.h>

#include "stage.h"

#define MS 1000000ull

static struct stage stage;
static struct gate gate;

static int setup(void **state)
{
	(void)state;
	stage_open(&stage);
	gate_init(&gate);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_close(&stage);
	return 0;
}

static struct weir_service *layer(struct weir_service *inner, uint64_t ms)
{
	struct weir_timeout_conf conf = { .lifetime_ms = ms };
	struct weir_service *svc = weir_timeout_layer(inner, &conf, NULL);

	assert_non_null(svc);
	return svc;
}

static int late_main(void *arg)
{
	struct weir_service *svc = layer(&gate.svc, 60);
	struct stage_conn c;
	uint64_t began = weir_now();
	char byte;

	(void)arg;
	stage_connect(&c, svc, STAGE_TCP, NULL);
	assert_int_equal(weir_stream_read(c.peer, &byte, 1), -ECONNRESET);
	assert_in_range(weir_now() - began, 59 * MS, 5000 * MS);
	assert_int_equal(stage_finish(&c), -ETIMEDOUT);
	/* The connection's task itself goes on. */
	assert_int_equal(gate.inside, 0);
	weir_service_free(svc);
	return 0;
}

static void late_ones_end(void **state)
{
	(void)state;
	stage_run(&stage, late_main, NULL);
}

static int early_main(void *arg)
{
	static const int statuses[] = { 0, -EPIPE, WEIR_ELIMIT };
	struct weir_service *svc = layer(&gate.svc, 60000);

	(void)arg;
	weir_event_set(&gate.open);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(statuses); i++) {
		struct stage_conn c;

		gate.status = statuses[i];
		stage_connect(&c, svc, STAGE_TCP, NULL);
		assert_int_equal(stage_finish(&c), statuses[i]);
	}
	weir_service_free(svc);
	assert_int_equal(gate.freed, 1);
	return 0;
}

static void early_ones_keep_their_status(void **state)
{
	(void)state;
	stage_run(&stage, early_main, NULL);
}

static int nested_main(void *arg)
{
	const bool *outer_first = arg;
	struct weir_service *svc;
	struct stage_conn c;
	uint64_t began = weir_now();

	svc = layer(&gate.svc, *outer_first ? 60000 : 40);
	svc = layer(svc, *outer_first ? 40 : 60000);
	stage_connect(&c, svc, STAGE_TCP, NULL);
	assert_int_equal(stage_finish(&c), -ETIMEDOUT);
	assert_in_range(weir_now() - began, 39 * MS, 5000 * MS);
	weir_service_free(svc);
	return 0;
}

static void the_shorter_one_counts(void **state)
{
	bool outer_first = true;

	(void)state;
	stage_run(&stage, nested_main, &outer_first);
	outer_first = false;
	stage_run(&stage, nested_main, &outer_first);
}

static int cancel_main(void *arg)
{
	struct weir_service *svc = layer(&gate.svc, 60000);
	struct stage_conn c;

	(void)arg;
	stage_connect(&c, svc, STAGE_TCP, NULL);
	assert_false(stage_is_over(&c));
	weir_scope_cancel(&c.scope);
	assert_int_equal(stage_finish(&c), -ECANCELED);
	weir_service_free(svc);
	return 0;
}

static void cancelling_is_not_a_timeout(void **state)
{
	(void)state;
	stage_run(&stage, cancel_main, NULL);
}

static void mistakes_free_the_inner_one(void **state)
{
	static const uint64_t cases[] = { 0, UINT64_MAX, UINT64_MAX / 1000000 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct weir_timeout_conf conf = { .lifetime_ms = cases[i] };
		struct weir_error error = { 0 };

		assert_null(weir_timeout_layer(&gate.svc, &conf, &error));
		assert_int_equal(error.status, WEIR_ECONFIG);
		assert_true(error.message[0] && error.remedy[0]);
		assert_int_equal(gate.freed, (int)i + 1);
	}
	assert_null(weir_timeout_layer(NULL, &(struct weir_timeout_conf){ 1 }, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(late_ones_end, setup, teardown),
		cmocka_unit_test_setup_teardown(early_ones_keep_their_status, setup, teardown),
		cmocka_unit_test_setup_teardown(the_shorter_one_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelling_is_not_a_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_free_the_inner_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
