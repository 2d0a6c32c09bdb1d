/* SPDX-License-Identifier: MIT */
/* Header fields: names, order and case, duplicates, removal, lists. */

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <weir/headers.h>

struct box {
	struct weir_arena arena;
	struct weir_headers headers;
};

static int setup(void **state)
{
	static struct box box;

	weir_arena_init(&box.arena, 0);
	weir_headers_init(&box.headers, &box.arena);
	*state = &box;
	return 0;
}

static int teardown(void **state)
{
	struct box *box = *state;

	weir_arena_fini(&box->arena);
	return 0;
}

static void add(struct weir_headers *headers, const char *name, const char *value)
{
	assert_int_equal(weir_headers_add(headers, weir_text_of(name), weir_text_of(value)), 0);
}

/* "name=value;" of each field in order. */
static void assert_fields(const struct weir_headers *headers, const char *expected)
{
	const struct weir_header *field = NULL;
	char out[512] = "";

	while ((field = weir_headers_next(headers, field))) {
		size_t n = strlen(out);

		snprintf(out + n, sizeof(out) - n, "%.*s=%.*s;", WEIR_TEXT_ARGS(field->name),
			 WEIR_TEXT_ARGS(field->value));
	}
	assert_string_equal(out, expected);
}

/* The hash is perfect: each name is found in each case, and nothing near it. */
static void test_names(void **state)
{
	char text[64];

	(void)state;
	for (enum weir_header_id id = WEIR_HEADER_OTHER + 1; id < WEIR_HEADER_COUNT; id++) {
		struct weir_text name = weir_header_name(id);

		assert_non_null(name.data);
		if (weir_header_id(name) != id)
			fail_msg("the slot of %s is taken", name.data);
		for (size_t i = 0; i <= name.size; i++)
			text[i] = (char)toupper(name.data[i]);
		assert_int_equal(weir_header_id(weir_text_of(text)), id);
		for (size_t i = 0; i < name.size; i++)
			text[i] = (char)tolower(name.data[i]);
		assert_int_equal(weir_header_id(weir_text_of(text)), id);
		text[name.size] = 's';
		assert_int_equal(weir_header_id((struct weir_text){ text, name.size + 1 }),
				 WEIR_HEADER_OTHER);
		text[name.size / 2] ^= 1;
		assert_int_equal(weir_header_id((struct weir_text){ text, name.size }),
				 WEIR_HEADER_OTHER);
	}
	assert_int_equal(weir_header_id(WEIR_TEXT("")), WEIR_HEADER_OTHER);
	assert_int_equal(weir_header_id(WEIR_TEXT("a")), WEIR_HEADER_OTHER);
	assert_int_equal(weir_header_id(WEIR_TEXT("Transfer_Encoding")), WEIR_HEADER_OTHER);
	assert_null(weir_header_name(WEIR_HEADER_OTHER).data);
}

static void test_order_and_case(void **state)
{
	struct weir_headers *headers = &((struct box *)*state)->headers;
	struct weir_header *field;

	add(headers, "hOsT", "a");
	add(headers, "X-One", "1");
	add(headers, "set-cookie", "a=1");
	add(headers, "x-one", "2");
	add(headers, "Set-Cookie", "b=2");
	assert_fields(headers, "hOsT=a;X-One=1;set-cookie=a=1;x-one=2;Set-Cookie=b=2;");

	field = weir_headers_find_id(headers, WEIR_HEADER_SET_COOKIE, NULL);
	assert_true(weir_text_is_equal(field->value, WEIR_TEXT("a=1")));
	field = weir_headers_find_id(headers, WEIR_HEADER_SET_COOKIE, field);
	assert_true(weir_text_is_equal(field->value, WEIR_TEXT("b=2")));
	assert_null(weir_headers_find_id(headers, WEIR_HEADER_SET_COOKIE, field));

	field = weir_headers_find(headers, WEIR_TEXT("X-ONE"), NULL);
	assert_true(weir_text_is_equal(field->value, WEIR_TEXT("1")));
	field = weir_headers_find(headers, WEIR_TEXT("X-ONE"), field);
	assert_true(weir_text_is_equal(field->value, WEIR_TEXT("2")));
	assert_null(weir_headers_find(headers, WEIR_TEXT("X-ONE"), field));

	assert_null(weir_headers_find_id(headers, WEIR_HEADER_DATE, NULL));
	assert_null(weir_headers_value(headers, WEIR_HEADER_DATE).data);
	assert_non_null(weir_headers_value(headers, WEIR_HEADER_HOST).data);
}

static void test_removal(void **state)
{
	struct weir_headers *headers = &((struct box *)*state)->headers;

	add(headers, "Via", "a");
	add(headers, "X-A", "1");
	add(headers, "via", "b");
	add(headers, "x-a", "2");
	assert_int_equal(weir_headers_del(headers, WEIR_TEXT("X-a")), 2);
	assert_int_equal(weir_headers_del(headers, WEIR_TEXT("X-a")), 0);
	weir_headers_del_field(headers, weir_headers_find_id(headers, WEIR_HEADER_VIA, NULL));
	assert_fields(headers, "via=b;");
	add(headers, "VIA", "c");
	assert_fields(headers, "via=b;VIA=c;");
	assert_int_equal(weir_headers_del_id(headers, WEIR_HEADER_VIA), 2);
	assert_fields(headers, "");
	weir_headers_clear(headers);
	assert_null(weir_headers_find_id(headers, WEIR_HEADER_VIA, NULL));
	add(headers, "Via", "d");
	assert_fields(headers, "Via=d;");
}

