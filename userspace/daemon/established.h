/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_ESTABLISHED_H
#define WEIR_DAEMON_ESTABLISHED_H

/*
 * What becomes of connections that are established when their endpoint is taken away: as the
 * upstream's `established` says, on every path. In tasks of the control loop.
 *
 *	established_note(&gone, old, new);	after NEW was built, while OLD serves
 *	...OLD is retired, its last new connection is there...
 *	established_end(daemon, &gone);
 *	established_fini(&gone);
 */

#include "daemon/generation.h"

/* Endpoints that have gone, by upstream, of those upstreams that say `close`. */
struct established {
	struct established_endpoint {
		char *upstream; /* owned, as the next */
		char *endpoint; /* as configured */
	} * list;
	size_t n;
};

/* What OLD (NULL: nothing) has and NEW has not. OLD makes no new connections to them from now
 * on. 0 or -ENOMEM; fini all the same. */
int established_note(struct established *gone, struct generation *old, const struct generation *new)
	WEIR_MUST_CHECK;
/* Ends the flows to these endpoints, of all generations. Parks. */
void established_end(struct weir_daemon *daemon, const struct established *gone);
void established_fini(struct established *gone);

/* The same for one endpoint, which an operator drains, when CONF says so. Parks. */
void established_drained(struct weir_daemon *daemon, const struct weir_config_upstream *conf,
			 const char *endpoint);

#endif
