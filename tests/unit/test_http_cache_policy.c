/* SPDX-License-Identifier: MIT */
/* Cache-Control, and what RFC 9111 makes of it: without a cache. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/http_date.h>

#include "layer/http_cache_policy.h"

#define NOW 1000000000

static struct weir_arena arena;
static struct weir_request request;
static struct weir_response response;

static void add(struct weir_headers *headers, const char *fields)
{
	struct weir_text rest = weir_text_of(fields), line, name, value;

	while (rest.size > 0) {
		weir_text_split(rest, '\n', &line, &rest);
		assert_true(weir_text_split(line, ':', &name, &value));
		assert_int_equal(weir_headers_add(headers, name, weir_text_trim(value)), 0);
	}
}

static void messages(const char *asks, unsigned status, const char *says)
{
	weir_arena_fini(&arena);
	weir_arena_init(&arena, 0);
	weir_request_init(&request, &arena);
	weir_response_init(&response, &arena);
	request.method = WEIR_METHOD_GET;
	response.status = status;
	add(&request.headers, asks);
	add(&response.headers, says);
}

static bool is_authorized(void)
{
	return weir_headers_find_id(&request.headers, WEIR_HEADER_AUTHORIZATION, NULL);
}

/* ---- Cache-Control ---- */

static struct http_cache_control control_of(const char *fields)
{
	struct http_cache_control control;

	messages("", 200, fields);
	http_cache_control_read(&control, &response.headers);
	return control;
}

static void directives_are_read(void **state)
{
	struct http_cache_control c;

	(void)state;
	c = control_of("Cache-Control: Public, max-age=60 , s-maxage=\"30\", "
		       "stale-while-revalidate=5\nCache-Control: MUST-revalidate");
	assert_true(c.is_public && c.must_revalidate && !c.no_store && !c.no_cache);
	assert_int_equal(c.max_age, 60);
	assert_int_equal(c.s_maxage, 30);
	assert_int_equal(c.stale_while_revalidate, 5);
	assert_int_equal(c.stale_if_error, -1);
	c = control_of("Cache-Control: no-cache=\"a, no-store\", private=\"Set-Cookie\"");
	assert_true(c.no_cache && c.is_private && !c.no_store);
	c = control_of("Cache-Control: max-stale, min-fresh=3");
	assert_int_equal(c.max_stale, HTTP_SECONDS_MAX);
	assert_int_equal(c.min_fresh, 3);
	c = control_of("Cache-Control: max-stale=7");
	assert_int_equal(c.max_stale, 7);
	/* Pragma is for those who say nothing else. */
	assert_true(control_of("Pragma: no-cache").no_cache);
	assert_false(control_of("Pragma: no-cache\nCache-Control: max-age=1").no_cache);
	/* The stricter one. */
	assert_int_equal(control_of("Cache-Control: max-age=60, max-age=5").max_age, 5);
}

static void bad_directives_are_harmless(void **state)
{
	static const char *const bad[] = { "max-age",	  "max-age=",	  "max-age=-1",
					   "max-age=1.5", "max-age=abc",  "max-age=\"",
					   "max-age=\"1", "max-age=0x10", "max-age=+1",
					   "max-age=1s" };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		char line[64] = "Cache-Control: ";

		strcat(line, bad[i]);
		/* Said, and not understood: stale at once. */
		assert_int_equal(control_of(line).max_age, 0);
	}
	assert_int_equal(control_of("Cache-Control: max-age=99999999999999999999").max_age,
			 HTTP_SECONDS_MAX);
	assert_false(control_of("Cache-Control: no-storex, xno-store, no_store").no_store);
	assert_int_equal(control_of("Cache-Control: , ,=,;max-age=1,").max_age, -1);
	assert_true(control_of("Cache-Control: ext=\"a,b\", no-store").no_store);
	assert_false(control_of("Cache-Control: ext=\"a, no-store\"").no_store);
}

/* ---- storing ---- */

static const struct http_cache_rules rules = { .default_s = 0 };
static struct http_freshness fresh;

static bool may_store(const char *asks, unsigned status, const char *says)
{
	messages(asks, status, says);
	return http_cache_may_store(&request, is_authorized(), &response, &rules, NOW, NOW, &fresh);
}

