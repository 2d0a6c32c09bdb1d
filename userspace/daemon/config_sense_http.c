/* SPDX-License-Identifier: MIT */
/*
 * HTTP listeners: what can be wrong between values. What a constructor of the library would
 * refuse is found by building each layer and each route with nothing behind it.
 */

#include "daemon/config_sense.h"

#include <errno.h>
#include <string.h>

#include "daemon/stack_http.h"

struct http_sense {
	struct sense *sense;
	const struct weir_config_http *http;
	const char *listener;
};

static int answer_nothing(struct weir_call *call, void *ctx)
{
	(void)ctx;
	return weir_call_refuse(call, 404, "trial");
}

static struct weir_http_service *no_upstream(struct http_site *site, const char *name,
					     const struct weir_config_route *route,
					     struct weir_error *error)
{
	(void)site;
	(void)name;
	(void)route;
	return weir_http_function(answer_nothing, NULL, error);
}

static void mistake_from(struct sense *sense, const struct config_node *node,
			 const struct weir_error *error)
{
	config_mistake(sense->mistakes, node, error->remedy[0] != '\0' ? error->remedy : NULL, "%s",
		       error->message);
}

/* ---- layers ------------------------------------------------------------------------------- */

static void check_change(struct sense *sense, const struct weir_config_field_change *change,
			 const struct config_node *node)
{
	unsigned n = (change->set != NULL) + (change->add != NULL) + (change->fallback != NULL) +
		     (change->remove != NULL);

	if (n != 1)
		config_mistake(sense->mistakes, node, "write one of set, add, default and remove",
			       "a header change has %s verb", n == 0 ? "no" : "more than one");
	else if (change->remove != NULL && change->value != NULL)
		config_mistake(sense->mistakes, config_place(node, "value"), "remove it",
			       "\"value\" means nothing with \"remove\"");
	else if (change->remove == NULL && change->value == NULL)
		config_mistake(sense->mistakes, node, "add \"value\"",
			       "a header change has no value");
}

static void check_changes(struct sense *sense, const struct weir_config_field_change *changes,
			  uint32_t count, const struct config_node *list)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		check_change(sense, &changes[i], config_element(list, i));
}

static void check_pages(struct sense *sense, const struct weir_config_http_layer *layer,
			const struct config_node *node)
{
	const struct config_node *list = config_node_get(node, "pages");
	uint32_t i;

	for (i = 0; i < layer->error_pages.pages_count; i++) {
		if ((layer->error_pages.pages[i].content != NULL) ==
		    (layer->error_pages.pages[i].file != NULL))
			config_mistake(sense->mistakes, config_node_at(list, i),
				       "write one of content and file",
				       "an error page has both a content and a file, or neither");
	}
}

/* What would mislead the trial, or what it cannot see. False: something was wrong. */
static bool check_layer_values(struct sense *sense, const struct weir_config_http_layer *layer,
			       const struct config_node *node)
{
	size_t before = sense->mistakes->n + sense->mistakes->left_off;

	switch (layer->type) {
	case WEIR_CONFIG_HTTP_ACCESS_LOG:
		if (layer->access_log.line != NULL &&
		    layer->access_log.format != WEIR_HTTP_LOG_TEMPLATE)
			config_mistake(sense->mistakes, config_place(node, "template"),
				       "add \"format: template\"",
				       "the access log's template is not used");
		if (layer->access_log.line == NULL &&
		    layer->access_log.format == WEIR_HTTP_LOG_TEMPLATE)
			config_mistake(sense->mistakes, node, "add \"template\"",
				       "the access log has no template");
		break;
	case WEIR_CONFIG_HTTP_HEADERS:
		check_changes(sense, layer->headers.request, layer->headers.request_count,
			      config_node_get(node, "request"));
		check_changes(sense, layer->headers.response, layer->headers.response_count,
			      config_node_get(node, "response"));
		break;
	case WEIR_CONFIG_HTTP_ERROR_PAGES:
		check_pages(sense, layer, node);
		break;
	default:
		break;
	}
	return before == sense->mistakes->n + sense->mistakes->left_off;
}

