/* SPDX-License-Identifier: MIT */
/*
 * Open files: raised as far as allowed, and a warning when that is too few.
 */

#include <errno.h>
#include <sys/resource.h>

#include <weir/log.h>

#include "daemon/process.h"

/* Logs, epolls, timers, admin. */
#define RESERVE	   64
#define PER_WORKER 8

/* A proxied connection has two sockets, and with splice two pipes while bytes are in them;
 * pipes are shared, so half of the connections are taken to have one. */
#define PER_CONNECTION 3

/* What all limits together allow at one time; 0: somewhere there is no limit. */
static uint64_t connections_of(const struct weir_config *config)
{
	const struct weir_config_listener *listener;
	uint64_t sum = 0, limit;
	uint32_t i, j;

	for (i = 0; i < config->listeners_count; i++) {
		listener = &config->listeners[i];
		limit = 0;
		for (j = 0; j < listener->layers_count; j++) {
			if (listener->layers[j].type == WEIR_CONFIG_LIMIT)
				limit = listener->layers[j].limit.connections;
		}
		if (limit == 0)
			return 0;
		sum += limit;
	}
	return sum;
}

void limits_raise(const struct weir_config *config)
{
	unsigned workers = config->workers != 0 ? config->workers : workers_auto();
	uint64_t needed = connections_of(config) * PER_CONNECTION +
			  (uint64_t)config->listeners_count * (workers + 1) * 2 +
			  workers * PER_WORKER + RESERVE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			weir_log(WEIR_LOG_WARN, "limits", "cannot raise the number of open files",
				 WEIR_LOG_STATUS(-errno));
		if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
			return;
	}
	if (needed > limit.rlim_cur)
		weir_log(WEIR_LOG_WARN, "limits",
			 "the configuration allows more connections than files may be open",
			 WEIR_LOG_UINT("open_files", limit.rlim_cur),
			 WEIR_LOG_UINT("needed", needed));
}
