/* SPDX-License-Identifier: MIT */

/* Facts are found by key, newest first, in the nearest set. */

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <weir/extension.h>

static const struct weir_extension_key peer_key = { "peer" };
static const struct weir_extension_key user_key = { "user" };
/* The same name is another key. */
static const struct weir_extension_key other_user_key = { "user" };

static void test_the_nearest_newest_fact_is_found(void **state)
{
	struct weir_arena arena;
	struct weir_extensions conn, call;

	(void)state;
	weir_arena_init(&arena, 0);
	weir_extensions_init(&conn, NULL);
	weir_extensions_init(&call, &conn);
	assert_null(weir_extension_find(&call, &peer_key));

	assert_int_equal(weir_extension_add(&conn, &arena, &peer_key, "first"), 0);
	assert_int_equal(weir_extension_add(&conn, &arena, &user_key, "alice"), 0);
	assert_string_equal(weir_extension_find(&call, &peer_key), "first");
	assert_string_equal(weir_extension_find(&conn, &user_key), "alice");
	assert_null(weir_extension_find(&call, &other_user_key));

	assert_int_equal(weir_extension_add(&conn, &arena, &peer_key, "second"), 0);
	assert_string_equal(weir_extension_find(&call, &peer_key), "second");

	/* A child's fact hides its parent's, for the child alone. */
	assert_int_equal(weir_extension_add(&call, &arena, &peer_key, "mine"), 0);
	assert_string_equal(weir_extension_find(&call, &peer_key), "mine");
	assert_string_equal(weir_extension_find(&conn, &peer_key), "second");
	weir_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_nearest_newest_fact_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
