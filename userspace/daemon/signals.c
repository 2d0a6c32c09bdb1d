/* SPDX-License-Identifier: MIT */
/*
 * Signals, as events of the control loop: SIGTERM and SIGINT drain, and end at once the second
 * time; SIGHUP reloads; SIGUSR1 reopens logs.
 *
 * They are blocked from the first moment to the end of the process, so that one that comes while
 * it starts is answered when it has started, and one that comes while it ends does not turn an
 * orderly end into a death by signal.
 */

#include <weir/log.h>

#include "daemon/process.h"

static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, 0 };

static int reload_main(void *arg)
{
	struct weir_config_mistakes mistakes = { 0 };

	/* Mistakes are in the log already. */
	(void)!weir_daemon_reload(arg, &mistakes);
	weir_config_mistakes_fini(&mistakes);
	return 0;
}

static void on_signal(void *ctx, int number)
{
	struct weir_daemon *daemon = ctx;

	switch (number) {
	case SIGHUP:
		if (weir_scope_spawn(daemon->helpers, "reload", reload_main, daemon, NULL) < 0)
			weir_log(WEIR_LOG_ERROR, "reload", "cannot start");
		break;
	case SIGUSR1:
		log_reopen();
		break;
	default:
		/* Nobody waits for a second signal: one millisecond is "at once". */
		weir_daemon_drain(daemon, daemon->drain_deadline == WEIR_NEVER ? 0 : 1);
		break;
	}
}

void signals_block(void)
{
	signal(SIGPIPE, SIG_IGN);
	weir_signals_block(numbers);
}

int signals_start(struct weir_daemon *daemon)
{
	return weir_signals_open(&daemon->signals, numbers, on_signal, daemon);
}

void signals_stop(struct weir_daemon *daemon)
{
	weir_signals_close(&daemon->signals);
}
