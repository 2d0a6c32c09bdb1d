/* SPDX-License-Identifier: MIT */
/* Retries: what is tried again, with which request and body, and what is not. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_limit.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;
static struct weir_counter retried, refused;

/* How the attempts before the last one go. */
static struct {
	unsigned until; /* served so often before it is well */
	int error;
	unsigned status;
	size_t reads; /* pieces of the body before it fails */
} ill;

static const struct weir_extension_key mark_key = { "mark" };

static void fail_first(struct rig_script *self, struct weir_call *one)
{
	struct iovec piece;

	/* What an attempt does to the call is not seen by the next one. */
	assert_null(weir_extension_find(&one->extensions, &mark_key));
	assert_int_equal(weir_extension_add(&one->extensions, &one->arena, &mark_key, ""), 0);
	assert_null(weir_headers_find(&one->request.headers, WEIR_TEXT("X-Hop"), NULL));
	assert_int_equal(
		weir_headers_add(&one->request.headers, WEIR_TEXT("X-Hop"), WEIR_TEXT("1")), 0);
	assert_non_null(weir_headers_find(&one->request.headers, WEIR_TEXT("X-Client"), NULL));
	weir_headers_del(&one->request.headers, WEIR_TEXT("X-Client"));
	assert_true(weir_text_is_equal(one->request.path, WEIR_TEXT("/a")));
	one->request.path = WEIR_TEXT("/b");
	self->error = self->served <= ill.until ? ill.error : 0;
	self->status = self->served <= ill.until ? ill.status : 200;
	self->reads = self->served > ill.until;
	for (size_t i = 0; i < ill.reads && self->served <= ill.until; i++)
		assert_int_equal(weir_body_next(one->request.body, &piece, true), 1);
}

static struct weir_http_service *layer(struct weir_http_retry_conf conf)
{
	struct weir_http_service *svc;

	conf.backoff_ms = 1;
	conf.retried = &retried;
	conf.refused = &refused;
	retried.value = refused.value = 0;
	svc = weir_http_retry_layer(rig_script_init(&script), &conf, NULL);
	assert_non_null(svc);
	script.hook = fail_first;
	memset(&ill, 0, sizeof(ill));
	return svc;
}

static unsigned ask(struct weir_http_service *svc, const char *line, const char *const *pieces,
		    bool chunked)
{
	static const char *const fields[] = { "X-Client: 1", NULL };
	unsigned status;

	script.served = 0;
	rig_call_init(&call, line, fields, NULL);
	if (pieces)
		rig_call_body(&call, pieces, chunked);
	status = rig_call_handle(&call, svc);
	rig_call_text(&call);
	rig_call_fini(&call);
	return status;
}

static int again_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_retry_conf){ .attempts = 3 });

	(void)arg;
	ill.until = 2;
	ill.error = -ECONNREFUSED;
	assert_int_equal(ask(svc, "GET /a", NULL, false), 200);
	assert_int_equal(script.served, 3);
	assert_int_equal(retried.value, 2);
	ill.error = 0;
	ill.status = 503;
	assert_int_equal(ask(svc, "DELETE /a", NULL, false), 200);
	/* The last attempt's answer is the answer. */
	ill.until = 9;
	assert_int_equal(ask(svc, "GET /a", NULL, false), 503);
	assert_int_equal(script.served, 3);
	ill.status = 500;
	assert_int_equal(ask(svc, "GET /a", NULL, false), 500);
	assert_int_equal(script.served, 1);
	/* Twice might be once too often. */
	ill.status = 503;
	assert_int_equal(ask(svc, "POST /a", NULL, false), 503);
	assert_int_equal(script.served, 1);
	/* Nothing that another attempt would change. */
	ill.error = WEIR_EPOLICY;
	assert_int_equal(ask(svc, "GET /a", NULL, false), 403);
	assert_int_equal(script.served, 1);
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return 0;
}

static void failures_are_tried_again(void **state)
{
	(void)state;
	rig_calls_run(again_main, NULL);
}

static int body_main(void *arg)
{
	static const char *const pieces[] = { "ab", "", "cd", "ef", NULL };
	struct weir_http_service *svc = layer((struct weir_http_retry_conf){ .body_bytes = 6 });

	(void)arg;
	ill.until = 1;
	ill.error = -ECONNRESET;
	for (ill.reads = 0; ill.reads <= 3; ill.reads++) {
		for (int chunked = 0; chunked < 2; chunked++) {
			assert_int_equal(ask(svc, "PUT /a", pieces, chunked), 200);
			assert_string_equal(script.seen_body, "abcdef");
		}
	}
	weir_http_service_free(svc);
	/* With more than is kept there is one attempt, and it has all of it. */
	svc = layer((struct weir_http_retry_conf){ .body_bytes = 5 });
	ill.until = 1;
	ill.error = -ECONNRESET;
	ill.reads = 3;
	assert_int_equal(ask(svc, "PUT /a", pieces, true), 502);
	assert_int_equal(script.served, 1);
	ill.until = 0;
	assert_int_equal(ask(svc, "PUT /a", pieces, true), 200);
	assert_string_equal(script.seen_body, "abcdef");
	ill.until = 1;
	assert_int_equal(ask(svc, "PUT /a", pieces, false), 502);
	assert_int_equal(script.served, 1);
	weir_http_service_free(svc);
	return 0;
}

static void bodies_are_replayed(void **state)
{
	(void)state;
	rig_calls_run(body_main, NULL);
}

static int budget_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_retry_conf){ 0 });
	unsigned calls = 0;

	(void)arg;
	ill.until = 1;
	ill.error = -ECONNREFUSED;
	/* Ten at once are free, then one call in five. */
	for (int i = 0; i < 40; i++)
		calls += ask(svc, "GET /a", NULL, false) == 200;
	assert_true(calls < 40);
	assert_true(calls >= 10);
	assert_int_equal(calls, retried.value);
	assert_int_equal(refused.value, 40 - calls);
	weir_http_service_free(svc);
	return 0;
}

static void retries_have_a_budget(void **state)
{
	(void)state;
	rig_calls_run(budget_main, NULL);
}

static void mistakes_are_said(void **state)
{
	static const uint16_t ok[] = { 200 };
	struct weir_error error = { 0 };

	(void)state;
	rig_script_init(&script);
	assert_null(weir_http_retry_layer(
		&script.svc, &(struct weir_http_retry_conf){ .statuses = ok, .n_statuses = 1 },
		&error));
	assert_true(error.message[0] && error.remedy[0]);
	assert_null(weir_http_retry_layer(
		&script.svc, &(struct weir_http_retry_conf){ .attempts = 11 }, &error));
	assert_null(weir_http_retry_layer(
		&script.svc, &(struct weir_http_retry_conf){ .budget_percent = 101 }, &error));
	assert_int_equal(script.freed, 3);
	assert_null(weir_http_retry_layer(NULL, &(struct weir_http_retry_conf){ 0 }, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_are_tried_again),
		cmocka_unit_test(bodies_are_replayed),
		cmocka_unit_test(retries_have_a_budget),
		cmocka_unit_test(mistakes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
