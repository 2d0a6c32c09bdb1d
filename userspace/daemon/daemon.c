/* SPDX-License-Identifier: MIT */
/*
 * The daemon's life, as one task of the control loop:
 *
 *	STARTING --listeners open--> RUNNING --SIGTERM, drain--> DRAINING --> end
 *	    `--a mistake--> end
 */

#include "daemon/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/log.h>
#include <weir/offload.h>

#include "daemon/admin.h"
#include "daemon/config_check.h"
#include "daemon/established.h"
#include "daemon/generation.h"
#include "daemon/process.h"
#include "daemon/upgrade.h"

#define DEADLINE_MS 30000

/* Adds ERROR to the mistakes, or says it in the log when nobody wants it. */
static void report(struct weir_config_mistakes *mistakes, const struct weir_error *error)
{
	config_mistake_add(mistakes, error);
}

static struct weir_config *config_read(const struct weir_daemon_conf *conf,
				       struct weir_config_mistakes *mistakes)
{
	if (conf->path != NULL)
		return weir_config_load(conf->path, mistakes);
	return weir_config_parse(conf->text, strlen(conf->text), "embedded", mistakes);
}

/* ---- reload ------------------------------------------------------------------------------- */

static void warn_fixed(const struct weir_daemon *daemon, const struct weir_config *config)
{
	unsigned workers = config->workers != 0 ? config->workers : workers_auto();

	if (workers != daemon->n_workers)
		weir_log(WEIR_LOG_WARN, "reload", "the number of workers changes with a restart",
			 WEIR_LOG_UINT("workers", daemon->n_workers),
			 WEIR_LOG_UINT("configured", workers));
}

/* Makes a generation of CONFIG (taken over) the current one. */
static int move_to(struct weir_daemon *daemon, struct weir_config *config, struct weir_error *error)
{
	struct generation *old = daemon->current;
	struct established gone = { 0 };
	struct generation *generation;
	int status;

	generation = generation_new(daemon, config, error);
	if (generation == NULL)
		return error->status;
	status = generation_build(generation, error);
	if (status == 0)
		status = generation_listen(generation, error);
	if (status == 0 && !daemon->conf->quiet)
		status = log_setup(&config->log, error);
	if (status == 0)
		status = admin_apply(daemon, &config->admin, error);
	if (status == 0 && established_note(&gone, old, generation) < 0)
		status = weir_error_set(error, -ENOMEM, "out of memory");
	if (status < 0) {
		established_fini(&gone);
		generation_retire(generation);
		socket_set_drop(&daemon->sockets, generation->id);
		return status;
	}
	daemon->current = generation;
	if (old != NULL)
		generation_retire(old);
	established_end(daemon, &gone);
	established_fini(&gone);
	socket_set_keep(&daemon->sockets, generation->id);
	limits_raise(config);
	return 0;
}

static int reload(struct weir_daemon *daemon, struct weir_config_mistakes *mistakes)
{
	struct weir_config *config;
	struct weir_error error;
	int status;

	weir_error_init(&error);
	if (daemon->state != DAEMON_RUNNING) {
		weir_error_set(&error, WEIR_ESHUTDOWN, "the daemon is stopping");
		report(mistakes, &error);
		return WEIR_ESHUTDOWN;
	}
	config = config_read(daemon->conf, mistakes);
	if (config == NULL)
		return WEIR_ECONFIG;
	warn_fixed(daemon, config);
	status = move_to(daemon, config, &error);
	if (status < 0)
		report(mistakes, &error);
	return status;
}

static void log_mistakes(const struct weir_config_mistakes *mistakes)
{
	char text[1024];
	size_t i;

	for (i = 0; i < mistakes->n; i++)
		weir_log(WEIR_LOG_ERROR, "reload",
			 weir_error_format(&mistakes->list[i], text, sizeof(text)));
}

