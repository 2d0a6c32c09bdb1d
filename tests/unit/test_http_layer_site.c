/* SPDX-License-Identifier: MIT */
/* What a site has around it: security headers, redirect to https, paths, maintenance, error pages. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_content.h>
#include <weir/http_layer.h>
#include <weir/http_security.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;
static struct weir_counter refused;

static unsigned ask(struct weir_http_service *svc, const char *line, const char *const *fields)
{
	rig_call_init(&call, line, fields, NULL);
	return rig_call_handle(&call, svc);
}

/* ---- security headers ---- */

static int security_main(void *arg)
{
	struct weir_http_security_headers_conf conf = { .frame = "", .permissions = "camera=()" };
	struct weir_http_service *svc =
		weir_http_security_headers_layer(rig_script_init(&script), &conf, NULL);

	(void)arg;
	script.fields = (const char *const[]){ "referrer-policy: origin", NULL };
	ask(svc, "GET https://a/", NULL);
	assert_string_equal(rig_call_field(&call, "strict-transport-security"), "max-age=31536000");
	assert_string_equal(rig_call_field(&call, "x-content-type-options"), "nosniff");
	assert_string_equal(rig_call_field(&call, "x-frame-options"), "");
	assert_string_equal(rig_call_field(&call, "referrer-policy"), "origin");
	assert_string_equal(rig_call_field(&call, "permissions-policy"), "camera=()");
	assert_string_equal(rig_call_field(&call, "content-security-policy"), "");
	rig_call_fini(&call);
	/* Not over http, but on errors. */
	script.error = -ECONNREFUSED;
	assert_int_equal(ask(svc, "GET http://a/", NULL), 502);
	assert_string_equal(rig_call_field(&call, "strict-transport-security"), "");
	assert_string_equal(rig_call_field(&call, "x-content-type-options"), "nosniff");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	conf.replace = true;
	script.error = 0;
	svc = weir_http_security_headers_layer(&script.svc, &conf, NULL);
	ask(svc, "GET http://a/", NULL);
	assert_string_equal(rig_call_field(&call, "referrer-policy"),
			    "strict-origin-when-cross-origin");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	conf.opener = "a\nb";
	assert_null(weir_http_security_headers_layer(&script.svc, &conf, NULL));
	assert_int_equal(script.freed, 3);
	return 0;
}

static void browsers_are_told(void **state)
{
	(void)state;
	rig_calls_run(security_main, NULL);
}

/* ---- redirect ---- */

static void assert_location(struct weir_http_service *svc, const char *line, unsigned status,
			    const char *location)
{
	assert_int_equal(ask(svc, line, NULL), status);
	assert_string_equal(rig_call_field(&call, "location"), location);
	rig_call_fini(&call);
}

static int redirect_main(void *arg)
{
	static const char *const except[] = { "/.well-known/acme-challenge/" };
	struct weir_http_redirect_https_conf conf = { .except = except, .n_except = 1 };
	struct weir_http_service *svc =
		weir_http_redirect_https_layer(rig_script_init(&script), &conf, NULL);

	(void)arg;
	assert_location(svc, "GET http://a.example:8080/b?c=d", 308, "https://a.example/b?c=d");
	assert_location(svc, "POST http://[2001:db8::1]/b?", 308, "https://[2001:db8::1]/b?");
	assert_location(svc, "GET https://a.example/b", 200, "");
	assert_location(svc, "GET http://a/.well-known/acme-challenge/x", 200, "");
	assert_location(svc, "GET http://a/.well-known/acme-challenges", 308,
			"https://a/.well-known/acme-challenges");
	weir_http_service_free(svc);
	conf = (struct weir_http_redirect_https_conf){ .status = 301,
						       .port = 8443,
						       .host = "www.example" };
	svc = weir_http_redirect_https_layer(&script.svc, &conf, NULL);
	assert_location(svc, "GET http://evil/b", 301, "https://www.example:8443/b");
	weir_http_service_free(svc);
	conf.status = 200;
	assert_null(weir_http_redirect_https_layer(&script.svc, &conf, NULL));
	conf.status = 0;
	conf.host = "a:1";
	assert_null(weir_http_redirect_https_layer(&script.svc, &conf, NULL));
	assert_int_equal(script.freed, 4);
	return 0;
}

static void plain_calls_are_redirected(void **state)
{
	(void)state;
	rig_calls_run(redirect_main, NULL);
}

/* ---- paths ---- */

