/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_ADOPT_H
#define WEIR_DAEMON_ADOPT_H

/*
 * Flows of a daemon before this one: from the keeper's descriptors and the kernel's records to
 * connections that go through the stack of their listener like any other.
 *
 *	keeper ---> adopt_flow() ---> a worker: weir_listener_resume() ---> done
 *	                 |                                                    |
 *	                 `---- cannot: both sockets are reset ----------------+---> counted, said
 *
 * On the control loop.
 */

#include "daemon/process.h"

/* FDS: the client's socket and the upstream's, taken over. KEY: the keeper's. */
void adopt_flow(struct weir_daemon *daemon, uint64_t key, const int fds[2]);
/* Those were all for now; LOST connections went with the daemon before. Says in the log what has
 * become of all, when it is known. */
void adopt_all(struct weir_daemon *daemon, uint64_t lost);

#endif
