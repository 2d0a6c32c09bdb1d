/* SPDX-License-Identifier: MIT */
/* Normal form of paths: what must not evade a rule, and what must stay as it is. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <weir/uri_path.h>

static void paths_have_one_form(void **state)
{
	static const struct {
		const char *path, *merged, *kept;
	} cases[] = {
		{ "/", "/", "/" },
		{ "/a/b", "/a/b", "/a/b" },
		{ "/%61dmin", "/admin", "/admin" },
		{ "/%2561dmin", "/%2561dmin", "/%2561dmin" }, /* once, not twice */
		{ "/a%2fb", "/a%2Fb", "/a%2Fb" },	      /* no slash */
		{ "/a/../admin", "/admin", "/admin" },
		{ "/a/%2e%2E/admin", "/admin", "/admin" },
		{ "/a/.%2e/admin", "/admin", "/admin" },
		{ "/./a/./b", "/a/b", "/a/b" },
		{ "/a/.", "/a/", "/a/" },
		{ "/a/..", "/", "/" },
		{ "/a/b/..", "/a/", "/a/" },
		{ "/../../x", "/x", "/x" },
		{ "/..", "/", "/" },
		{ "/.", "/", "/" },
		{ "/.../x", "/.../x", "/.../x" },
		{ "/.hidden", "/.hidden", "/.hidden" },
		{ "//admin", "/admin", "//admin" },
		{ "/a//b///", "/a/b/", "/a//b///" },
		{ "/a//../b", "/b", "/a/b" },
		{ "//", "/", "//" },
		{ "/a%2f..%2fadmin", "/a%2F..%2Fadmin", "/a%2F..%2Fadmin" },
		{ "/caf%c3%a9", "/caf%C3%A9", "/caf%C3%A9" },
		{ "/a;x=1/../b", "/b", "/b" },
		{ "*", "*", "*" },
		{ "", "", "" },
	};
	struct weir_arena arena;
	struct weir_text out, again;

	(void)state;
	weir_arena_init(&arena, 0);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		for (int merge = 0; merge < 2; merge++) {
			const char *want = merge ? cases[i].merged : cases[i].kept;

			assert_int_equal(weir_uri_path_normalise(
						 &arena, weir_text_of(cases[i].path), merge, &out),
					 0);
			if (!weir_text_is_equal(out, weir_text_of(want)))
				fail_msg("%s is %.*s, should be %s", cases[i].path,
					 WEIR_TEXT_ARGS(out), want);
			/* And that is its own normal form. */
			assert_int_equal(weir_uri_path_normalise(&arena, out, merge, &again), 0);
			assert_true(weir_text_is_equal(out, again));
		}
	}
	weir_arena_fini(&arena);
}

static void normal_paths_are_not_copied(void **state)
{
	struct weir_text path = WEIR_TEXT("/users/12/files/a.txt"), out;
	struct weir_arena arena;

	(void)state;
	weir_arena_init(&arena, 0);
	assert_int_equal(weir_uri_path_normalise(&arena, path, true, &out), 0);
	assert_ptr_equal(out.data, path.data);
	assert_int_equal(arena.used_bytes, 0);
	weir_arena_fini(&arena);
}

static void wrong_escapes_are_refused(void **state)
{
	static const char *const wrong[] = { "/%", "/%4", "/%zz", "/a%2", "/%%41", "/%4g" };
	struct weir_arena arena;
	struct weir_text out;
	char *name;

	(void)state;
	weir_arena_init(&arena, 0);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(wrong); i++) {
		assert_true(weir_uri_path_normalise(&arena, weir_text_of(wrong[i]), true, &out) <
			    0);
		assert_true(weir_uri_path_decode(&arena, weir_text_of(wrong[i]), &name) < 0);
	}
	weir_arena_fini(&arena);
}

static void names_of_files_hide_nothing(void **state)
{
	struct weir_arena arena;
	char *name;

	(void)state;
	weir_arena_init(&arena, 0);
	assert_int_equal(weir_uri_path_decode(&arena, WEIR_TEXT("/a%20b%C3%A9+"), &name), 0);
	assert_string_equal(name, "/a b\xc3\xa9+");
	assert_true(weir_uri_path_decode(&arena, WEIR_TEXT("/a%2f..%2fb"), &name) < 0);
	assert_true(weir_uri_path_decode(&arena, WEIR_TEXT("/a%00.txt"), &name) < 0);
	weir_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_have_one_form),
		cmocka_unit_test(normal_paths_are_not_copied),
		cmocka_unit_test(wrong_escapes_are_refused),
		cmocka_unit_test(names_of_files_hide_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