static int normalise_main(void *arg)
{
	static const struct {
		const char *path, *normal; /* normal NULL: refused */
	} cases[] = {
		{ "/", "/" },
		{ "/a/b", "/a/b" },
		{ "/%61/%7e%2D", "/a/~-" },
		{ "/a%2fb", "/a%2Fb" },
		{ "/a//b///c/", "/a/b/c/" },
		{ "/a/./b/../c", "/a/c" },
		{ "/a/%2e%2E/b", "/b" },
		{ "/a/..", "/" },
		{ "/a/...", "/a/..." },
		{ "/.hidden", "/.hidden" },
		{ "/a%20b?x=/../%2e", "/a%20b?x=/../%2e" },
		{ "/..", NULL },
		{ "/../etc/passwd", NULL },
		{ "/a/../../b", NULL },
		{ "/%2e%2e/b", NULL },
		{ "/a%00b", NULL },
		{ "/a%0d%0ab", NULL },
		{ "/a%7f", NULL },
		{ "/a/..%2f..%2fetc", NULL },
		{ "/a%2f..", NULL },
		{ "/a%2F%2e%2e/b", NULL },
		{ "/a/..%5cb", NULL },
		{ "/a%5c..%5cb", NULL },
		{ "/a%2f.%2fb", NULL },
	};
	struct weir_http_normalise_conf conf = { .refused = &refused };
	struct weir_http_service *svc =
		weir_http_normalise_layer(rig_script_init(&script), &conf, NULL);
	unsigned n = 0;

	(void)arg;
	refused.value = 0;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		char line[128], seen[160];
		unsigned status;

		snprintf(line, sizeof(line), "GET http://a%s", cases[i].path);
		status = ask(svc, line, NULL);
		rig_call_fini(&call);
		if (status != (cases[i].normal ? 200 : 400))
			fail_msg("%s is %u", cases[i].path, status);
		n += status == 400;
		if (!cases[i].normal)
			continue;
		snprintf(seen, sizeof(seen), "GET http://a%s", cases[i].normal);
		assert_string_equal(script.seen_target, seen);
	}
	assert_int_equal(refused.value, n);
	assert_int_equal(ask(svc, "OPTIONS *", NULL), 200);
	rig_call_fini(&call);
	weir_http_service_free(svc);
	conf = (struct weir_http_normalise_conf){ .keep_slashes = true,
						  .refuse_encoded_slashes = true,
						  .redirect = true };
	svc = weir_http_normalise_layer(&script.svc, &conf, NULL);
	assert_location(svc, "GET http://a/b//c/./d?e", 308, "/b//c/d?e");
	assert_location(svc, "POST http://a/b/./c", 200, "");
	assert_location(svc, "GET http://a/b", 200, "");
	assert_location(svc, "GET http://a/b%2fc", 400, "");
	weir_http_service_free(svc);
	return 0;
}

static void paths_have_one_spelling(void **state)
{
	(void)state;
	rig_calls_run(normalise_main, NULL);
}

/* ---- maintenance ---- */

static int maintenance_main(void *arg)
{
	static const char *const except[] = { "/healthz" };
	atomic_bool flag = false;
	struct weir_http_maintenance_conf conf = {
		.flag = &flag,
		.page = "<h1>soon</h1>",
		.retry_after_s = 7,
		.except = except,
		.n_except = 1,
		.refused = &refused,
	};
	struct weir_http_service *svc =
		weir_http_maintenance_layer(rig_script_init(&script), &conf, NULL);
	char path[] = "/tmp/weir-closed-XXXXXX";

	(void)arg;
	refused.value = 0;
	assert_int_equal(rig_ask(svc, "GET /", NULL), 200);
	atomic_store(&flag, true);
	assert_int_equal(ask(svc, "GET /", NULL), 503);
	assert_string_equal(rig_call_field(&call, "retry-after"), "7");
	assert_string_equal(rig_call_field(&call, "content-type"), "text/html; charset=utf-8");
	assert_string_equal(rig_call_text(&call), "<h1>soon</h1>");
	rig_call_fini(&call);
	assert_int_equal(ask(svc, "HEAD /", NULL), 503);
	assert_int_equal(call.call.response.announced, 13);
	rig_call_fini(&call);
	assert_int_equal(rig_ask(svc, "GET /healthz", NULL), 200);
	assert_int_equal(refused.value, 2);
	atomic_store(&flag, false);
	assert_int_equal(rig_ask(svc, "GET /", NULL), 200);
	weir_http_service_free(svc);
	close(mkstemp(path));
	conf = (struct weir_http_maintenance_conf){ .file = path };
	svc = weir_http_maintenance_layer(&script.svc, &conf, NULL);
	assert_int_equal(ask(svc, "GET /", NULL), 503);
	assert_string_equal(rig_call_text(&call), "503 Service Unavailable\n");
	assert_string_equal(rig_call_field(&call, "retry-after"), "300");
	rig_call_fini(&call);
	unlink(path);
	/* Looked for once a second. */
	assert_int_equal(rig_ask(svc, "GET /", NULL), 503);
	assert_int_equal(weir_task_sleep_ms(1100), 0);
	assert_int_equal(rig_ask(svc, "GET /", NULL), 200);
	weir_http_service_free(svc);
	conf.file = NULL;
	assert_null(weir_http_maintenance_layer(&script.svc, &conf, NULL));
	assert_int_equal(script.freed, 3);
	return 0;
}