static void test_set(void **state)
{
	struct weir_headers *headers = &((struct box *)*state)->headers;

	add(headers, "x-b", "1");
	add(headers, "host", "a");
	add(headers, "X-B", "2");
	assert_int_equal(weir_headers_set(headers, WEIR_TEXT("X-B"), WEIR_TEXT("3")), 0);
	assert_int_equal(weir_headers_set_id(headers, WEIR_HEADER_HOST, WEIR_TEXT("b")), 0);
	assert_int_equal(weir_headers_set_id(headers, WEIR_HEADER_DATE, WEIR_TEXT("now")), 0);
	assert_fields(headers, "x-b=3;host=b;Date=now;");
}

static void test_grows_to_its_limit(void **state)
{
	struct box *box = *state;
	struct weir_headers *headers = &box->headers;

	for (int i = 0; i < WEIR_HEADERS_MAX; i++)
		add(headers, i % 2 ? "Cookie" : "X-Other", "v");
	assert_int_equal(weir_headers_add(headers, WEIR_TEXT("X"), WEIR_TEXT("")), -E2BIG);
	assert_int_equal(weir_headers_reserve(headers, 1), -E2BIG);
	assert_int_equal(weir_headers_del_id(headers, WEIR_HEADER_COOKIE), WEIR_HEADERS_MAX / 2);
	assert_int_equal(weir_headers_del(headers, WEIR_TEXT("x-other")), WEIR_HEADERS_MAX / 2);
}

static void test_reserved_room_does_not_move(void **state)
{
	struct weir_headers *headers = &((struct box *)*state)->headers;
	const struct weir_header *fields;

	add(headers, "Host", "a");
	assert_int_equal(weir_headers_reserve(headers, 100), 0);
	fields = headers->fields;
	for (int i = 0; i < 100; i++)
		add(headers, "Cookie", "v");
	assert_ptr_equal(fields, headers->fields);
}

static void test_items(void **state)
{
	struct weir_headers *headers = &((struct box *)*state)->headers;

	add(headers, "Accept-Encoding", "br;q=1.0, GZip ;q=0.5");
	add(headers, "accept-encoding", ", zstd");
	assert_true(weir_headers_has_item(headers, WEIR_HEADER_ACCEPT_ENCODING, WEIR_TEXT("br")));
	assert_true(weir_headers_has_item(headers, WEIR_HEADER_ACCEPT_ENCODING, WEIR_TEXT("gzip")));
	assert_true(weir_headers_has_item(headers, WEIR_HEADER_ACCEPT_ENCODING, WEIR_TEXT("ZSTD")));
	assert_false(weir_headers_has_item(headers, WEIR_HEADER_ACCEPT_ENCODING, WEIR_TEXT("zst")));
	assert_false(weir_headers_has_item(headers, WEIR_HEADER_CONNECTION, WEIR_TEXT("br")));
}

static void test_copies(void **state)
{
	struct box *box = *state;
	struct weir_arena arena;
	struct weir_headers copy;
	char name[] = "x-Name", value[] = "value";

	add(&box->headers, "Via", "gone");
	add(&box->headers, name, value);
	add(&box->headers, "Date", "");
	weir_headers_del_id(&box->headers, WEIR_HEADER_VIA);
	weir_arena_init(&arena, 0);
	weir_headers_init(&copy, &arena);
	assert_int_equal(weir_headers_copy(&copy, &box->headers), 0);
	name[0] = value[0] = '!';
	assert_fields(&copy, "x-Name=value;Date=;");
	weir_arena_fini(&arena);
}

static void test_validity(void **state)
{
	(void)state;
	assert_true(weir_header_is_valid(WEIR_TEXT("!#$%&'*+-.^_`|~09az"), WEIR_TEXT("")));
	assert_true(weir_header_is_valid(WEIR_TEXT("a"), WEIR_TEXT("x\ty \xe9\xff\"")));
	assert_false(weir_header_is_valid(WEIR_TEXT(""), WEIR_TEXT("v")));
	for (int c = 0; c < 256; c++) {
		char text[] = { 'a', (char)c, 'b' };
		bool control = (c < 0x20 && c != '\t') || c == 0x7f;

		assert_int_equal(weir_header_is_valid(WEIR_TEXT("a"),
						      (struct weir_text){ text, 3 }),
				 !control);
		assert_int_equal(weir_header_is_valid((struct weir_text){ text, 3 }, WEIR_TEXT("")),
				 c > 0x20 && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_order_and_case, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grows_to_its_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reserved_room_does_not_move, setup, teardown),
		cmocka_unit_test_setup_teardown(test_items, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
		cmocka_unit_test(test_validity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
