/* SPDX-License-Identifier: MIT */
/* Views of text: comparisons, lists, splits, numbers. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include <cmocka.h>

#include <weir/text.h>

static void assert_text(struct weir_text text, const char *expected)
{
	if (!weir_text_is_equal(text, weir_text_of(expected)))
		fail_msg("'%.*s' is not '%s'", WEIR_TEXT_ARGS(text), expected);
}

static void test_equal(void **state)
{
	(void)state;
	assert_true(weir_text_is_equal(WEIR_TEXT("abc"), WEIR_TEXT("abc")));
	assert_false(weir_text_is_equal(WEIR_TEXT("abc"), WEIR_TEXT("abC")));
	assert_false(weir_text_is_equal(WEIR_TEXT("abc"), WEIR_TEXT("ab")));
	assert_true(weir_text_is_equal(WEIR_TEXT(""), weir_text_of(NULL)));
}

/* Every pair of bytes, at every place of a word, as the C locale's tolower() says. */
static void test_equal_nocase_of_all_bytes(void **state)
{
	char a[19] = "abcdefghi-klmnop.r", b[19];
	struct weir_text x = { a, 18 }, y = { b, 18 };

	(void)state;
	memcpy(b, a, sizeof(b));
	for (int i = 0; i < 256; i++) {
		for (int k = 0; k < 256; k++) {
			bool upper = (i >= 'A' && i <= 'Z' && k == i + 32) ||
				     (k >= 'A' && k <= 'Z' && i == k + 32);
			size_t at = (size_t)(i + k) % 18;
			char was = a[at];

			a[at] = (char)i;
			b[at] = (char)k;
			if (weir_text_is_equal_nocase(x, y) != (i == k || upper))
				fail_msg("%d and %d at %zu", i, k, at);
			a[at] = b[at] = was;
		}
	}
}

static void test_equal_nocase_of_sizes(void **state)
{
	static const char a[] = "The-Quick-Brown-Fox", b[] = "tHE-qUICK-bROWN-fOX";

	(void)state;
	for (size_t n = 0; n < sizeof(a); n++) {
		struct weir_text x = { a, n }, y = { b, n };

		assert_true(weir_text_is_equal_nocase(x, y));
		y.size++;
		assert_false(weir_text_is_equal_nocase(x, y));
	}
	assert_true(weir_text_is_equal_nocase(WEIR_TEXT(""), weir_text_of(NULL)));
}

static void test_prefix_and_suffix(void **state)
{
	(void)state;
	assert_true(weir_text_has_prefix(WEIR_TEXT("/static/x"), WEIR_TEXT("/static")));
	assert_true(weir_text_has_prefix(WEIR_TEXT("/"), WEIR_TEXT("")));
	assert_false(weir_text_has_prefix(WEIR_TEXT("/s"), WEIR_TEXT("/static")));
	assert_false(weir_text_has_prefix(WEIR_TEXT("/Static/x"), WEIR_TEXT("/static")));
	assert_true(weir_text_has_suffix_nocase(WEIR_TEXT("a.Example"), WEIR_TEXT(".example")));
	assert_true(weir_text_has_suffix_nocase(WEIR_TEXT("a"), WEIR_TEXT("")));
	assert_false(weir_text_has_suffix_nocase(WEIR_TEXT("example"), WEIR_TEXT(".example")));
}

static void test_trims(void **state)
{
	(void)state;
	assert_text(weir_text_trim(WEIR_TEXT(" \t a b\t ")), "a b");
	assert_text(weir_text_trim(WEIR_TEXT(" \t")), "");
	assert_text(weir_text_trim(WEIR_TEXT("\va\f")), "\va\f");
}

static void assert_items(const char *list, const char *expected)
{
	struct weir_text rest = weir_text_of(list), item;
	char out[128] = "";

	while (weir_text_next_item(&rest, &item)) {
		strncat(out, item.data, item.size);
		strcat(out, "|");
	}
	assert_string_equal(out, expected);
	assert_false(weir_text_next_item(&rest, &item));
}

static void test_lists(void **state)
{
	(void)state;
	assert_items("", "");
	assert_items(" , ,\t,", "");
	assert_items("a", "a|");
	assert_items("a,b , c", "a|b|c|");
	assert_items(",a,,b,", "a|b|");
	assert_items("\"a,b\";q=1, c", "\"a,b\";q=1|c|");
	assert_items("\"a\\\",b\", c", "\"a\\\",b\"|c|");
	assert_items("\"open, c", "\"open, c|");
	assert_items("\"open\\", "\"open\\|");
}

static void test_splits(void **state)
{
	struct weir_text head, tail;

	(void)state;
	assert_true(weir_text_split(WEIR_TEXT("a=b=c"), '=', &head, &tail));
	assert_text(head, "a");
	assert_text(tail, "b=c");
	assert_true(weir_text_split(WEIR_TEXT("a="), '=', &head, &tail));
	assert_non_null(tail.data);
	assert_int_equal(tail.size, 0);
	assert_false(weir_text_split(WEIR_TEXT("a"), '=', &head, &tail));
	assert_text(head, "a");
	assert_null(tail.data);
	assert_false(weir_text_split(weir_text_of(NULL), '=', &head, &tail));
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {
		"",    "-1",  "+1",
		" 1",  "1 ",  "0x5",
		"5_0", "1.0", "18446744073709551616",
		"a",   "1e3", "99999999999999999999999",
	};
	uint64_t value;

	(void)state;
	assert_int_equal(weir_text_parse_u64(WEIR_TEXT("18446744073709551615"), &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(weir_text_parse_u64(WEIR_TEXT("007"), &value), 0);
	assert_int_equal(value, 7);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++)
		assert_int_equal(weir_text_parse_u64(weir_text_of(bad[i]), &value), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_equal_nocase_of_all_bytes),
		cmocka_unit_test(test_equal_nocase_of_sizes),
		cmocka_unit_test(test_prefix_and_suffix),
		cmocka_unit_test(test_trims),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
