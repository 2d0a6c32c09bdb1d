/* SPDX-License-Identifier: MIT */
/*
 * A listener's configuration to a stack of services: one builder a layer.
 */

#include "daemon/generation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/layer.h>
#include <weir/resolver.h>

#include "daemon/metrics.h"

struct weir_resolver *stack_resolver(const struct weir_config *config, struct weir_loop *loop,
				     struct weir_error *error)
{
	const struct weir_config_resolver *resolver = &config->resolver;
	struct weir_resolver_conf conf = {
		.timeout_ms = resolver->timeout_ms,
		.attempts = resolver->attempts,
		.max_ttl_s = resolver->cache_s,
	};
	struct weir_buffer servers = { 0 };
	struct weir_resolver *made = NULL;
	uint32_t i;

	for (i = 0; i < resolver->servers_count; i++) {
		if (weir_buffer_printf(&servers, "%s%s", i == 0 ? "" : ",", resolver->servers[i]) <
		    0)
			goto err_memory;
	}
	if (weir_buffer_append(&servers, "", 1) < 0)
		goto err_memory;
	conf.servers = i == 0 ? NULL : weir_buffer_head(&servers);
	made = weir_resolver_new(loop, &conf, error);
	weir_buffer_fini(&servers);
	return made;

err_memory:
	weir_buffer_fini(&servers);
	weir_error_set(error, -ENOMEM, "out of memory");
	return NULL;
}

struct weir_connector *stack_connector(const struct weir_config_upstream *conf,
				       struct weir_resolver *resolver, struct weir_error *error)
{
	struct weir_tcp_connector_conf tcp = {
		.timeout_ms = conf->connect.timeout_ms,
		.resolver = resolver,
		.socket = {
			.keepalive_s = conf->connect.keepalive_s,
			.user_timeout_ms = conf->connect.user_timeout_ms,
			.delay = !conf->connect.nodelay,
			.mark = conf->connect.mark,
		},
	};

	if (conf->connect.source != NULL &&
	    weir_config_source(&tcp.socket.source, conf->connect.source) < 0) {
		weir_error_set(error, WEIR_ECONFIG, "\"%s\" is no local address",
			       conf->connect.source);
		return NULL;
	}
	return weir_tcp_connector(&tcp, error);
}

/* ---- layers ------------------------------------------------------------------------------- */

struct layer_site {
	const struct weir_config_layer *conf;
	const union layer_shared *shared;
	struct listener_metrics *metrics;
};

static struct weir_service *build_access_log(struct weir_service *inner,
					     const struct layer_site *site,
					     struct weir_error *error)
{
	return weir_access_log_layer(inner,
				     &(struct weir_access_log_conf){
					     .path = site->conf->access_log.file,
					     .format = site->conf->access_log.format,
				     },
				     error);
}

static struct weir_service *build_limit(struct weir_service *inner, const struct layer_site *site,
					struct weir_error *error)
{
	return weir_limit_layer(inner,
				&(struct weir_limit_conf){
					.max = site->conf->limit.connections,
					.shared = site->shared->limit,
					.refused = site->metrics->refused[REFUSAL_LIMIT],
				},
				error);
}

static struct weir_service *build_source_limit(struct weir_service *inner,
					       const struct layer_site *site,
					       struct weir_error *error)
{
	return weir_source_limit_layer(inner,
				       &(struct weir_source_limit_conf){
					       .max = site->conf->source_limit.connections,
					       .rate = site->conf->source_limit.rate,
					       .burst = site->conf->source_limit.burst,
					       .prefix4 = site->conf->source_limit.prefix4,
					       .prefix6 = site->conf->source_limit.prefix6,
					       .shared = site->shared->source_limit,
					       .refused = site->metrics->refused[REFUSAL_SOURCE],
					       .refused_rate =
						       site->metrics->refused[REFUSAL_SOURCE_RATE],
				       },
				       error);
}

