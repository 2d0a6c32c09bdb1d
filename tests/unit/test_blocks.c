/* SPDX-License-Identifier: MIT */
/* Blocks that a worker keeps: what comes back is handed out again, and goes when it is not needed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/arena.h>
#include <weir/buffer.h>
#include <weir/task.h>

#include "core/blocks.h"
#include "core/loop_internal.h"

#define KEPT_PER_SIZE (BLOCKS_KEPT / 4096)

static void run(weir_task_fn *fn)
{
	struct weir_loop_conf conf = { 0 };
	struct weir_loop *loop = weir_loop_new(&conf, NULL);
	struct weir_scope root;

	assert_non_null(loop);
	weir_scope_init_root(&root, loop);
	assert_int_equal(weir_scope_spawn(&root, "test", fn, loop, NULL), 0);
	assert_int_equal(weir_loop_run(loop), 0);
	weir_scope_fini(&root);
	weir_loop_free(loop);
}

/* Without one no block is kept, and everything is to work all the same. */
static bool keeps_blocks(struct weir_loop *loop)
{
	void *block = block_get(512);

	assert_non_null(block);
	block_put(block, 512);
	return loop->blocks.bytes > 0;
}

static int again_main(void *arg)
{
	struct weir_loop *loop = arg;
	char *first, *second;

	if (!keeps_blocks(loop))
		return 0;
	first = block_get(4096);
	second = block_get(4096);
	assert_non_null(first);
	assert_ptr_not_equal(first, second);
	memset(first, 1, 4096);
	memset(second, 2, 4096);
	block_put(first, 4096);
	assert_ptr_equal(block_get(4096), first);
	block_put(first, 4096);
	block_put(second, 4096);
	assert_int_equal(loop->blocks.bytes, 2 * 4096 + 512);
	/* Of another size: not these. */
	first = block_get(2048);
	assert_int_equal(loop->blocks.bytes, 2 * 4096 + 512);
	block_put(first, 2048);
	return 0;
}

static void test_what_comes_back_is_handed_out_again(void **state)
{
	(void)state;
	run(again_main);
}

static int sizes_main(void *arg)
{
	static const size_t odd[] = { 0, 1, 255, 257, 4095, 65537, 131072 };
	struct weir_loop *loop = arg;

	block_put(NULL, 256);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(odd); i++) {
		char *block = block_get(odd[i]);

		if (odd[i])
			memset(block, 3, odd[i]);
		block_put(block, odd[i]);
	}
	assert_int_equal(loop->blocks.bytes, 0);
	return 0;
}

static void test_other_sizes_are_not_kept(void **state)
{
	(void)state;
	run(sizes_main);
}

static int bound_main(void *arg)
{
	struct weir_loop *loop = arg;
	void *blocks[KEPT_PER_SIZE + 10];

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(blocks); i++)
		assert_non_null(blocks[i] = block_get(4096));
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(blocks); i++)
		block_put(blocks[i], 4096);
	assert_true(loop->blocks.bytes <= BLOCKS_KEPT);
	return 0;
}

static void test_no_more_than_so_much_is_kept(void **state)
{
	(void)state;
	run(bound_main);
}

static int trim_main(void *arg)
{
	struct weir_loop *loop = arg;
	void *blocks[8];

	if (!keeps_blocks(loop))
		return 0;
	block_pool_trim(&loop->blocks);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(blocks); i++)
		assert_non_null(blocks[i] = block_get(1024));
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(blocks); i++)
		block_put(blocks[i], 1024);
	block_pool_trim(&loop->blocks); /* all eight were needed; the 512 bytes were not */
	assert_int_equal(loop->blocks.bytes, 8 * 1024);
	for (size_t i = 0; i < 3; i++)
		assert_non_null(blocks[i] = block_get(1024));
	for (size_t i = 0; i < 3; i++)
		block_put(blocks[i], 1024);
	block_pool_trim(&loop->blocks); /* three of them were */
	assert_int_equal(loop->blocks.bytes, 3 * 1024);
	block_pool_trim(&loop->blocks);
	assert_int_equal(loop->blocks.bytes, 0);
	return 0;
}

static void test_what_is_not_needed_goes(void **state)
{
	(void)state;
	run(trim_main);
}

static int steady_main(void *arg)
{
	struct weir_loop *loop = arg;
	size_t before = 0;

	for (int i = 0; i < 100; i++) {
		struct weir_arena arena;
		struct weir_buffer buffer = { 0 };

		weir_arena_init(&arena, 4096);
		assert_non_null(weir_arena_alloc(&arena, 100));
		assert_non_null(weir_arena_alloc(&arena, 10000));
		assert_non_null(weir_arena_alloc(&arena, 3900));
		assert_non_null(weir_arena_alloc(&arena, 3000));
		assert_int_equal(weir_buffer_printf(&buffer, "%01000d", i), 0);
		weir_buffer_fini(&buffer);
		weir_arena_fini(&arena);
		if (i > 0)
			assert_int_equal(loop->blocks.bytes, before);
		before = loop->blocks.bytes;
	}
	return 0;
}

static void test_arenas_and_buffers_live_on_kept_blocks(void **state)
{
	(void)state;
	run(steady_main);
}

static void test_without_a_loop(void **state)
{
	char *block = block_get(4096);

	(void)state;
	memset(block, 4, 4096);
	block_put(block, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_comes_back_is_handed_out_again),
		cmocka_unit_test(test_other_sizes_are_not_kept),
		cmocka_unit_test(test_no_more_than_so_much_is_kept),
		cmocka_unit_test(test_what_is_not_needed_goes),
		cmocka_unit_test(test_arenas_and_buffers_live_on_kept_blocks),
		cmocka_unit_test(test_without_a_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
