/* SPDX-License-Identifier: MIT */
/*
 * One task opens the listener, waits for a signal, and waits again for the connections.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <weir/listener.h>
#include <weir/run.h>
#include <weir/signals.h>

#define DRAIN_MS 5000

struct run {
	const struct weir_run_conf *conf;
	struct weir_error *error;
	int fd;
	struct weir_scope connections;
	struct weir_task *task;
	struct weir_signals signals;
	unsigned asked; /* signals so far */
};

static const int numbers[] = { SIGINT, SIGTERM, 0 };

static void run_on_signal(void *ctx, int number)
{
	struct run *run = ctx;

	(void)number;
	if (run->asked++ == 0)
		weir_task_wake(run->task);
	else
		weir_scope_cancel(&run->connections);
}

static int run_main(void *arg)
{
	struct run *run = arg;
	struct weir_listener_conf conf = {
		.name = run->conf->name ? run->conf->name : "main",
		.fd = run->fd,
		.service = run->conf->service,
	};
	struct weir_listener *listener;
	int status;

	run->task = weir_task_current();
	weir_scope_init(&run->connections, NULL);
	listener = weir_listener_open(&run->connections, &conf, run->error);
	status = weir_signals_open(&run->signals, numbers, run_on_signal, run);
	if (status)
		weir_error_set(run->error, status, "cannot take signals: %s",
			       weir_strerror(status));
	while (listener && !run->asked && !status)
		status = weir_task_park("signal", WEIR_NEVER);
	weir_listener_close(listener);
	weir_service_drain(run->conf->service);
	weir_scope_set_timeout_ms(&run->connections,
				  run->conf->drain_ms ? run->conf->drain_ms : DRAIN_MS);
	weir_scope_join(&run->connections);
	weir_scope_fini(&run->connections);
	weir_signals_close(&run->signals);
	return listener && run->asked ? 0 : -EIO;
}

static int run_listen(const struct weir_run_conf *conf, struct weir_error *error)
{
	struct weir_address address;
	int status = weir_address_parse(&address, conf->listen);

	if (!status)
		return weir_listen(&address, 0, false, error);
	weir_error_set(error, status, "'%s' is no address", conf->listen);
	weir_error_remedy(error, "write it as 127.0.0.1:80, [::1]:80, :80 or unix:/path");
	return status;
}

int weir_run(struct weir_loop *loop, const struct weir_run_conf *conf, struct weir_error *error)
{
	struct run run = { .conf = conf, .error = error, .fd = run_listen(conf, error) };
	struct weir_scope root;
	int status;

	if (run.fd < 0)
		return run.fd;
	weir_scope_init_root(&root, loop);
	status = weir_scope_spawn(&root, "main", run_main, &run, NULL);
	if (!status)
		status = weir_loop_run(loop);
	if (status)
		weir_error_set(error, status, "cannot run: %s", weir_strerror(status));
	else
		status = root.first_error;
	weir_scope_fini(&root);
	close(run.fd);
	return status;
}
