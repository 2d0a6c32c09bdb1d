/* SPDX-License-Identifier: MIT */
/* Dates of HTTP: all forms, all days against the C library, bad ones. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <weir/http_date.h>

#define NOW 1795800000 /* in November 2026 */

static int64_t parse(const char *text)
{
	int64_t seconds = -1;

	if (weir_http_date_parse(weir_text_of(text), NOW, &seconds))
		fail_msg("cannot read '%s'", text);
	return seconds;
}

static void all_forms_are_read(void **state)
{
	(void)state;
	assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	assert_int_equal(parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
	assert_int_equal(parse("Sun Nov  6 08:49:37 1994"), 784111777);
	assert_int_equal(parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
	assert_int_equal(parse("Tue, 29 Feb 2000 23:59:60 GMT"), 951868800);
	/* Two digits: not more than 50 years ahead. */
	assert_int_equal(parse("Friday, 27-Nov-76 00:00:00 GMT"), 3373660800);
	assert_int_equal(parse("Sunday, 27-Nov-77 00:00:00 GMT"), 249436800);
}

static void every_day_is_written_and_read(void **state)
{
	char text[WEIR_HTTP_DATE_TEXT], expected[64];

	(void)state;
	for (int64_t day = -25567; day < 80000; day++) { /* 1900 to 2189 */
		time_t seconds = day * 86400 + (day * 7919 % 86400 + 86400) % 86400;
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		assert_string_equal(weir_http_date_format(seconds, text), expected);
		assert_int_equal(parse(text), seconds);
	}
}

static void bad_ones_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"Sun",
		"Sun,",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 29 Feb 1900 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 0000 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 06 Nov -994 08:49:37 GMT",
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sun, 06-Nov-94 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994",
		"Son, 06 Nov 1994 08:49:37 GMT",
		"Thu, 01 Jan 1970 00:00:00 GMT, Thu, 01 Jan 1970 00:00:00 GMT",
	};
	int64_t seconds;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++)
		if (!weir_http_date_parse(weir_text_of(bad[i]), NOW, &seconds))
			fail_msg("'%s' was read", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_forms_are_read),
		cmocka_unit_test(every_day_is_written_and_read),
		cmocka_unit_test(bad_ones_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
