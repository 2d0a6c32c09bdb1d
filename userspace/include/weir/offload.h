/* SPDX-License-Identifier: MIT */
#ifndef WEIR_OFFLOAD_H
#define WEIR_OFFLOAD_H

/*
 * The kernel data plane, as the daemon sees it.
 *
 * One weir_kernel a process: programs and maps, loaded once, shared by all workers, and the
 * answers to what this kernel can do. One weir_offload a worker: what its bridges hand their
 * flows to (weir_bridge_conf.offload). Both are optional: without them, or when a probe fails,
 * flows are carried by splice and copy.
 *
 *	kernel = weir_kernel_open(&conf, error);
 *	results = weir_kernel_results(kernel, &n);	// say them once
 *	...on each worker, before its loop runs:
 *	offload = weir_offload_new(kernel, loop);	// NULL: not usable
 *	...
 *	weir_offload_free(offload);
 *	weir_kernel_close(kernel);
 */

#include <stdbool.h>

#include <weir/base.h>
#include <weir/bridge.h>

struct weir_error;
struct weir_loop;
struct weir_kernel;

struct weir_kernel_conf {
	const char *pin;	 /* folder of the pinned maps on a bpffs; NULL or "": not pinned */
	uint64_t inflight_bytes; /* bound of a direction; 0: 256 KiB */
	uint32_t flows;		 /* in the kernel at a time; 0: 16384 */
	bool disabled;		 /* only results: "switched off" */
	/* Maps of a process before this one, WEIR_KERNEL_MAPS of them in weir_kernel_maps()'s
	 * order, for this one to go on with; borrowed; NULL: none. */
	const int *maps;
	/* Another process works with the maps: when they do not fit they stay, and this kernel is
	 * not usable. */
	bool strict;
};

#define WEIR_KERNEL_MAPS 7

enum weir_probe_status {
	WEIR_PROBE_OK,
	WEIR_PROBE_FAILED, /* this is missing; see disables */
	WEIR_PROBE_INFO,   /* good to know */
};

/* One answer. */
struct weir_probe_result {
	const char *name; /* static memory: "load", "trim", "bound", ... */
	enum weir_probe_status status;
	char reason[192];     /* what was seen */
	const char *disables; /* what does not work because of it; static memory, NULL: nothing */
};

/* "ok", "failed", "info". */
const char *weir_probe_status_name(enum weir_probe_status status);

/* Loads and attaches what this kernel takes, pins it, and runs the self-tests (tens of
 * milliseconds, blocking, loopback sockets only). Always returns a kernel, usable or not, but
 * for -ENOMEM: then NULL. ERROR may be NULL. */
struct weir_kernel *weir_kernel_open(const struct weir_kernel_conf *conf, struct weir_error *error)
	WEIR_MUST_CHECK;
/* All offloads are freed. Pinned maps of a usable kernel are taken away unless KEEP, or another
 * process uses them too. Accepts NULL. */
void weir_kernel_close(struct weir_kernel *kernel, bool keep);

/* The maps, for whoever is to keep them beside this process: borrowed descriptors and the kernel's
 * numbers. WEIR_KERNEL_MAPS, or 0 when it is not usable. */
size_t weir_kernel_maps(const struct weir_kernel *kernel, int fds[WEIR_KERNEL_MAPS],
			uint32_t ids[WEIR_KERNEL_MAPS]);
/* The ABI version of maps that were there and could not be used, with all their flows; 0: there
 * were none. */
uint32_t weir_kernel_other_abi(const struct weir_kernel *kernel);

/* Whether flows can be handed to the kernel; if not, *WHY (lives as long as the kernel; may be
 * NULL). */
bool weir_kernel_is_usable(const struct weir_kernel *kernel, const char **why);
/* Where the maps are pinned; NULL: they are not. */
const char *weir_kernel_pin(const struct weir_kernel *kernel);
/* All answers, in the order of asking. */
const struct weir_probe_result *weir_kernel_results(const struct weir_kernel *kernel, size_t *n);

/* What the programs counted since the maps were made: calls FN with the name of each counter
 * ("redirected_bytes", "drop_fin", ...). 0 or -errno. Any thread. */
int weir_kernel_each_stat(const struct weir_kernel *kernel,
			  void (*fn)(void *ctx, const char *name, uint64_t value), void *ctx);

/* ------------------------------------------------------------------------------------------
 * A worker's share
 */

