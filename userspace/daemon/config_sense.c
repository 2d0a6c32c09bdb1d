/* SPDX-License-Identifier: MIT */
/*
 * Values that are right alone and wrong together.
 */

#include <string.h>

#include <weir/address.h>

#include "daemon/config_sense.h"
#include "daemon/config_suggest.h"

const struct config_node *config_place(const struct config_node *map, const char *key)
{
	const struct config_node *node = config_node_get(map, key);

	return node != NULL ? node : map;
}

const struct config_node *config_element(const struct config_node *list, size_t index)
{
	return list != NULL && list->kind == CONFIG_KIND_SEQUENCE ? config_node_at(list, index)
								  : list;
}

/* ---- listeners ---------------------------------------------------------------------------- */

static void check_layer(struct sense *sense, const struct weir_config_listener *listener,
			const struct weir_config_layer *layer, const struct config_node *node)
{
	switch (layer->type) {
	case WEIR_CONFIG_SOURCE_LIMIT:
		if (layer->source_limit.connections == 0 && layer->source_limit.rate == 0)
			config_mistake(sense->mistakes, node, "add \"connections\" or \"rate\"",
				       "\"source_limit\" limits nothing");
		else if (layer->source_limit.burst != 0 && layer->source_limit.rate == 0)
			config_mistake(sense->mistakes, config_place(node, "burst"), "add \"rate\"",
				       "\"burst\" means nothing without \"rate\"");
		break;
	case WEIR_CONFIG_BANDWIDTH:
		if (layer->bandwidth.upload == 0 && layer->bandwidth.download == 0)
			config_mistake(sense->mistakes, node, "add \"upload\" or \"download\"",
				       "\"bandwidth\" limits nothing");
		else if (listener->http.place.file != NULL)
			config_mistake(sense->mistakes, node, "remove it",
				       "\"bandwidth\" cannot slow what HTTP sends");
		break;
	default:
		break;
	}
}

static void check_layers(struct sense *sense, const struct weir_config_listener *listener,
			 const struct config_node *node)
{
	const struct config_node *layers = config_node_get(node, "layers");
	const struct config_node *layer;
	uint32_t i;

	for (i = 0; i < listener->layers_count; i++) {
		layer = config_node_at(layers, i);
		if (layer != NULL && layer->first != NULL)
			check_layer(sense, listener, &listener->layers[i], layer->first->value);
	}
}

static bool is_same_address(const char *a, const char *b)
{
	struct weir_address one, other;

	return weir_address_parse(&one, a) == 0 && weir_address_parse(&other, b) == 0 &&
	       weir_address_port(&one) + weir_address_is_unix(&one) != 0 &&
	       weir_address_is_equal(&one, &other);
}

static void check_listener_twice(struct sense *sense, uint32_t index,
				 const struct config_node *node)
{
	const struct weir_config_listener *listener = &sense->config->listeners[index];
	const struct weir_config_listener *other;
	uint32_t i;

	for (i = 0; i < index; i++) {
		other = &sense->config->listeners[i];
		if (strcmp(other->name, listener->name) == 0)
			config_mistake(sense->mistakes, config_place(node, "name"),
				       "choose another name",
				       "two listeners are called \"%s\", the first at %s:%u",
				       listener->name, other->place.file, other->place.line);
		if (is_same_address(other->address, listener->address))
			config_mistake(sense->mistakes, config_place(node, "address"),
				       "choose another address",
				       "listener \"%s\" has the address of listener \"%s\"",
				       listener->name, other->name);
	}
}

void config_check_upstream_name(struct sense *sense, const char *name,
				const struct config_node *node)
{
	struct config_suggest suggest;
	uint32_t i;

	if (weir_config_upstream(sense->config, name) != NULL)
		return;
	config_suggest_init(&suggest, name);
	for (i = 0; i < sense->config->upstreams_count; i++)
		config_suggest_add(&suggest, sense->config->upstreams[i].name);
	config_mistake(sense->mistakes, node,
		       i == 0 ? "add it under \"upstreams\"" : config_suggest_text(&suggest),
		       "there is no upstream \"%s\"", name);
}

static void check_kind(struct sense *sense, const struct weir_config_listener *listener,
		       const struct config_node *node)
{
	if (listener->http.place.file != NULL)
		config_check_http(sense, listener, config_node_get(node, "http"));
	else
		config_check_upstream_name(sense, listener->tcp.to,
					   config_place(config_node_get(node, "tcp"), "to"));
}