static void check_layer(struct http_sense *http, const struct weir_config_http_layer *layer,
			const struct config_node *node)
{
	struct http_site site = { .listener = http->listener, .trial = true };
	struct weir_http_service *service;
	struct weir_error error;

	if (!check_layer_values(http->sense, layer, node))
		return;
	weir_error_init(&error);
	service = weir_http_function(answer_nothing, NULL, &error);
	service = http_layer_build(service, &site, layer, &error);
	if (service == NULL)
		mistake_from(http->sense, node, &error);
	weir_http_service_free(service);
}

static void check_layers(struct http_sense *http, const struct weir_config_http_layer *layers,
			 uint32_t count, const struct config_node *list)
{
	const struct config_node *node;
	uint32_t i;

	for (i = 0; i < count; i++) {
		node = config_node_at(list, i);
		if (node != NULL && node->first != NULL)
			check_layer(http, &layers[i], node->first->value);
	}
}

/* ---- matches ------------------------------------------------------------------------------ */

static void check_conditions(struct sense *sense, const struct weir_config_condition *conditions,
			     uint32_t count, const struct config_node *list)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (conditions[i].is != NULL && conditions[i].prefix != NULL)
			config_mistake(sense->mistakes, config_element(list, i), "keep one of them",
				       "a condition has both \"is\" and \"prefix\"");
	}
}

static void check_match_values(struct sense *sense, const struct weir_config_match *match,
			       const struct config_node *node)
{
	uint32_t i;

	check_conditions(sense, match->header, match->header_count,
			 config_node_get(node, "header"));
	check_conditions(sense, match->query, match->query_count, config_node_get(node, "query"));
	for (i = 0; i < match->any_count; i++)
		check_match_values(sense, &match->any[i],
				   config_element(config_node_get(node, "any"), i));
	for (i = 0; i < match->none_count; i++)
		check_match_values(sense, &match->none[i],
				   config_element(config_node_get(node, "not"), i));
}

static void check_match(struct http_sense *http, const struct weir_config_match *match,
			const struct config_node *node)
{
	struct weir_match_table *table = NULL;
	struct weir_match_conf conf;
	struct weir_arena arena;
	struct weir_error error;

	check_match_values(http->sense, match, node);
	weir_error_init(&error);
	weir_arena_init(&arena, 0);
	if (http_match_conf(&arena, match, &conf) < 0)
		weir_error_set(&error, -ENOMEM, "out of memory");
	else
		table = weir_match_table_new(&conf, 1, NULL, &error);
	if (table == NULL)
		mistake_from(http->sense, node, &error);
	weir_match_table_free(table);
	weir_arena_fini(&arena);
}

static void check_retry(struct sense *sense, const struct weir_config_retry *retry,
			const struct config_node *node)
{
	if ((retry->on & WEIR_RETRY_NEVER) && retry->on != WEIR_RETRY_NEVER)
		config_mistake(sense->mistakes, config_place(node, "when"), "keep one of them",
			       "\"never\" stands beside what a call is tried again for");
	if (retry->backoff_max_ms != 0 &&
	    retry->backoff_max_ms < (retry->backoff_ms != 0 ? retry->backoff_ms : 25))
		config_mistake(sense->mistakes, config_place(node, "max_backoff"),
			       "make it at least \"backoff\" (25ms unless it is said)",
			       "\"max_backoff\" is shorter than \"backoff\"");
}

/* ---- routes ------------------------------------------------------------------------------- */

