/* SPDX-License-Identifier: MIT */

/*
 * Both formats; strings that try to forge lines, fields or terminal output; lines that do not
 * fit; levels and sinks. JSON is checked by a parser that is not ours.
 */

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <weir/error.h>
#include <weir/log.h>

static char captured[16384];
static unsigned n_captured;

static void capture(void *ctx, enum weir_log_level level, const char *line, size_t size)
{
	assert_ptr_equal(ctx, captured);
	assert_in_range(level, WEIR_LOG_ERROR, WEIR_LOG_DEBUG);
	assert_true(size > 0 && size < sizeof(captured));
	assert_int_equal(line[size - 1], '\n');
	memcpy(captured, line, size);
	captured[size] = '\0';
	n_captured++;
}

#define format_line(format, object, message, text, ...)                               \
	weir_log_format_line((format), WEIR_LOG_INFO, (object), (message),            \
			     (const struct weir_log_field[]){ __VA_ARGS__ },          \
			     sizeof((const struct weir_log_field[]){ __VA_ARGS__ }) / \
				     sizeof(struct weir_log_field),                   \
			     (text), sizeof(text))

/* A text line without its time, level and line end. */
static char *text_tail(char *text)
{
	static const char pattern[] = "dddd-dd-ddTdd:dd:dd.dddZ info  ";

	for (size_t i = 0; i < sizeof(pattern) - 1; i++) {
		if (pattern[i] == 'd')
			assert_in_range(text[i], '0', '9');
		else
			assert_int_equal(text[i], pattern[i]);
	}
	assert_int_equal(text[strlen(text) - 1], '\n');
	text[strlen(text) - 1] = '\0';
	return text + sizeof(pattern) - 1;
}

static json_t *json_of(const char *text)
{
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!object)
		print_error("%s: %s\n", error.text, text);
	assert_non_null(object);
	assert_non_null(json_string_value(json_object_get(object, "time")));
	return object;
}

static void test_text_of_every_type(void **state)
{
	char text[1024];

	(void)state;
	format_line(WEIR_LOG_TEXT, "listener db", "listening", text,
		    WEIR_LOG_STR("address", "127.0.0.1:80"), WEIR_LOG_STR("absent", NULL),
		    WEIR_LOG_INT("low", INT64_MIN), WEIR_LOG_UINT("high", UINT64_MAX),
		    WEIR_LOG_DOUBLE("ratio", 0.25), WEIR_LOG_DOUBLE("nan", NAN),
		    WEIR_LOG_BOOL("yes", true), WEIR_LOG_BOOL("no", false),
		    WEIR_LOG_STATUS(-ECONNREFUSED));
	assert_string_equal(text_tail(text),
			    "listener db: listening address=127.0.0.1:80 low=-9223372036854775808 "
			    "high=18446744073709551615 ratio=0.25 nan=nan yes=true no=false "
			    "error=\"Connection refused\"");
}

static void test_json_of_every_type(void **state)
{
	char text[1024];
	json_t *object;

	(void)state;
	format_line(WEIR_LOG_JSON, "conn 42", "it's \"done\"", text,
		    WEIR_LOG_STR("address", "127.0.0.1:80"), WEIR_LOG_STR("absent", NULL),
		    WEIR_LOG_INT("low", INT64_MIN), WEIR_LOG_DOUBLE("ratio", 0.25),
		    WEIR_LOG_DOUBLE("tiny", 1e-300), WEIR_LOG_DOUBLE("nan", NAN),
		    WEIR_LOG_DOUBLE("inf", INFINITY), WEIR_LOG_BOOL("yes", true));
	object = json_of(text);
	assert_string_equal(json_string_value(json_object_get(object, "level")), "info");
	assert_string_equal(json_string_value(json_object_get(object, "object")), "conn 42");
	assert_string_equal(json_string_value(json_object_get(object, "message")), "it's \"done\"");
	assert_true(json_integer_value(json_object_get(object, "low")) == INT64_MIN);
	assert_true(json_real_value(json_object_get(object, "ratio")) == 0.25);
	assert_true(json_real_value(json_object_get(object, "tiny")) == 1e-300);
	assert_true(json_is_null(json_object_get(object, "nan")));
	assert_true(json_is_null(json_object_get(object, "inf")));
	assert_true(json_is_true(json_object_get(object, "yes")));
	assert_null(json_object_get(object, "absent"));
	json_decref(object);

	format_line(WEIR_LOG_JSON, NULL, "x", text, WEIR_LOG_UINT("n", UINT64_MAX));
	assert_non_null(strstr(text, "\"n\":18446744073709551615}"));
	assert_null(strstr(text, "object"));
}

