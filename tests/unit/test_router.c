/* SPDX-License-Identifier: MIT */
/* Routes and what may stand at their end: another path, another place, one answer. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/redirect.h>
#include <weir/respond.h>
#include <weir/rewrite.h>
#include <weir/router.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;

static struct weir_http_service *answer(unsigned status)
{
	struct weir_http_service *svc =
		weir_http_respond(&(struct weir_respond_conf){ .status = status }, NULL);

	assert_non_null(svc);
	return svc;
}

static struct weir_match_conf path_is(const char *pattern)
{
	return (struct weir_match_conf){ .type = WEIR_MATCH_PATH, .value = pattern };
}

/* ---- routing ------------------------------------------------------------------------------ */

static int route_main(void *arg)
{
	struct weir_match_conf host = { .type = WEIR_MATCH_HOST, .value = "*.example.com" };
	struct weir_match_conf local = { .type = WEIR_MATCH_CLIENT, .value = "10.0.0.0/8" };
	struct weir_route_conf routes[] = {
		{ .name = "admin", .match = path_is("/admin/*"), .service = answer(403) },
		{ .name = "host", .match = host, .service = answer(201) },
		{ .name = "local", .match = local, .service = answer(202) },
	};
	struct weir_http_service *svc =
		weir_http_router(&(struct weir_router_conf){ .routes = routes, .n = 3 }, NULL);

	(void)arg;
	assert_non_null(svc);
	assert_int_equal(rig_ask(svc, "GET http://x/admin/a", NULL), 403);
	assert_int_equal(rig_ask(svc, "GET http://x/%61dmin", NULL), 403);
	assert_int_equal(rig_ask(svc, "GET http://x/a/../admin", NULL), 403);
	assert_int_equal(rig_ask(svc, "GET http://x//admin", NULL), 403);
	assert_int_equal(rig_ask(svc, "GET http://x/a/%2e%2e/admin/", NULL), 403);
	assert_int_equal(rig_ask(svc, "GET http://x/administrator", NULL), 404);
	assert_int_equal(rig_ask(svc, "GET http://a.example.com:8080/", NULL), 201);

	/* The server refuses such a target; other makers of calls may not. */
	rig_call_init(&call, "GET http://x/", NULL, NULL);
	call.call.request.path = WEIR_TEXT("/%zz");
	assert_int_equal(rig_call_handle(&call, svc), 400);
	rig_call_fini(&call);
	rig_call_init(&call, "GET http://x/", NULL, "10.1.2.3:1");
	assert_int_equal(rig_call_handle(&call, svc), 202);
	assert_string_equal(call.call.result.route, "local");
	rig_call_fini(&call);
	rig_call_init(&call, "GET http://x/", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 404);
	assert_null(call.call.result.route);
	assert_string_equal(call.call.result.why, "no_route");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void calls_go_to_the_first_route_that_matches(void **state)
{
	(void)state;
	rig_calls_run(route_main, NULL);
}

/* What the inner service sees of PATH. */
static const char *forwarded(const struct weir_router_conf *like, const char *path)
{
	struct weir_route_conf route = { .service = rig_script_init(&script) };
	struct weir_router_conf conf = *like;
	struct weir_http_service *svc;
	char line[256];

	conf.routes = &route;
	conf.n = 1;
	svc = weir_http_router(&conf, NULL);
	snprintf(line, sizeof(line), "GET http://x%s", path);
	assert_int_equal(rig_ask(svc, line, NULL), 200);
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return script.seen_target + strlen("GET http://x");
}

static int path_main(void *arg)
{
	const struct weir_router_conf plain = { 0 };
	const struct weir_router_conf received = { .as_received = true };
	const struct weir_router_conf slashes = { .keep_slashes = true };

	(void)arg;
	assert_string_equal(forwarded(&plain, "/a/../%62//c?q=%41/../"), "/b/c?q=%41/../");
	assert_string_equal(forwarded(&received, "/a/../%62//c"), "/a/../%62//c");
	assert_string_equal(forwarded(&slashes, "/a/../%62//c"), "/b//c");
	return 0;
}

static void what_was_checked_is_what_goes_on(void **state)
{
	(void)state;
	rig_calls_run(path_main, NULL);
}

static void a_router_with_a_mistake_frees_its_services(void **state)
{
	struct weir_error error = { 0 };
	struct rig_script other;
	struct weir_route_conf routes[] = {
		{ .match = path_is("/a*"), .service = rig_script_init(&script) },
	};
	struct weir_router_conf conf = { .routes = routes,
					 .n = 1,
					 .otherwise = rig_script_init(&other) };

	(void)state;
	assert_null(weir_http_router(&conf, &error));
	assert_non_null(strstr(error.message, "/a*"));
	assert_int_equal(script.freed + other.freed, 2);
	routes[0].service = NULL;
	conf.otherwise = rig_script_init(&other);
	assert_null(weir_http_router(&conf, &error));
	assert_int_equal(other.freed, 1);
}

/* ---- rewriting ---------------------------------------------------------------------------- */

/* What is forwarded of PATH by a route with PATTERN and this rewriting. */
static const char *rewritten(const char *pattern, const struct weir_rewrite_conf *rewrite,
			     const char *path)
{
	struct weir_route_conf route = { .match = path_is(pattern) };
	struct weir_http_service *svc;
	char line[256];

	route.service = weir_http_rewrite_layer(rig_script_init(&script), rewrite, NULL);
	svc = weir_http_router(&(struct weir_router_conf){ .routes = &route, .n = 1 }, NULL);
	assert_non_null(svc);
	snprintf(line, sizeof(line), "GET http://x%s", path);
	assert_int_equal(rig_ask(svc, line, NULL), 200);
	weir_http_service_free(svc);
	return script.seen_target + strlen("GET http://");
}

static int rewrite_main(void *arg)
{
	const struct weir_rewrite_conf v2 = { .prefix = "/v2" };
	const struct weir_rewrite_conf root = { .prefix = "/" };
	const struct weir_rewrite_conf template = { .path = "/f/{rest}/of/{id}" };
	const struct weir_rewrite_conf host = { .host = "inner.example:81" };

	(void)arg;
	assert_string_equal(rewritten("/api/*", &v2, "/api/a/b?q=1"), "x/v2/a/b?q=1");
	assert_string_equal(rewritten("/api/*", &v2, "/api"), "x/v2");
	assert_string_equal(rewritten("/api/*", &root, "/api"), "x/");
	assert_string_equal(rewritten("/api/*", &root, "/api/a"), "x/a");
	assert_string_equal(rewritten("/{id}/x/*", &template, "/7/x/a%20b"), "x/f/a%20b/of/7");
	assert_string_equal(rewritten("/*", &host, "/a"), "inner.example:81/a");
	assert_non_null(strstr(script.seen_fields, "Host: inner.example:81\n"));
	return 0;
}

static void paths_and_hosts_are_rewritten(void **state)
{
	(void)state;
	rig_calls_run(rewrite_main, NULL);
}

static void wrong_rewritings_are_refused(void **state)
{
	static const struct weir_rewrite_conf wrong[] = {
		{ .prefix = "/a", .path = "/b" },
		{ .prefix = "a" },
		{ .path = "/a?b=c" },
		{ .path = "/a b" },
		{ .path = "/{" },
		{ .path = "/a}" },
		{ .path = "/{}" },
		{ .host = "" },
		{ .host = "a b" },
		{ .host = "a:99999" },
	};
	struct weir_error error;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(wrong); i++) {
		weir_error_init(&error);
		if (weir_http_rewrite_layer(rig_script_init(&script), &wrong[i], &error))
			fail_msg("case %zu is right", i);
		assert_true(error.status == WEIR_ECONFIG && error.remedy[0]);
		assert_int_equal(script.freed, 1);
	}
}

