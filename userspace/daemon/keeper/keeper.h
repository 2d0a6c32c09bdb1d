/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_KEEPER_H
#define WEIR_DAEMON_KEEPER_H

/*
 * The keeper: a small process that starts the daemon, holds its listening sockets and the
 * sockets of its flows in the kernel, and starts another one when it dies. See README.md.
 */

#include <weir/base.h>

struct weir_keeper_conf {
	char **argv;	     /* of the daemon, whose program is the running one; NULL at the end */
	unsigned restarts;   /* in a row, without ten seconds of service between; 0: any number */
	unsigned backoff_ms; /* longest time between a death and the next start */
};

/* Runs until the daemon has ended for good. The exit status. */
int weir_keeper_run(const struct weir_keeper_conf *conf) WEIR_MUST_CHECK;

#endif
