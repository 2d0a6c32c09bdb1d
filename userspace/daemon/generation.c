/* SPDX-License-Identifier: MIT */
/*
 * A generation's life. Control makes it, each worker builds and frees its own part; the last
 * part that is gone lets control free the rest.
 */

#include "daemon/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/breaker.h>
#include <weir/http_server.h>
#include <weir/layer.h>
#include <weir/log.h>
#include <weir/resolver.h>
#include <weir/upstream.h>

#include "daemon/metrics.h"

/* ---- what all workers share --------------------------------------------------------------- */

static struct weir_upstream *upstream_new(const struct weir_config_upstream *conf,
					  struct weir_error *error)
{
	struct weir_upstream_conf to = {
		.name = conf->name,
		.n_endpoints = conf->endpoints_count,
		.balance = conf->balance,
		.health = {
			.tcp = conf->health.tcp,
			.http = {
				.path = conf->health.http.path,
				.method = conf->health.http.method,
				.host = conf->health.http.host,
				.status_from = conf->health.http.status,
				.status_to = conf->health.http.status_to,
			},
			.interval_ms = conf->health.interval_ms,
			.timeout_ms = conf->health.timeout_ms,
			.unhealthy = conf->health.unhealthy,
			.healthy = conf->health.healthy,
			.jitter_percent = conf->health.jitter_percent,
		},
		.ejection = {
			.failures = conf->ejection.failures,
			.server_errors = conf->ejection.server_errors,
			.gateway_errors = conf->ejection.gateway_errors,
			.base_ms = conf->ejection.base_ms,
			.max_ms = conf->ejection.max_ms,
			.max_percent = conf->ejection.max_percent,
		},
		.attempts = conf->retry.attempts,
		.slow_start_ms = conf->slow_start_ms,
		.limit = {
			.connections = conf->limit.connections,
			.queue = conf->limit.queue,
			.queue_ms = conf->limit.queue_ms,
		},
	};
	struct weir_endpoint_conf *endpoints;
	struct weir_upstream *upstream = NULL;
	uint32_t i;

	endpoints = calloc(conf->endpoints_count, sizeof(*endpoints));
	if (endpoints == NULL) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	for (i = 0; i < conf->endpoints_count; i++) {
		if (weir_target_parse(&endpoints[i].target, conf->endpoints[i].address) < 0)
			goto out;
		endpoints[i].weight = conf->endpoints[i].weight;
		endpoints[i].backup = conf->endpoints[i].backup;
	}
	to.endpoints = endpoints;
	upstream = weir_upstream_new(&to, error);
out:
	free(endpoints);
	if (upstream == NULL && error->line == 0)
		weir_error_at(error, conf->place.file, conf->place.line);
	return upstream;
}

static struct weir_breaker *breaker_new(const struct weir_config_upstream *conf)
{
	const struct weir_breaker_conf to = {
		.calls = conf->http.breaker.calls,
		.pending = conf->http.breaker.pending,
		.retries = conf->http.breaker.retries,
		.budget_percent = conf->http.breaker.budget_percent,
		.budget_min = conf->http.breaker.budget_min,
	};

	return weir_breaker_new(&to);
}

static int upstreams_make(struct generation *generation, struct weir_error *error)
{
	const struct weir_config *config = generation->config;
	uint32_t i;

	generation->upstreams = calloc(config->upstreams_count + 1, sizeof(*generation->upstreams));
	generation->connectors =
		calloc(config->upstreams_count + 1, sizeof(*generation->connectors));
	generation->breakers = calloc(config->upstreams_count + 1, sizeof(*generation->breakers));
	if (generation->upstreams == NULL || generation->connectors == NULL ||
	    generation->breakers == NULL)
		return weir_error_set(error, -ENOMEM, "out of memory");
	for (i = 0; i < config->upstreams_count; i++) {
		generation->upstreams[i] = upstream_new(&config->upstreams[i], error);
		if (generation->upstreams[i] == NULL)
			return error->status < 0 ? error->status : WEIR_ECONFIG;
		generation->breakers[i] = breaker_new(&config->upstreams[i]);
		if (generation->breakers[i] == NULL)
			return weir_error_set(error, -ENOMEM, "out of memory");
	}
	return 0;
}

