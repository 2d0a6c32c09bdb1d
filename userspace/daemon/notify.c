/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told (sd_notify(3)): by the keeper, which is the process that the
 * manager started, or by ourselves. Without a manager nothing happens.
 */

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <weir/log.h>

#include "daemon/generation.h"
#include "daemon/process.h"

static WEIR_PRINTF(2, 3) void notify(struct weir_daemon *daemon, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (keeper_link_is_open(&daemon->keeper))
		keeper_link_say_text(&daemon->keeper, WIRE_NOTIFY, text);
	else
		sd_notify(0, text);
}

void notify_ready(struct weir_daemon *daemon)
{
	notify(daemon, "READY=1\nSTATUS=%u listeners, %u workers, generation %u",
	       daemon->current->config->listeners_count, daemon->n_workers, daemon->current->id);
}

void notify_reloading(struct weir_daemon *daemon)
{
	/* Type=notify-reload wants the time of CLOCK_MONOTONIC. */
	notify(daemon, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(weir_now() / 1000));
}

void notify_stopping(struct weir_daemon *daemon)
{
	notify(daemon, "STOPPING=1\nSTATUS=draining");
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
			notify(daemon, "WATCHDOG=1");
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
