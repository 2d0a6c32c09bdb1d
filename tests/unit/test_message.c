/* SPDX-License-Identifier: MIT */
/* Methods, reasons, targets and authorities. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <weir/message.h>

static void assert_text(struct weir_text text, const char *expected)
{
	if (!weir_text_is_equal(text, weir_text_of(expected)) || !text.data != !expected)
		fail_msg("'%.*s' is not '%s'", WEIR_TEXT_ARGS(text),
			 expected ? expected : "(none)");
}

static void test_methods(void **state)
{
	(void)state;
	for (enum weir_method m = WEIR_METHOD_OTHER + 1; m < WEIR_METHOD_COUNT; m++)
		assert_int_equal(weir_method_parse(weir_method_text(m)), m);
	assert_int_equal(weir_method_parse(WEIR_TEXT("get")), WEIR_METHOD_OTHER);
	assert_int_equal(weir_method_parse(WEIR_TEXT("GETS")), WEIR_METHOD_OTHER);
	assert_int_equal(weir_method_parse(WEIR_TEXT("")), WEIR_METHOD_OTHER);
	assert_null(weir_method_text(WEIR_METHOD_OTHER).data);
	assert_true(weir_method_is_safe(WEIR_METHOD_HEAD));
	assert_false(weir_method_is_safe(WEIR_METHOD_PUT));
	assert_true(weir_method_is_idempotent(WEIR_METHOD_PUT));
	assert_true(weir_method_is_idempotent(WEIR_METHOD_GET));
	assert_false(weir_method_is_idempotent(WEIR_METHOD_POST));
	assert_false(weir_method_is_idempotent(WEIR_METHOD_PATCH));
	assert_false(weir_method_is_idempotent(WEIR_METHOD_CONNECT));
	assert_false(weir_method_is_idempotent(WEIR_METHOD_OTHER));
}

static void test_statuses(void **state)
{
	(void)state;
	assert_text(weir_status_reason(200), "OK");
	assert_text(weir_status_reason(511), "Network Authentication Required");
	assert_text(weir_status_reason(306), NULL);
	assert_text(weir_status_reason(0), NULL);
	assert_text(weir_status_reason(512), NULL);
	assert_text(weir_status_reason(1000), NULL);
	for (unsigned status = 0; status < 1000; status++)
		assert_int_equal(weir_status_is_bodiless(status),
				 status / 100 == 1 || status == 204 || status == 304);
}

struct target_case {
	enum weir_method method;
	const char *target;
	enum weir_target_form form;
	const char *scheme, *authority, *path, *query;
};

#define G WEIR_METHOD_GET
#define O WEIR_METHOD_OPTIONS
#define C WEIR_METHOD_CONNECT

static const struct target_case targets[] = {
	{ G, "/", WEIR_TARGET_ORIGIN, NULL, NULL, "/", NULL },
	{ G, "/?", WEIR_TARGET_ORIGIN, NULL, NULL, "/", "" },
	{ G, "/a/b;c=1,2:@!$&'()*+=-._~%20?x=/?:@", WEIR_TARGET_ORIGIN, NULL, NULL,
	  "/a/b;c=1,2:@!$&'()*+=-._~%20", "x=/?:@" },
	{ G, "//evil.test/x", WEIR_TARGET_ORIGIN, NULL, NULL, "//evil.test/x", NULL },
	/* What browsers leave as it is. */
	{ G, "/a[1]|^?b[]={c}|^`&d=5%", WEIR_TARGET_ORIGIN, NULL, NULL, "/a[1]|^",
	  "b[]={c}|^`&d=5%" },
	{ G, "http://a", WEIR_TARGET_ABSOLUTE, "http", "a", "/", NULL },
	{ G, "hTTps://a-b.c_d~:1/x?y", WEIR_TARGET_ABSOLUTE, "https", "a-b.c_d~:1", "/x", "y" },
	{ G, "http://a?b", WEIR_TARGET_ABSOLUTE, "http", "a", "/", "b" },
	{ O, "http://a", WEIR_TARGET_ABSOLUTE, "http", "a", "*", NULL },
	{ O, "http://a?b", WEIR_TARGET_ABSOLUTE, "http", "a", "/", "b" },
	{ O, "http://a/", WEIR_TARGET_ABSOLUTE, "http", "a", "/", NULL },
	{ O, "*", WEIR_TARGET_ASTERISK, NULL, NULL, "*", NULL },
	{ O, "/", WEIR_TARGET_ORIGIN, NULL, NULL, "/", NULL },
	{ C, "[::1]:443", WEIR_TARGET_AUTHORITY, NULL, "[::1]:443", NULL, NULL },
};

