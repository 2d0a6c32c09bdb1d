/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_FLOWS_H
#define WEIR_DAEMON_FLOWS_H

/*
 * What an operator may do to one flow. In tasks of the control loop; parks.
 */

#include "daemon/process.h"

/* 0; -ENOENT when there is no such flow; -ENOMEM. */
int flow_order_close(struct weir_daemon *daemon, uint64_t id) WEIR_MUST_CHECK;
/* The same, and -EOPNOTSUPP when the flow cannot take this path. WEIR_PATH_COUNT: by behaviour. */
int flow_order_path(struct weir_daemon *daemon, uint64_t id, enum weir_path path) WEIR_MUST_CHECK;

#endif
