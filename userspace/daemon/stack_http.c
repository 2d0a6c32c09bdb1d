/* SPDX-License-Identifier: MIT */
/*
 * The HTTP service of a listener on one worker. Routes that forward to an upstream in the same
 * way share what forwards, and so its pool of connections.
 */

#include "daemon/generation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/http_server.h>
#include <weir/reverse.h>

#include "daemon/stack_http.h"

/* ---- forwarding --------------------------------------------------------------------------- */

/* What a route may say of how it forwards. */
struct forward_options {
	const struct weir_config_upstream *upstream;
	struct weir_config_retry retry;
	uint64_t timeout_ms;
	uint64_t hedge_ms;
};

struct http_forward {
	struct http_forward *next;
	struct forward_options options;
	struct weir_http_service *service;
};

static void options_fill(struct forward_options *options,
			 const struct weir_config_upstream *upstream,
			 const struct weir_config_route *route)
{
	memset(options, 0, sizeof(*options));
	options->upstream = upstream;
	options->retry = route->retry.place.file != NULL ? route->retry : upstream->retry;
	options->timeout_ms = route->timeout_ms;
	options->hedge_ms = route->hedge_ms;
}

static bool options_are_equal(const struct forward_options *a, const struct forward_options *b)
{
	return a->upstream == b->upstream && a->retry.attempts == b->retry.attempts &&
	       a->retry.on == b->retry.on && a->retry.unsafe == b->retry.unsafe &&
	       a->retry.try_ms == b->retry.try_ms && a->retry.backoff_ms == b->retry.backoff_ms &&
	       a->retry.backoff_max_ms == b->retry.backoff_max_ms &&
	       a->retry.replay_bytes == b->retry.replay_bytes && a->timeout_ms == b->timeout_ms &&
	       a->hedge_ms == b->hedge_ms;
}

static void client_fill(struct weir_http_client_conf *client,
			const struct weir_config_upstream *upstream)
{
	const struct weir_config_upstream_http *http = &upstream->http;

	client->max_connections = http->pool.max_connections;
	client->max_idle = http->pool.max_idle;
	client->idle_ms = http->pool.idle_ms;
	client->max_requests = http->pool.max_requests;
	client->queue = http->pool.queue;
	client->queue_ms = http->pool.queue_ms;
	client->first_byte_ms = http->timeouts.first_byte_ms;
	client->body_idle_ms = http->timeouts.body_idle_ms;
	client->continue_ms = http->timeouts.continue_ms;
}

static struct weir_http_service *reverse_new(struct stack_set *set,
					     const struct forward_options *options,
					     struct weir_error *error)
{
	const struct weir_config_upstream *upstream = options->upstream;
	struct generation *generation = set->generation;
	size_t index = (size_t)(upstream - generation->config->upstreams);
	const struct weir_config_sticky *sticky = &upstream->http.sticky;
	struct weir_reverse_conf conf = {
		.upstream = generation->upstreams[index],
		.breaker = generation->breakers[index],
		.retry = {
			.attempts = options->retry.attempts,
			.on = options->retry.on,
			.unsafe = options->retry.unsafe,
			.try_ms = options->retry.try_ms,
			.backoff_ms = options->retry.backoff_ms,
			.backoff_max_ms = options->retry.backoff_max_ms,
			.replay_bytes = options->retry.replay_bytes,
		},
		.sticky = {
			.mode = sticky->place.file != NULL ? WEIR_STICKY_COOKIE : WEIR_STICKY_NONE,
			.cookie = sticky->cookie,
			.path = sticky->path,
			.max_age_s = sticky->max_age_s,
			.secure = sticky->secure,
		},
		.hash = { .by = upstream->http.hash.by, .name = upstream->http.hash.name },
		.total_ms = options->timeout_ms,
		.metrics = generation->daemon->metrics,
	};

	conf.hedge.delay_ms = options->hedge_ms;
	client_fill(&conf.client, upstream);
	conf.client.connector = stack_connector(upstream, set->resolver, error);
	return weir_http_reverse_service(&conf, error);
}

static struct http_forward *forward_get(struct stack_set *set,
					const struct forward_options *options,
					struct weir_error *error)
{
	struct http_forward *forward;

	for (forward = set->forwards; forward != NULL; forward = forward->next) {
		if (options_are_equal(&forward->options, options))
			return forward;
	}
	forward = calloc(1, sizeof(*forward));
	if (forward == NULL) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	forward->options = *options;
	forward->service = reverse_new(set, options, error);
	if (forward->service == NULL) {
		free(forward);
		return NULL;
	}
	forward->next = set->forwards;
	set->forwards = forward;
	return forward;
}

void stack_http_fini(struct stack_set *set)
{
	struct http_forward *forward;

	while ((forward = set->forwards) != NULL) {
		set->forwards = forward->next;
		weir_http_service_free(forward->service);
		free(forward);
	}
}

static int forward_handle(struct weir_call *call, void *ctx)
{
	return weir_handle(ctx, call);
}

/* A route's way to what it shares with others. */
static struct weir_http_service *upstream_service(struct http_site *site, const char *name,
						  const struct weir_config_route *route,
						  struct weir_error *error)
{
	struct stack_set *set = site->ctx;
	struct forward_options options;
	struct http_forward *forward;

	options_fill(&options, weir_config_upstream(set->generation->config, name), route);
	forward = forward_get(set, &options, error);
	if (forward == NULL)
		return NULL;
	return weir_http_function(forward_handle, forward->service, error);
}

/* ---- the listener ------------------------------------------------------------------------- */

/* "1.1 name", as Via has it. */
static char *via_of(const struct weir_config_http *http, char *text, size_t size)
{
	if (http->forwarded.via == NULL)
		return NULL;
	snprintf(text, size, "1.1 %s", http->forwarded.via);
	return text;
}

static void tunnel_fill(struct weir_bridge_conf *bridge, const struct stack_set *set,
			const struct weir_config_http *http)
{
	unsigned paths = stack_paths(set->generation->config, http->tunnel.paths);

	bridge->idle_ms = http->tunnel.idle_ms;
	bridge->lifetime_ms = http->tunnel.lifetime_ms;
	bridge->paths = paths;
	bridge->adaptive = (paths & (paths - 1)) != 0;
	bridge->offload = set->worker->offload;
}

struct weir_service *stack_http_build(struct stack_set *set, uint32_t listener,
				      struct weir_error *error)
{
	struct generation *generation = set->generation;
	const struct weir_config_http *http = &generation->config->listeners[listener].http;
	struct http_site site = {
		.shared = &generation->http_shared,
		.metrics = generation->daemon->metrics,
		.worker = set->worker->index,
		.listener = generation->config->listeners[listener].name,
		.upstream = upstream_service,
		.ctx = set,
	};
	char via[80];
	struct weir_http_server_conf conf = {
		.limits = {
			.line_bytes = http->limits.line_bytes,
			.head_bytes = http->limits.head_bytes,
			.fields = http->limits.fields,
			.body_bytes = http->limits.body_bytes,
		},
		.head_ms = http->timeouts.head_ms,
		.body_idle_ms = http->timeouts.body_idle_ms,
		.keep_alive_ms = http->timeouts.keep_alive_ms,
		.max_requests = http->limits.requests,
		.kernel_bytes = http->kernel_bytes,
		.discard_bytes = http->limits.discard_bytes,
		.server = http->server,
		.via = via_of(http, via, sizeof(via)),
		.metrics = generation->daemon->metrics,
	};

	tunnel_fill(&conf.tunnel, set, http);
	conf.service = http_build(&site, http, error);
	return weir_http_server_service(&conf, error);
}
