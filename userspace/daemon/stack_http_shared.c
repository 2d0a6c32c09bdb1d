/* SPDX-License-Identifier: MIT */
/*
 * What the workers' copies of a layer share: counts, rates, the cache. A reload keeps what stands
 * at the same place in the new configuration, so that a limit is no higher for a moment, and a
 * cache not cold.
 */

#include "daemon/stack_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_shared(enum weir_config_http_layer_type type)
{
	return type == WEIR_CONFIG_HTTP_CONCURRENCY || type == WEIR_CONFIG_HTTP_RATE_LIMIT ||
	       type == WEIR_CONFIG_HTTP_CACHE;
}

static bool object_new(struct http_shared *shared)
{
	const struct weir_config_http_layer *conf = shared->conf;
	const struct weir_http_cache_store_conf store = {
		.max_bytes = conf->cache.max_bytes,
		.max_object_bytes = conf->cache.max_object_bytes,
	};

	switch (conf->type) {
	case WEIR_CONFIG_HTTP_CONCURRENCY:
		shared->object.concurrency = weir_http_concurrency_shared_new();
		return shared->object.concurrency != NULL;
	case WEIR_CONFIG_HTTP_RATE_LIMIT:
		shared->object.rate = weir_http_rate_shared_new();
		return shared->object.rate != NULL;
	default:
		shared->object.cache = weir_http_cache_new(&store);
		return shared->object.cache != NULL;
	}
}

static void object_get(struct http_shared *shared, const struct http_shared *from)
{
	switch (shared->conf->type) {
	case WEIR_CONFIG_HTTP_CONCURRENCY:
		shared->object.concurrency =
			weir_http_concurrency_shared_get(from->object.concurrency);
		break;
	case WEIR_CONFIG_HTTP_RATE_LIMIT:
		shared->object.rate = weir_http_rate_shared_get(from->object.rate);
		break;
	default:
		shared->object.cache = weir_http_cache_get(from->object.cache);
		break;
	}
}

static void object_put(struct http_shared *shared)
{
	switch (shared->conf->type) {
	case WEIR_CONFIG_HTTP_CONCURRENCY:
		weir_http_concurrency_shared_put(shared->object.concurrency);
		break;
	case WEIR_CONFIG_HTTP_RATE_LIMIT:
		weir_http_rate_shared_put(shared->object.rate);
		break;
	default:
		weir_http_cache_put(shared->object.cache);
		break;
	}
}

/* A store has its sizes for life, and rates of another key mean something else. */
static bool may_be_kept(const struct weir_config_http_layer *a,
			const struct weir_config_http_layer *b)
{
	const char *one = a->rate_limit.key, *other = b->rate_limit.key;

	if (a->type == WEIR_CONFIG_HTTP_RATE_LIMIT)
		return strcmp(one != NULL ? one : "", other != NULL ? other : "") == 0 &&
		       a->rate_limit.max_keys == b->rate_limit.max_keys;
	return a->type != WEIR_CONFIG_HTTP_CACHE ||
	       (a->cache.max_bytes == b->cache.max_bytes &&
		a->cache.max_object_bytes == b->cache.max_object_bytes);
}

static const struct http_shared *find_before(const struct http_shared_list *before,
					     const struct http_shared *shared)
{
	size_t i;

	for (i = 0; before != NULL && i < before->n; i++) {
		if (strcmp(before->list[i].id, shared->id) == 0 &&
		    may_be_kept(before->list[i].conf, shared->conf))
			return &before->list[i];
	}
	return NULL;
}

static int add(struct http_shared_list *shared, const struct http_shared_list *before,
	       const struct weir_config_http_layer *conf, char *id)
{
	const struct http_shared *old;
	struct http_shared *list, *one;

	list = id != NULL ? reallocarray(shared->list, shared->n + 1, sizeof(*list)) : NULL;
	if (list == NULL) {
		free(id);
		return -ENOMEM;
	}
	shared->list = list;
	one = &list[shared->n];
	*one = (struct http_shared){ .conf = conf, .id = id };
	old = find_before(before, one);
	if (old != NULL) {
		object_get(one, old);
	} else if (!object_new(one)) {
		free(id);
		return -ENOMEM;
	}
	shared->n++;
	return 0;
}

/* "web/api/cache/0": the first cache of route api of listener web. */
static int add_layers(struct http_shared_list *shared, const struct http_shared_list *before,
		      const struct weir_config_http_layer *layers, uint32_t count,
		      const char *listener, const char *route)
{
	unsigned seen[WEIR_CONFIG_HTTP_LAYER_COUNT] = { 0 };
	char *id;
	uint32_t i;
	int status = 0;

	for (i = 0; i < count && status == 0; i++) {
		if (!is_shared(layers[i].type))
			continue;
		if (asprintf(&id, "%s/%s/%d/%u", listener, route, (int)layers[i].type,
			     seen[layers[i].type]++) < 0)
			id = NULL;
		status = add(shared, before, &layers[i], id);
	}
	return status;
}

static int add_routes(struct http_shared_list *shared, const struct http_shared_list *before,
		      const struct weir_config_listener *listener)
{
	const struct weir_config_route *route;
	char number[16];
	uint32_t i;
	int status = 0;

	for (i = 0; i < listener->http.routes_count && status == 0; i++) {
		route = &listener->http.routes[i];
		snprintf(number, sizeof(number), "%u", i);
		status = add_layers(shared, before, route->layers, route->layers_count,
				    listener->name, route->name != NULL ? route->name : number);
	}
	return status;
}

int http_shared_init(struct http_shared_list *shared, const struct weir_config *config,
		     const struct http_shared_list *before)
{
	const struct weir_config_listener *listener;
	uint32_t i;
	int status = 0;

	*shared = (struct http_shared_list){ 0 };
	for (i = 0; i < config->listeners_count && status == 0; i++) {
		listener = &config->listeners[i];
		status = add_layers(shared, before, listener->http.layers,
				    listener->http.layers_count, listener->name, "");
		if (status == 0)
			status = add_routes(shared, before, listener);
	}
	return status;
}

void http_shared_fini(struct http_shared_list *shared)
{
	size_t i;

	for (i = 0; i < shared->n; i++) {
		object_put(&shared->list[i]);
		free(shared->list[i].id);
	}
	free(shared->list);
	*shared = (struct http_shared_list){ 0 };
}
