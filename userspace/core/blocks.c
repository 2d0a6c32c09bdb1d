/* SPDX-License-Identifier: MIT */
/*
 * One shelf for each power of two. Other sizes are the allocator's, and under AddressSanitizer all
 * are: it tells who uses a block that was given back only as long as nobody has it again.
 */

#include "core/blocks.h"

#include <stdlib.h>

#include "core/loop_internal.h"

static size_t shelf_size(unsigned i)
{
	return (size_t)BLOCKS_MIN << i;
}

/* Where blocks of SIZE bytes are kept; NULL: nowhere. */
static struct block_shelf *block_shelf(struct weir_loop *loop, size_t size)
{
#ifdef WEIR_ASAN
	loop = NULL;
#endif
	if (!loop || size < BLOCKS_MIN || size > shelf_size(BLOCKS_SIZES - 1) || size & (size - 1))
		return NULL;
	return &loop->blocks.shelves[__builtin_ctzl(size / BLOCKS_MIN)];
}

void *block_get(size_t size)
{
	struct weir_loop *loop = weir_loop_current();
	struct block_shelf *shelf = block_shelf(loop, size);
	struct block *block;

	if (!shelf || !shelf->first)
		return malloc(size);
	block = shelf->first;
	shelf->first = block->next;
	loop->blocks.bytes -= size;
	if (--shelf->count < shelf->lowest)
		shelf->lowest = shelf->count;
	return block;
}

void block_put(void *data, size_t size)
{
	struct weir_loop *loop = weir_loop_current();
	struct block_shelf *shelf = data ? block_shelf(loop, size) : NULL;
	struct block *block = data;

	if (!shelf || shelf->count * size >= BLOCKS_KEPT) {
		free(data);
		return;
	}
	block->next = shelf->first;
	shelf->first = block;
	shelf->count++;
	loop->blocks.bytes += size;
}

static void shelf_drop(struct block_shelf *shelf, unsigned n)
{
	for (; n > 0; n--) {
		struct block *block = shelf->first;

		shelf->first = block->next;
		shelf->count--;
		free(block);
	}
}

void block_pool_trim(struct block_pool *pool)
{
	for (unsigned i = 0; i < BLOCKS_SIZES; i++) {
		struct block_shelf *shelf = &pool->shelves[i];

		pool->bytes -= shelf->lowest * shelf_size(i);
		shelf_drop(shelf, shelf->lowest);
		shelf->lowest = shelf->count;
	}
}

void block_pool_fini(struct block_pool *pool)
{
	for (unsigned i = 0; i < BLOCKS_SIZES; i++)
		shelf_drop(&pool->shelves[i], pool->shelves[i].count);
}
