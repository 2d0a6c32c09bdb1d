/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CORE_STACK_H
#define WEIR_CORE_STACK_H

/*
 * Stacks for tasks, from slabs of one loop. Only touched pages cost memory; the lowest page of
 * each stack is a guard. A stack that is given back is used again first; of the free stacks
 * over the number that is kept, the memory goes back to the kernel, but for the top page.
 */

#include <weir/base.h>
#include <weir/list.h>

struct stack_pool {
	size_t bytes; /* address space of one stack, a multiple of the page size */
	size_t page;
	unsigned kept; /* free stacks that keep their memory */
	unsigned free_count;
	struct weir_list free;	/* struct stack, most recently used first */
	struct weir_list slabs; /* struct slab */
	char *fresh;		/* next stack of the newest slab that was never used */
	unsigned fresh_count;
};

/* Lies at the top end of the stack it describes. */
struct stack {
	struct weir_list link; /* in the pool's free list */
	char *bottom;	       /* above the guard */
	size_t size;	       /* usable, below this struct */
};

void stack_pool_init(struct stack_pool *pool, size_t bytes, unsigned kept);
/* Every stack was given back. */
void stack_pool_fini(struct stack_pool *pool);

/* NULL when memory (or the number of mappings) is out. */
struct stack *stack_get(struct stack_pool *pool);
void stack_put(struct stack_pool *pool, struct stack *stack);

/* Returns the pages below POINTER (the stack pointer of a parked task) to the kernel. */
void stack_trim(struct stack_pool *pool, struct stack *stack, const void *pointer);

/* Bytes from the top that were ever used since the pages were fresh. Reads the whole stack. */
size_t stack_used(const struct stack *stack);

#endif