static int shared_make_one(union layer_shared *shared, enum weir_config_layer_type type)
{
	switch (type) {
	case WEIR_CONFIG_LIMIT:
		shared->limit = weir_limit_shared_new();
		return shared->limit == NULL ? -ENOMEM : 0;
	case WEIR_CONFIG_SOURCE_LIMIT:
		shared->source_limit = weir_source_limit_shared_new();
		return shared->source_limit == NULL ? -ENOMEM : 0;
	default:
		return 0;
	}
}

static int shared_make(struct generation *generation, struct weir_error *error)
{
	const struct weir_config *config = generation->config;
	const struct weir_config_listener *listener;
	uint32_t i, j;

	generation->shared = calloc(config->listeners_count + 1, sizeof(*generation->shared));
	if (generation->shared == NULL)
		return weir_error_set(error, -ENOMEM, "out of memory");
	for (i = 0; i < config->listeners_count; i++) {
		listener = &config->listeners[i];
		generation->shared[i] =
			calloc(listener->layers_count + 1, sizeof(*generation->shared[i]));
		if (generation->shared[i] == NULL)
			return weir_error_set(error, -ENOMEM, "out of memory");
		for (j = 0; j < listener->layers_count; j++) {
			if (shared_make_one(&generation->shared[i][j], listener->layers[j].type) <
			    0)
				return weir_error_set(error, -ENOMEM, "out of memory");
		}
	}
	return 0;
}

static void shared_free(struct generation *generation)
{
	const struct weir_config_listener *listener;
	uint32_t i, j;

	for (i = 0; generation->shared != NULL && i < generation->config->listeners_count; i++) {
		listener = &generation->config->listeners[i];
		for (j = 0; generation->shared[i] != NULL && j < listener->layers_count; j++) {
			if (listener->layers[j].type == WEIR_CONFIG_LIMIT)
				weir_limit_shared_put(generation->shared[i][j].limit);
			else if (listener->layers[j].type == WEIR_CONFIG_SOURCE_LIMIT)
				weir_source_limit_shared_put(generation->shared[i][j].source_limit);
		}
		free(generation->shared[i]);
	}
	free(generation->shared);
}

/* ---- the end ------------------------------------------------------------------------------ */

/* Nothing of the workers is left. */
static void generation_free(struct generation *generation)
{
	uint32_t i;

	if (generation->daemon->current == generation)
		generation->daemon->current = NULL;
	for (i = 0; i < generation->config->upstreams_count; i++) {
		if (generation->connectors != NULL)
			weir_connector_free(generation->connectors[i]);
		if (generation->upstreams != NULL && generation->upstreams[i] != NULL)
			weir_upstream_put(generation->upstreams[i]);
		if (generation->breakers != NULL)
			weir_breaker_put(generation->breakers[i]);
	}
	weir_resolver_free(generation->resolver);
	free(generation->connectors);
	free(generation->upstreams);
	free(generation->breakers);
	shared_free(generation);
	http_shared_fini(&generation->http_shared);
	free(generation->sets);
	weir_config_free(generation->config);
	weir_list_del(&generation->link);
	free(generation);
}

/* A task of control, from the start: waits for the workers' parts to go. */
static int generation_end(void *arg)
{
	struct generation *generation = arg;
	struct weir_daemon *daemon = generation->daemon;
	unsigned id = generation->id;

	while (generation->sets_left > 0)
		(void)!weir_task_park_firmly("connections", WEIR_NEVER);
	weir_scope_cancel(&generation->checks);
	weir_scope_join(&generation->checks);
	weir_scope_fini(&generation->checks);
	generation_free(generation);
	weir_log(WEIR_LOG_DEBUG, "generation", "gone", WEIR_LOG_UINT("generation", id));
	weir_event_set(&daemon->changed);
	return 0;
}

static void set_on_gone(struct weir_post *post)
{
	struct stack_set *set = weir_container_of(post, struct stack_set, gone);
	struct generation *generation = set->generation;

	generation->sets_left--;
	if (generation->sets_left == 0)
		weir_task_wake(generation->end);
}