int weir_daemon_reload(struct weir_daemon *daemon, struct weir_config_mistakes *mistakes)
{
	struct weir_error error;
	int status;

	status = weir_semaphore_get(&daemon->reloading, WEIR_NEVER);
	if (status < 0) {
		weir_error_init(&error);
		weir_error_set(&error, status, "the daemon is stopping");
		report(mistakes, &error);
		return status;
	}
	notify_reloading(daemon);
	status = reload(daemon, mistakes);
	if (status == 0) {
		weir_log(WEIR_LOG_INFO, "reload", "done",
			 WEIR_LOG_UINT("generation", daemon->current->id));
	} else {
		log_mistakes(mistakes);
		weir_log(WEIR_LOG_WARN, "reload", "the configuration stays as it was",
			 WEIR_LOG_UINT("generation", daemon->current->id));
	}
	if (daemon->state == DAEMON_RUNNING)
		notify_ready(daemon);
	weir_semaphore_put(&daemon->reloading);
	return status;
}

/* ---- drain -------------------------------------------------------------------------------- */

void weir_daemon_drain(struct weir_daemon *daemon, uint64_t deadline_ms)
{
	uint64_t deadline;

	if (deadline_ms == 0)
		deadline_ms = daemon->current != NULL
				      ? daemon->current->config->shutdown.deadline_ms
				      : DEADLINE_MS;
	deadline = weir_now() + deadline_ms * 1000000;
	daemon->drain_deadline = WEIR_MIN(daemon->drain_deadline, deadline);
	weir_event_set(&daemon->changed);
}

/* Until all generations are gone, or DEADLINE, which may be moved meanwhile. */
static void wait_for_end(struct weir_daemon *daemon, const uint64_t *deadline)
{
	while (!weir_list_is_empty(&daemon->generations) && weir_now() < *deadline) {
		weir_event_clear(&daemon->changed);
		(void)!weir_event_wait(&daemon->changed, "connections", *deadline);
	}
}

/* Nobody listens any more. */
static void stop_listening(struct weir_daemon *daemon)
{
	notify_stopping(daemon);
	keeper_link_say(&daemon->keeper, WIRE_STOPPING);
	generation_retire(daemon->current);
	/* No generation has the number 0: all but admin's are closed. */
	socket_set_keep(&daemon->sockets, 0);
}

/* Another daemon listens on the same sockets, and takes the flows that the kernel carries. */
static void hand_over(struct weir_daemon *daemon)
{
	weir_log(WEIR_LOG_INFO, "upgrade", "the successor serves");
	generation_retire(daemon->current);
	socket_set_leave(&daemon->sockets);
	workers_release(daemon);
}

static void drain(struct weir_daemon *daemon)
{
	const uint64_t never = WEIR_NEVER;

	(void)!weir_semaphore_get(&daemon->reloading, WEIR_NEVER);
	daemon->state = DAEMON_DRAINING;
	weir_log(WEIR_LOG_INFO, "daemon", "draining",
		 WEIR_LOG_UINT("deadline_ms", (daemon->drain_deadline - weir_now()) / 1000000));
	if (daemon->succeeded)
		hand_over(daemon);
	else
		stop_listening(daemon);
	wait_for_end(daemon, &daemon->drain_deadline);
	if (!weir_list_is_empty(&daemon->generations)) {
		weir_log(WEIR_LOG_WARN, "daemon", "the deadline is over: connections are ended");
		generations_cancel(daemon);
		wait_for_end(daemon, &never);
	}
	weir_semaphore_put(&daemon->reloading);
}

/* ---- life --------------------------------------------------------------------------------- */

struct start {
	struct weir_daemon *daemon;
	struct weir_config *config; /* taken over */
	struct weir_error error;
};

static int start_helpers(struct weir_daemon *daemon, struct weir_scope *helpers,
			 struct weir_error *error)
{
	int status;

	daemon->helpers = helpers;
	status = signals_start(daemon);
	if (status == 0)
		status = upgrade_start(daemon);
	if (status == 0)
		status = notify_watchdog_start(daemon, helpers);
	if (status < 0)
		return weir_error_set(error, status, "cannot start: %s", weir_strerror(status));
	return 0;
}

