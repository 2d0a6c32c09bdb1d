/* SPDX-License-Identifier: MIT */
/* The request id layer: made, kept, refused, traces. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_layer.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;

static struct weir_http_service *layer(const struct weir_http_request_id_conf *conf)
{
	struct weir_http_service *svc =
		weir_http_request_id_layer(rig_script_init(&script), conf, NULL);

	assert_non_null(svc);
	return svc;
}

/* Asks once with FIELD; returns the id in the response, which is the one that the inner service
 * saw and that was published. */
static const char *ask(struct weir_http_service *svc, const char *field, char *id)
{
	const char *const fields[] = { field, NULL };
	char seen[256];
	const char *published;

	rig_call_init(&call, "GET /", fields, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	published = weir_extension_find(&call.call.extensions, &weir_http_request_id_key);
	assert_non_null(published);
	strcpy(id, published);
	assert_string_equal(rig_call_field(&call, "x-request-id"), id);
	snprintf(seen, sizeof(seen), "X-Request-ID: %s\n", id);
	assert_non_null(strcasestr(script.seen_fields, seen));
	rig_call_fini(&call);
	return id;
}

static int make_main(void *arg)
{
	struct weir_http_service *svc = layer(&(struct weir_http_request_id_conf){ 0 });
	char first[200], second[200];

	(void)arg;
	ask(svc, NULL, first);
	ask(svc, NULL, second);
	assert_int_equal(strlen(first), 32);
	assert_int_equal(strspn(first, "0123456789abcdef"), 32);
	assert_string_not_equal(first, second);
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return 0;
}

static void ids_are_made(void **state)
{
	(void)state;
	rig_calls_run(make_main, NULL);
}

#define TEN "1234567890"

static int keep_main(void *arg)
{
	static const char *const bad[] = {
		"X-Request-ID:",
		"X-Request-ID: a b",
		"X-Request-ID: \"quoted\"",
		"X-Request-ID: a\\x0ab",
		"X-Request-ID: <script>",
		"X-Request-ID: {request_id}",
		"X-Request-ID: \xc3\xa4",
		"X-Request-ID: " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456789",
	};
	struct weir_http_service *svc = layer(&(struct weir_http_request_id_conf){ 0 });
	char id[200];

	(void)arg;
	assert_string_equal(ask(svc, "x-request-id: Az-9_.:/+=@", id), "Az-9_.:/+=@");
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++)
		assert_int_equal(strspn(ask(svc, bad[i], id), "0123456789abcdef"), 32);
	weir_http_service_free(svc);
	svc = layer(&(struct weir_http_request_id_conf){ .replace = true });
	assert_string_not_equal(ask(svc, "x-request-id: mine", id), "mine");
	weir_http_service_free(svc);
	return 0;
}

static void harmless_ids_are_kept(void **state)
{
	(void)state;
	rig_calls_run(keep_main, NULL);
}

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"

static int trace_main(void *arg)
{
	static const char *const bad[] = {
		"traceparent: 01-" TRACE "-00f067aa0ba902b7-01",
		"traceparent: 00-" TRACE "-00f067aa0ba902b7-01-x",
		"traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"traceparent: 00-" TRACE "-0000000000000000-01",
		"traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"traceparent: 00-" TRACE "-00f067aa0ba902b7-zz",
		"traceparent: 00",
	};
	struct weir_http_service *svc =
		layer(&(struct weir_http_request_id_conf){ .traceparent = true });
	char id[200];

	(void)arg;
	assert_string_equal(ask(svc, "traceparent: 00-" TRACE "-00f067aa0ba902b7-01", id), TRACE);
	/* The trace goes on, with another parent and the same flags. */
	assert_non_null(strstr(script.seen_fields, "traceparent: 00-" TRACE "-"));
	assert_null(strstr(script.seen_fields, "00f067aa0ba902b7"));
	assert_non_null(strstr(script.seen_fields, "-01\n"));
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		assert_string_not_equal(ask(svc, bad[i], id), TRACE);
		assert_int_equal(strlen(id), 32);
		assert_null(strstr(script.seen_fields, TRACE));
	}
	weir_http_service_free(svc);
	return 0;
}

static void traces_go_on(void **state)
{
	(void)state;
	rig_calls_run(trace_main, NULL);
}

static int hide_main(void *arg)
{
	struct weir_http_service *svc =
		layer(&(struct weir_http_request_id_conf){ .hide = true, .header = "Correlation" });

	(void)arg;
	rig_call_init(&call, "GET /", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	assert_string_equal(rig_call_field(&call, "correlation"), "");
	assert_non_null(strstr(script.seen_fields, "Correlation: "));
	rig_call_fini(&call);
	weir_http_service_free(svc);
	/* A failure has its id, too. */
	svc = layer(&(struct weir_http_request_id_conf){ 0 });
	script.error = WEIR_ENOENDPOINT;
	rig_call_init(&call, "GET /", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 503);
	assert_int_equal(strlen(rig_call_field(&call, "x-request-id")), 32);
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void responses_are_dressed(void **state)
{
	(void)state;
	rig_calls_run(hide_main, NULL);
}

static void mistakes_free_the_inner_one(void **state)
{
	struct weir_error error = { 0 };

	(void)state;
	assert_null(weir_http_request_id_layer(
		rig_script_init(&script), &(struct weir_http_request_id_conf){ .header = "a b" },
		&error));
	assert_int_equal(error.status, WEIR_ECONFIG);
	assert_true(error.message[0] && error.remedy[0]);
	assert_int_equal(script.freed, 1);
	assert_null(
		weir_http_request_id_layer(NULL, &(struct weir_http_request_id_conf){ 0 }, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_made),
		cmocka_unit_test(harmless_ids_are_kept),
		cmocka_unit_test(traces_go_on),
		cmocka_unit_test(responses_are_dressed),
		cmocka_unit_test(mistakes_free_the_inner_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
