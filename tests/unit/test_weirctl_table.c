/* SPDX-License-Identifier: MIT */

/* What the control tool shows: numbers for people, aligned columns, speeds of flows. */

#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/weirctl/api.h"
#include "tools/weirctl/rate.h"
#include "tools/weirctl/unit.h"

static void test_bytes(void **state)
{
	static const struct {
		double bytes;
		const char *text;
	} cases[] = {
		{ 0, "0B" },
		{ -1, "0B" },
		{ 1023, "1023B" },
		{ 1024, "1.00KiB" },
		{ 1536, "1.50KiB" },
		{ 10.0 * 1024, "10.0KiB" },
		{ 99.96 * 1024, "100KiB" },
		{ 1023.4 * 1024, "1023KiB" },
		{ 1023.6 * 1024, "1.00MiB" },
		{ 5.0 * (1 << 30), "5.00GiB" },
		{ 18446744073709551615.0, "16.0EiB" },
	};
	char text[UNIT_TEXT];

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++)
		assert_string_equal(unit_bytes(text, cases[i].bytes), cases[i].text);
	assert_string_equal(unit_rate(text, 2048), "2.00KiB/s");
}

static void test_durations(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "0ms" },	       { 999, "999ms" },       { 1000, "1.0s" },
		{ 59999, "59.9s" },    { 60000, "1m00s" },     { 192000, "3m12s" },
		{ 3600000, "1h00m" },  { 18120000, "5h02m" },  { 86399999, "23h59m" },
		{ 86400000, "1d00h" }, { 277200000, "3d05h" },
	};
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{ "500ms", 500 }, { "2", 2000 },    { "0.5", 500 },
		{ "1.5s", 1500 }, { "5m", 300000 }, { "1h", 3600000 },
	};
	static const char *const bad[] = {
		"", "s", "-1s", "5d", "5 s", "1e30", "0x10", "nan", "inf"
	};
	char text[UNIT_TEXT];
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++)
		assert_string_equal(unit_duration(text, cases[i].ms), cases[i].text);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(good); i++) {
		assert_int_equal(unit_parse_duration(good[i].text, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++)
		assert_int_equal(unit_parse_duration(bad[i], &ms), -EINVAL);
}

static const struct column columns[] = {
	{ "NAME", false, true },
	{ "N", true, false },
	{ "LAST", false, true },
};

/* What is printed; free() it. */
static char *table_text(const struct table *table, const struct table_look *look)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	table_print(table, look, out);
	fclose(out);
	return text;
}

static void assert_table(const struct table *table, const struct table_look *look,
			 const char *expected)
{
	char *text = table_text(table, look);

	assert_string_equal(text, expected);
	free(text);
}

static void row_add(struct table *table, const char *name, int n, const char *last)
{
	table_add(table, TONE_PLAIN, "%s", name);
	table_add(table, TONE_GOOD, "%d", n);
	table_add(table, TONE_PLAIN, "%s", last);
}

static void test_columns_are_aligned(void **state)
{
	struct table table;

	(void)state;
	table_init(&table, columns, 3);
	assert_table(&table, &(struct table_look){ 0 }, "NAME  N  LAST\n");
	row_add(&table, "a", 1, "x");
	row_add(&table, "longer", 1234, "y z");
	assert_int_equal(table_rows(&table), 2);
	assert_table(&table, &(struct table_look){ 0 },
		     "NAME       N  LAST\n"
		     "a          1  x\n"
		     "longer  1234  y z\n");
	assert_table(&table, &(struct table_look){ .is_untitled = true, .max_rows = 1 },
		     "a     1  x\n");
	assert_table(&table, &(struct table_look){ .has_color = true, .max_rows = 1, .eol = "|" },
		     "\033[1mNAME\033[0m  \033[1mN\033[0m  \033[1mLAST\033[0m|"
		     "a     \033[32m1\033[0m  x|");
	table_fini(&table);
}

static void test_lines_fit_the_terminal(void **state)
{
	struct table table;

	(void)state;
	table_init(&table, columns, 3);
	row_add(&table, "a name that is really much too long", 1,
		"and a last column as well, as well");
	for (unsigned width = 1; width < 90; width++) {
		struct table_look look = { .width = width };
		char *text = table_text(&table, &look);

		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			assert_true(strlen(line) <= width);
		free(text);
	}
	assert_table(&table, &(struct table_look){ .width = 40, .is_untitled = true },
		     "a name that is r~  1  and a last column~\n");
	table_fini(&table);
}

