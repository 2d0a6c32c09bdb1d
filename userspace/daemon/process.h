/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_PROCESS_H
#define WEIR_DAEMON_PROCESS_H

/*
 * What the files of this room share.
 *
 * Threads: the main thread runs the control loop: signals, reload, admin, health checks. Each
 * worker runs its own. Control never touches a worker's objects; it asks with
 * daemon_call_workers() and gets an answer. What both read (the configuration, upstreams,
 * metrics) is either constant or made for it.
 */

#include <pthread.h>
#include <stdatomic.h>

#include <weir/listener.h>
#include <weir/loop.h>
#include <weir/metrics.h>
#include <weir/offload.h>
#include <weir/scope.h>
#include <weir/signals.h>
#include <weir/sync.h>

#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/hold_queue.h"
#include "daemon/keeper_link.h"
#include "daemon/socket_set.h"

struct weir_kernel;
struct weir_offload;

/* Flows of a daemon before this one, on their way: see adopt.h. */
struct adopting {
	unsigned pending; /* with the workers */
	unsigned turn;	  /* which worker gets the next one */
	bool all;	  /* no more are to come for now */
	uint64_t adopted;
	uint64_t reset;
	uint64_t lost; /* connections that were in userspace */
};

/* Maps of a daemon before this one, by their place; -1: none. */
struct held_maps {
	int fds[WEIR_KERNEL_MAPS];
	uint64_t keys[WEIR_KERNEL_MAPS];
};

struct worker {
	struct weir_daemon *daemon;
	unsigned index;
	int cpu; /* -1: not bound */
	pthread_t thread;
	bool started;
	struct weir_loop *loop;
	struct weir_scope scope; /* root of its own tasks */
	struct weir_event stop;
	struct weir_post stop_post;
	bool stopping;		      /* it is sent */
	struct weir_list stacks;      /* those not yet freed, oldest first */
	struct weir_offload *offload; /* NULL: bridges use splice and copy */
	struct hold_queue holds;      /* what the keeper is told of its flows */
	uint64_t accepted;	      /* connections since the start */
	uint64_t active;	      /* and now */
	uint64_t bytes[2];	      /* of those that have ended, by enum weir_way */
};

enum daemon_state {
	DAEMON_STARTING,
	DAEMON_RUNNING,
	DAEMON_DRAINING,
};

struct weir_daemon {
	const struct weir_daemon_conf *conf;
	enum daemon_state state;
	struct weir_loop *loop;	 /* of control; its index is n_workers */
	struct weir_scope scope; /* of control's tasks */
	struct worker *workers;
	unsigned n_workers;
	struct weir_metrics *metrics;
	struct weir_kernel *kernel; /* the kernel data plane; NULL while starting */
	struct keeper_link keeper;
	struct socket_set sockets;
	struct generation *current;
	struct weir_list generations; /* all that exist, oldest first */
	unsigned last_generation;     /* number of the one made last */
	uint64_t started_ns;

	struct weir_semaphore reloading; /* one at a time */
	uint64_t drain_deadline;	 /* ns; WEIR_NEVER while not draining */
	struct weir_event changed;	 /* a generation has gone, the deadline has moved */
	struct held_maps held_maps;
	struct adopting adopting;
	struct upgrade *upgrade; /* NULL: no keeper, or not running */
	bool has_served;	 /* it was ready once */
	bool succeeded;		 /* another daemon serves: this one leaves all to it */
	struct weir_signals signals;
	struct weir_scope *helpers; /* control's tasks beside its own; NULL before it runs */
	struct admin *admin;
	int exit_status;
};

/* Runs FN on every worker, outside of tasks, and waits (firmly) until all have answered. SLOTS
 * has one slot of SLOT_BYTES for each worker, in order; may be NULL with 0. 0 or -ENOMEM, then
 * nothing was called. In a task of the control loop. */
int daemon_call_workers(struct weir_daemon *daemon, void (*fn)(struct worker *worker, void *slot),
			void *slots, size_t slot_bytes) WEIR_MUST_CHECK;

/* ---- worker.c ----------------------------------------------------------------------------- */

/* Makes the workers' loops and starts their threads. 0 or -errno with ERROR. */
int workers_start(struct weir_daemon *daemon, const struct weir_config *config,
		  struct weir_error *error) WEIR_MUST_CHECK;
/* Asks them to end. They do when their stacks are gone. */
void workers_stop(struct weir_daemon *daemon);
/* From now on they give their flows in the kernel to another daemon. Parks. */
void workers_release(struct weir_daemon *daemon);
/* Waits for their threads and frees the loops. */
void workers_join(struct weir_daemon *daemon);
/* CPUs of the affinity mask. */
unsigned workers_auto(void);

/* ---- kernel.c ----------------------------------------------------------------------------- */

/* Opens the kernel data plane, unless no listener may use it, and says in the log whether it can
 * be used. 0; -ENOMEM, or -EPROTO when this is a successor of another ABI, with ERROR. */
int kernel_open(struct weir_daemon *daemon, const struct weir_config *config,
		struct weir_error *error) WEIR_MUST_CHECK;

/* ---- signals.c ---------------------------------------------------------------------------- */

/* Before there are other threads. */
void signals_block(void);
/* Reloads run as tasks of the daemon's helpers. 0 or -errno. */
int signals_start(struct weir_daemon *daemon) WEIR_MUST_CHECK;
/* Harmless when they are not started. */
void signals_stop(struct weir_daemon *daemon);

/* ---- log_setup.c -------------------------------------------------------------------------- */

/* Sends the log where CONF says. 0 or -errno with ERROR; then it goes on as before. */
int log_setup(const struct weir_config_log *conf, struct weir_error *error) WEIR_MUST_CHECK;
/* Opens files again after they were moved away. */
void log_reopen(void);
/* Lines go nowhere from now on. */
void log_end(void);

/* ---- limits.c ----------------------------------------------------------------------------- */

/* Raises the limit of open files as far as it may be, and warns when CONFIG may need more. */
void limits_raise(const struct weir_config *config);

/* ---- notify.c ----------------------------------------------------------------------------- */

void notify_ready(struct weir_daemon *daemon);
void notify_reloading(struct weir_daemon *daemon);
void notify_stopping(struct weir_daemon *daemon);
/* Answers the service manager's watchdog, if there is one, as long as every worker answers. */
int notify_watchdog_start(struct weir_daemon *daemon, struct weir_scope *scope) WEIR_MUST_CHECK;

#endif
