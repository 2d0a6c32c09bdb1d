/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_KEEPER_INTERNAL_H
#define WEIR_DAEMON_KEEPER_INTERNAL_H

/*
 * What keeper.c, the loop, and giving.c, who gets what, know of each other.
 */

#include "daemon/keeper/child.h"
#include "daemon/keeper/held.h"
#include "daemon/keeper/keeper.h"

#define CHILDREN 8

struct keeper {
	const struct weir_keeper_conf *conf;
	char program[4096];
	struct holding holding;
	struct child children[CHILDREN];
	unsigned last_number;
	int signals;
	int ledgers;	     /* memory: page 0, and one for each child */
	bool stopping;	     /* start nothing any more */
	unsigned deaths;     /* in a row */
	uint64_t restart_ns; /* when the next one starts; NEVER */
	uint64_t lost;	     /* connections of the dead that nobody has been told of */
	char died[128];	     /* how the last one died; "" when that is said */
	int exit_status;
};

/* ---- keeper.c ----------------------------------------------------------------------------- */

/* A line on standard error. */
void keeper_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The first one in STATE; NULL. */
struct child *keeper_child_in(struct keeper *keeper, enum child_state state);

/* ---- giving.c ----------------------------------------------------------------------------- */

/* Whether something is on its way to it. */
bool child_is_given(const struct child *child);
/* Sends CHILD what it is to have, as far as it reads. */
void keeper_give(struct keeper *keeper, struct child *child);
/* Whoever serves gets what is free. */
void keeper_give_free(struct keeper *keeper);
/* CHILD says: hold these. Takes FDS over. */
void keeper_hold(struct keeper *keeper, struct child *child, const struct wire_message *message,
		 const int *fds);
/* Somebody says: close these (WIRE_DROP), or, another one may have them (WIRE_RELEASE). */
void keeper_let_go(struct keeper *keeper, const struct wire_message *message);

#endif