static void a_site_can_be_closed(void **state)
{
	(void)state;
	rig_calls_run(maintenance_main, NULL);
}

/* ---- error pages ---- */

static int pages_main(void *arg)
{
	const struct weir_http_error_page pages[] = {
		{ 0, NULL, "any {status}" },
		{ 5, NULL, "<p>{status} {reason} {path} {request.x}</p>" },
		{ 503, "text/plain", "come again" },
	};
	struct weir_http_error_pages_conf conf = { .pages = pages, .n_pages = 3 };
	struct weir_http_service *svc =
		weir_http_error_pages_layer(rig_script_init(&script), &conf, NULL);

	(void)arg;
	script.error = -ECONNREFUSED;
	assert_int_equal(ask(svc, "GET /a", (const char *const[]){ "X: <b>'&\"", NULL }), 502);
	assert_string_equal(rig_call_text(&call),
			    "<p>502 Bad Gateway /a &lt;b&gt;&#39;&amp;&quot;</p>");
	assert_string_equal(rig_call_field(&call, "content-type"), "text/html; charset=utf-8");
	rig_call_fini(&call);
	script.error = WEIR_ENOENDPOINT;
	assert_int_equal(ask(svc, "GET /a", NULL), 503);
	assert_string_equal(rig_call_text(&call), "come again");
	assert_string_equal(rig_call_field(&call, "content-type"), "text/plain");
	rig_call_fini(&call);
	script.error = WEIR_ERATE;
	assert_int_equal(ask(svc, "GET /a", NULL), 429);
	assert_string_equal(rig_call_text(&call), "any 429");
	rig_call_fini(&call);
	/* An upstream's own page is its own; nobody answers the one who is gone. */
	script.error = 0;
	script.status = 500;
	script.fields = (const char *const[]){ "ETag: \"1\"", "Retry-After: 3", NULL };
	script.pieces = (const char *const[]){ "own", NULL };
	assert_int_equal(ask(svc, "GET /a", NULL), 500);
	assert_string_equal(rig_call_text(&call), "own");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	conf.all = true;
	svc = weir_http_error_pages_layer(&script.svc, &conf, NULL);
	assert_int_equal(ask(svc, "GET /a", NULL), 500);
	assert_string_equal(rig_call_text(&call), "<p>500 Internal Server Error /a </p>");
	assert_string_equal(rig_call_field(&call, "etag"), "");
	assert_string_equal(rig_call_field(&call, "retry-after"), "3");
	rig_call_fini(&call);
	assert_int_equal(script.body.freed, 1);
	script.status = 200;
	assert_int_equal(ask(svc, "GET /a", NULL), 200);
	assert_string_equal(rig_call_text(&call), "own");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void errors_have_pages(void **state)
{
	(void)state;
	rig_calls_run(pages_main, NULL);
}

static void page_mistakes_are_said(void **state)
{
	const struct weir_http_error_page bad[] = {
		{ 200, NULL, "x" },  { 6, NULL, "x" },	   { 600, NULL, "x" },
		{ 404, NULL, NULL }, { 404, NULL, "{x}" }, { 404, "a\nb", "x" },
	};
	struct weir_error error;

	(void)state;
	rig_script_init(&script);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		weir_error_init(&error);
		assert_null(weir_http_error_pages_layer(
			&script.svc,
			&(struct weir_http_error_pages_conf){ .pages = &bad[i], .n_pages = 1 },
			&error));
		assert_true(error.message[0] && error.remedy[0]);
		assert_int_equal(script.freed, i + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(browsers_are_told),
		cmocka_unit_test(plain_calls_are_redirected),
		cmocka_unit_test(paths_have_one_spelling),
		cmocka_unit_test(a_site_can_be_closed),
		cmocka_unit_test(errors_have_pages),
		cmocka_unit_test(page_mistakes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