/* ---- on a worker -------------------------------------------------------------------------- */

static void on_begin(void *ctx, struct weir_conn *conn)
{
	struct stack *stack = ctx;

	stack->worker->accepted += conn->resumed == NULL;
	stack->worker->active++;
	ledger_add(stack->worker->daemon->keeper.ledger, stack->worker->index, 1);
	listener_metrics_begin(stack->metrics, conn);
}

static void on_end(void *ctx, struct weir_conn *conn)
{
	struct stack *stack = ctx;

	stack->worker->active--;
	ledger_add(stack->worker->daemon->keeper.ledger, stack->worker->index, -UINT64_C(1));
	if (conn->result.end == WEIR_END_MOVED) {
		listener_metrics_end(stack->metrics, conn);
		return;
	}
	stack->worker->bytes[WEIR_UP] += conn->result.bytes_up;
	stack->worker->bytes[WEIR_DOWN] += conn->result.bytes_down;
	listener_metrics_end(stack->metrics, conn);
}

static void stack_count_errors(struct stack *stack)
{
	uint64_t errors;

	if (stack->listener == NULL)
		return;
	errors = weir_listener_stats(stack->listener)->accept_errors;
	weir_counter_add(stack->metrics->accept_errors, errors - stack->accept_errors_seen);
	stack->accept_errors_seen = errors;
}

static void set_free_stacks(struct stack_set *set)
{
	uint32_t i;

	for (i = 0; set->stacks != NULL && i < set->generation->config->listeners_count; i++) {
		stack_count_errors(&set->stacks[i]);
		weir_listener_close(set->stacks[i].listener);
		weir_service_free(set->stacks[i].service);
		free(set->stacks[i].metrics);
	}
	free(set->stacks);
	set->stacks = NULL;
	stack_http_fini(set);
	weir_resolver_free(set->resolver);
	set->resolver = NULL;
}

/* A task of the worker, from the start: waits for the end of the last connection. */
static int set_end(void *arg)
{
	struct stack_set *set = arg;

	while (!set->retiring)
		(void)!weir_task_park_firmly("work", WEIR_NEVER);
	weir_scope_join(&set->scope);
	weir_scope_fini(&set->scope);
	set_free_stacks(set);
	weir_list_del(&set->link);
	set->gone.fn = set_on_gone;
	weir_loop_post(set->worker->daemon->loop, &set->gone);
	return 0;
}

static int set_build_stack(struct stack_set *set, uint32_t listener)
{
	struct stack *stack = &set->stacks[listener];

	stack->conf = &set->generation->config->listeners[listener];
	stack->worker = set->worker;
	stack->fd = -1;
	stack->metrics = listener_metrics_new(set->worker->daemon->metrics, set->worker->index,
					      stack->conf->name);
	if (stack->metrics == NULL)
		return weir_error_set(&set->error, -ENOMEM, "out of memory");
	stack->service = stack_build(set, listener, &set->error);
	if (stack->service == NULL)
		return set->error.status < 0 ? set->error.status : -ENOMEM;
	return 0;
}

static int set_build(struct stack_set *set)
{
	const struct weir_config *config = set->generation->config;
	uint32_t i;
	int status = 0;

	set->stacks = calloc(config->listeners_count + 1, sizeof(*set->stacks));
	if (set->stacks == NULL)
		return weir_error_set(&set->error, -ENOMEM, "out of memory");
	set->resolver = stack_resolver(config, set->worker->loop, &set->error);
	if (set->resolver == NULL)
		return set->error.status;
	for (i = 0; i < config->listeners_count && status == 0; i++)
		status = set_build_stack(set, i);
	return status;
}

static void set_on_build(struct worker *worker, void *slot)
{
	struct stack_set *set = slot;

	weir_scope_init_root(&set->scope, worker->loop);
	weir_list_add_tail(&worker->stacks, &set->link);
	set->status = weir_scope_spawn(&worker->scope, "generation", set_end, set, &set->end);
	if (set->status < 0) {
		weir_error_set(&set->error, set->status, "out of memory");
		weir_scope_fini(&set->scope);
		weir_list_del(&set->link);
		set->gone.fn = set_on_gone;
		weir_loop_post(worker->daemon->loop, &set->gone);
		return;
	}
	set->status = set_build(set);
}