static struct weir_service *build_timeout(struct weir_service *inner, const struct layer_site *site,
					  struct weir_error *error)
{
	return weir_timeout_layer(inner,
				  &(struct weir_timeout_conf){
					  .lifetime_ms = site->conf->timeout.lifetime_ms,
				  },
				  error);
}

static struct weir_service *build_bandwidth(struct weir_service *inner,
					    const struct layer_site *site, struct weir_error *error)
{
	return weir_bandwidth_layer(inner,
				    &(struct weir_bandwidth_conf){
					    .upload = site->conf->bandwidth.upload,
					    .download = site->conf->bandwidth.download,
					    .burst = site->conf->bandwidth.burst,
				    },
				    error);
}

typedef struct weir_service *builder_fn(struct weir_service *inner, const struct layer_site *site,
					struct weir_error *error);

static builder_fn *const builders[WEIR_CONFIG_LAYER_COUNT] = {
	[WEIR_CONFIG_ACCESS_LOG] = build_access_log,	 [WEIR_CONFIG_LIMIT] = build_limit,
	[WEIR_CONFIG_SOURCE_LIMIT] = build_source_limit, [WEIR_CONFIG_TIMEOUT] = build_timeout,
	[WEIR_CONFIG_BANDWIDTH] = build_bandwidth,
};

/* ---- the whole ---------------------------------------------------------------------------- */

static struct weir_upstream *find_upstream(const struct generation *generation, const char *name)
{
	const struct weir_config_upstream *conf = weir_config_upstream(generation->config, name);

	return generation->upstreams[conf - generation->config->upstreams];
}

unsigned stack_paths(const struct weir_config *config, unsigned paths)
{
	if (paths != 0)
		return paths;
	if (config->offload.paths != 0)
		return config->offload.paths;
	return WEIR_PATH_BIT(WEIR_PATH_COPY) | WEIR_PATH_BIT(WEIR_PATH_SPLICE) |
	       WEIR_PATH_BIT(WEIR_PATH_SOCKMAP);
}

static struct weir_service *build_forward(struct stack_set *set, const struct weir_config_tcp *tcp,
					  struct weir_error *error)
{
	const struct weir_config *config = set->generation->config;
	struct weir_metrics *metrics = set->generation->daemon->metrics;
	const struct weir_config_upstream *upstream = weir_config_upstream(config, tcp->to);
	unsigned paths = stack_paths(config, tcp->paths);
	struct weir_forward_conf conf = {
		.upstream = tcp->to,
		.metrics = metrics,
		.bridge = {
			.idle_ms = tcp->idle_ms,
			.lifetime_ms = tcp->lifetime_ms,
			.paths = paths,
			/* With one path only there is nothing to choose. */
			.adaptive = (paths & (paths - 1)) != 0,
			.offload = set->worker->offload,
		},
	};

	conf.connector = stack_connector(upstream, set->resolver, error);
	conf.connector = weir_upstream_connector(find_upstream(set->generation, tcp->to),
						 conf.connector, metrics, error);
	return weir_forward_service(&conf, error);
}

struct weir_service *stack_build(struct stack_set *set, uint32_t listener, struct weir_error *error)
{
	const struct generation *generation = set->generation;
	const struct weir_config_listener *conf = &generation->config->listeners[listener];
	struct weir_service *service;
	struct layer_site site;
	uint32_t i;

	service = conf->http.place.file != NULL ? stack_http_build(set, listener, error)
						: build_forward(set, &conf->tcp, error);
	for (i = conf->layers_count; i-- > 0;) {
		site = (struct layer_site){
			.conf = &conf->layers[i],
			.shared = &generation->shared[listener][i],
			.metrics = set->stacks[listener].metrics,
		};
		service = builders[site.conf->type](service, &site, error);
	}
	if (service == NULL && error->line == 0)
		weir_error_at(error, conf->place.file, conf->place.line);
	return service;
}
