/* SPDX-License-Identifier: MIT */
/*
 * The switch itself is jump_fcontext(): it pushes the callee-saved registers, swaps the stack
 * pointer and hands a pointer over. The pointer we hand over is the context that was left, so
 * that whoever continues stores where to return to. It is no variable of the stack that was left:
 * of one left for good AddressSanitizer may have taken back the frames already.
 */

#include "core/context.h"

#include <assert.h>
#include <stdlib.h>

#ifdef WEIR_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WEIR_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define WEIR_VALGRIND 1
#endif
#endif

/* Boost.Context, libboost_context.a: a C ABI that only its C++ headers declare. */
struct transfer {
	void *context;
	void *data;
};
struct transfer jump_fcontext(void *to, void *data);
void *make_fcontext(void *top, size_t size, void (*entry)(struct transfer));

/* Lies at the very top of a new stack until its entry has read it. */
struct start {
	void (*entry)(void *arg);
	void *arg;
};

void context_init_thread(struct context *context)
{
	*context = (struct context){ 0 };
#ifdef WEIR_TSAN
	context->fiber = __tsan_get_current_fiber();
#endif
}

/* Runs first on whichever stack was switched to. */
static void context_arrive(struct transfer transfer)
{
	struct context *from = transfer.data;
#ifdef WEIR_ASAN
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(from->to->fake_stack, &bottom, &size);
	if (!from->bottom) {
		from->bottom = bottom;
		from->size = size;
	}
#endif
	from->resume = transfer.context;
}

static void context_enter(struct transfer transfer)
{
	const struct context *from = transfer.data;
	const struct context *to = from->to;
	const struct start *start = (const void *)((const char *)to->bottom + to->size);

	context_arrive(transfer);
	start->entry(start->arg);
	abort(); /* an entry never returns */
}

void context_init(struct context *context, void *bottom, size_t size, void (*entry)(void *arg),
		  void *arg)
{
	struct start *start;

	*context = (struct context){ 0 };
	size -= (sizeof(*start) + 63) & ~(size_t)63;
	start = (struct start *)(void *)((char *)bottom + size);
	start->entry = entry;
	start->arg = arg;
	context->bottom = bottom;
	context->size = size;
	context->resume = make_fcontext((char *)bottom + size, size, context_enter);
#ifdef WEIR_TSAN
	context->fiber = __tsan_create_fiber(0);
#endif
#ifdef WEIR_VALGRIND
	context->valgrind_id = VALGRIND_STACK_REGISTER(bottom, (char *)bottom + size);
#endif
}

void context_fini(struct context *context)
{
#ifdef WEIR_TSAN
	__tsan_destroy_fiber(context->fiber);
#endif
#ifdef WEIR_VALGRIND
	VALGRIND_STACK_DEREGISTER(context->valgrind_id);
#endif
	context->resume = NULL;
}

static void context_jump(struct context *from, struct context *to, bool for_good)
{
	assert(to->resume);
	from->to = to;
#ifdef WEIR_ASAN
	__sanitizer_start_switch_fiber(for_good ? NULL : &from->fake_stack, to->bottom, to->size);
#else
	(void)for_good;
#endif
#ifdef WEIR_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	context_arrive(jump_fcontext(to->resume, from));
}

void context_switch(struct context *from, struct context *to)
{
	context_jump(from, to, false);
}

void context_leave(struct context *from, struct context *to)
{
	context_jump(from, to, true);
	abort();
}