static int stack_listen(struct stack_set *set, struct stack *stack)
{
	struct weir_listener_conf conf = {
		.name = stack->conf->name,
		.fd = stack->fd,
		.service = stack->service,
		.on_begin = on_begin,
		.on_end = on_end,
		.ctx = stack,
	};

	stack->listener = weir_listener_open(&set->scope, &conf, &set->error);
	return stack->listener == NULL ? WEIR_MIN(set->error.status, -1) : 0;
}

static void set_on_listen(struct worker *worker, void *slot)
{
	struct stack_set *set = slot;
	uint32_t i;

	(void)worker;
	for (i = 0; i < set->generation->config->listeners_count && set->status == 0; i++)
		set->status = stack_listen(set, &set->stacks[i]);
}

static void stack_stop(struct stack *stack)
{
	if (stack->listener != NULL) {
		weir_listener_stop(stack->listener);
		stack_count_errors(stack);
	}
	weir_service_drain(stack->service);
	/* The watch is off, so the duplicate may go: the address is free when the last one is. */
	if (stack->fd >= 0)
		close(stack->fd);
	stack->fd = -1;
}

static void set_on_retire(struct worker *worker, void *slot)
{
	struct stack_set *set = slot;
	uint32_t i;

	(void)worker;
	if (set->end == NULL)
		return;
	for (i = 0; set->stacks != NULL && i < set->generation->config->listeners_count; i++)
		stack_stop(&set->stacks[i]);
	set->retiring = true;
	weir_task_wake(set->end);
}

static void worker_on_cancel(struct worker *worker, void *slot)
{
	struct weir_list *link;

	(void)slot;
	for (link = worker->stacks.next; link != &worker->stacks; link = link->next)
		weir_scope_cancel(&weir_container_of(link, struct stack_set, link)->scope);
}

/* ---- control ------------------------------------------------------------------------------ */

struct generation *generation_new(struct weir_daemon *daemon, struct weir_config *config,
				  struct weir_error *error)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	unsigned i;

	if (generation == NULL) {
		weir_config_free(config);
		goto err_memory;
	}
	generation->daemon = daemon;
	generation->id = ++daemon->last_generation;
	generation->config = config;
	weir_list_init(&generation->link);
	generation->sets = calloc(daemon->n_workers, sizeof(*generation->sets));
	if (generation->sets == NULL || upstreams_make(generation, error) < 0 ||
	    shared_make(generation, error) < 0 ||
	    http_shared_init(&generation->http_shared, config,
			     daemon->current != NULL ? &daemon->current->http_shared : NULL) < 0)
		goto err;
	for (i = 0; i < daemon->n_workers; i++) {
		generation->sets[i].generation = generation;
		generation->sets[i].worker = &daemon->workers[i];
		weir_list_init(&generation->sets[i].link);
	}
	weir_scope_init_root(&generation->checks, daemon->loop);
	if (weir_scope_spawn(&daemon->scope, "generation", generation_end, generation,
			     &generation->end) < 0)
		goto err;
	generation->sets_left = daemon->n_workers;
	weir_list_add_tail(&daemon->generations, &generation->link);
	return generation;

err:
	generation_free(generation);
err_memory:
	if (error->status == 0)
		weir_error_set(error, -ENOMEM, "out of memory");
	return NULL;
}

/* Calls FN for the sets of all workers; the first failure is the answer. */
static int call_sets(struct generation *generation, void (*fn)(struct worker *worker, void *slot),
		     struct weir_error *error)
{
	struct weir_daemon *daemon = generation->daemon;
	unsigned i;

	if (daemon_call_workers(daemon, fn, generation->sets, sizeof(*generation->sets)) < 0)
		return weir_error_set(error, -ENOMEM, "out of memory");
	for (i = 0; i < daemon->n_workers; i++) {
		if (generation->sets[i].status < 0) {
			*error = generation->sets[i].error;
			return generation->sets[i].status;
		}
	}
	return 0;
}

