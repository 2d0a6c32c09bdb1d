/* SPDX-License-Identifier: MIT */
/* CORS: origins, preflights, answers, Vary, mistakes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_security.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;
static struct weir_counter refused;

static void ask(struct weir_http_service *svc, const char *line, const char *origin,
		const char *method)
{
	static char first[128], second[128];
	const char *fields[4] = { NULL };
	size_t n = 0;

	snprintf(first, sizeof(first), "Origin: %s", origin ? origin : "");
	snprintf(second, sizeof(second), "Access-Control-Request-Method: %s", method ? method : "");
	if (origin)
		fields[n++] = first;
	if (method)
		fields[n++] = second;
	if (method)
		fields[n++] = "Access-Control-Request-Headers: x-a, x-b";
	rig_call_init(&call, line, fields, NULL);
	rig_call_handle(&call, svc);
}

static int origins_main(void *arg)
{
	static const char *const origins[] = { "https://app.example", "https://*.wild.example",
					       "http://localhost:3000" };
	static const struct {
		const char *origin;
		bool allowed;
	} cases[] = {
		{ "https://app.example", true },
		{ "https://APP.example", true },
		{ "http://app.example", false },
		{ "https://app.example:8443", false },
		{ "https://app.example.evil", false },
		{ "https://evilapp.example", false },
		{ "https://a.wild.example", true },
		{ "https://a.b.wild.example", true },
		{ "https://wild.example", false },
		{ "https://.wild.example", false },
		{ "https://evilwild.example", false },
		{ "https://evil.com/.wild.example", false },
		{ "http://a.wild.example", false },
		{ "http://localhost:3000", true },
		{ "http://localhost", false },
		{ "null", false },
		{ "", false },
		{ "*", false },
	};
	struct weir_http_cors_conf conf = {
		.origins = origins, .n_origins = 3, .credentials = true, .refused = &refused
	};
	struct weir_http_service *svc = weir_http_cors_layer(rig_script_init(&script), &conf, NULL);

	(void)arg;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		ask(svc, "GET /", cases[i].origin, NULL);
		if ((*rig_call_field(&call, "access-control-allow-origin") != '\0') !=
		    cases[i].allowed)
			fail_msg("'%s' is wrong", cases[i].origin);
		if (cases[i].allowed) {
			assert_string_equal(rig_call_field(&call, "access-control-allow-origin"),
					    cases[i].origin);
			assert_string_equal(
				rig_call_field(&call, "access-control-allow-credentials"), "true");
		}
		assert_string_equal(rig_call_field(&call, "vary"), "Origin");
		rig_call_fini(&call);
	}
	/* What the inner service says of it is not said twice; failures are dressed. */
	script.fields = (const char *const[]){ "Access-Control-Allow-Origin: *", NULL };
	ask(svc, "GET /", "https://app.example", NULL);
	assert_string_equal(rig_call_field(&call, "access-control-allow-origin"),
			    "https://app.example");
	rig_call_fini(&call);
	script.error = WEIR_ENOENDPOINT;
	ask(svc, "GET /", "https://app.example", NULL);
	assert_int_equal(call.call.response.status, 503);
	assert_string_equal(rig_call_field(&call, "access-control-allow-origin"),
			    "https://app.example");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return 0;
}

static void origins_are_told_apart(void **state)
{
	(void)state;
	rig_calls_run(origins_main, NULL);
}

static int preflight_main(void *arg)
{
	static const char *const origins[] = { "https://app.example" };
	static const char *const methods[] = { "GET", "PUT" };
	static const char *const headers[] = { "X-A", "X-C" };
	static const char *const any[] = { "*" };
	struct weir_http_cors_conf conf = {
		.origins = origins,
		.n_origins = 1,
		.methods = methods,
		.n_methods = 2,
		.headers = headers,
		.n_headers = 2,
		.max_age_s = 5,
		.refused = &refused,
	};
	struct weir_http_service *svc = weir_http_cors_layer(rig_script_init(&script), &conf, NULL);

	(void)arg;
	refused.value = 0;
	ask(svc, "OPTIONS /", "https://app.example", "PUT");
	assert_int_equal(call.call.response.status, 204);
	assert_string_equal(rig_call_field(&call, "access-control-allow-methods"), "GET, PUT");
	assert_string_equal(rig_call_field(&call, "access-control-allow-headers"), "X-A, X-C");
	assert_string_equal(rig_call_field(&call, "access-control-max-age"), "5");
	assert_string_equal(rig_call_field(&call, "vary"), "Origin");
	rig_call_fini(&call);
	ask(svc, "OPTIONS /", "https://evil.example", "PUT");
	assert_int_equal(call.call.response.status, 204);
	assert_string_equal(rig_call_field(&call, "access-control-allow-origin"), "");
	assert_string_equal(rig_call_field(&call, "access-control-allow-methods"), "");
	rig_call_fini(&call);
	assert_int_equal(refused.value, 1);
	assert_int_equal(script.served, 0);
	/* Not every OPTIONS is a preflight. */
	ask(svc, "OPTIONS /", "https://app.example", NULL);
	assert_int_equal(call.call.response.status, 200);
	rig_call_fini(&call);
	assert_int_equal(script.served, 1);
	weir_http_service_free(svc);
	conf.headers = any;
	conf.n_headers = 1;
	conf.origins = any;
	svc = weir_http_cors_layer(&script.svc, &conf, NULL);
	ask(svc, "OPTIONS /", "https://anybody", "PUT");
	assert_string_equal(rig_call_field(&call, "access-control-allow-origin"), "*");
	assert_string_equal(rig_call_field(&call, "access-control-allow-headers"), "x-a, x-b");
	assert_string_equal(rig_call_field(&call, "vary"), "Access-Control-Request-Headers");
	rig_call_fini(&call);
	ask(svc, "GET /", NULL, NULL);
	assert_string_equal(rig_call_field(&call, "vary"), "");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void preflights_are_answered(void **state)
{
	(void)state;
	rig_calls_run(preflight_main, NULL);
}

static void mistakes_are_said(void **state)
{
	static const char *const bad[] = {
		"app.example",	       "https://",  "://a",	   "https://a/b",
		"https://a.*.example", "https://*", "https://a:b", ""
	};
	static const char *const any[] = { "*" };
	static const char *const name[] = { "GET POST" };
	struct weir_error error;

	(void)state;
	rig_script_init(&script);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		weir_error_init(&error);
		if (weir_http_cors_layer(&script.svc,
					 &(struct weir_http_cors_conf){ .origins = &bad[i],
									.n_origins = 1 },
					 &error))
			fail_msg("'%s' is an origin", bad[i]);
		assert_true(error.message[0] && error.remedy[0]);
	}
	assert_null(weir_http_cors_layer(&script.svc, &(struct weir_http_cors_conf){ 0 }, &error));
	assert_null(weir_http_cors_layer(&script.svc,
					 &(struct weir_http_cors_conf){ .origins = any,
									.n_origins = 1,
									.credentials = true },
					 &error));
	assert_null(weir_http_cors_layer(
		&script.svc,
		&(struct weir_http_cors_conf){
			.origins = any, .n_origins = 1, .methods = name, .n_methods = 1 },
		&error));
	assert_int_equal(script.freed, WEIR_ARRAY_SIZE(bad) + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origins_are_told_apart),
		cmocka_unit_test(preflights_are_answered),
		cmocka_unit_test(mistakes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
