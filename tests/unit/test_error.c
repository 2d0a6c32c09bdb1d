/* SPDX-License-Identifier: MIT */

/* Texts and names of statuses, and the sentence that a mistake in a file is answered with. */

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>

static void test_every_own_status_has_a_text_and_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = WEIR_ELIMIT; a >= WEIR_ESTATUS; a--) {
		assert_string_not_equal(weir_strerror(a), "unknown error");
		assert_string_not_equal(weir_error_name(a), "unknown");
		for (int b = a - 1; b >= WEIR_ESTATUS; b--) {
			assert_string_not_equal(weir_strerror(a), weir_strerror(b));
			assert_string_not_equal(weir_error_name(a), weir_error_name(b));
		}
	}
}

static void test_errno_and_unknown_statuses(void **state)
{
	(void)state;
	assert_string_equal(weir_strerror(-ECONNREFUSED), "Connection refused");
	assert_string_equal(weir_error_name(-ECONNREFUSED), "ECONNREFUSED");
	assert_string_equal(weir_strerror(0), "success");
	assert_string_equal(weir_error_name(0), "ok");
	for (size_t i = 0; i < 5; i++) {
		const int odd[] = { 5, -4095, -20000, INT_MIN, INT_MAX };

		assert_string_equal(weir_strerror(odd[i]), "unknown error");
		assert_string_equal(weir_error_name(odd[i]), "unknown");
	}
}

static void test_format_writes_the_parts_that_exist(void **state)
{
	struct weir_error error;
	char text[1024];

	(void)state;
	weir_error_init(&error);
	assert_int_equal(weir_error_set(&error, WEIR_ECONFIG, "unknown key '%s'", "listner"),
			 WEIR_ECONFIG);
	assert_int_equal(error.status, WEIR_ECONFIG);
	assert_string_equal(weir_error_format(&error, text, sizeof(text)), "unknown key 'listner'");
	weir_error_remedy(&error, "did you mean '%s'?", "listeners");
	assert_string_equal(weir_error_format(&error, text, sizeof(text)),
			    "unknown key 'listner'; did you mean 'listeners'?");
	weir_error_at(&error, "weir.yaml", 0);
	assert_string_equal(weir_error_format(&error, text, sizeof(text)),
			    "weir.yaml: unknown key 'listner'; did you mean 'listeners'?");
	weir_error_at(&error, "weir.yaml", 7);
	assert_string_equal(weir_error_format(&error, text, sizeof(text)),
			    "weir.yaml:7: unknown key 'listner'; did you mean 'listeners'?");
	weir_error_at(&error, NULL, 9);
	assert_int_equal(error.line, 0);
	assert_string_equal(error.file, "");
}

static void test_long_parts_are_cut_and_terminated(void **state)
{
	struct weir_error error;
	char longer[2000], text[16];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	weir_error_init(&error);
	weir_error_set(&error, -EINVAL, "%s", longer);
	weir_error_remedy(&error, "%s", longer);
	weir_error_at(&error, longer, 1);
	assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
	assert_int_equal(strlen(error.remedy), sizeof(error.remedy) - 1);
	assert_int_equal(strlen(error.file), sizeof(error.file) - 1);
	weir_error_format(&error, text, sizeof(text));
	assert_string_equal(text, "xxxxxxxxxxxxxxx");
}

static void test_nobody_wants_the_sentence(void **state)
{
	struct weir_error error;
	char text[64];

	(void)state;
	weir_error_init(NULL);
	assert_int_equal(weir_error_set(NULL, -EINVAL, "x"), -EINVAL);
	weir_error_remedy(NULL, "x");
	weir_error_at(NULL, "x", 1);

	weir_error_init(&error);
	error.status = -ENOMEM;
	assert_string_equal(weir_error_format(&error, text, sizeof(text)),
			    "Cannot allocate memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_own_status_has_a_text_and_a_name_of_its_own),
		cmocka_unit_test(test_errno_and_unknown_statuses),
		cmocka_unit_test(test_format_writes_the_parts_that_exist),
		cmocka_unit_test(test_long_parts_are_cut_and_terminated),
		cmocka_unit_test(test_nobody_wants_the_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