static void test_targets(void **state)
{
	struct weir_request request;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(targets); i++) {
		const struct target_case *c = &targets[i];

		weir_request_init(&request, NULL);
		request.method = c->method;
		if (weir_request_set_target(&request, weir_text_of(c->target)))
			fail_msg("%s is refused", c->target);
		assert_int_equal(request.form, c->form);
		assert_text(request.scheme, c->scheme);
		assert_text(request.authority, c->authority);
		assert_text(request.path, c->path);
		assert_text(request.query, c->query);
	}
}

static void test_bad_targets(void **state)
{
	static const struct {
		enum weir_method method;
		const char *target;
	} bad[] = {
		{ G, "" },
		{ G, "a" },
		{ G, "*" },
		{ G, "a:80" },
		{ O, "*a" },
		{ O, "**" },
		{ G, "?a" },
		{ G, "/ " },
		{ G, "/\"" },
		{ G, "/<" },
		{ G, "/>" },
		{ G, "/\\" },
		{ G, "/{" },
		{ G, "/`" },
		{ G, "/#" },
		{ G, "/?#" },
		{ G, "/?\"" },
		{ G, "/?\\" },
		{ G, "/?<" },
		{ G, "/\x7f" },
		{ G, "/\x80" },
		{ G, "/?\xff" },
		{ G, "/%" },
		{ G, "/%1" },
		{ G, "/%1g" },
		{ G, "/%%20" },
		{ G, "/%20%" },
		{ G, "ftp://a/" },
		{ G, "http://" },
		{ G, "http:///" },
		{ G, "http://?a" },
		{ G, "http:/a" },
		{ G, "http://a:0/" },
		{ G, "http://a:65536/" },
		{ G, "http://a:b/" },
		{ G, "http://u@a/" },
		{ G, "http://u:p@a/" },
		{ G, "http://a b/" },
		{ G, "http://a#b" },
		{ G, "https:a" },
		{ C, "a" },
		{ C, "a:" },
		{ C, ":1" },
		{ C, "/" },
		{ C, "*" },
		{ C, "http://a:1" },
		{ C, "a:1/" },
		{ C, "" },
	};
	struct weir_request request;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		weir_request_init(&request, NULL);
		request.method = bad[i].method;
		if (weir_request_set_target(&request, weir_text_of(bad[i].target)) != -EINVAL)
			fail_msg("'%s' is not refused", bad[i].target);
	}
}

static void assert_authority(const char *text, const char *expected_host, uint16_t expected_port)
{
	struct weir_text host;
	uint16_t port = 1;

	assert_int_equal(weir_authority_parse(weir_text_of(text), &host, &port), 0);
	assert_text(host, expected_host);
	assert_int_equal(port, expected_port);
}

static void test_authorities(void **state)
{
	static const char *const bad[] = {
		"",	 ":",	  ":80",       "a:0",	   "a:65536",	 "a:-1",   "a:+1",
		"a:1:2", "a:8 ",  " a",	       "a ",	   "a,b",	 "a/b",	   "a?b",
		"a#b",	 "u@a",	  "a\\b",      "\"a\"",	   "a%41",	 "[::1",   "[::1]x",
		"[]",	 "[::g]", "[1.2.3.4]", "[::1%lo]", "[::1%25lo]", "[v1.a]", "::1",
		"a\xe9", "a!b",	  "a:\xff",
	};
	struct weir_text host;
	uint16_t port;

	(void)state;
	assert_authority("a", "a", 0);
	assert_authority("A.example.", "A.example.", 0);
	assert_authority("a:", "a", 0);
	assert_authority("a:1", "a", 1);
	assert_authority("1.2.3.4:65535", "1.2.3.4", 65535);
	assert_authority("a:00080", "a", 80);
	assert_authority("[::1]", "[::1]", 0);
	assert_authority("[2001:DB8::1.2.3.4]:8080", "[2001:DB8::1.2.3.4]", 8080);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		if (weir_authority_parse(weir_text_of(bad[i]), &host, &port) != -EINVAL)
			fail_msg("'%s' is not refused", bad[i]);
	}
	assert_int_equal(weir_authority_parse((struct weir_text){ "[::1\0]", 6 }, &host, &port),
			 -EINVAL);
	assert_int_equal(weir_authority_parse((struct weir_text){ "a\0b", 3 }, &host, &port),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),	    cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_targets),	    cmocka_unit_test(test_bad_targets),
		cmocka_unit_test(test_authorities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
