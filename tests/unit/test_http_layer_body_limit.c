/* SPDX-License-Identifier: MIT */
/* The body limit: announced and counted lengths. */

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

static unsigned post(struct weir_http_service *svc, const char *const *pieces, bool chunked)
{
	unsigned status;

	script.seen_body[0] = '\0';
	rig_call_init(&call, "POST /", NULL, NULL);
	rig_call_body(&call, pieces, chunked);
	status = rig_call_handle(&call, svc);
	if (status == 413)
		assert_string_equal(call.call.result.why, "body_limit");
	rig_call_fini(&call);
	return status;
}

static int limit_main(void *arg)
{
	const char *const four[] = { "ab", "cd", NULL };
	const char *const five[] = { "ab", "", "cd", "e", NULL };
	struct weir_http_body_limit_conf conf = { .max_bytes = 4, .refused = &refused };
	struct weir_http_service *svc =
		weir_http_body_limit_layer(rig_script_init(&script), &conf, NULL);

	(void)arg;
	script.reads = true;
	assert_int_equal(post(svc, four, false), 200);
	assert_string_equal(script.seen_body, "abcd");
	assert_int_equal(post(svc, four, true), 200);
	assert_string_equal(script.seen_body, "abcd");
	/* Announced: nobody is asked, nothing is read. */
	script.served = 0;
	assert_int_equal(post(svc, five, false), 413);
	assert_int_equal(script.served, 0);
	assert_int_equal(call.request_body.asked, 0);
	assert_int_equal(refused.value, 1);
	/* Counted: one too many, whatever the inner service makes of it. */
	assert_int_equal(post(svc, five, true), 413);
	assert_int_equal(script.served, 1);
	assert_int_equal(refused.value, 2);
	/* Who answers without reading is right. */
	script.reads = false;
	assert_int_equal(post(svc, five, true), 200);
	assert_int_equal(rig_ask(svc, "GET /", NULL), 200);
	weir_http_service_free(svc);
	conf.max_bytes = 0;
	svc = weir_http_body_limit_layer(&script.svc, &conf, NULL);
	assert_int_equal(post(svc, (const char *const[]){ "a", NULL }, false), 413);
	assert_int_equal(rig_ask(svc, "GET /", NULL), 200);
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 2);
	assert_null(weir_http_body_limit_layer(NULL, &conf, NULL));
	return 0;
}

static void one_byte_too_many_is_413(void **state)
{
	(void)state;
	rig_calls_run(limit_main, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(one_byte_too_many_is_413) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
