/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <weir/buffer.h>
#include <weir/call.h>
#include <weir/error.h>
#include <weir/http_server.h>

#include "stage.h"

static void run(weir_task_fn *fn)
{
	struct stage stage;

	stage_open(&stage);
	stage_run(&stage, fn, NULL);
	stage_close(&stage);
}

/* What happened, in order. */
static char trace[64];

static void note(const char *what)
{
	strncat(trace, what, sizeof(trace) - strlen(trace) - 1);
}

static void defer_note(struct weir_call *call, void *ctx)
{
	(void)call;
	note(ctx);
}

static int helper(void *arg)
{
	int status = weir_task_sleep_ms(60000);

	(void)arg;
	note("helper ");
	return status;
}

static void noting_free(struct weir_body *body)
{
	(void)body;
	note("body ");
}

static const struct weir_body_ops noting_ops = { .name = "noting", .free = noting_free };

static void noting_close(struct weir_tunnel *tunnel)
{
	(void)tunnel;
	note("tunnel ");
}

static int order_main(void *arg)
{
	struct weir_body body = { .ops = &noting_ops };
	struct weir_tunnel tunnel = { .close = noting_close };
	struct weir_call call;

	(void)arg;
	weir_call_init(&call, NULL);
	assert_true(call.id > 0);
	assert_int_equal(weir_call_defer(&call, defer_note, "first "), 0);
	assert_int_equal(weir_call_defer(&call, defer_note, "second "), 0);
	assert_int_equal(weir_scope_spawn(&call.scope, "helper", helper, NULL, NULL), 0);
	assert_int_equal(weir_task_yield(), 0);
	call.response.body = &body;
	call.tunnel = &tunnel;
	weir_call_fini(&call);
	return 0;
}

static void end_comes_in_order(void **state)
{
	(void)state;
	trace[0] = '\0';
	run(order_main);
	assert_string_equal(trace, "helper body tunnel second first ");
}

static void assert_body(struct weir_call *call, const char *expected)
{
	struct weir_buffer buffer = { 0 };

	assert_non_null(call->response.body);
	assert_int_equal(call->response.body->size, strlen(expected));
	assert_int_equal(weir_body_read_all(call->response.body, &buffer, 1000), 0);
	assert_int_equal(weir_buffer_size(&buffer), strlen(expected));
	assert_memory_equal(weir_buffer_head(&buffer), expected, strlen(expected));
	weir_buffer_fini(&buffer);
}

static int respond_main(void *arg)
{
	char text[] = "hello", type[] = "text/plain";
	struct weir_text value;
	struct weir_call call;

	(void)arg;
	weir_call_init(&call, NULL);
	assert_int_equal(weir_call_respond(&call, 201, type, weir_text_of(text)), 0);
	memset(text, 'x', sizeof(text) - 1);
	memset(type, 'x', sizeof(type) - 1);
	assert_int_equal(call.response.status, 201);
	value = weir_headers_value(&call.response.headers, WEIR_HEADER_CONTENT_TYPE);
	assert_true(weir_text_is_equal(value, WEIR_TEXT("text/plain")));
	assert_body(&call, "hello");

	/* A refusal takes its place. */
	assert_int_equal(weir_headers_add(&call.response.headers, WEIR_TEXT("X"), WEIR_TEXT("y")),
			 0);
	assert_int_equal(weir_call_refuse(&call, 404, "no_route"), 0);
	assert_int_equal(call.response.status, 404);
	assert_string_equal(call.result.why, "no_route");
	assert_null(weir_headers_find(&call.response.headers, WEIR_TEXT("X"), NULL));
	assert_body(&call, "404 Not Found\n");

	/* Nothing is a body, too. */
	assert_int_equal(weir_call_respond(&call, 204, NULL, (struct weir_text){ 0 }), 0);
	assert_null(call.response.body);
	assert_null(weir_headers_next(&call.response.headers, NULL));
	weir_call_fini(&call);
	return 0;
}

