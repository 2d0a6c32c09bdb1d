/* SPDX-License-Identifier: MIT */
#ifndef WEIR_OFFLOAD_KERNEL_H
#define WEIR_OFFLOAD_KERNEL_H

/*
 * The process's share of the kernel data plane. Read-only after weir_kernel_open(), but for
 * slots and rings, which are taken and given back atomically: other threads and other processes
 * use the same maps.
 */

#include <stdatomic.h>
#include <weir/offload.h>

#include "bpf/abi.h"

struct verdict_bpf;
struct hold_bpf;
struct lane;

#define KERNEL_RESULTS 40

struct weir_kernel {
	struct verdict_bpf *verdict;
	struct hold_bpf *hold;
	int socks; /* descriptors of maps: borrowed from the skeleton */
	int flows;
	int stats;
	int events;
	int hold_prog;		 /* -1: flows cannot be handed back */
	struct weir_slot *slots; /* mapped */
	struct weir_meta *meta;	 /* mapped */
	struct weir_ring *rings; /* mapped */
	size_t slots_bytes;
	uint32_t n_slots;
	uint32_t pid;
	uint64_t inflight_bytes;
	struct lane **lanes;	 /* by slot; an entry belongs to the worker that took the slot */
	_Atomic uint32_t cursor; /* where the next free slot is looked for */
	_Atomic uint32_t taken;	 /* slots in use by this process */
	bool usable;
	bool fresh;	    /* the maps were made by this process */
	uint32_t other_abi; /* of maps that could not be taken over; 0: there were none */
	bool no_ipv6;	    /* IPv6 sockets stay with userspace */
	char pin[256];	    /* "" when not pinned */
	char why[192];	    /* why not usable */
	struct weir_probe_result results[KERNEL_RESULTS];
	size_t n_results;
};

/* load.c: opens, sizes, loads and attaches. 0 or -errno; results are added. */
int kernel_load(struct weir_kernel *kernel, const struct weir_kernel_conf *conf);
void kernel_unload(struct weir_kernel *kernel);

/* pin.c. Before load: takes over maps that fit, from whoever held them and has the descriptors
 * (0, -ENOENT, -ESTALE when they are of another ABI), or pinned ones; of the latter it throws away
 * those that do not fit, unless STRICT. After load: pins what is new. */
int pin_reuse_held(struct weir_kernel *kernel, const int *maps);
int pin_reuse(struct weir_kernel *kernel, const char *folder, bool strict);
int pin_save(struct weir_kernel *kernel);
void pin_remove(const struct weir_kernel *kernel);
extern const char *const pin_names[]; /* of all maps; NULL after the last */
/* The path of a map; PATH holds 320 bytes. */
char *pin_path(char *path, const char *folder, const char *map);

/* slots.c. An index, or -ENOSPC. */
int slot_take(struct weir_kernel *kernel);
void slot_put(struct weir_kernel *kernel, uint32_t index);
/* Takes the slot of a flow over from another process; leaves one to another process. */
void slot_adopt(struct weir_kernel *kernel, uint32_t index);
void slot_leave(struct weir_kernel *kernel);
/* Gives back what processes that are gone have left. */
void slots_sweep(struct weir_kernel *kernel);
/* Whether another process uses the maps, too. */
bool kernel_is_shared(const struct weir_kernel *kernel);
/* A ring for the events of one worker: its index, or -errno. */
int ring_take(struct weir_kernel *kernel, int *fd);
void ring_put(struct weir_kernel *kernel, int index);

/* probe.c */
__attribute__((format(printf, 5, 6))) void kernel_result(struct weir_kernel *kernel,
							 const char *name,
							 enum weir_probe_status status,
							 const char *disables, const char *format,
							 ...);
/* What this machine has, before anything is loaded. 0, or -EPERM and the like. */
int probe_machine(struct weir_kernel *kernel);

/* selftest.c: proves each behaviour that the data plane stands on. 0, or -ENOTSUP. */
int selftest_run(struct weir_kernel *kernel);

/* versions.c: adds what is known of this release, as information. */
void versions_report(struct weir_kernel *kernel);

#endif