static void serve(struct weir_daemon *daemon, struct weir_scope *helpers)
{
	daemon->state = DAEMON_RUNNING;
	daemon->has_served = true;
	weir_log(WEIR_LOG_INFO, "daemon", "running", WEIR_LOG_STR("version", WEIR_VERSION),
		 WEIR_LOG_UINT("workers", daemon->n_workers),
		 WEIR_LOG_UINT("listeners", daemon->current->config->listeners_count));
	notify_ready(daemon);
	keeper_link_say(&daemon->keeper, WIRE_READY);
	if (daemon->conf->on_ready != NULL)
		daemon->conf->on_ready(daemon, helpers, daemon->conf->ctx);
	while (daemon->drain_deadline == WEIR_NEVER) {
		weir_event_clear(&daemon->changed);
		(void)!weir_event_wait(&daemon->changed, "signals", WEIR_NEVER);
	}
	drain(daemon);
}

/* What another daemon uses, or a next one will, stays. */
static void close_sockets(struct weir_daemon *daemon)
{
	if (daemon->succeeded)
		socket_set_leave(&daemon->sockets);
	else if (!daemon->has_served)
		socket_set_abandon(&daemon->sockets);
	else
		socket_set_close(&daemon->sockets);
}

static int control_main(void *arg)
{
	struct start *start = arg;
	struct weir_daemon *daemon = start->daemon;
	const uint64_t never = WEIR_NEVER;
	struct weir_scope helpers;
	int status;

	weir_scope_init(&helpers, NULL);
	status = move_to(daemon, start->config, &start->error);
	if (status == 0) {
		status = start_helpers(daemon, &helpers, &start->error);
		if (status == 0)
			serve(daemon, &helpers);
		else
			generation_retire(daemon->current);
	}
	daemon->exit_status = status;
	wait_for_end(daemon, &never);
	weir_scope_cancel(&helpers);
	signals_stop(daemon);
	weir_scope_join(&helpers);
	weir_scope_fini(&helpers);
	if (!daemon->has_served)
		admin_leave(daemon);
	admin_stop(daemon);
	upgrade_stop(daemon);
	close_sockets(daemon);
	workers_stop(daemon);
	return 0;
}

/* One listener or map that the keeper holds. */
static void on_shared(void *ctx, const struct wire_entry *entry, int fd)
{
	struct weir_daemon *daemon = ctx;

	if (entry->what == WIRE_LISTENER) {
		socket_set_adopt_held(&daemon->sockets, entry, fd);
	} else if (entry->what == WIRE_MAP && entry->tag < WEIR_KERNEL_MAPS &&
		   daemon->held_maps.fds[entry->tag] < 0) {
		daemon->held_maps.fds[entry->tag] = fd;
		daemon->held_maps.keys[entry->tag] = entry->key;
	} else {
		close(fd);
	}
}

static void say_died(const struct weir_daemon *daemon)
{
	if (daemon->keeper.died[0] != '\0')
		weir_log(WEIR_LOG_ERROR, "keeper", "this daemon takes the place of one that died",
			 WEIR_LOG_STR("how", daemon->keeper.died));
}

/* What was open before this process. */
static int take_shared(struct weir_daemon *daemon, struct weir_error *error)
{
	int status;

	memset(daemon->held_maps.fds, -1, sizeof(daemon->held_maps.fds));
	if (!keeper_link_is_open(&daemon->keeper)) {
		socket_set_adopt(&daemon->sockets);
		return 0;
	}
	weir_listener_set_counter(&daemon->keeper.common->last_id);
	status = keeper_link_shared(&daemon->keeper, on_shared, daemon);
	if (status < 0)
		return weir_error_set(error, status, "the keeper does not answer: %s",
				      weir_strerror(status));
	say_died(daemon);
	return 0;
}

static int daemon_init(struct weir_daemon *daemon, const struct weir_config *config,
		       struct weir_error *error)
{
	struct weir_loop_conf conf = { 0 };
	int status;