static int head_main(void *arg)
{
	struct weir_call call;

	(void)arg;
	weir_call_init(&call, NULL);
	call.request.method = WEIR_METHOD_HEAD;
	assert_int_equal(weir_call_respond(&call, 200, "text/plain", WEIR_TEXT("hello")), 0);
	assert_null(call.response.body);
	assert_int_equal(call.response.announced, 5);
	assert_int_equal(weir_call_refuse(&call, 404, "no_route"), 0);
	assert_null(call.response.body);
	assert_int_equal(call.response.announced, 14);
	assert_int_equal(weir_call_respond(&call, 200, NULL, (struct weir_text){ 0 }), 0);
	assert_int_equal(call.response.announced, 0);
	assert_int_equal(weir_call_respond(&call, 304, NULL, (struct weir_text){ 0 }), 0);
	assert_int_equal(call.response.announced, WEIR_BODY_UNKNOWN);
	weir_call_fini(&call);
	return 0;
}

static void head_has_no_body(void **state)
{
	(void)state;
	run(head_main);
}

static void responses_are_copied_and_replace_each_other(void **state)
{
	(void)state;
	run(respond_main);
}

static int inform_main(void *arg)
{
	struct weir_call call;

	(void)arg;
	weir_call_init(&call, NULL);
	assert_int_equal(weir_call_inform(&call, 103, NULL), 0);
	weir_call_fini(&call);
	return 0;
}

static void informing_nobody_is_harmless(void **state)
{
	(void)state;
	run(inform_main);
}

static int ids_main(void *arg)
{
	uint64_t last = 0;

	(void)arg;
	for (int i = 0; i < 3000; i++) {
		struct weir_call call;

		weir_call_init(&call, NULL);
		assert_true(call.id > last);
		last = call.id;
		weir_call_fini(&call);
	}
	return 0;
}

static void ids_are_unique(void **state)
{
	(void)state;
	run(ids_main);
}

static void every_status_has_an_answer(void **state)
{
	static const struct {
		int status;
		unsigned answer;
	} table[] = {
		{ WEIR_ERATE, 429 },	 { WEIR_ELIMIT, 503 },	    { WEIR_EQUEUE, 503 },
		{ WEIR_EPOLICY, 403 },	 { WEIR_ENOENDPOINT, 503 }, { WEIR_ESHUTDOWN, 503 },
		{ WEIR_ERESOLVE, 502 },	 { WEIR_EPROTO, 502 },	    { -ECONNREFUSED, 502 },
		{ -ECONNRESET, 502 },	 { -EPIPE, 502 },	    { -ETIMEDOUT, 504 },
		{ WEIR_EIDLE, 504 },	 { -ENOMEM, 500 },	    { -EINVAL, 500 },
		{ WEIR_ELIFETIME, 504 }, { -EMFILE, 503 },	    { -ENFILE, 503 },
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(table); i++)
		assert_int_equal(weir_http_status(table[i].status), table[i].answer);
}

static int answer(struct weir_call *call, void *ctx)
{
	return weir_call_respond(call, *(unsigned *)ctx, NULL, (struct weir_text){ 0 });
}

static int function_main(void *arg)
{
	unsigned status = 418;
	struct weir_http_service *svc = weir_http_function(answer, &status, NULL);
	struct weir_call call;

	(void)arg;
	assert_non_null(svc);
	weir_call_init(&call, NULL);
	assert_int_equal(weir_handle(svc, &call), 0);
	assert_int_equal(call.response.status, 418);
	weir_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void function_is_a_service(void **state)
{
	(void)state;
	run(function_main);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(end_comes_in_order),
		cmocka_unit_test(responses_are_copied_and_replace_each_other),
		cmocka_unit_test(head_has_no_body),
		cmocka_unit_test(informing_nobody_is_harmless),
		cmocka_unit_test(ids_are_unique),
		cmocka_unit_test(every_status_has_an_answer),
		cmocka_unit_test(function_is_a_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