/* ---- elsewhere ---------------------------------------------------------------------------- */

static int redirect_main(void *arg)
{
	struct weir_http_service *svc = weir_http_redirect(
		&(struct weir_redirect_conf){ .to = "https://{host}{uri}", .status = 308 }, NULL);

	(void)arg;
	rig_call_init(&call, "GET http://a.example:80/x/y?q=1", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 308);
	assert_string_equal(rig_call_field(&call, "Location"), "https://a.example/x/y?q=1");
	rig_call_fini(&call);
	weir_http_service_free(svc);

	/* A path that looks like a host must not become one. */
	svc = weir_http_redirect(&(struct weir_redirect_conf){ .to = "{path}" }, NULL);
	assert_int_equal(rig_ask(svc, "GET http://a//evil.example/", NULL), 400);
	assert_int_equal(rig_ask(svc, "GET http://a/good", NULL), 302);
	weir_http_service_free(svc);
	return 0;
}

static void clients_are_sent_elsewhere(void **state)
{
	struct weir_error error = { 0 };

	(void)state;
	rig_calls_run(redirect_main, NULL);
	assert_null(weir_http_redirect(&(struct weir_redirect_conf){ .to = "/", .status = 304 },
				       &error));
	assert_null(weir_http_redirect(&(struct weir_redirect_conf){ .to = "/\r\nX: y" }, &error));
	assert_null(weir_http_redirect(&(struct weir_redirect_conf){ .to = "" }, &error));
}

static int respond_main(void *arg)
{
	const struct weir_respond_field field = { "X-A", "b" };
	struct weir_http_service *svc = weir_http_respond(
		&(struct weir_respond_conf){
			.status = 418, .body = "teapot\n", .fields = &field, .n_fields = 1 },
		NULL);

	(void)arg;
	rig_call_init(&call, "GET http://x/", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 418);
	assert_string_equal(rig_call_text(&call), "teapot\n");
	assert_string_equal(rig_call_field(&call, "content-type"), "text/plain; charset=utf-8");
	assert_string_equal(rig_call_field(&call, "X-A"), "b");
	rig_call_fini(&call);
	rig_call_init(&call, "HEAD http://x/", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 418);
	assert_int_equal(call.call.response.announced, 7);
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void everybody_gets_the_same_answer(void **state)
{
	static const struct weir_respond_field wrong[] = {
		{ "Content-Length", "3" }, { "Transfer-Encoding", "chunked" }, { "a b", "c" },
		{ "X", "a\r\nb" },	   { "Connection", "close" },
	};
	struct weir_error error = { 0 };

	(void)state;
	rig_calls_run(respond_main, NULL);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(wrong); i++)
		assert_null(weir_http_respond(
			&(struct weir_respond_conf){ .fields = &wrong[i], .n_fields = 1 }, &error));
	assert_null(weir_http_respond(&(struct weir_respond_conf){ .status = 100 }, &error));
	assert_null(weir_http_respond(&(struct weir_respond_conf){ .status = 204, .body = "x" },
				      &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_go_to_the_first_route_that_matches),
		cmocka_unit_test(what_was_checked_is_what_goes_on),
		cmocka_unit_test(a_router_with_a_mistake_frees_its_services),
		cmocka_unit_test(paths_and_hosts_are_rewritten),
		cmocka_unit_test(wrong_rewritings_are_refused),
		cmocka_unit_test(clients_are_sent_elsewhere),
		cmocka_unit_test(everybody_gets_the_same_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