static void check_listener(struct sense *sense, uint32_t index)
{
	const struct weir_config_listener *listener = &sense->config->listeners[index];
	const struct config_node *node = config_node_at(sense->listeners, index);

	check_listener_twice(sense, index, node);
	check_kind(sense, listener, node);
	check_layers(sense, listener, node);
	if (sense->config->admin.metrics != NULL &&
	    is_same_address(sense->config->admin.metrics, listener->address))
		config_mistake(sense->mistakes, config_place(node, "address"),
			       "choose another address",
			       "listener \"%s\" has the address of admin.metrics", listener->name);
}

/* ---- upstreams ---------------------------------------------------------------------------- */

static void check_endpoints(struct sense *sense, const struct weir_config_upstream *upstream,
			    const struct config_node *node)
{
	const struct config_node *list = config_node_get(node, "endpoints");
	uint32_t i, j;

	for (i = 1; i < upstream->endpoints_count; i++) {
		for (j = 0; j < i; j++) {
			if (strcmp(upstream->endpoints[i].address,
				   upstream->endpoints[j].address) == 0) {
				config_mistake(sense->mistakes, config_node_at(list, i),
					       "keep one of them, with a weight",
					       "upstream \"%s\" has the endpoint \"%s\" twice",
					       upstream->name, upstream->endpoints[i].address);
				break;
			}
		}
	}
}

static void check_upstream_twice(struct sense *sense, uint32_t index,
				 const struct config_node *node)
{
	const struct weir_config_upstream *upstream = &sense->config->upstreams[index];
	const struct weir_config_upstream *other =
		weir_config_upstream(sense->config, upstream->name);

	if (other != upstream)
		config_mistake(sense->mistakes, config_place(node, "name"), "choose another name",
			       "two upstreams are called \"%s\", the first at %s:%u",
			       upstream->name, other->place.file, other->place.line);
}

static void check_upstream(struct sense *sense, uint32_t index)
{
	const struct weir_config_upstream *upstream = &sense->config->upstreams[index];
	const struct config_node *node = config_node_at(sense->upstreams, index);
	uint64_t base_ms = upstream->ejection.base_ms ? upstream->ejection.base_ms : 10000;
	uint64_t max_ms = upstream->ejection.max_ms ? upstream->ejection.max_ms : 300000;

	check_upstream_twice(sense, index, node);
	check_endpoints(sense, upstream, node);
	config_check_upstream_http(sense, upstream, node);
	if (max_ms < base_ms)
		config_mistake(sense->mistakes,
			       config_place(config_node_get(node, "ejection"), "max"),
			       "make \"max\" (300s unless it is said) at least \"base\" (10s)",
			       "the ejection's \"max\" is shorter than its \"base\"");
	if (upstream->limit.queue_ms != 0 && upstream->limit.queue == 0)
		config_mistake(sense->mistakes,
			       config_place(config_node_get(node, "limit"), "queue_timeout"),
			       "add \"queue\"",
			       "\"queue_timeout\" means nothing without \"queue\"");
}

/* ---- the rest ----------------------------------------------------------------------------- */

static void check_log(struct sense *sense, const struct config_node *root)
{
	const struct weir_config_log *log = &sense->config->log;
	const struct config_node *node = config_node_get(root, "log");

	if (log->to == WEIR_CONFIG_LOG_FILE && log->file == NULL)
		config_mistake(sense->mistakes, config_place(node, "to"), "add \"file\": the path",
			       "the log goes to a file, but no file is said");
	if (log->to != WEIR_CONFIG_LOG_FILE && log->file != NULL)
		config_mistake(sense->mistakes, config_place(node, "file"), "add \"to: file\"",
			       "the log's file is not used");
}

static void check_admin(struct sense *sense, const struct config_node *root)
{
	const struct weir_config_admin *admin = &sense->config->admin;
	const struct config_node *node = config_node_get(root, "admin");
	struct weir_address address;

	if (admin->metrics != NULL && weir_address_parse(&address, admin->metrics) == 0 &&
	    weir_address_is_unix(&address))
		config_mistake(sense->mistakes, config_place(node, "metrics"),
			       "write a TCP address; the socket answers GET /metrics too",
			       "\"metrics\" is a Unix socket");
	if (admin->socket == NULL && admin->users_count + admin->groups_count > 0)
		config_mistake(sense->mistakes, node, "add \"socket\"",
			       "users and groups mean nothing without a socket");
}

void config_check_sense(const struct weir_config *config, const struct config_node *root,
			struct weir_config_mistakes *mistakes)
{
	struct sense sense = {
		.config = config,
		.mistakes = mistakes,
		.listeners = config_node_get(root, "listeners"),
		.upstreams = config_node_get(root, "upstreams"),
	};
	uint32_t i;

	check_admin(&sense, root);
	check_log(&sense, root);
	for (i = 0; i < config->listeners_count; i++)
		check_listener(&sense, i);
	for (i = 0; i < config->upstreams_count; i++)
		check_upstream(&sense, i);
}
