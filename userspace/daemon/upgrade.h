/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_UPGRADE_H
#define WEIR_DAEMON_UPGRADE_H

/*
 * What the keeper says while the daemon runs: flows to adopt, and how an upgrade goes.
 *
 *	RUNNING --upgrade--> asked --the successor serves--> DRAINING, flows are released
 *	   ^                   |
 *	   `--- it failed -----'
 *
 * On the control loop.
 */

#include "daemon/process.h"

/* Listens to the keeper; without one nothing happens. 0 or -errno. */
int upgrade_start(struct weir_daemon *daemon) WEIR_MUST_CHECK;
void upgrade_stop(struct weir_daemon *daemon);

/* Asks for a successor from the program on disk and waits until it serves or has failed. 0; -ENOTSUP
 * without a keeper, -EALREADY while another one waits, WEIR_ESHUTDOWN, or WEIR_ECONFIG with ERROR,
 * and this daemon goes on. Parks. */
int weir_daemon_upgrade(struct weir_daemon *daemon, struct weir_error *error) WEIR_MUST_CHECK;

#endif
