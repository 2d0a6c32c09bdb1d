/* SPDX-License-Identifier: MIT */
/*
 * A slab is one mapping of many stacks. Guards are installed by madvise(MADV_GUARD_INSTALL)
 * where the kernel has it (6.13): that splits no mapping. Else by mprotect(), which makes two
 * mappings of each stack, of which a process may have vm.max_map_count.
 */

#include "core/stack.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/context.h"

#ifdef WEIR_ASAN
#include <sanitizer/asan_interface.h>
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define SLAB_STACKS 64

struct slab {
	struct weir_list link;
	char *memory;
	size_t size;
};

void stack_pool_init(struct stack_pool *pool, size_t bytes, unsigned kept)
{
	pool->page = (size_t)sysconf(_SC_PAGESIZE);
	pool->bytes = (bytes + pool->page - 1) & ~(pool->page - 1);
	pool->kept = kept;
	pool->free_count = 0;
	pool->fresh = NULL;
	pool->fresh_count = 0;
	weir_list_init(&pool->free);
	weir_list_init(&pool->slabs);
}

void stack_pool_fini(struct stack_pool *pool)
{
	struct weir_list *link;

	while ((link = weir_list_pop(&pool->slabs))) {
		struct slab *slab = weir_container_of(link, struct slab, link);

		munmap(slab->memory, slab->size);
		free(slab);
	}
}

static int stack_guard(char *page, size_t size)
{
	if (madvise(page, size, MADV_GUARD_INSTALL) == 0)
		return 0;
	return mprotect(page, size, PROT_NONE);
}

static int slab_add(struct stack_pool *pool)
{
	struct slab *slab = malloc(sizeof(*slab));
	char *memory;

	if (!slab)
		return -1;
	slab->size = pool->bytes * SLAB_STACKS;
	memory = mmap(NULL, slab->size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (memory == MAP_FAILED)
		goto err_map;
	/* A huge page under a stack would cost 2 MiB for one task. */
	madvise(memory, slab->size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < SLAB_STACKS; i++) {
		if (stack_guard(memory + i * pool->bytes, pool->page))
			goto err_guard;
	}
	slab->memory = memory;
	weir_list_add_tail(&pool->slabs, &slab->link);
	pool->fresh = memory;
	pool->fresh_count = SLAB_STACKS;
	return 0;

err_guard:
	munmap(memory, slab->size);
err_map:
	free(slab);
	return -1;
}

static struct stack *stack_get_fresh(struct stack_pool *pool)
{
	struct stack *stack;
	char *low;

	if (pool->fresh_count == 0 && slab_add(pool))
		return NULL;
	low = pool->fresh;
	pool->fresh += pool->bytes;
	pool->fresh_count--;
	stack = (struct stack *)(void *)(low + pool->bytes) - 1;
	weir_list_init(&stack->link);
	stack->bottom = low + pool->page;
	stack->size = (size_t)((char *)stack - stack->bottom) & ~(size_t)63;
	return stack;
}

struct stack *stack_get(struct stack_pool *pool)
{
	struct weir_list *link = weir_list_pop(&pool->free);

	if (!link)
		return stack_get_fresh(pool);
	pool->free_count--;
	return weir_container_of(link, struct stack, link);
}

void stack_put(struct stack_pool *pool, struct stack *stack)
{
#ifdef WEIR_ASAN
	__asan_unpoison_memory_region(stack->bottom, stack->size);
#endif
	if (pool->free_count >= pool->kept)
		stack_trim(pool, stack, stack);
	pool->free_count++;
	weir_list_add_head(&pool->free, &stack->link);
}

void stack_trim(struct stack_pool *pool, struct stack *stack, const void *pointer)
{
	/* The ABI's red zone: a leaf function may use 128 bytes below the stack pointer. */
	uintptr_t end = ((uintptr_t)pointer - 128) & ~((uintptr_t)pool->page - 1);
	uintptr_t start = (uintptr_t)stack->bottom;

	if (end > start)
		madvise((void *)start, end - start, MADV_DONTNEED);
}

#ifdef __clang__
#define STACK_UNWATCHED __attribute__((no_sanitize("address", "thread")))
#else
#define STACK_UNWATCHED __attribute__((no_sanitize_address, no_sanitize_thread))
#endif

STACK_UNWATCHED size_t stack_used(const struct stack *stack)
{
	const uint64_t *word = (const uint64_t *)(const void *)stack->bottom;
	const uint64_t *top = (const uint64_t *)(const void *)stack;

	while (word < top && *word == 0)
		word++;
	return (size_t)((const char *)top - (const char *)word);
}