static void test_nothing_acts_on_the_terminal(void **state)
{
	struct table table;
	char *text;

	(void)state;
	setlocale(LC_CTYPE, "C.UTF-8");
	table_init(&table, columns, 3);
	row_add(&table, "\033[2Jevil\n\r\x7f", 1, "\xff\xc2\x9b\xe2\x80\xae gr\xc3\xbc\xc3\x9f");
	text = table_text(&table, &(struct table_look){ .is_untitled = true });
	for (const char *c = text; c[1]; c++)
		assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
	assert_null(strstr(text, "\xc2\x9b"));
	assert_non_null(strstr(text, " gr\xc3\xbc\xc3\x9f\n"));
	free(text);
	table_fini(&table);
}

static json_t *flows_of(const char *text)
{
	json_t *flows = json_loads(text, 0, NULL);

	assert_non_null(flows);
	return flows;
}

static void test_rates(void **state)
{
	json_t *first = flows_of("[{\"id\":2,\"bytes_up\":100,\"bytes_down\":0,\"age_ms\":1000},"
				 " {\"id\":1,\"bytes_up\":0,\"bytes_down\":50,\"age_ms\":500}]");
	json_t *second = flows_of("[{\"id\":1,\"bytes_up\":0,\"bytes_down\":4050,\"age_ms\":2500},"
				  " {\"id\":2,\"bytes_up\":300,\"bytes_down\":0,\"age_ms\":3000},"
				  " {\"id\":3,\"bytes_up\":10,\"bytes_down\":0,\"age_ms\":0},"
				  " {\"id\":4}]");
	struct rates none = { 0 }, before, now;
	struct rate *sorted;

	(void)state;
	assert_int_equal(rates_take(&before, &none, first, 10), 0);
	assert_int_equal(before.list[0].id, 1);
	assert_true(before.list[0].down == 100);
	assert_true(before.list[1].up == 100);
	assert_int_equal(rates_take(&now, &before, second, 12), 0);
	sorted = rates_sorted(&now);
	assert_non_null(sorted);
	assert_int_equal(now.n, 4);
	assert_int_equal(sorted[0].id, 1);
	assert_true(sorted[0].down == 2000 && sorted[0].up == 0);
	assert_int_equal(sorted[1].id, 2);
	assert_true(sorted[1].up == 100);
	assert_int_equal(sorted[2].id, 3);
	assert_true(sorted[2].up == 0);
	assert_int_equal(sorted[3].id, 4);
	free(sorted);
	rates_fini(&before);
	rates_fini(&now);
	json_decref(first);
	json_decref(second);
}

static void test_targets_are_escaped(void **state)
{
	char target[128], small[12];

	(void)state;
	assert_string_equal(api_target(target, sizeof(target), "/v1/u/%s/e/%s/drain",
				       "a b/\xc3\xbc?", "[::1]:80"),
			    "/v1/u/a%20b%2F%C3%BC%3F/e/%5B::1%5D:80/drain");
	/* Cut at a whole character. */
	assert_string_equal(api_target(small, sizeof(small), "/v1/%s", "////////", NULL),
			    "/v1/%2F%2F");
}

static void test_members_of_any_type(void **state)
{
	json_t *object =
		flows_of("{\"n\":5,\"r\":5.9,\"neg\":-1,\"s\":\"x\",\"b\":true,\"z\":null}");

	(void)state;
	assert_int_equal(api_number(object, "n"), 5);
	assert_int_equal(api_number(object, "r"), 5);
	assert_int_equal(api_number(object, "neg"), 0);
	assert_int_equal(api_number(object, "s"), 0);
	assert_int_equal(api_number(object, "none"), 0);
	assert_string_equal(api_string(object, "s"), "x");
	assert_string_equal(api_string(object, "n"), "");
	assert_string_equal(api_string(NULL, "s"), "");
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_columns_are_aligned),
		cmocka_unit_test(test_lines_fit_the_terminal),
		cmocka_unit_test(test_nothing_acts_on_the_terminal),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_targets_are_escaped),
		cmocka_unit_test(test_members_of_any_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
