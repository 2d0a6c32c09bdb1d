/* SPDX-License-Identifier: MIT */
/* The HTTP/1 parser: its limits, at the byte. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/h1_cases.h"

/* BEFORE, N times PART, AFTER. */
static struct weir_buffer repeat(const char *before, const char *part, unsigned n,
				 const char *after)
{
	struct weir_buffer text = { 0 };

	assert_int_equal(weir_buffer_append(&text, before, strlen(before)), 0);
	while (n--)
		assert_int_equal(weir_buffer_append(&text, part, strlen(part)), 0);
	assert_int_equal(weir_buffer_append(&text, after, strlen(after)), 0);
	return text;
}

static void assert_limit(const struct h1_rig *rig, struct weir_buffer text, unsigned status)
{
	struct weir_text in = { weir_buffer_head(&text), weir_buffer_size(&text) };
	struct weir_buffer out;

	if (status) {
		h1_assert_refused(rig, in, status);
	} else {
		out = h1_read_all_ways(rig, in);
		assert_int_equal(weir_buffer_append(&out, "", 1), 0);
		assert_null(strstr(weir_buffer_head(&out), "refused"));
		assert_non_null(strstr(weir_buffer_head(&out), "end\n"));
		weir_buffer_fini(&out);
	}
	weir_buffer_fini(&text);
}

/* A limit lets through what reaches it exactly. What follows it is not looked at: a bad byte
 * beyond changes nothing. */
static void test_limits(void **state)
{
	struct h1_rig rig = {
		.limits = { .line_bytes = 100, .head_bytes = 200, .fields = 4, .body_bytes = 10 }
	};

	(void)state;
	assert_limit(&rig, repeat("GET /", "a", 86, " HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_limit(&rig, repeat("GET /", "a", 87, " HTTP/1.1\r\n" HOST "\r\n"), 414);
	assert_limit(&rig, repeat("GET /", "a", 200, "\x01"), 414);
	assert_limit(&rig, repeat("GET /", "a", 10, "\x01"), 400);
	assert_limit(&rig, repeat(GET HOST "a: ", "a", 175, "\r\n\r\n"), 0);
	assert_limit(&rig, repeat(GET HOST "a: ", "a", 176, "\r\n\r\n"), 431);
	assert_limit(&rig, repeat(GET HOST "a: ", "a", 300, "\x01"), 431);
	assert_limit(&rig, repeat(GET HOST, "a: b\r\n", 3, "\r\n"), 0);
	assert_limit(&rig, repeat(GET HOST, "a: b\r\n", 4, "\r\n"), 431);
	assert_limit(&rig, repeat(POST "Content-Length: 10\r\n\r\n", "a", 10, ""), 0);
	assert_limit(&rig, repeat(POST "Content-Length: 11\r\n\r\n", "a", 11, ""), 413);
	assert_limit(&rig, repeat(TE, "5\r\nhello\r\n", 2, "0\r\n\r\n"), 0);
	assert_limit(&rig, repeat(TE, "5\r\nhello\r\n", 2, "1\r\n"), 413);
	assert_limit(&rig, repeat(TE "7fffffffffffffff\r\n", "a", 2, ""), 413);
	assert_limit(&rig, repeat(TE "0\r\na: ", "a", 195, "\r\n\r\n"), 0);
	assert_limit(&rig, repeat(TE "0\r\na: ", "a", 196, "\r\n\r\n"), 431);
	assert_limit(&rig, repeat(TE "0\r\na: ", "a", 300, "\x01"), 431);
	assert_limit(&rig, repeat(TE "0\r\n", "a: b\r\n", 4, "\r\n"), 0);
	assert_limit(&rig, repeat(TE "0\r\n", "a: b\r\n", 5, "\r\n"), 431);
	assert_limit(&rig, repeat(TE "1;a=", "b", 1016, "\r\na\r\n0\r\n\r\n"), 0);
	assert_limit(&rig, repeat(TE "1;a=", "b", 1100, "\r\na\r\n0\r\n\r\n"), 400);
	rig.is_response = true;
	assert_limit(&rig, repeat("HTTP/1.1 200 ", "a", 100, "\r\n\r\n"), 502);
	assert_limit(&rig, repeat(OK_, "a: b\r\n", 5, "\r\n"), 502);
	assert_limit(&rig, repeat(OK_ "Content-Length: 11\r\n\r\n", "a", 11, ""), 502);
}

static void test_default_limits(void **state)
{
	struct h1_rig rig = { .is_response = false };
	struct h1_rig most = { .limits = { .fields = 100000 } };

	(void)state;
	assert_limit(&rig, repeat("GET /", "a", 16370, " HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_limit(&rig, repeat("GET /", "a", 16371, " HTTP/1.1\r\n" HOST "\r\n"), 414);
	assert_limit(&rig, repeat(GET HOST, "a: b\r\n", 127, "\r\n"), 0);
	assert_limit(&rig, repeat(GET HOST, "a: b\r\n", 128, "\r\n"), 431);
	assert_limit(&rig, repeat(GET HOST "a: ", "b", 32768, "\r\n\r\n"), 431);
	assert_limit(&most, repeat(GET HOST, "a: b\r\n", WEIR_HEADERS_MAX - 1, "\r\n"), 0);
	assert_limit(&most, repeat(GET HOST, "a: b\r\n", WEIR_HEADERS_MAX, "\r\n"), 431);
	assert_limit(&rig, repeat(GET HOST "Connection: close", ",a", 31, "\r\n\r\n"), 0);
	assert_limit(&rig, repeat(GET HOST "Connection: close", ",a", 32, "\r\n\r\n"), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_default_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
