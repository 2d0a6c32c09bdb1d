/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_ADMIN_H
#define WEIR_DAEMON_ADMIN_H

/*
 * The admin API: HTTP and JSON on a Unix socket, metrics on a TCP address too.
 */

#include "daemon/config.h"

struct weir_daemon;

/* Opens, keeps or closes the admin listeners as CONF says. 0 or -errno with ERROR, and then
 * they are as before. In a task of the control loop. */
int admin_apply(struct weir_daemon *daemon, const struct weir_config_admin *conf,
		struct weir_error *error) WEIR_MUST_CHECK;
/* Accepts no more, but leaves the sockets to another daemon; what goes on goes on. */
void admin_leave(struct weir_daemon *daemon);
/* Ends what goes on and closes the listeners. In a task of the control loop. */
void admin_stop(struct weir_daemon *daemon);

#endif
