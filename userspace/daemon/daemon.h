/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_H
#define WEIR_DAEMON_H

/*
 * The daemon: configuration, workers, reload, drain, admin API. One a process; it takes over
 * the process's signals and its log.
 */

#include <weir/path.h>

#include "daemon/config.h"

struct weir_daemon;
struct weir_scope;

struct weir_daemon_conf {
	const char *path; /* configuration file */
	const char *text; /* configuration itself; used when PATH is NULL */
	/* Called in a task of the control loop when all listeners are open; may be NULL. Tasks of
	 * SCOPE are cancelled when the daemon stops. */
	void (*on_ready)(struct weir_daemon *daemon, struct weir_scope *scope, void *ctx);
	void *ctx;
	bool quiet; /* leave the log as it is (a demo that draws on the terminal) */
};

/* Runs until a signal ends it. 0 after an orderly stop; WEIR_ECONFIG or -errno with at least
 * one mistake when it could not start. */
int weir_daemon_run(const struct weir_daemon_conf *conf, struct weir_config_mistakes *mistakes)
	WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * In tasks of the control loop
 */

/* Reads the configuration again and moves to it. 0; WEIR_ECONFIG or -errno with MISTAKES, and
 * nothing has changed; WEIR_ESHUTDOWN while draining. Parks. */
int weir_daemon_reload(struct weir_daemon *daemon, struct weir_config_mistakes *mistakes)
	WEIR_MUST_CHECK;

/* Starts to stop: no new connections; those that are open may go on for DEADLINE_MS (0: as the
 * configuration says). Again with an earlier deadline shortens it. */
void weir_daemon_drain(struct weir_daemon *daemon, uint64_t deadline_ms);

/* Whether the kernel can carry flows; if not, *WHY, which lives as long as the daemon. *PIN is
 * where its maps are pinned; NULL: nowhere. */
bool weir_daemon_has_kernel(const struct weir_daemon *daemon, const char **why, const char **pin);

/* One flow, copied from its worker. */
struct weir_flow_info {
	uint64_t id;
	char listener[72];
	char upstream[72];
	char client[WEIR_ADDRESS_TEXT];
	char endpoint[WEIR_ADDRESS_TEXT];
	enum weir_path path;
	const char *why; /* static memory */
	uint64_t bytes_up;
	uint64_t bytes_down;
	uint64_t age_ms;
	uint64_t idle_ms;
	unsigned switches;
	uint64_t spills;
	unsigned worker;
};

/* All flows of all workers, ordered by id. Heap memory in *FLOWS for the caller to free. 0 or
 * -ENOMEM. Parks. */
int weir_daemon_flows(struct weir_daemon *daemon, struct weir_flow_info **flows, size_t *n)
	WEIR_MUST_CHECK;

#endif
