/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SIGNALS_H
#define WEIR_SIGNALS_H

/*
 * Signals as messages to a loop: they are blocked, and read from a descriptor (signalfd(2)). No
 * handler runs, so nothing is interrupted and nothing can hit a half-done change.
 *
 * A signal that is sent to the process goes to any thread that does not block it, and does there
 * what it does by default. So block them before the first other thread is started: threads
 * inherit it. So do programs that are executed: give those an empty mask.
 */

#include <signal.h>

#include <weir/loop.h>

/* In the loop's thread, outside of tasks: it may wake, cancel and spawn, but close nothing. */
typedef void weir_signals_fn(void *ctx, int number);

/* Caller's memory; all members are private. */
struct weir_signals {
	struct weir_watch watch;
	struct weir_watch_hook hook;
	sigset_t before; /* this thread's mask */
	weir_signals_fn *fn;
	void *ctx;
};

/* Blocks NUMBERS, of which the last one is 0, in this thread, and tells FN of each that comes; of
 * those too that wait because they were blocked before. Does not keep the loop alive. 0, or -errno
 * and nothing has changed. On a loop's thread, while it runs. */
int weir_signals_open(struct weir_signals *signals, const int *numbers, weir_signals_fn *fn,
		      void *ctx) WEIR_MUST_CHECK;
/* Gives this thread its mask back. What waits and would be delivered by that is forgotten: it was
 * sent to who is ending. Harmless when it is not open. */
void weir_signals_close(struct weir_signals *signals);

/* Blocks NUMBERS in this thread and those that it starts from now on, before there is a loop to
 * read them. */
void weir_signals_block(const int *numbers);

#endif