static void check_split(struct sense *sense, const struct weir_config_split *split,
			const struct config_node *node)
{
	bool named = split->by == WEIR_SPLIT_HEADER || split->by == WEIR_SPLIT_COOKIE;
	uint32_t i;

	if (!named && split->name != NULL)
		config_mistake(sense->mistakes, config_place(node, "name"),
			       "add \"by: header\" or \"by: cookie\"",
			       "the split's \"name\" means nothing");
	for (i = 0; i < split->parts_count; i++)
		config_check_upstream_name(
			sense, split->parts[i].to,
			config_place(config_node_at(config_node_get(node, "parts"), i), "to"));
}

static void check_names(struct sense *sense, const struct weir_config_route *route,
			const struct config_node *node)
{
	if (route->to != NULL)
		config_check_upstream_name(sense, route->to, config_place(node, "to"));
	if (route->split.place.file != NULL)
		check_split(sense, &route->split, config_node_get(node, "split"));
	if (route->mirror.place.file != NULL)
		config_check_upstream_name(sense, route->mirror.to, config_place(node, "mirror"));
}

/* What only means something when the route asks an upstream. */
static void check_forwarding(struct sense *sense, const struct weir_config_route *route,
			     const struct config_node *node)
{
	static const char *const keys[] = { "retry", "timeout", "hedge" };
	size_t i;

	if (route->retry.place.file != NULL)
		check_retry(sense, &route->retry, config_node_get(node, "retry"));
	if (route->to != NULL || route->split.place.file != NULL)
		return;
	for (i = 0; i < WEIR_ARRAY_SIZE(keys); i++) {
		if (config_node_get(node, keys[i]) != NULL)
			config_mistake(sense->mistakes, config_node_get(node, keys[i]), "remove it",
				       "\"%s\" means nothing for a route without upstream",
				       keys[i]);
	}
}

static void check_route(struct http_sense *http, uint32_t index, const struct config_node *node)
{
	struct http_site site = { .listener = http->listener,
				  .trial = true,
				  .upstream = no_upstream };
	struct weir_config_route route = http->http->routes[index];
	struct weir_http_service *service;
	struct weir_error error;

	if (route.match.place.file != NULL)
		check_match(http, &route.match, config_node_get(node, "match"));
	check_layers(http, route.layers, route.layers_count, config_node_get(node, "layers"));
	check_names(http->sense, &route, node);
	check_forwarding(http->sense, &route, node);
	/* The layers were tried already, each for itself. */
	route.layers_count = 0;
	weir_error_init(&error);
	service = http_route_build(&site, &route, &error);
	if (service == NULL)
		mistake_from(http->sense, node, &error);
	weir_http_service_free(service);
}

static void check_route_twice(struct http_sense *http, uint32_t index,
			      const struct config_node *node)
{
	const struct weir_config_route *routes = http->http->routes;
	uint32_t i;

	for (i = 0; routes[index].name != NULL && i < index; i++) {
		if (routes[i].name != NULL && strcmp(routes[i].name, routes[index].name) == 0) {
			config_mistake(http->sense->mistakes, config_place(node, "name"),
				       "choose another name",
				       "two routes are called \"%s\", the first at %s:%u",
				       routes[index].name, routes[i].place.file,
				       routes[i].place.line);
			return;
		}
	}
}

/* A route without conditions takes every call: what stands below it is never reached. */
static void check_reachable(struct http_sense *http, uint32_t index, const struct config_node *node)
{
	if (index + 1 < http->http->routes_count &&
	    http->http->routes[index].match.place.file == NULL)
		config_mistake(http->sense->mistakes, node,
			       "add \"match\", or make it the last one",
			       "this route takes every call, so those below it get none");
}

static void check_forwarded(struct http_sense *http, const struct config_node *node)
{
	const struct config_node *list = config_node_get(node, "trusted_proxies");
	struct weir_network network;
	uint32_t i;

	for (i = 0; i < http->http->forwarded.trusted_count; i++) {
		if (weir_network_parse(&network, http->http->forwarded.trusted[i]) < 0)
			config_mistake(http->sense->mistakes, config_element(list, i),
				       "write 10.0.0.0/8, 2001:db8::/32, one address, or unix",
				       "\"%s\" is no network", http->http->forwarded.trusted[i]);
	}
}

