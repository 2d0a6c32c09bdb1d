/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_KEEPER_HELD_H
#define WEIR_DAEMON_KEEPER_HELD_H

/*
 * What the keeper holds: descriptors by kind and key, and which daemon has each flow.
 *
 * Listeners and maps are shared by all daemons. A flow belongs to one, or is free: then the next
 * daemon that is ready gets it.
 */

#include <stdbool.h>
#include <sys/types.h>

#include <weir/list.h>

#include "daemon/keeper/wire.h"

#define HELD_BUCKETS 4096

struct held {
	struct weir_list link;	 /* in shared, free or taken */
	struct weir_list bucket; /* in buckets */
	struct wire_entry entry;
	int fds[WIRE_FDS]; /* owned; as many as wire_fds_of() */
	unsigned owner;	   /* a daemon's number; 0: free */
};

struct holding {
	struct weir_list buckets[HELD_BUCKETS];
	struct weir_list shared; /* oldest first */
	struct weir_list free;	 /* flows without a daemon */
	struct weir_list taken;	 /* flows with one */
};

void holding_init(struct holding *holding);
void holding_fini(struct holding *holding);

struct held *holding_find(struct holding *holding, const struct wire_entry *entry);
/* Takes FDS over in every case. What has the same kind and key is replaced. NULL: no memory. */
struct held *holding_add(struct holding *holding, const struct wire_entry *entry, const int *fds,
			 unsigned owner);
/* Closes it. */
void holding_del(struct held *held);
/* A flow gets another owner; 0: none. */
void holding_give(struct holding *holding, struct held *held, unsigned owner);
/* All flows of OWNER are free. How many. */
size_t holding_orphan(struct holding *holding, unsigned owner);

#endif
