/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

/*
 * The event loop of one thread: tasks, file descriptors, timers.
 *
 * Data sockets live in an epoll instance of the loop's own, edge-triggered, added once and
 * never modified while data flows: no epoll_ctl between two messages. Everything else is
 * libuv: its loop hangs in the same epoll (uv_backend_fd), so timers, signals, child
 * processes, files and other people's handles work as usual on weir_loop_uv().
 *
 * Every function is for the loop's own thread, but weir_loop_post() and weir_loop_stop().
 */

#include <stdbool.h>
#include <uv.h>

#include <weir/base.h>
#include <weir/list.h>
#include <weir/task.h>

struct weir_loop;
struct weir_error;

struct weir_loop_conf {
	unsigned index;	    /* of the worker: 0, 1, ... */
	size_t stack_bytes; /* address space of a task's stack; 0: 64 KiB (more under sanitizers) */
	unsigned stacks_kept; /* free stacks kept for reuse; 0: 1024 */
};

/* A loop, ready to run on any thread. NULL with ERROR filled (-ENOMEM, -EMFILE). */
struct weir_loop *weir_loop_new(const struct weir_loop_conf *conf, struct weir_error *error)
	WEIR_MUST_CHECK;
/* All tasks have ended and all libuv handles of others are closed. Accepts NULL. */
void weir_loop_free(struct weir_loop *loop);

/* Runs until weir_loop_stop() was called, or until the last task has ended and libuv has
 * nothing alive. Returns 0, or -errno from epoll. */
int weir_loop_run(struct weir_loop *loop);
/* Makes weir_loop_run() return soon. Any thread, and signal handlers. */
void weir_loop_stop(struct weir_loop *loop);

/* The loop that this thread runs; NULL outside of one. */
struct weir_loop *weir_loop_current(void);
unsigned weir_loop_index(const struct weir_loop *loop);
uv_loop_t *weir_loop_uv(struct weir_loop *loop);

/* Monotonic time in nanoseconds, read once an iteration. */
uint64_t weir_loop_now(const struct weir_loop *loop);
/* The same, read now. Any thread. */
uint64_t weir_now(void);

/* A message to a loop: FN runs there, outside of any task, with the post itself. Caller's
 * memory, which must live until FN is called. */
struct weir_post {
	struct weir_list link; /* private */
	void (*fn)(struct weir_post *post);
};

/* Sends POST. Any thread. */
void weir_loop_post(struct weir_loop *loop, struct weir_post *post);

/* Looked after about once a second while it is in the loop's list, which does not keep the loop
 * alive: FN runs outside of any task and must not park; it may take itself or others out.
 * Caller's memory. What is still in when the loop is freed is taken out. */
struct weir_upkeep {
	struct weir_list link; /* private */
	void (*fn)(struct weir_upkeep *upkeep, uint64_t now);
};

void weir_upkeep_init(struct weir_upkeep *upkeep,
		      void (*fn)(struct weir_upkeep *upkeep, uint64_t now));
/* Both are harmless when it is in, or out, already. */
void weir_upkeep_add(struct weir_upkeep *upkeep, struct weir_loop *loop);
void weir_upkeep_del(struct weir_upkeep *upkeep);

/* What a room keeps for each loop (a pool of pipes, the list of flows), found by the address of
 * its key and freed with the loop. */
struct weir_loop_key {
	const char *name;
	void (*free)(void *value);
};

/* NULL when nothing is attached. */
void *weir_loop_attached(struct weir_loop *loop, const struct weir_loop_key *key);
/* Once for each key. 0 or -ENOMEM. */
int weir_loop_attach(struct weir_loop *loop, const struct weir_loop_key *key, void *value)
	WEIR_MUST_CHECK;

/* 64 KiB that belong to whichever task runs now: contents are lost when it parks. */
#define WEIR_SCRATCH_BYTES 65536
/* As much of it as is read to be written elsewhere at once, in bytes. A packet of TCP in the kernel
 * holds less than 64 KiB: of a longer write the rest goes as a small packet of its own, which was
 * measured to cost bulk through a proxy half of its speed. */