static void what_may_be_stored(void **state)
{
	(void)state;
	assert_true(may_store("", 200, "Cache-Control: max-age=1"));
	assert_true(may_store("", 404, "Cache-Control: max-age=1"));
	assert_true(may_store("", 302, "Cache-Control: max-age=1"));
	assert_true(may_store("", 200, "ETag: \"a\""));
	assert_true(may_store("", 200, "ETag: \"a\"\nCache-Control: no-cache"));
	assert_true(may_store("", 200, "Expires: Sun, 09 Sep 2001 02:00:00 GMT"));
	assert_false(may_store("", 200, ""));
	assert_false(may_store("", 302, "ETag: \"a\""));
	assert_false(may_store("", 200, "Cache-Control: no-cache"));
	assert_false(may_store("", 200, "Cache-Control: max-age=0"));
	assert_false(may_store("", 200, "Cache-Control: max-age=10\nAge: 10"));
	assert_false(may_store("", 200, "Cache-Control: max-age=1, no-store"));
	assert_false(may_store("", 200, "Cache-Control: max-age=1, private"));
	assert_false(may_store("", 200, "Cache-Control: max-age=1\nSet-Cookie: a=b"));
	assert_false(may_store("", 200, "Cache-Control: max-age=1\nVary: Accept, *"));
	assert_false(may_store("", 206, "Cache-Control: max-age=1"));
	assert_false(may_store("", 304, "Cache-Control: max-age=1"));
	assert_false(may_store("", 200, "Expires: 0"));
	assert_false(
		may_store("", 200, "Cache-Control: max-age=1\nContent-Type: text/event-stream"));
	assert_false(may_store("Cache-Control: no-store", 200, "Cache-Control: max-age=1"));
	/* Section 3.5. */
	assert_false(may_store("Authorization: x", 200, "Cache-Control: max-age=1"));
	assert_true(may_store("Authorization: x", 200, "Cache-Control: max-age=1, public"));
	assert_true(may_store("Authorization: x", 200, "Cache-Control: s-maxage=1"));
	assert_true(
		may_store("Authorization: x", 200, "Cache-Control: max-age=1, must-revalidate"));
	messages("", 200, "Cache-Control: max-age=1");
	request.method = WEIR_METHOD_HEAD;
	assert_false(http_cache_may_store(&request, is_authorized(), &response, &rules, NOW, NOW,
					  &fresh));
}

static int64_t lifetime(const char *says, int64_t default_s)
{
	const struct http_cache_rules with = { .default_s = default_s };

	messages("", 200, says);
	(void)!http_cache_may_store(&request, is_authorized(), &response, &with, NOW, NOW, &fresh);
	return fresh.lifetime;
}

static void lifetimes_are_computed(void **state)
{
	char date[WEIR_HTTP_DATE_TEXT], text[256];

	(void)state;
	assert_int_equal(lifetime("Cache-Control: max-age=5, s-maxage=9\nExpires: 0", 0), 9);
	assert_int_equal(lifetime("Cache-Control: max-age=5\nExpires: 0", 0), 5);
	snprintf(text, sizeof(text), "Date: %s\nExpires: ", weir_http_date_format(NOW - 50, date));
	strcat(text, weir_http_date_format(NOW + 50, date));
	assert_int_equal(lifetime(text, 0), 100);
	assert_int_equal(fresh.initial_age, 50);
	/* A guess: a tenth, at most what is allowed. */
	snprintf(text, sizeof(text), "Last-Modified: %s", weir_http_date_format(NOW - 1000, date));
	assert_int_equal(lifetime(text, 0), 0);
	assert_int_equal(lifetime(text, 60), 60);
	assert_int_equal(lifetime(text, 600), 100);
	assert_int_equal(lifetime("X: y", 600), 600);
	assert_int_equal(lifetime("Cache-Control: max-age=0", 600), 0);
	/* Age: the larger of what is said and what is seen, and the time on the way. */
	messages("", 200, "Age: 30\nCache-Control: max-age=60");
	assert_true(http_cache_may_store(&request, is_authorized(), &response, &rules, NOW - 3, NOW,
					 &fresh));
	assert_int_equal(fresh.initial_age, 33);
	assert_int_equal(http_cache_age(&fresh, NOW + 7), 40);
	assert_int_equal(http_cache_age(&fresh, NOW - 7), 33);
	messages("", 200, "Age: nonsense\nCache-Control: max-age=60");
	assert_true(http_cache_may_store(&request, is_authorized(), &response, &rules, NOW, NOW,
					 &fresh));
	assert_int_equal(fresh.initial_age, 0);
}

/* ---- using ---- */

static enum http_cache_use use(const char *says, const char *asks, int64_t later, bool obey)
{
	const struct http_cache_rules with = { .obey_reload = obey };
	struct http_cache_control control;

	messages("", 200, says);
	(void)!http_cache_may_store(&request, is_authorized(), &response, &with, NOW, NOW, &fresh);
	messages(asks, 200, "");
	http_cache_control_read(&control, &request.headers);
	return http_cache_use(&fresh, &control, &with, NOW + later);
}