void config_check_http(struct sense *sense, const struct weir_config_listener *listener,
		       const struct config_node *node)
{
	struct http_sense http = { .sense = sense,
				   .http = &listener->http,
				   .listener = listener->name };
	const struct config_node *routes = config_node_get(node, "routes");
	uint32_t i;

	check_forwarded(&http, config_node_get(node, "forwarded"));
	check_layers(&http, http.http->layers, http.http->layers_count,
		     config_node_get(node, "layers"));
	for (i = 0; i < http.http->routes_count; i++) {
		check_route_twice(&http, i, config_node_at(routes, i));
		check_reachable(&http, i, config_node_at(routes, i));
		check_route(&http, i, config_node_at(routes, i));
	}
}

/* ---- upstreams ---------------------------------------------------------------------------- */

static void check_hash(struct sense *sense, const struct weir_config_upstream *upstream,
		       const struct config_node *node)
{
	bool named = upstream->http.hash.by == WEIR_HASH_HEADER ||
		     upstream->http.hash.by == WEIR_HASH_COOKIE;

	if (node == NULL)
		return;
	if (upstream->balance != WEIR_BALANCE_RING_HASH &&
	    upstream->balance != WEIR_BALANCE_MAGLEV &&
	    upstream->balance != WEIR_BALANCE_SOURCE_HASH)
		config_mistake(sense->mistakes, node, "add \"balance: maglev\", or remove it",
			       "\"hash\" means nothing without a balance that hashes");
	if (named && upstream->http.hash.name == NULL)
		config_mistake(sense->mistakes, node, "add \"name\"",
			       "the hash goes by a header or cookie without a name");
	if (!named && upstream->http.hash.name != NULL)
		config_mistake(sense->mistakes, config_place(node, "name"),
			       "add \"by: header\" or \"by: cookie\"",
			       "the hash's \"name\" means nothing");
}

/* An upstream with this check and nothing else. */
static void check_health(struct sense *sense, const struct weir_config_upstream *upstream,
			 const struct config_node *node)
{
	struct weir_endpoint_conf endpoint = { .target.host = "trial", .target.port = 80 };
	struct weir_upstream_conf conf = {
		.name = "trial",
		.endpoints = &endpoint,
		.n_endpoints = 1,
		.health.http = {
			.path = upstream->health.http.path,
			.method = upstream->health.http.method,
			.host = upstream->health.http.host,
			.status_from = upstream->health.http.status,
			.status_to = upstream->health.http.status_to,
		},
	};
	struct weir_upstream *trial;
	struct weir_error error;

	if (node == NULL)
		return;
	weir_error_init(&error);
	trial = weir_upstream_new(&conf, &error);
	if (trial == NULL)
		mistake_from(sense, node, &error);
	weir_upstream_put(trial);
}

void config_check_upstream_http(struct sense *sense, const struct weir_config_upstream *upstream,
				const struct config_node *node)
{
	const struct config_node *health = config_node_get(node, "health");

	if (health != NULL)
		check_health(sense, upstream, config_node_get(health, "http"));
	check_hash(sense, upstream, config_node_get(node, "hash"));
	if (upstream->retry.place.file != NULL)
		check_retry(sense, &upstream->retry, config_node_get(node, "retry"));
	if (config_node_get(node, "ejection") != NULL && upstream->ejection.failures == 0 &&
	    upstream->ejection.server_errors == 0 && upstream->ejection.gateway_errors == 0)
		config_mistake(sense->mistakes, config_node_get(node, "ejection"),
			       "add \"failures\", \"server_errors\" or \"gateway_errors\"",
			       "\"ejection\" takes nothing out");
}
