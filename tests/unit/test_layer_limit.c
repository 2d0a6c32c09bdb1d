/* SPDX-License-Identifier: MIT */
/* The limit layer: refusals, places given back, sharing. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/layer.h>

#include "stage.h"

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

static int refuse_main(void *arg)
{
	struct weir_counter refused = { 0 };
	struct weir_limit_conf conf = { .max = 2, .refused = &refused };
	struct weir_service *svc = weir_limit_layer(&gate.svc, &conf, NULL);
	struct stage_conn conns[4];
	char byte;

	(void)arg;
	assert_non_null(svc);
	for (int i = 0; i < 3; i++)
		stage_connect(&conns[i], svc, STAGE_TCP, NULL);
	assert_true(stage_is_over(&conns[2]));
	assert_int_equal(gate.inside, 2);
	/* The client sees a reset, not an orderly end. */
	assert_int_equal(weir_stream_read(conns[2].peer, &byte, 1), -ECONNRESET);
	assert_int_equal(stage_finish(&conns[2]), WEIR_ELIMIT);
	assert_int_equal(refused.value, 1);
	gate.status = -EPIPE;
	weir_event_set(&gate.open);
	for (int i = 0; i < 2; i++)
		assert_int_equal(stage_finish(&conns[i]), -EPIPE);
	/* Both places are free again, also after a failure. */
	for (int i = 0; i < 4; i++) {
		stage_connect(&conns[i], svc, STAGE_TCP, NULL);
		assert_int_equal(stage_finish(&conns[i]), -EPIPE);
	}
	assert_int_equal(refused.value, 1);
	weir_service_free(svc);
	assert_int_equal(gate.freed, 1);
	return 0;
}

static void one_too_many_is_refused(void **state)
{
	(void)state;
	stage_run(&stage, refuse_main, NULL);
}

static int share_main(void *arg)
{
	struct weir_limit_shared *shared = weir_limit_shared_new();
	struct weir_limit_conf few = { .max = 1, .shared = shared };
	struct weir_limit_conf more = { .max = 2, .shared = shared };
	struct gate other;
	struct weir_service *a = weir_limit_layer(&gate.svc, &few, NULL);
	struct weir_service *b = weir_limit_layer(gate_init(&other), &more, NULL);
	struct stage_conn conns[4];

	(void)arg;
	weir_limit_shared_put(shared); /* the layers hold it */
	stage_connect(&conns[0], a, STAGE_TCP, NULL);
	assert_false(stage_is_over(&conns[0]));
	stage_connect(&conns[1], a, STAGE_TCP, NULL);
	assert_int_equal(stage_finish(&conns[1]), WEIR_ELIMIT);
	stage_connect(&conns[1], b, STAGE_TCP, NULL);
	assert_false(stage_is_over(&conns[1]));
	stage_connect(&conns[2], b, STAGE_TCP, NULL);
	assert_int_equal(stage_finish(&conns[2]), WEIR_ELIMIT);
	weir_event_set(&gate.open);
	assert_int_equal(stage_finish(&conns[0]), 0);
	stage_connect(&conns[2], b, STAGE_TCP, NULL);
	assert_false(stage_is_over(&conns[2]));
	weir_event_set(&other.open);
	assert_int_equal(stage_finish(&conns[1]), 0);
	assert_int_equal(stage_finish(&conns[2]), 0);
	weir_service_free(a);
	weir_service_free(b);
	return 0;
}

static void stacks_share_a_count(void **state)
{
	(void)state;
	stage_run(&stage, share_main, NULL);
}

static void mistakes_free_the_inner_one(void **state)
{
	struct weir_limit_conf conf = { .max = 0 };
	struct weir_error error = { 0 };

	(void)state;
	assert_null(weir_limit_layer(&gate.svc, &conf, &error));
	assert_int_equal(error.status, WEIR_ECONFIG);
	assert_true(error.message[0] && error.remedy[0]);
	assert_int_equal(gate.freed, 1);
	conf.max = 1;
	assert_null(weir_limit_layer(NULL, &conf, &error));
	weir_limit_shared_put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_too_many_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(stacks_share_a_count, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_free_the_inner_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
