/* SPDX-License-Identifier: MIT */
/*
 * Routes: from the inside out, what answers, mirror, rewrite, layers; and the router around all of
 * them.
 */

#include "daemon/stack_http.h"

#include <errno.h>
#include <stdlib.h>

#include <weir/forwarded.h>
#include <weir/mirror.h>
#include <weir/redirect.h>
#include <weir/respond.h>
#include <weir/rewrite.h>
#include <weir/router.h>
#include <weir/split.h>
#include <weir/static_files.h>

static const struct weir_metric_family mirror_family = {
	.name = "weir_http_mirror_requests_total",
	.help = "Copies of requests for another upstream",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "route", "result" },
};

/* ---- what answers ------------------------------------------------------------------------- */

static int answer_nothing(struct weir_call *call, void *ctx)
{
	(void)ctx;
	return weir_call_refuse(call, 404, "trial");
}

static struct weir_http_service *build_respond(const struct weir_config_respond *from,
					       struct weir_error *error)
{
	struct weir_respond_conf conf = { .status = from->status,
					  .type = from->type,
					  .body = from->body,
					  .n_fields = from->headers_count };
	struct weir_respond_field *fields = calloc(from->headers_count + 1, sizeof(*fields));
	struct weir_http_service *service;
	uint32_t i;

	if (fields == NULL) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	for (i = 0; i < from->headers_count; i++)
		fields[i] = (struct weir_respond_field){ from->headers[i].name,
							 from->headers[i].value };
	conf.fields = fields;
	service = weir_http_respond(&conf, error);
	free(fields);
	return service;
}

static struct weir_http_service *build_files(const struct http_site *site,
					     const struct weir_config_files *from,
					     struct weir_error *error)
{
	struct weir_static_files_conf conf = { .root = from->root,
					       .index = (const char *const *)from->index,
					       .n_index = from->index_count,
					       .n_types = from->types_count,
					       .default_type = from->default_type,
					       .cache_control = from->cache_control,
					       .precompressed = from->precompressed,
					       .listing = from->listing };
	struct weir_file_type *types;
	struct weir_http_service *service;
	uint32_t i;

	if (site->trial)
		return weir_http_function(answer_nothing, NULL, error);
	types = calloc(from->types_count + 1, sizeof(*types));
	if (types == NULL) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	for (i = 0; i < from->types_count; i++)
		types[i] = (struct weir_file_type){ from->types[i].name, from->types[i].value };
	conf.types = types;
	service = weir_http_static_files(&conf, error);
	free(types);
	return service;
}

static struct weir_http_service *build_split(struct http_site *site,
					     const struct weir_config_route *route,
					     struct weir_error *error)
{
	const struct weir_config_split *from = &route->split;
	struct weir_split_conf conf = { .n = from->parts_count,
					.key = from->by,
					.name = from->name };
	struct weir_split_part *parts = calloc(from->parts_count, sizeof(*parts));
	struct weir_http_service *service;
	uint32_t i;

	if (parts == NULL) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	for (i = 0; i < from->parts_count; i++) {
		parts[i].weight = from->parts[i].weight;
		parts[i].service = site->upstream(site, from->parts[i].to, route, error);
	}
	conf.parts = parts;
	service = weir_http_split(&conf, error);
	free(parts);
	return service;
}

static struct weir_http_service *build_answer(struct http_site *site,
					      const struct weir_config_route *conf,
					      struct weir_error *error)
{
	if (conf->respond.place.file != NULL)
		return build_respond(&conf->respond, error);
	if (conf->redirect.place.file != NULL)
		return weir_http_redirect(
			&(struct weir_redirect_conf){
				.to = conf->redirect.to,
				.status = conf->redirect.status,
			},
			error);
	if (conf->files.place.file != NULL)
		return build_files(site, &conf->files, error);
	if (conf->split.place.file != NULL)
		return build_split(site, conf, error);
	return site->upstream(site, conf->to, conf, error);
}

/* ---- what is around it -------------------------------------------------------------------- */

static struct weir_counter *mirror_counter(const struct http_site *site, const char *result)
{
	const char *values[] = { site->listener, site->route, result };

	if (site->metrics == NULL)
		return NULL;
	return weir_metrics_counter(site->metrics, site->worker, &mirror_family, values);
}

static struct weir_http_service *build_mirror(struct weir_http_service *inner,
					      struct http_site *site,
					      const struct weir_config_route *route,
					      struct weir_error *error)
{
	const struct weir_config_mirror *from = &route->mirror;
	struct weir_mirror_conf conf = { .percent = from->percent,
					 .max_active = from->calls,
					 .max_bytes = from->body_bytes,
					 .timeout_ms = from->timeout_ms };

