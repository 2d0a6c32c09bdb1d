/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told (sd_notify(3)). Without one nothing happens.
 */

#include <systemd/sd-daemon.h>
#include <time.h>

#include <weir/log.h>

#include "daemon/generation.h"
#include "daemon/process.h"

void notify_ready(const struct weir_daemon *daemon)
{
	sd_notifyf(0, "READY=1\nSTATUS=%u listeners, %u workers, generation %u",
		   daemon->current->config->listeners_count, daemon->n_workers,
		   daemon->current->id);
}

void notify_reloading(void)
{
	/* Type=notify-reload wants the time of CLOCK_MONOTONIC. */
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(weir_now() / 1000));
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=draining");
}

static void worker_on_ping(struct worker *worker, void *slot)
{
	(void)worker;
	(void)slot;
}

static int watchdog_main(void *arg)
{
	struct weir_daemon *daemon = arg;
	uint64_t timeout_us;
	int status;

	if (sd_watchdog_enabled(0, &timeout_us) <= 0)
		return 0;
	do {
		if (daemon_call_workers(daemon, worker_on_ping, NULL, 0) == 0)
			sd_notify(0, "WATCHDOG=1");
		status = weir_task_sleep_ms(WEIR_MAX(timeout_us / 3000, 1));
	} while (status == 0);
	return 0;
}

int notify_watchdog_start(struct weir_daemon *daemon, struct weir_scope *scope)
{
	uint64_t timeout_us;

	if (sd_watchdog_enabled(0, &timeout_us) <= 0)
		return 0;
	return weir_scope_spawn(scope, "watchdog", watchdog_main, daemon, NULL);
}