static void test_text_values_are_quoted_when_needed(void **state)
{
	static const struct {
		const char *value, *expected;
	} cases[] = {
		{ "plain/path-1.2:3,[::1]", "v=plain/path-1.2:3,[::1]" },
		{ "", "v=\"\"" },
		{ "two words", "v=\"two words\"" },
		{ "a=b", "v=\"a=b\"" },
		{ "say \"hi\"", "v=\"say \\\"hi\\\"\"" },
		{ "back\\slash", "v=\"back\\\\slash\"" },
		{ "line\nend\r\t", "v=\"line\\nend\\r\\t\"" },
		{ "\x1b[31mred", "v=\"\\u001b[31mred\"" },
		{ "gr\xc3\xbc\xc3\x9f", "v=\"gr\xc3\xbc\xc3\x9f\"" },
		{ "\x7f\xc2\x9b", "v=\"\\u007f\\u009b\"" },
		{ "\xe2\x80\xae"
		  "gpj",
		  "v=\"\\u202egpj\"" },
		{ "\xe2\x80\xa8", "v=\"\\u2028\"" },
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		char text[256], expected[256];

		format_line(WEIR_LOG_TEXT, NULL, "m", text, WEIR_LOG_STR("v", cases[i].value));
		snprintf(expected, sizeof(expected), "m %s", cases[i].expected);
		assert_string_equal(text_tail(text), expected);
	}
}

static void test_bytes_that_are_not_utf8_are_replaced(void **state)
{
#define R "\xef\xbf\xbd"
	static const struct {
		const char *bytes, *expected;
	} cases[] = {
		{ "\x80", R }, /* a continuation alone */
		{ "a\xff\xfe"
		  "b",
		  "a" R R "b" },			    /* never valid */
		{ "\xc3", R },				    /* cut short */
		{ "\xe2\x82x", R R "x" },		    /* cut short in the middle */
		{ "\xc0\xaf", R R },			    /* overlong '/' */
		{ "\xe0\x80\x8a", R R R },		    /* overlong line end */
		{ "\xed\xa0\x80", R R R },		    /* a surrogate */
		{ "\xf4\x90\x80\x80", R R R R },	    /* above U+10FFFF */
		{ "\xf0\x9f\x8c\x8a", "\xf0\x9f\x8c\x8a" }, /* four good bytes */
		{ "\xef\xbf\xbd", R },
	};
#undef R

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		char text[256];
		json_t *object;

		format_line(WEIR_LOG_JSON, "o", cases[i].bytes, text,
			    WEIR_LOG_STR("v", cases[i].bytes));
		object = json_of(text);
		assert_string_equal(json_string_value(json_object_get(object, "v")),
				    cases[i].expected);
		assert_string_equal(json_string_value(json_object_get(object, "message")),
				    cases[i].expected);
		json_decref(object);
	}
}

