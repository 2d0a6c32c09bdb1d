/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_KEEPER_CHILD_H
#define WEIR_DAEMON_KEEPER_CHILD_H

/*
 * One daemon process, as its keeper sees it.
 *
 *	NONE --start--> STARTING --READY--> SERVING --a successor is ready--> DRAINING
 *	  ^                |                   |                                 |
 *	  +----------------+------ends---------+---------------------------------+
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/keeper/ledger.h"
#include "daemon/keeper/wire.h"

enum child_state {
	CHILD_NONE,
	CHILD_STARTING,
	CHILD_SERVING,
	CHILD_DRAINING,
};

struct child {
	enum child_state state;
	enum wire_role role;
	pid_t pid;
	unsigned number; /* never used twice; never 0 */
	int socket;
	unsigned page;		     /* of the ledgers */
	struct ledger *ledger;	     /* borrowed */
	struct weir_list *cursor;    /* in what is shared: the next to give; NULL: none is left */
	bool gives_flows;	     /* free flows are on their way to it */
	bool is_silent;		     /* its side of the socket is closed */
	uint64_t since_ns;	     /* of the state */
	unsigned asker;		     /* who waits for it to be ready; 0: nobody */
	char failure[WIRE_TEXT + 1]; /* why it cannot serve, in its own words */
};

/* Starts PROGRAM with ARGV; page and ledger are set. LEDGERS: the descriptor of the shared
 * memory. 0 or -errno. */
int child_start(struct child *child, const char *program, char **argv, enum wire_role role,
		int ledgers);
/* It has been waited for: closes what it had. */
void child_fini(struct child *child);

#endif
