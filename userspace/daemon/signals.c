/* SPDX-License-Identifier: MIT */
/*
 * Signals, as events of the control loop: SIGTERM and SIGINT drain, and end at once the second
 * time; SIGHUP reloads; SIGUSR1 reopens logs.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <weir/log.h>

#include "daemon/process.h"

static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };

struct signals {
	struct weir_daemon *daemon;
	struct weir_scope *scope; /* for reloads */
	uv_signal_t handles[WEIR_ARRAY_SIZE(numbers)];
	unsigned open;
};

static int reload_main(void *arg)
{
	struct weir_config_mistakes mistakes = { 0 };

	/* Mistakes are in the log already. */
	(void)!weir_daemon_reload(arg, &mistakes);
	weir_config_mistakes_fini(&mistakes);
	return 0;
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct signals *signals = handle->data;
	struct weir_daemon *daemon = signals->daemon;

	switch (number) {
	case SIGHUP:
		if (weir_scope_spawn(signals->scope, "reload", reload_main, daemon, NULL) < 0)
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

int signals_start(struct weir_daemon *daemon, struct weir_scope *scope)
{
	struct signals *signals = calloc(1, sizeof(*signals));
	int status = 0;
	size_t i;

	if (signals == NULL)
		return -ENOMEM;
	signals->daemon = daemon;
	signals->scope = scope;
	daemon->signals = signals;
	for (i = 0; i < WEIR_ARRAY_SIZE(numbers) && status == 0; i++) {
		status = uv_signal_init(weir_loop_uv(daemon->loop), &signals->handles[i]);
		if (status < 0)
			break;
		signals->handles[i].data = signals;
		signals->open++;
		status = uv_signal_start(&signals->handles[i], on_signal, numbers[i]);
	}
	return status;
}

static void on_close(uv_handle_t *handle)
{
	struct signals *signals = handle->data;

	if (--signals->open == 0)
		free(signals);
}

void signals_stop(struct weir_daemon *daemon)
{
	struct signals *signals = daemon->signals;
	unsigned i, n;

	daemon->signals = NULL;
	if (signals == NULL)
		return;
	n = signals->open;
	for (i = 0; i < n; i++)
		uv_close((uv_handle_t *)&signals->handles[i], on_close);
	if (n == 0)
		free(signals);
}