#define WEIR_COPY_BYTES	   61440
char *weir_loop_scratch(struct weir_loop *loop);

/* ------------------------------------------------------------------------------------------
 * Flushes: what is done once at the end of a round, for all tasks that ran in it.
 */

/* FN runs outside of tasks, before the loop waits again. Caller's memory. */
struct weir_flush {
	struct weir_list link;
	void (*fn)(struct weir_flush *flush);
};

void weir_flush_init(struct weir_flush *flush, void (*fn)(struct weir_flush *flush));
/* FN runs at the end of the round that this thread's loop is in, once. */
void weir_flush_add(struct weir_flush *flush);
/* It does not. Harmless when it was not to. */
void weir_flush_del(struct weir_flush *flush);

/* ------------------------------------------------------------------------------------------
 * Watches: the readiness of one descriptor.
 */

#define WEIR_READABLE 1u /* data, end of stream, or an error */
#define WEIR_WRITABLE 2u
#define WEIR_HANGUP   4u  /* the peer will send no more (EPOLLRDHUP), or both sides are shut */
#define WEIR_ERROR    8u  /* SO_ERROR is set */
#define WEIR_URGENT   16u /* urgent data came: a short read does not mean that nothing is left */

/*
 * Remembers which edges were seen. Whoever meets EAGAIN (or a short count on a stream socket,
 * unless WEIR_HANGUP is set) clears the bit with weir_watch_clear(); then waits.
 */
struct weir_watch_hook;
struct weir_watch {
	struct weir_loop *loop; /* NULL while not added */
	int fd;
	bool duplicated;	      /* someone else has the file open too */
	unsigned ready;		      /* edges seen and not cleared */
	unsigned wanted[2];	      /* private: what each waiter waits for */
	struct weir_task *waiter[2];  /* private: two tasks may wait at once */
	struct weir_watch_hook *hook; /* private */
};

/* A look at events while nobody waits for them: that a client has gone while something else is
 * waited for. FN runs outside of tasks, each time one of EVENTS is ready and any edge comes: it
 * may wake, cancel and spawn, but free nothing. Caller's memory. */
struct weir_watch_hook {
	unsigned events;
	void (*fn)(struct weir_watch_hook *hook, unsigned ready);
};

/* Adds FD to the loop of this thread. What is ready already is reported in the next iteration.
 * 0 or -errno. */
int weir_watch_add(struct weir_watch *watch, int fd) WEIR_MUST_CHECK;
/* Takes it out. Harmless when not added. */
void weir_watch_del(struct weir_watch *watch);
/* Takes it out and closes the descriptor. When no duplicate exists the kernel takes the closed
 * file out of the epoll by itself; else say so before, in `duplicated`. */
void weir_watch_close(struct weir_watch *watch);
/* A watch without a descriptor, for streams that are none: events are raised by hand. */
void weir_watch_init(struct weir_watch *watch);
/* Sets EVENTS and wakes who waits for them. */
void weir_watch_raise(struct weir_watch *watch, unsigned events);

/* Only the end of the stream and errors are reported (a redirected socket, whose data is not
 * ours), or everything again. After `true`, READABLE and WRITABLE are assumed. 0 or -errno. */
int weir_watch_set_data(struct weir_watch *watch, bool data) WEIR_MUST_CHECK;

static inline void weir_watch_clear(struct weir_watch *watch, unsigned events)
{
	watch->ready &= ~events;
}

/* Wakes TASK once when one of EVENTS (or an error) is ready; at once if it is already.
 * At most two tasks. A wake-up may be spurious. */
void weir_watch_subscribe(struct weir_watch *watch, unsigned events, struct weir_task *task);
void weir_watch_unsubscribe(struct weir_watch *watch, struct weir_task *task);

/* One a watch; NULL takes it off. Called at once when an event of it is ready. */
void weir_watch_set_hook(struct weir_watch *watch, struct weir_watch_hook *hook);

/* Parks until one of EVENTS is ready. 0, -ECANCELED or -ETIMEDOUT. */
int weir_watch_wait(struct weir_watch *watch, unsigned events) WEIR_MUST_CHECK;

#endif
