/* SPDX-License-Identifier: MIT */

/* Alignment, independence of allocations, large ones, copies, and what a sanitizer sees. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/arena.h>

static void test_allocations_are_aligned_and_do_not_overlap(void **state)
{
	struct weir_arena arena;
	struct {
		unsigned char *data;
		size_t size;
	} taken[400];
	size_t sum = 0;

	(void)state;
	weir_arena_init(&arena, 0);
	for (size_t i = 0; i < 400; i++) {
		taken[i].size = i * 37 % 3001;
		taken[i].data = weir_arena_alloc(&arena, taken[i].size);
		assert_non_null(taken[i].data);
		assert_int_equal((uintptr_t)taken[i].data % _Alignof(max_align_t), 0);
		memset(taken[i].data, (int)(i & 0xff), taken[i].size);
		sum += taken[i].size;
	}
	for (size_t i = 0; i < 400; i++) {
		for (size_t j = 0; j < taken[i].size; j++)
			assert_int_equal(taken[i].data[j], i & 0xff);
	}
	assert_int_equal(arena.used_bytes, sum);
	weir_arena_fini(&arena);
	assert_int_equal(arena.used_bytes, 0);
}

static void test_a_large_one_does_not_waste_the_current_chunk(void **state)
{
	struct weir_arena arena;
	struct weir_arena_chunk *newest;
	char *big;

	(void)state;
	weir_arena_init(&arena, 4096);
	assert_non_null(weir_arena_alloc(&arena, 16));
	newest = arena.chunks;
	big = weir_arena_alloc(&arena, 1000000);
	assert_non_null(big);
	memset(big, 1, 1000000);
	assert_non_null(weir_arena_alloc(&arena, 16));
	assert_ptr_equal(arena.chunks, newest);
	weir_arena_fini(&arena);
	/* And it may be used again. */
	assert_non_null(weir_arena_alloc(&arena, 1));
	weir_arena_fini(&arena);
}

static void test_empty_and_impossible_sizes(void **state)
{
	struct weir_arena arena;
	void *a, *b;

	(void)state;
	weir_arena_init(&arena, 1);
	a = weir_arena_alloc(&arena, 0);
	b = weir_arena_alloc(&arena, 0);
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	assert_null(weir_arena_alloc(&arena, SIZE_MAX));
	assert_null(weir_arena_alloc(&arena, SIZE_MAX - 8));
	assert_null(weir_arena_alloc(&arena, SIZE_MAX / 2));
	weir_arena_fini(&arena);
}

static void test_copies(void **state)
{
	struct weir_arena arena;
	char *text, zero[64] = { 0 };

	(void)state;
	weir_arena_init(&arena, 0);
	assert_memory_equal(weir_arena_memdup(&arena, "a\0b", 3), "a\0b", 3);
	assert_non_null(weir_arena_memdup(&arena, NULL, 0));
	assert_string_equal(weir_arena_strdup(&arena, "weir"), "weir");
	assert_string_equal(weir_arena_strdup(&arena, ""), "");
	assert_string_equal(weir_arena_strndup(&arena, "weirctl", 4), "weir");
	assert_string_equal(weir_arena_strndup(&arena, "we", 4), "we");
	assert_string_equal(weir_arena_printf(&arena, "%s:%d", "host", 80), "host:80");
	text = weir_arena_printf(&arena, "%03000d", 7);
	assert_int_equal(strlen(text), 3000);
	assert_memory_equal(weir_arena_zalloc(&arena, 64), zero, 64);
	weir_arena_fini(&arena);
}

#if defined(__SANITIZE_ADDRESS__)
/* Writes one byte behind an allocation in a child process, which the sanitizer must end. */
static void test_sanitizer_sees_a_run_over_the_end(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		struct weir_arena arena;
		volatile char *data;

		fclose(stderr);
		weir_arena_init(&arena, 0);
		data = weir_arena_alloc(&arena, 24);
		data[24] = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocations_are_aligned_and_do_not_overlap),
		cmocka_unit_test(test_a_large_one_does_not_waste_the_current_chunk),
		cmocka_unit_test(test_empty_and_impossible_sizes),
		cmocka_unit_test(test_copies),
#if defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(test_sanitizer_sees_a_run_over_the_end),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