static void what_may_be_used(void **state)
{
	const char *minute = "Cache-Control: max-age=60";
	const char *swr = "Cache-Control: max-age=60, stale-while-revalidate=30";

	(void)state;
	assert_int_equal(use(minute, "", 59, false), HTTP_CACHE_FRESH);
	assert_int_equal(use(minute, "", 60, false), HTTP_CACHE_VALIDATE);
	assert_int_equal(use(swr, "", 89, false), HTTP_CACHE_STALE);
	assert_int_equal(use(swr, "", 90, false), HTTP_CACHE_VALIDATE);
	assert_int_equal(use("Cache-Control: s-maxage=60, stale-while-revalidate=30", "", 60,
			     false),
			 HTTP_CACHE_VALIDATE);
	assert_int_equal(use("ETag: \"a\"\nCache-Control: max-age=60, no-cache", "", 0, false),
			 HTTP_CACHE_VALIDATE);
	/* The client is heard when it may be. */
	assert_int_equal(use(minute, "Cache-Control: no-cache", 1, false), HTTP_CACHE_FRESH);
	assert_int_equal(use(minute, "Cache-Control: no-cache", 1, true), HTTP_CACHE_VALIDATE);
	assert_int_equal(use(minute, "Pragma: no-cache", 1, true), HTTP_CACHE_VALIDATE);
	assert_int_equal(use(minute, "Cache-Control: max-age=5", 6, true), HTTP_CACHE_VALIDATE);
	assert_int_equal(use(minute, "Cache-Control: max-age=5", 5, true), HTTP_CACHE_FRESH);
	assert_int_equal(use(minute, "Cache-Control: min-fresh=10", 51, true), HTTP_CACHE_VALIDATE);
	assert_int_equal(use(minute, "Cache-Control: max-stale=10", 70, true), HTTP_CACHE_FRESH);
	assert_int_equal(use(minute, "Cache-Control: max-stale=10", 71, true), HTTP_CACHE_VALIDATE);
	assert_int_equal(use(minute, "Cache-Control: max-stale", 9999, true), HTTP_CACHE_FRESH);
	assert_int_equal(use("Cache-Control: max-age=60, must-revalidate",
			     "Cache-Control: max-stale", 70, true),
			 HTTP_CACHE_VALIDATE);
	use("Cache-Control: max-age=60, stale-if-error=10", "", 0, false);
	assert_true(http_cache_may_use_on_error(&fresh, NOW + 69));
	assert_false(http_cache_may_use_on_error(&fresh, NOW + 70));
	use("Cache-Control: max-age=60, stale-if-error=10, must-revalidate", "", 0, false);
	assert_false(http_cache_may_use_on_error(&fresh, NOW + 61));
}

static bool not_modified(const char *asks, const char *etag, const char *modified)
{
	messages(asks, 200, "");
	return http_cache_is_not_modified(&request.headers, weir_text_of(etag),
					  weir_text_of(modified), NOW);
}

static void conditions_are_evaluated(void **state)
{
	const char *date = "Sun, 06 Nov 1994 08:49:37 GMT";
	const char *before = "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT";
	const char *same = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT";

	(void)state;
	assert_true(not_modified("If-None-Match: \"a\"", "\"a\"", NULL));
	assert_true(not_modified("If-None-Match: \"b\", W/\"a\"", "\"a\"", NULL));
	assert_true(not_modified("If-None-Match: \"a\"", "W/\"a\"", NULL));
	assert_true(not_modified("If-None-Match: *", NULL, NULL));
	assert_true(not_modified("If-None-Match: \"a,b\"", "\"a,b\"", NULL));
	assert_false(not_modified("If-None-Match: \"b\"", "\"a\"", NULL));
	assert_false(not_modified("If-None-Match: a", "\"a\"", NULL));
	assert_false(not_modified("If-None-Match: \"a\"", NULL, date));
	assert_true(not_modified(same, NULL, date));
	assert_false(not_modified(before, NULL, date));
	assert_false(not_modified("If-Modified-Since: yesterday", NULL, date));
	assert_false(not_modified(same, NULL, NULL));
	/* The tag alone counts where there are both. */
	assert_false(not_modified("If-None-Match: \"b\"\n"
				  "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
				  "\"a\"", date));
	assert_false(not_modified("", "\"a\"", date));
}

static void some_requests_pass_by(void **state)
{
	static const char *const others[] = {
		"Range: bytes=0-1", "If-Range: \"a\"", "If-Match: \"a\"",
		"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"
	};

	(void)state;
	messages("If-None-Match: \"a\"", 200, "");
	assert_true(http_cache_is_eligible(&request));
	request.method = WEIR_METHOD_HEAD;
	assert_true(http_cache_is_eligible(&request));
	request.method = WEIR_METHOD_POST;
	assert_false(http_cache_is_eligible(&request));
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(others); i++) {
		messages(others[i], 200, "");
		assert_false(http_cache_is_eligible(&request));
	}
}

static int fini(void **state)
{
	(void)state;
	weir_arena_fini(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directives_are_read),
		cmocka_unit_test(bad_directives_are_harmless),
		cmocka_unit_test(what_may_be_stored),
		cmocka_unit_test(lifetimes_are_computed),
		cmocka_unit_test(what_may_be_used),
		cmocka_unit_test(conditions_are_evaluated),
		cmocka_unit_test(some_requests_pass_by),
	};

	weir_arena_init(&arena, 0);
	return cmocka_run_group_tests(tests, NULL, fini);
}
