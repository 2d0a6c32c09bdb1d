/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_KEEPER_LINK_H
#define WEIR_DAEMON_KEEPER_LINK_H

/*
 * The daemon's end of its keeper (daemon/keeper/). Without one (--no-keeper, a demo, a library
 * user) everything here is harmless and does nothing.
 */

#include <stdbool.h>

#include "daemon/keeper/ledger.h"
#include "daemon/keeper/wire.h"

struct weir_error;

struct keeper_link {
	int socket; /* -1: no keeper */
	enum wire_role role;
	struct ledger_common *common; /* shared with the keeper, if there is one */
	struct ledger *ledger;
	size_t mapped;		  /* bytes from common on; 0: no keeper */
	char died[WIRE_TEXT + 1]; /* how the daemon before this one ended; "" */
};

/* Whether a keeper has started this process. */
bool keeper_link_is_set(void);
/* Takes what the keeper left in the environment. 0 or -errno with ERROR. */
int keeper_link_open(struct keeper_link *link, struct weir_error *error) WEIR_MUST_CHECK;
void keeper_link_close(struct keeper_link *link);

static inline bool keeper_link_is_open(const struct keeper_link *link)
{
	return link->socket >= 0;
}

/* Whether the keeper waits for this daemon to take over from one that serves. */
static inline bool keeper_link_is_successor(const struct keeper_link *link)
{
	return keeper_link_is_open(link) && link->role == WIRE_ROLE_SUCCESSOR;
}

/* Blocking, before anything runs: calls FN for each listener and map that the keeper holds; the
 * descriptor is FN's. 0 or -errno. */
int keeper_link_shared(struct keeper_link *link,
		       void (*fn)(void *ctx, const struct wire_entry *entry, int fd), void *ctx)
	WEIR_MUST_CHECK;

/* The following are for the control thread. They wait for a keeper that is busy, for a second
 * at most; a keeper that is gone is no error, but that nothing is held any more. */
void keeper_link_say(struct keeper_link *link, enum wire_kind kind);
void keeper_link_say_text(struct keeper_link *link, enum wire_kind kind, const char *text);
void keeper_link_hold_listener(struct keeper_link *link, int fd, uint32_t tag);
void keeper_link_drop_listener(struct keeper_link *link, int fd);
/* Of an entry what and key count. */
void keeper_link_drop(struct keeper_link *link, const struct wire_entry *entry);
/* KEY is the map's number, TAG its place among the maps. */
void keeper_link_hold_map(struct keeper_link *link, int fd, uint64_t key, uint32_t tag);

#endif
