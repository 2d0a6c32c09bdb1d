/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_ADMIN_REPORT_H
#define WEIR_DAEMON_ADMIN_REPORT_H

/*
 * What the daemon knows of itself, as JSON. In tasks of the control loop; they park while the
 * workers answer. NULL when memory is out.
 */

#include <jansson.h>
#include <stdbool.h>

struct weir_daemon;

json_t *report_status(struct weir_daemon *daemon);
json_t *report_listeners(struct weir_daemon *daemon);
json_t *report_upstreams(struct weir_daemon *daemon);
/* LISTENER: only its flows; NULL: all. */
json_t *report_flows(struct weir_daemon *daemon, const char *listener);
/* The control loop's tasks have the number of workers as their worker. STACKS: measure them. */
json_t *report_tasks(struct weir_daemon *daemon, bool stacks);
json_t *report_kernel(struct weir_daemon *daemon);

#endif
