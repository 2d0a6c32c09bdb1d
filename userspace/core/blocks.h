/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CORE_BLOCKS_H
#define WEIR_CORE_BLOCKS_H

/*
 * Memory that comes and goes with every message: chunks of arenas, the bytes of buffers. A worker
 * keeps what was given back and hands it out again, so that a connection in its stride asks the
 * allocator for nothing. What a second has not needed goes back to the allocator.
 *
 * Blocks come from malloc(3), so they may be given back on any thread, or outside of all loops.
 */

#include <stddef.h>

#include <weir/base.h>

struct weir_loop;

#define BLOCKS_MIN   256u	/* bytes of the smallest block that is kept */
#define BLOCKS_SIZES 9		/* powers of two: up to 64 KiB */
#define BLOCKS_KEPT  (1u << 20) /* bytes at most that are kept of one size */

struct block {
	struct block *next;
};

struct block_shelf {
	struct block *first;
	unsigned count;
	unsigned lowest; /* that count was since the last trim */
};

struct block_pool {
	size_t bytes; /* that are kept */
	struct block_shelf shelves[BLOCKS_SIZES];
};

/* SIZE bytes, uninitialised; NULL when memory is out. */
void *block_get(size_t size) WEIR_MUST_CHECK;
/* SIZE as it was asked for. NULL is fine. */
void block_put(void *data, size_t size);

/* Frees what nobody has needed since the last time. */
void block_pool_trim(struct block_pool *pool);
void block_pool_fini(struct block_pool *pool);

#endif