/* Counted by one worker; any thread may read. */
struct weir_offload_counts {
	uint64_t handed_over;  /* flows that the kernel took */
	uint64_t refused;      /* that it would not take */
	uint64_t refused_full; /* of them because the maps are full */
	uint64_t handed_back;  /* that went on in userspace */
	uint64_t ended;	       /* that ended in the kernel, in order */
	uint64_t broken;       /* resets of either side, and aborts */
	uint64_t spills;       /* times a sender outran its receiver */
	uint64_t audit_failed; /* flows reset because bytes were missing; never, if all is well */
	uint64_t events_lost;  /* times the event ring was full */
	uint64_t moved;	       /* flows given to another process */
	uint64_t adopted;      /* flows taken over from another process */
	uint64_t adopt_failed; /* of those that it left, reset because something of them was lost */
};

/* For the loop of one worker. Call on any thread while the loop does not run, or on its own.
 * NULL when the kernel is not usable or memory is out. KERNEL is borrowed. */
struct weir_offload *weir_offload_new(struct weir_kernel *kernel, struct weir_loop *loop);
/* No flow is with the kernel any more. On the loop's thread, or when the loop does not run; its
 * handles close when the loop next turns or is freed. Accepts NULL. */
void weir_offload_free(struct weir_offload *offload);

/* ------------------------------------------------------------------------------------------
 * Flows that outlive the process
 */

/* Someone else who has duplicates of a flow's sockets, so that they stay open, and in the map, when
 * this process dies. On the loop's thread; nothing here parks. */
struct weir_offload_keeper_ops {
	/* The flow is with the kernel. COOKIE: of the client's socket. */
	void (*hold)(void *ctx, uint64_t cookie, int client, int upstream);
	/* It no longer is; the sockets are about to be closed, or carried by userspace. */
	void (*drop)(void *ctx, uint64_t cookie);
	/* It goes on in another process. */
	void (*release)(void *ctx, uint64_t cookie);
};

struct weir_offload_keeper {
	const struct weir_offload_keeper_ops *ops;
	void *ctx; /* borrowed */
};

/* Before the first flow. */
void weir_offload_set_keeper(struct weir_offload *offload,
			     const struct weir_offload_keeper *keeper);
/* From now on, flows that are held are given to another process as soon as nothing of them is in
 * this one's hands: their bridges end with WEIR_END_MOVED. On the loop's thread. */
void weir_offload_release(struct weir_offload *offload);

/* What the record of a flow tells to a process that adopts it. */
struct weir_kept_flow {
	uint64_t id;
	char listener[72];
	char upstream[72];
	struct weir_address client; /* who it is, also behind another proxy */
	struct weir_address local;  /* where it connected to; size 0: ask the socket */
	uint64_t accepted_ns;
	uint64_t started_ns;
	uint64_t connect_ns;
	unsigned attempts;
	uint32_t rule;
};

/* Looks for the flow between two sockets, the client's first. 0; -ENOENT when KERNEL knows no such
 * flow, or has but one of the sockets in its map. Any thread. */
int weir_kernel_find_flow(const struct weir_kernel *kernel, const int fds[2],
			  struct weir_kept_flow *flow) WEIR_MUST_CHECK;

void weir_offload_read_counts(const struct weir_offload *offload,
			      struct weir_offload_counts *counts);

/* ------------------------------------------------------------------------------------------
 * Pinned maps, for tools: they work when the daemon is down
 */

/* Borrowed for the length of the call. */
struct weir_pinned_flow {
	uint64_t id;
	const char *way;   /* "up", "down" */
	const char *state; /* "redirected", "passing", ... */
	const char *path;  /* "sockmap", "copy": what the last segment took */
	const char *listener;
	const char *upstream;
	const char *from; /* "127.0.0.1:80" */
	const char *to;
	uint64_t cookie;
	uint64_t netns_cookie;
	uint32_t owner; /* process id */
	uint64_t before_bytes;
	uint64_t redirected_bytes;
	uint64_t redirected_segments;
	uint64_t passed_bytes;
	uint64_t passed_segments;
	uint64_t trimmed_bytes;
	uint64_t spills;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t last_ns;
};

/* Calls FN for every direction in the maps pinned under PIN. 0; -ENOENT when there are none;
 * -EPROTO when they are of another ABI version; -errno. */
int weir_pinned_each_flow(const char *pin,
			  void (*fn)(void *ctx, const struct weir_pinned_flow *flow), void *ctx);
int weir_pinned_each_stat(const char *pin, void (*fn)(void *ctx, const char *name, uint64_t value),
			  void *ctx);

struct weir_pinned_map {
	const char *name;
	const char *type;
	uint32_t id;
	uint32_t max_entries;
	uint32_t value_bytes;
	uint32_t entries; /* counted for hashes; else 0 */
	uint64_t memory_bytes;
};

int weir_pinned_each_map(const char *pin, void (*fn)(void *ctx, const struct weir_pinned_map *map),
			 void *ctx);

#endif
