/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CORE_CONTEXT_H
#define WEIR_CORE_CONTEXT_H

/*
 * Switching stacks: Boost.Context's C ABI, and what the sanitizers and valgrind want to be
 * told about it. A context is either a thread's own stack (the loop's) or a task's stack.
 */

#include <stdbool.h>
#include <stddef.h>

#include <weir/base.h>

struct context {
	void *resume;	    /* fcontext_t while it does not run: its saved stack pointer */
	struct context *to; /* whom it switched to last */
	const void *bottom; /* lowest address of the stack; NULL of a thread until first left */
	size_t size;
#ifdef WEIR_ASAN
	void *fake_stack;
#endif
#ifdef WEIR_TSAN
	void *fiber;
#endif
	unsigned valgrind_id;
};

/* The running thread's stack as a context. */
void context_init_thread(struct context *context);

/* A context that runs ENTRY(ARG) on the stack of SIZE bytes at BOTTOM when it is first switched
 * to. ENTRY never returns: it ends with context_leave(). */
void context_init(struct context *context, void *bottom, size_t size, void (*entry)(void *arg),
		  void *arg);
void context_fini(struct context *context);

/* Saves the running context in FROM and runs TO; returns when somebody switches back. */
void context_switch(struct context *from, struct context *to);

/* The same for good: FROM will never run again. */
void context_leave(struct context *from, struct context *to) __attribute__((noreturn));

#endif