	daemon->n_workers = config->workers != 0 ? config->workers : workers_auto();
	daemon->started_ns = weir_now();
	daemon->drain_deadline = WEIR_NEVER;
	weir_list_init(&daemon->generations);
	weir_event_init(&daemon->changed);
	weir_semaphore_init(&daemon->reloading, 1, UINT32_MAX);
	socket_set_init(&daemon->sockets, daemon->n_workers, &daemon->keeper);
	daemon->workers = calloc(daemon->n_workers, sizeof(*daemon->workers));
	daemon->metrics = weir_metrics_new(daemon->n_workers + 1);
	if (daemon->workers == NULL || daemon->metrics == NULL)
		return weir_error_set(error, -ENOMEM, "out of memory");
	conf.index = daemon->n_workers;
	daemon->loop = weir_loop_new(&conf, error);
	if (daemon->loop == NULL)
		return error->status;
	weir_scope_init_root(&daemon->scope, daemon->loop);
	status = take_shared(daemon, error);
	if (status < 0)
		return status;
	status = kernel_open(daemon, config, error);
	if (status < 0)
		return status;
	return workers_start(daemon, config, error);
}

static void daemon_fini(struct weir_daemon *daemon)
{
	/* Of a daemon that did not come as far as control; else there are none. */
	if (daemon->sockets.sockets.next != NULL)
		socket_set_abandon(&daemon->sockets);
	workers_stop(daemon);
	workers_join(daemon);
	weir_kernel_close(daemon->kernel, daemon->succeeded);
	weir_loop_free(daemon->loop);
	weir_metrics_free(daemon->metrics);
	free(daemon->workers);
}

/* CONFIG is taken over. */
static int daemon_run(struct weir_daemon *daemon, struct weir_config *config,
		      struct weir_error *error)
{
	struct start start = { .daemon = daemon, .config = config };
	int status;

	limits_raise(config);
	status = daemon_init(daemon, config, error);
	if (status < 0) {
		weir_config_free(config);
		return status;
	}
	weir_error_init(&start.error);
	status = weir_scope_spawn(&daemon->scope, "control", control_main, &start, NULL);
	if (status < 0) {
		weir_config_free(config);
		return weir_error_set(error, status, "cannot start: %s", weir_strerror(status));
	}
	status = weir_loop_run(daemon->loop);
	if (status < 0)
		return weir_error_set(error, status, "the control loop has failed: %s",
				      weir_strerror(status));
	*error = start.error;
	return daemon->exit_status;
}

static int daemon_configure_and_run(struct weir_daemon *daemon,
				    struct weir_config_mistakes *mistakes)
{
	struct weir_config *config;
	struct weir_error error;
	int status;

	weir_error_init(&error);
	status = keeper_link_open(&daemon->keeper, &error);
	if (status < 0) {
		report(mistakes, &error);
		return status;
	}
	config = config_read(daemon->conf, mistakes);
	if (config == NULL)
		return WEIR_ECONFIG;
	status = daemon->conf->quiet ? 0 : log_setup(&config->log, &error);
	if (status == 0)
		status = daemon_run(daemon, config, &error);
	else
		weir_config_free(config);
	if (status < 0)
		report(mistakes, &error);
	return status;
}

/* Whoever asked for an upgrade is told why it failed. */
static __attribute__((noinline)) void tell_failure(struct weir_daemon *daemon,
						   const struct weir_config_mistakes *mistakes)
{
	char text[WIRE_TEXT + 1];

	if (mistakes->n > 0)
		keeper_link_say_text(&daemon->keeper, WIRE_FAILED,
				     weir_error_format(&mistakes->list[0], text, sizeof(text)));
}

int weir_daemon_run(const struct weir_daemon_conf *conf, struct weir_config_mistakes *mistakes)
{
	struct weir_daemon daemon = { .conf = conf };
	int status;

	signals_block();
	status = daemon_configure_and_run(&daemon, mistakes);
	if (status < 0)
		tell_failure(&daemon, mistakes);
	else
		weir_log(WEIR_LOG_INFO, "daemon", "stopped");
	daemon_fini(&daemon);
	weir_listener_set_counter(NULL);
	keeper_link_close(&daemon.keeper);
	if (!conf->quiet)
		log_end();
	return status;
}