	if (inner == NULL || from->place.file == NULL)
		return inner;
	conf.sent = mirror_counter(site, "sent");
	conf.dropped = mirror_counter(site, "dropped");
	conf.shadow = site->upstream(site, from->to, route, error);
	return weir_http_mirror_layer(inner, &conf, error);
}

static struct weir_http_service *build_rewrite(struct weir_http_service *inner,
					       const struct weir_config_rewrite *from,
					       struct weir_error *error)
{
	const struct weir_rewrite_conf conf = { .prefix = from->prefix,
						.path = from->path,
						.host = from->host };

	if (from->place.file == NULL)
		return inner;
	return weir_http_rewrite_layer(inner, &conf, error);
}

static struct weir_http_service *build_layers(struct weir_http_service *inner,
					      const struct http_site *site,
					      const struct weir_config_http_layer *layers,
					      uint32_t count, struct weir_error *error)
{
	uint32_t i;

	for (i = count; i-- > 0;)
		inner = http_layer_build(inner, site, &layers[i], error);
	return inner;
}

struct weir_http_service *http_route_build(struct http_site *site,
					   const struct weir_config_route *conf,
					   struct weir_error *error)
{
	struct weir_http_service *service;

	service = build_answer(site, conf, error);
	service = build_mirror(service, site, conf, error);
	service = build_rewrite(service, &conf->rewrite, error);
	service = build_layers(service, site, conf->layers, conf->layers_count, error);
	if (service == NULL && error->line == 0)
		weir_error_at(error, conf->place.file, conf->place.line);
	return service;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static int fill_route(struct http_site *site, struct weir_arena *arena,
		      struct weir_route_conf *route, const struct weir_config_route *conf,
		      uint32_t number, struct weir_error *error)
{
	route->name = conf->name != NULL ? conf->name : weir_arena_printf(arena, "%u", number);
	if (route->name == NULL || http_match_conf(arena, &conf->match, &route->match) < 0)
		return weir_error_set(error, -ENOMEM, "out of memory");
	site->route = route->name;
	route->service = http_route_build(site, conf, error);
	site->route = NULL;
	return route->service == NULL ? WEIR_ECONFIG : 0;
}

static struct weir_http_service *build_router(struct http_site *site,
					      const struct weir_config_http *conf,
					      struct weir_error *error)
{
	struct weir_router_conf router = { .as_received = conf->path.as_received,
					   .keep_slashes = conf->path.keep_slashes };
	struct weir_http_service *service = NULL;
	struct weir_route_conf *routes;
	struct weir_arena arena;

	weir_arena_init(&arena, 4096);
	routes = weir_arena_zalloc(&arena, conf->routes_count * sizeof(*routes));
	if (routes == NULL) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto out;
	}
	router.routes = routes;
	for (router.n = 0; router.n < conf->routes_count; router.n++) {
		if (fill_route(site, &arena, &routes[router.n], &conf->routes[router.n],
			       (uint32_t)router.n, error) < 0)
			break;
	}
	if (router.n == conf->routes_count) {
		service = weir_http_router(&router, error);
	} else {
		while (router.n > 0)
			weir_http_service_free(routes[--router.n].service);
	}
out:
	weir_arena_fini(&arena);
	return service;
}

static struct weir_http_service *build_forwarded(struct weir_http_service *inner,
						 const struct weir_config_http *conf,
						 struct weir_error *error)
{
	uint32_t n = conf->forwarded.trusted_count, i;
	struct weir_network *trusted = calloc(n + 1, sizeof(*trusted));
	struct weir_forwarded_conf forwarded = { .trusted = trusted,
						 .n_trusted = n,
						 .headers = conf->forwarded.headers,
						 .mode = conf->forwarded.mode,
						 .via = conf->forwarded.via };

	if (trusted == NULL) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto err;
	}
	for (i = 0; i < n; i++) {
		if (weir_network_parse(&trusted[i], conf->forwarded.trusted[i]) < 0) {
			weir_error_set(error, WEIR_ECONFIG, "\"%s\" is no network",
				       conf->forwarded.trusted[i]);
			goto err;
		}
	}
	inner = weir_http_forwarded_layer(inner, &forwarded, error);
	free(trusted);
	return inner;
err:
	free(trusted);
	weir_http_service_free(inner);
	return NULL;
}

struct weir_http_service *http_build(struct http_site *site, const struct weir_config_http *conf,
				     struct weir_error *error)
{
	struct weir_http_service *service;

	service = build_router(site, conf, error);
	service = build_layers(service, site, conf->layers, conf->layers_count, error);
	if (service != NULL)
		service = build_forwarded(service, conf, error);
	if (service == NULL && error->line == 0)
		weir_error_at(error, conf->place.file, conf->place.line);
	return service;
}
