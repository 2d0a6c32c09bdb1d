/* SPDX-License-Identifier: MIT */
/*
 * A table of rules with a service each. Finding has frames of its own, so that what a waiting
 * call holds on its stack is small.
 */

#include <weir/router.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/forwarded.h>
#include <weir/uri_path.h>

struct route {
	char *name;
	struct weir_http_service *service;
};

struct router {
	struct weir_http_service svc;
	struct weir_match_table *table;
	struct route *routes;
	size_t n;
	struct weir_http_service *otherwise;
	bool keep_slashes;
	bool as_received;
};

static int publish_params(struct weir_call *call, const struct weir_match_params *params)
{
	size_t size = offsetof(struct weir_match_params, list) + params->n * sizeof(*params->list);
	void *copy;

	if (!params->pattern)
		return 0;
	copy = weir_arena_memdup(&call->arena, params, size);
	if (!copy)
		return -ENOMEM;
	return weir_extension_add(&call->extensions, &call->arena, &weir_match_params_key, copy);
}

static struct weir_text host_of(struct weir_text authority)
{
	struct weir_text host;
	uint16_t port;

	return weir_authority_parse(authority, &host, &port) == 0 ? host : (struct weir_text){ 0 };
}

/* The route's number, -ENOENT, -EINVAL for a path that has no normal form, -ENOMEM. */
static __attribute__((noinline)) int router_find(const struct router *router,
						 struct weir_call *call)
{
	struct weir_request *request = &call->request;
	struct weir_match_subject subject = {
		.host = host_of(request->authority),
		.query = request->query,
		.method = request->method_text,
		.headers = &request->headers,
		.client = weir_client_address(call),
	};
	struct weir_match_params params;
	int route, status;

	status = weir_uri_path_normalise(&call->arena, request->path, !router->keep_slashes,
					 &subject.path);
	if (status < 0)
		return status;
	if (!router->as_received)
		request->path = subject.path;
	route = weir_match_table_find(router->table, &subject, &params);
	if (route < 0)
		return route;
	status = publish_params(call, &params);
	return status < 0 ? status : route;
}

static int router_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct router *router = weir_container_of(svc, struct router, svc);
	int route = router_find(router, call);

	if (route == -EINVAL)
		return weir_call_refuse(call, 400, "bad_path");
	if (route == -ENOENT && router->otherwise)
		return weir_handle(router->otherwise, call);
	if (route == -ENOENT)
		return weir_call_refuse(call, 404, "no_route");
	if (route < 0)
		return route;
	call->result.route = router->routes[route].name;
	return weir_handle(router->routes[route].service, call);
}

static void router_free(struct weir_http_service *svc)
{
	struct router *router = weir_container_of(svc, struct router, svc);
	size_t i;

	for (i = 0; i < router->n; i++) {
		weir_http_service_free(router->routes[i].service);
		free(router->routes[i].name);
	}
	weir_http_service_free(router->otherwise);
	weir_match_table_free(router->table);
	free(router->routes);
	free(router);
}

static const struct weir_http_ops router_ops = {
	.name = "router",
	.handle = router_handle,
	.free = router_free,
};

/* ---- making ------------------------------------------------------------------------------- */

/* The services are the router's from here on, whatever fails later. */
static int take_routes(struct router *router, const struct weir_router_conf *conf)
{
	bool whole = true;
	size_t i;

	router->otherwise = conf->otherwise;
	router->routes = calloc(conf->n + 1, sizeof(*router->routes));
	if (!router->routes)
		return -ENOMEM;
	router->n = conf->n;
	for (i = 0; i < conf->n; i++) {
		router->routes[i].service = conf->routes[i].service;
		if (conf->routes[i].name)
			router->routes[i].name = strdup(conf->routes[i].name);
		else if (asprintf(&router->routes[i].name, "%zu", i) < 0)
			router->routes[i].name = NULL;
		whole = whole && router->routes[i].name;
	}
	return whole ? 0 : -ENOMEM;
}

static void routes_free(const struct weir_router_conf *conf)
{
	size_t i;

	for (i = 0; i < conf->n; i++)
		weir_http_service_free(conf->routes[i].service);
	weir_http_service_free(conf->otherwise);
}

static bool all_routes_serve(const struct weir_router_conf *conf)
{
	size_t i;

	for (i = 0; i < conf->n; i++) {
		if (!conf->routes[i].service)
			return false;
	}
	return true;
}

static int make_table(struct router *router, const struct weir_router_conf *conf,
		      struct weir_error *error)
{
	struct weir_match_conf *rules = calloc(conf->n + 1, sizeof(*rules));
	size_t i;

	if (!rules)
		return weir_error_set(error, -ENOMEM, "out of memory");
	for (i = 0; i < conf->n; i++)
		rules[i] = conf->routes[i].match;
	router->table = weir_match_table_new(rules, conf->n, NULL, error);
	free(rules);
	return router->table ? 0 : -EINVAL;
}

struct weir_http_service *weir_http_router(const struct weir_router_conf *conf,
					   struct weir_error *error)
{
	struct router *router;

	if (!all_routes_serve(conf)) {
		routes_free(conf);
		return NULL;
	}
	router = calloc(1, sizeof(*router));
	if (!router) {
		routes_free(conf);
		goto err_memory;
	}
	router->svc.ops = &router_ops;
	router->keep_slashes = conf->keep_slashes;
	router->as_received = conf->as_received;
	if (take_routes(router, conf) < 0) {
		if (!router->routes)
			routes_free(
				&(struct weir_router_conf){ .routes = conf->routes, .n = conf->n });
		router_free(&router->svc);
		goto err_memory;
	}
	if (make_table(router, conf, error) < 0) {
		router_free(&router->svc);
		return NULL;
	}
	return &router->svc;
err_memory:
	weir_error_set(error, -ENOMEM, "out of memory");
	return NULL;
}