int generation_build(struct generation *generation, struct weir_error *error)
{
	return call_sets(generation, set_on_build, error);
}

/* The descriptors for all listeners of all workers. */
static int share_sockets(struct generation *generation, struct weir_error *error)
{
	const struct weir_config *config = generation->config;
	struct socket_set *sockets = &generation->daemon->sockets;
	struct weir_address address;
	unsigned worker;
	uint32_t i;
	int fd, status;

	for (i = 0; i < config->listeners_count; i++) {
		status = weir_address_parse(&address, config->listeners[i].address);
		if (status == 0)
			status = socket_set_open(sockets, &address,
						 (int)config->listeners[i].backlog, generation->id,
						 error);
		if (status < 0) {
			weir_error_at(error, config->listeners[i].place.file,
				      config->listeners[i].place.line);
			return status;
		}
		for (worker = 0; worker < generation->daemon->n_workers; worker++) {
			fd = fcntl(socket_set_find(sockets, &address, worker), F_DUPFD_CLOEXEC, 3);
			if (fd < 0)
				return weir_error_set(error, -errno, "cannot share a socket: %s",
						      weir_strerror(-errno));
			generation->sets[worker].stacks[i].fd = fd;
		}
	}
	return 0;
}

/* Checks and resolving of names go on in control's loop. */
static int start_checks(struct generation *generation, struct weir_error *error)
{
	const struct weir_config *config = generation->config;
	struct weir_daemon *daemon = generation->daemon;
	uint32_t i;
	int status;

	generation->resolver = stack_resolver(config, daemon->loop, error);
	if (generation->resolver == NULL)
		return error->status;
	for (i = 0; i < config->upstreams_count; i++) {
		generation->connectors[i] =
			stack_connector(&config->upstreams[i], generation->resolver, error);
		if (generation->connectors[i] == NULL)
			return error->status;
		status = weir_upstream_start(generation->upstreams[i], &generation->checks,
					     generation->connectors[i], generation->resolver,
					     daemon->metrics);
		if (status < 0)
			return weir_error_set(error, status, "cannot start upstream %s: %s",
					      config->upstreams[i].name, weir_strerror(status));
	}
	return 0;
}

int generation_listen(struct generation *generation, struct weir_error *error)
{
	int status;

	status = share_sockets(generation, error);
	if (status == 0)
		status = start_checks(generation, error);
	if (status == 0)
		status = call_sets(generation, set_on_listen, error);
	if (status < 0)
		socket_set_drop(&generation->daemon->sockets, generation->id);
	return status;
}

void generation_retire(struct generation *generation)
{
	struct weir_error error;
	unsigned i;

	weir_scope_cancel(&generation->checks);
	weir_error_init(&error);
	for (i = 0; i < generation->daemon->n_workers; i++)
		generation->sets[i].status = 0;
	if (call_sets(generation, set_on_retire, &error) < 0)
		weir_log(WEIR_LOG_ERROR, "generation", "cannot be ended: out of memory",
			 WEIR_LOG_UINT("generation", generation->id));
}

static void set_on_count(struct worker *worker, void *slot)
{
	struct stack_set *set = slot;
	uint32_t i;

	(void)worker;
	for (i = 0; set->stacks != NULL && i < set->generation->config->listeners_count; i++)
		stack_count_errors(&set->stacks[i]);
}

void generation_count_errors(struct generation *generation)
{
	/* Once it is retired it may be freed before the workers answer. */
	if (generation->daemon->state != DAEMON_RUNNING)
		return;
	/* What cannot be counted now is counted at the end. */
	(void)!daemon_call_workers(generation->daemon, set_on_count, generation->sets,
				   sizeof(*generation->sets));
}

void generations_cancel(struct weir_daemon *daemon)
{
	if (daemon_call_workers(daemon, worker_on_cancel, NULL, 0) < 0)
		weir_log(WEIR_LOG_ERROR, "daemon", "cannot end connections: out of memory");
}
