/* SPDX-License-Identifier: MIT */
/* The timeout of calls: head, whole call, what is in time, what is somebody else's. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_limit.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;
static struct weir_counter refused;
static struct weir_event never;

static struct weir_http_service *layer(uint64_t response_ms, uint64_t total_ms)
{
	struct weir_http_timeout_conf conf = { response_ms, total_ms, &refused };
	struct weir_http_service *svc =
		weir_http_timeout_layer(rig_script_init(&script), &conf, NULL);

	assert_non_null(svc);
	refused.value = 0;
	weir_event_init(&never);
	return svc;
}

static int head_main(void *arg)
{
	struct weir_http_service *svc = layer(5, 0);

	(void)arg;
	script.waits = &never;
	rig_call_init(&call, "GET /", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 504);
	assert_int_equal(call.status, 0);
	assert_string_equal(call.call.result.why, "timeout");
	rig_call_fini(&call);
	assert_int_equal(refused.value, 1);
	/* What is in time keeps its body, untouched. */
	script.waits = NULL;
	script.pieces = (const char *const[]){ "ab", NULL };
	rig_call_init(&call, "GET /", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	assert_ptr_equal(call.call.response.body, &script.body.body);
	assert_string_equal(rig_call_text(&call), "ab");
	rig_call_fini(&call);
	assert_int_equal(script.body.freed, 1);
	weir_http_service_free(svc);
	return 0;
}

static void a_late_head_is_504(void **state)
{
	(void)state;
	rig_calls_run(head_main, NULL);
}

/* A body that has a piece and then nothing for ever. */
static int stuck_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	static char text[] = "first";

	if (body->size == 1) {
		body->size = WEIR_BODY_UNKNOWN;
		*piece = (struct iovec){ text, 5 };
		return 1;
	}
	return wait ? weir_event_wait(&never, "stuck", WEIR_NEVER) : -EAGAIN;
}

static void stuck_free(struct weir_body *body)
{
	body->size = 0;
}

static const struct weir_body_ops stuck_ops = { .name = "stuck",
						.next = stuck_next,
						.free = stuck_free };
static struct weir_body stuck;

static void answer_stuck(struct rig_script *self, struct weir_call *one)
{
	(void)self;
	stuck = (struct weir_body){ .ops = &stuck_ops, .size = 1 };
	one->response.body = &stuck;
}

static int total_main(void *arg)
{
	struct weir_http_service *svc = layer(0, 20);
	struct iovec piece;

	(void)arg;
	script.hook = answer_stuck;
	rig_call_init(&call, "GET /", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	assert_int_equal(weir_body_next(call.call.response.body, &piece, true), 1);
	assert_int_equal(weir_body_next(call.call.response.body, &piece, false), -EAGAIN);
	assert_int_equal(weir_body_next(call.call.response.body, &piece, true), -ETIMEDOUT);
	assert_int_equal(weir_body_next(call.call.response.body, &piece, true), -ETIMEDOUT);
	assert_int_equal(weir_body_next(call.call.response.body, &piece, false), -ETIMEDOUT);
	assert_int_equal(refused.value, 1);
	/* Helping tasks have the same time. */
	assert_int_equal(weir_scope_check(&call.call.scope), -ETIMEDOUT);
	rig_call_fini(&call);
	assert_int_equal(stuck.size, 0);
	weir_http_service_free(svc);
	return 0;
}

static void a_late_body_breaks_off(void **state)
{
	(void)state;
	rig_calls_run(total_main, NULL);
}

/* An outer deadline comes first: the outer layer answers. */
static int outer_main(void *arg)
{
	struct weir_http_service *inner = layer(10000, 0);
	struct weir_counter outer = { 0 };
	struct weir_http_timeout_conf conf = { .response_ms = 5, .refused = &outer };
	struct weir_http_service *svc = weir_http_timeout_layer(inner, &conf, NULL);

	(void)arg;
	script.waits = &never;
	rig_call_init(&call, "GET /", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 504);
	rig_call_fini(&call);
	assert_int_equal(outer.value, 1);
	weir_http_service_free(svc);
	return 0;
}

static void the_outer_one_counts(void **state)
{
	(void)state;
	rig_calls_run(outer_main, NULL);
}

static void mistakes_are_said(void **state)
{
	struct weir_http_timeout_conf conf = { 0 };
	struct weir_error error = { 0 };

	(void)state;
	rig_script_init(&script);
	assert_null(weir_http_timeout_layer(&script.svc, &conf, &error));
	assert_true(error.message[0] && error.remedy[0]);
	conf.response_ms = UINT64_MAX;
	assert_null(weir_http_timeout_layer(&script.svc, &conf, &error));
	assert_int_equal(script.freed, 2);
	assert_null(weir_http_timeout_layer(NULL, &conf, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_late_head_is_504),
		cmocka_unit_test(a_late_body_breaks_off),
		cmocka_unit_test(the_outer_one_counts),
		cmocka_unit_test(mistakes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
