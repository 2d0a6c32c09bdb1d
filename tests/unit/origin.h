/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_ORIGIN_H
#define WEIR_TESTS_ORIGIN_H

/*
 * A connector to an origin that follows a script: one for each connection, the last one again for
 * those that come later. It dies where the script says so.
 */

#include <weir/buffer.h>
#include <weir/connector.h>
#include <weir/scope.h>

#include "stage.h"

#define ORIGIN_SCRIPTS 8
#define ORIGIN_PORT    80

enum origin_op {
	ORIGIN_CLOSE,	  /* the end of every script */
	ORIGIN_REFUSE,	  /* the first one alone: connecting fails with -n, or -ECONNREFUSED */
	ORIGIN_READ_HEAD, /* up to an empty line */
	ORIGIN_READ,	  /* n bytes; 0: to the end of the stream */
	ORIGIN_WRITE,	  /* text */
	ORIGIN_FILL,	  /* n bytes */
	ORIGIN_PAUSE,	  /* everybody else goes first */
	ORIGIN_SLEEP,	  /* n ms */
	ORIGIN_STALL,	  /* until the client has gone */
	ORIGIN_SHUT,	  /* writes no more */
	ORIGIN_RESET,
	ORIGIN_AGAIN, /* the script from its step n */
};

struct origin_step {
	enum origin_op op;
	const char *text;
	size_t n;
};

struct origin {
	enum stage_kind kind;
	const struct origin_step *scripts[ORIGIN_SCRIPTS];
	unsigned n_scripts;
	struct weir_scope scope;
	unsigned connects;	 /* so far, failed ones included */
	unsigned ended;		 /* scripts that have come to their end */
	struct weir_buffer seen; /* everything that was read */
	struct weir_address to;	 /* of the last connect */
};

/* In a task. */
void origin_init(struct origin *origin, enum stage_kind kind);
void origin_script(struct origin *origin, const struct origin_step *script);
/* Ends all scripts, and forgets them. */
void origin_fini(struct origin *origin);
/* Lets everything go on that can go on by itself, however slow the machine is. */
void origin_settle(void);
/* What was read, with a terminator. */
const char *origin_seen(struct origin *origin);
/* A connector that a client may own, to N origins: which one, the port says, which counts from
 * ORIGIN_PORT; any other port is the first one's. */
struct weir_connector *origin_connector(struct origin *origins, size_t n);

#endif