/* Every byte but NUL in every place a string can be: one line, nothing a terminal acts on. */
static void test_no_string_can_forge_a_line(void **state)
{
	char evil[256], text[8192];

	(void)state;
	for (int i = 0; i < 255; i++)
		evil[i] = (char)(i + 1);
	evil[255] = '\0';
	for (int format = WEIR_LOG_TEXT; format <= WEIR_LOG_JSON; format++) {
		size_t size = format_line((enum weir_log_format)format, evil, evil, text,
					  WEIR_LOG_STR(evil, evil), WEIR_LOG_INT(evil + 40, 1));

		assert_int_equal(strlen(text), size);
		assert_ptr_equal(strchr(text, '\n'), text + size - 1);
		for (size_t i = 0; i + 1 < size; i++)
			assert_true((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
		if (format == WEIR_LOG_JSON)
			json_decref(json_of(text));
	}
	format_line(WEIR_LOG_TEXT, NULL, "m", text, WEIR_LOG_STR("a b=\"c", "v"));
	assert_string_equal(text_tail(text), "m a_b__c=v");
}

/* At every size: within bounds, one line end, terminated; JSON stays an object. */
static void test_lines_are_cut_cleanly(void **state)
{
	char guard[600];

	(void)state;
	for (size_t size = 0; size < 500; size++) {
		for (int format = WEIR_LOG_TEXT; format <= WEIR_LOG_JSON; format++) {
			const struct weir_log_field fields[] = {
				WEIR_LOG_STR("quoted", "a \"b\" \n \x1b \xff \xc3\xbc"),
				WEIR_LOG_INT("number", 1234567),
				WEIR_LOG_STR("long", "0123456789012345678901234567890123456789"),
				WEIR_LOG_BOOL("flag", true),
			};
			size_t used;

			memset(guard, '#', sizeof(guard));
			used = weir_log_format_line((enum weir_log_format)format, WEIR_LOG_WARN,
						    "obj\x01", "mess\"age", fields, 4, guard, size);
			for (size_t i = size; i < sizeof(guard); i++)
				assert_int_equal(guard[i], '#');
			if (size == 0)
				continue;
			assert_in_range(used, 0, size - 1);
			assert_int_equal(guard[used], '\0');
			assert_int_equal(strlen(guard), used);
			if (used > 0)
				assert_ptr_equal(strchr(guard, '\n'), guard + used - 1);
			if (format == WEIR_LOG_JSON && size > 4) {
				json_t *object = json_loads(guard, 0, NULL);

				assert_non_null(object);
				json_decref(object);
			}
		}
	}
}

static void test_numbers_do_not_follow_the_locale(void **state)
{
	static const char *const comma_locales[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8" };
	char text[256];
	bool is_set = false;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(comma_locales) && !is_set; i++)
		is_set = setlocale(LC_NUMERIC, comma_locales[i]) != NULL;
	if (!is_set) {
		print_message("needs a locale with a decimal comma: none is installed\n");
		skip();
	}
	format_line(WEIR_LOG_TEXT, NULL, "m", text, WEIR_LOG_DOUBLE("d", 1.5));
	setlocale(LC_NUMERIC, "C");
	assert_string_equal(text_tail(text), "m d=1.5");
}

static void test_levels_and_sinks(void **state)
{
	enum weir_log_level level;

	(void)state;
	n_captured = 0;
	weir_log(WEIR_LOG_ERROR, "o", "nobody listens");
	assert_false(weir_log_enabled(WEIR_LOG_ERROR));
	weir_log_set_sink(capture, captured);
	assert_true(weir_log_enabled(WEIR_LOG_INFO));
	assert_false(weir_log_enabled(WEIR_LOG_DEBUG));
	weir_log(WEIR_LOG_DEBUG, "o", "too quiet");
	assert_int_equal(n_captured, 0);
	weir_log(WEIR_LOG_INFO, "o", "no fields");
	assert_int_equal(n_captured, 1);
	assert_string_equal(text_tail(captured), "o: no fields");
	weir_log_set_format(WEIR_LOG_JSON);
	weir_log(WEIR_LOG_INFO, "o", "one field", WEIR_LOG_INT("n", 1));
	json_decref(json_of(captured));
	weir_log_set_format(WEIR_LOG_TEXT);
	weir_log_set_level(WEIR_LOG_DEBUG);
	weir_log(WEIR_LOG_DEBUG, "o", "now");
	assert_int_equal(n_captured, 3);
	weir_log_set_level(WEIR_LOG_INFO);
	weir_log_set_sink(NULL, NULL);
	weir_log(WEIR_LOG_ERROR, "o", "nobody again");
	assert_int_equal(n_captured, 3);

	for (int i = WEIR_LOG_ERROR; i <= WEIR_LOG_DEBUG; i++) {
		assert_int_equal(weir_log_level_parse(weir_log_level_name((enum weir_log_level)i),
						      &level),
				 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(weir_log_level_parse("warning", &level), -EINVAL);
	assert_int_equal(weir_log_level_parse("", &level), -EINVAL);
}

static void *log_many(void *arg)
{
	for (int i = 0; i < 2000; i++)
		weir_log(WEIR_LOG_INFO, arg, "from a thread", WEIR_LOG_INT("i", i));
	return NULL;
}

static void test_threads_do_not_mix_lines(void **state)
{
	pthread_t threads[4];

	(void)state;
	n_captured = 0;
	weir_log_set_sink(capture, captured);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, "t"), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	weir_log_set_sink(NULL, NULL);
	assert_int_equal(n_captured, 8000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_of_every_type),
		cmocka_unit_test(test_json_of_every_type),
		cmocka_unit_test(test_text_values_are_quoted_when_needed),
		cmocka_unit_test(test_bytes_that_are_not_utf8_are_replaced),
		cmocka_unit_test(test_no_string_can_forge_a_line),
		cmocka_unit_test(test_lines_are_cut_cleanly),
		cmocka_unit_test(test_numbers_do_not_follow_the_locale),
		cmocka_unit_test(test_levels_and_sinks),
		cmocka_unit_test(test_threads_do_not_mix_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
