/* SPDX-License-Identifier: MIT */
/* Health checks by HTTP, of origins that follow scripts. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include <weir/error.h>
#include <weir/upstream.h>

#include "loopback.h"
#include "origin.h"

#define SAYS(status) "HTTP/1.1 " status " Said\r\nContent-Length: 2\r\n\r\nok"

struct row {
	const char *name;
	struct origin_step steps[3];
	struct weir_health_http_conf http;
	int status; /* of the check */
};

static const struct row rows[] = {
	{ "200", { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, SAYS("200"), 0 } }, { 0 }, 0 },
	{ "204 to HEAD",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, "HTTP/1.1 204 No\r\n\r\n", 0 } },
	  { .method = "HEAD" },
	  0 },
	{ "503",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, SAYS("503"), 0 } },
	  { 0 },
	  WEIR_ESTATUS },
	{ "404 is wanted",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, SAYS("404"), 0 } },
	  { .status_from = 404 },
	  0 },
	{ "200 is not",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, SAYS("200"), 0 } },
	  { .status_from = 404 },
	  WEIR_ESTATUS },
	{ "no HTTP",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, "hello\r\n\r\n", 0 } },
	  { 0 },
	  WEIR_EPROTO },
	{ "silence", { { ORIGIN_STALL, NULL, 0 } }, { 0 }, -ETIMEDOUT },
	{ "reset", { { ORIGIN_RESET, NULL, 0 } }, { 0 }, -ECONNRESET },
	{ "refused", { { ORIGIN_REFUSE, NULL, 0 } }, { 0 }, -ECONNREFUSED },
};

static void on_info(void *ctx, const struct weir_endpoint_info *info)
{
	*(struct weir_endpoint_info *)ctx = *info;
}

static int row_run(void *arg)
{
	const struct row *row = arg;
	struct weir_endpoint_conf endpoint = { .target.address = loopback_address(ORIGIN_PORT) };
	struct weir_upstream_conf conf = {
		.name = "app",
		.endpoints = &endpoint,
		.n_endpoints = 1,
		.health = { .http = row->http,
			    .interval_ms = 5,
			    .timeout_ms = row->status == -ETIMEDOUT ? 50 : 5000,
			    .unhealthy = 2 }
	};
	struct weir_endpoint_info info = { 0 };
	struct weir_connector *connector;
	struct weir_upstream *upstream;
	struct weir_scope scope;
	struct origin origin;

	conf.health.http.path = "/health?full=1";
	conf.health.http.host = "app.example";
	origin_init(&origin, STAGE_MEMORY);
	origin_script(&origin, row->steps);
	connector = origin_connector(&origin, 1);
	upstream = weir_upstream_new(&conf, NULL);
	assert_non_null(upstream);
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_upstream_start(upstream, &scope, connector, NULL, NULL), 0);
	for (unsigned k = 0; k < 1000 && info.checks < 3; k++) {
		assert_int_equal(weir_task_sleep_ms(5), 0);
		weir_upstream_each(upstream, on_info, &info);
	}
	if (info.last_status == -EPIPE)
		info.last_status = -ECONNRESET;
	if (info.last_status != row->status)
		fail_msg("%s: got %d", row->name, info.last_status);
	assert_int_equal(info.state, row->status ? WEIR_ENDPOINT_UNHEALTHY : WEIR_ENDPOINT_HEALTHY);
	assert_true(row->status ? info.checks_failed >= 2 : info.checks_failed == 0);
	if (row->steps[0].op == ORIGIN_READ_HEAD) {
		assert_non_null(strstr(origin_seen(&origin), " /health?full=1 HTTP/1.1\r\n"));
		assert_non_null(strstr(origin_seen(&origin), "\r\nHost: app.example\r\n"));
		assert_non_null(strstr(origin_seen(&origin), "\r\nConnection: close\r\n"));
	}
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	weir_upstream_put(upstream);
	weir_connector_free(connector);
	origin_fini(&origin);
	return 0;
}

static void checks_ask(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(rows); i++)
		loopback_run(row_run, (void *)(uintptr_t)&rows[i]);
}

static const struct weir_health_http_conf mistakes[] = {
	{ .path = "health" },
	{ .path = "" },
	{ .path = "/a b" },
	{ .path = "http://x/" },
	{ .path = "/", .method = "G ET" },
	{ .path = "/", .host = "a b" },
	{ .path = "/", .host = "a:99999" },
	{ .path = "/", .status_from = 99 },
	{ .path = "/", .status_from = 300, .status_to = 200 },
	{ .path = "/", .status_to = 600 },
};

static void mistakes_are_named(void **state)
{
	struct weir_endpoint_conf endpoint = { .target.address = loopback_address(1) };
	struct weir_upstream_conf conf = {
		.name = "app",
		.endpoints = &endpoint,
		.n_endpoints = 1,
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(mistakes); i++) {
		struct weir_error error;

		weir_error_init(&error);
		conf.health.http = mistakes[i];
		assert_null(weir_upstream_new(&conf, &error));
		assert_int_equal(error.status, WEIR_ECONFIG);
		assert_int_not_equal(error.remedy[0], '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checks_ask),
		cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests_name("http_check", tests, NULL, NULL);
}
