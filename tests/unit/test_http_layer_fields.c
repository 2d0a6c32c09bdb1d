/* SPDX-License-Identifier: MIT */
/* Changes of header fields: verbs, templates, refusals, mistakes. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_layer.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;

static int change_main(void *arg)
{
	static const char *const fields[] = { "x-set: old", "X-Set: older", "X-Add: 1",
					      "X-Gone: 1",  "X-Kept: mine", NULL };
	static const char *const response[] = { "Server: origin", "X-Powered-By: x", NULL };
	const struct weir_http_field_change changes[] = {
		{ WEIR_HTTP_FIELD_SET, false, "X-Set", "{client} {host}" },
		{ WEIR_HTTP_FIELD_ADD, false, "X-Add", "2" },
		{ WEIR_HTTP_FIELD_REMOVE, false, "x-gone", NULL },
		{ WEIR_HTTP_FIELD_DEFAULT, false, "X-Kept", "ours" },
		{ WEIR_HTTP_FIELD_DEFAULT, false, "X-New", "ours" },
		{ WEIR_HTTP_FIELD_SET, false, "X-Echo", "{request.x-injected}" },
		{ WEIR_HTTP_FIELD_REMOVE, true, "X-Powered-By", NULL },
		{ WEIR_HTTP_FIELD_SET, true, "Server", "weir" },
		{ WEIR_HTTP_FIELD_ADD, true, "X-Status", "{status}" },
	};
	struct weir_http_fields_conf conf = { changes, WEIR_ARRAY_SIZE(changes) };
	struct weir_http_service *svc =
		weir_http_fields_layer(rig_script_init(&script), &conf, NULL);

	(void)arg;
	script.fields = response;
	rig_call_init(&call, "GET http://a.example:81/", fields, NULL);
	/* Not even a value that a parser let through gets a line end in. */
	assert_int_equal(weir_headers_add(&call.call.request.headers, WEIR_TEXT("X-Injected"),
					  WEIR_TEXT("a\r\nb")),
			 0);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	assert_string_equal(script.seen_fields,
			    "x-set: 192.0.2.1 a.example\nX-Add: 1\nX-Kept: mine\n"
			    "X-Injected: a\r\nb\nX-Add: 2\nX-New: ours\nX-Echo: a??b\n");
	assert_string_equal(rig_call_field(&call, "server"), "weir");
	assert_string_equal(rig_call_field(&call, "x-powered-by"), "");
	assert_string_equal(rig_call_field(&call, "x-status"), "200");
	rig_call_fini(&call);
	/* A failure is dressed, too. */
	script.error = -ECONNREFUSED;
	rig_call_init(&call, "GET /", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 502);
	assert_string_equal(rig_call_field(&call, "server"), "weir");
	assert_string_equal(rig_call_field(&call, "x-status"), "502");
	assert_string_equal(call.call.result.why, "ECONNREFUSED");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return 0;
}

static void fields_are_changed(void **state)
{
	(void)state;
	rig_calls_run(change_main, NULL);
}

static void mistakes_are_said(void **state)
{
	const struct weir_http_field_change bad[] = {
		{ WEIR_HTTP_FIELD_SET, false, NULL, "x" },
		{ WEIR_HTTP_FIELD_SET, false, "", "x" },
		{ WEIR_HTTP_FIELD_SET, false, "a b", "x" },
		{ WEIR_HTTP_FIELD_SET, false, "a:", "x" },
		{ WEIR_HTTP_FIELD_SET, false, "A", NULL },
		{ WEIR_HTTP_FIELD_SET, false, "A", "a\r\nB: c" },
		{ WEIR_HTTP_FIELD_SET, false, "A", "{nothing}" },
		{ WEIR_HTTP_FIELD_REMOVE, false, "A", "x" },
		{ WEIR_HTTP_FIELD_SET, false, "content-length", "0" },
		{ WEIR_HTTP_FIELD_REMOVE, true, "Transfer-Encoding", NULL },
		{ WEIR_HTTP_FIELD_ADD, true, "CONNECTION", "close" },
		{ WEIR_HTTP_FIELD_SET, false, "Host", "x" },
	};
	struct weir_http_fields_conf conf = { NULL, 1 };
	struct weir_error error;

	(void)state;
	rig_script_init(&script);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		conf.changes = &bad[i];
		weir_error_init(&error);
		if (weir_http_fields_layer(&script.svc, &conf, &error))
			fail_msg("change %zu is no mistake", i);
		assert_true(error.message[0] && error.remedy[0]);
		assert_int_equal(script.freed, i + 1);
	}
	assert_null(weir_http_fields_layer(NULL, &conf, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_changed),
		cmocka_unit_test(mistakes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
