/* SPDX-License-Identifier: MIT */
/*
 * forwarded: reads what trusted proxies said of a call's way, publishes the client, and rewrites
 * what the next one is told.
 */

#include <weir/forwarded.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

struct forwarded {
	struct weir_http_service svc;
	struct weir_network *trusted;
	size_t n_trusted;
	enum weir_forwarded_headers headers;
	enum weir_forwarded_mode mode;
	char *via[WEIR_HTTP_2 + 1]; /* items for requests of each version; NULL: none */
};

static const char *const versions[] = {
	[WEIR_HTTP_1_1] = "1.1",
	[WEIR_HTTP_1_0] = "1.0",
	[WEIR_HTTP_2] = "2.0",
};

struct peer {
	bool is_trusted;
	bool is_ip;
	struct weir_text text; /* without port; "unknown" for what is no IP address */
};

/* Of a call; in its arena. */
struct client {
	struct weir_address address;
	struct weir_text scheme; /* no data: the request's */
};

static const struct weir_extension_key client_key = { "client" };

const struct weir_address *weir_client_address(const struct weir_call *call)
{
	const struct client *client = weir_extension_find(&call->extensions, &client_key);

	if (client && client->address.size > 0)
		return &client->address;
	return call->conn ? &call->conn->peer : NULL;
}

struct weir_text weir_client_scheme(const struct weir_call *call)
{
	const struct client *client = weir_extension_find(&call->extensions, &client_key);

	return client && client->scheme.data ? client->scheme : call->request.scheme;
}

/* ---- the peer ----------------------------------------------------------------------------- */

/* Found anew for each call: an idle connection shall hold no memory for it. */
static __attribute__((noinline)) int find_peer(const struct forwarded *layer,
					       struct weir_call *call, struct peer *peer)
{
	char text[WEIR_ADDRESS_TEXT];
	const struct weir_address *address;

	*peer = (struct peer){ .text = WEIR_TEXT("unknown") };
	if (!call->conn || call->conn->peer.size == 0)
		return 0;
	address = &call->conn->peer;
	peer->is_trusted = weir_networks_contain(layer->trusted, layer->n_trusted, address);
	peer->is_ip = address->sa.sa_family == AF_INET || address->sa.sa_family == AF_INET6;
	if (peer->is_ip)
		peer->text = weir_text_of(
			weir_arena_strdup(&call->arena, weir_address_format_host(address, text)));
	return peer->text.data ? 0 : -ENOMEM;
}

/* ---- the client --------------------------------------------------------------------------- */

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80", each perhaps quoted. */
static bool parse_node(struct weir_text node, struct weir_address *address)
{
	char text[INET6_ADDRSTRLEN + 16];
	size_t size;

	if (node.size >= 2 && node.data[0] == '"' && node.data[node.size - 1] == '"')
		node = (struct weir_text){ node.data + 1, node.size - 2 };
	if (node.size == 0 || node.size >= sizeof(text) || memchr(node.data, '/', node.size))
		return false;
	memcpy(text, node.data, node.size);
	text[node.size] = '\0';
	if (weir_address_parse_host(address, text) == 0)
		return true;
	size = node.size;
	if (text[0] == '[' && text[size - 1] == ']') {
		text[size - 1] = '\0';
		return weir_address_parse_host(address, text + 1) == 0;
	}
	/* A port alone is none: "80" would be the address of everybody. */
	if (!memchr(text, '.', size) && text[0] != '[')
		return false;
	return weir_address_parse(address, text) == 0;
}

/* The value of parameter NAME of a forwarded-element (RFC 7239 section 4). */
static struct weir_text element_param(struct weir_text element, struct weir_text name)
{
	struct weir_text pair, key, value;

	while (element.size > 0) {
		weir_text_split(element, ';', &pair, &element);
		weir_text_split(weir_text_trim(pair), '=', &key, &value);
		if (weir_text_is_equal_nocase(key, name))
			return value;
	}
	return (struct weir_text){ NULL, 0 };
}

/* The list read from its left, so that one pass is enough: an address that is no trusted proxy's
 * is the client until another such one, nearer to us, follows. What is no address hides all
 * before it. That finds what walking from the right until the first stranger would. */
static void read_list(const struct forwarded *layer, const struct weir_headers *headers,
		      enum weir_header_id id, struct client *client)
{
	const struct weir_header *field = NULL;
	struct weir_address address;
	struct weir_text list, item;

	while ((field = weir_headers_find_id(headers, id, field))) {
		list = field->value;
		while (weir_text_next_item(&list, &item)) {
			if (id == WEIR_HEADER_FORWARDED)
				item = element_param(item, WEIR_TEXT("for"));
			if (!parse_node(item, &address))
				client->address.size = 0;
			else if (client->address.size == 0 ||
				 !weir_networks_contain(layer->trusted, layer->n_trusted, &address))
				client->address = address;
		}
	}
}

static void take_scheme(struct client *client, struct weir_text scheme)
{
	if (weir_text_is_equal_nocase(scheme, WEIR_TEXT("https")))
		client->scheme = WEIR_TEXT("https");
	else if (weir_text_is_equal_nocase(scheme, WEIR_TEXT("http")))
		client->scheme = WEIR_TEXT("http");
}

/* What the nearest proxy said last. */
static void read_scheme(const struct weir_headers *headers, enum weir_header_id id,
			struct client *client)
{
	const struct weir_header *field = NULL;
	struct weir_text list, item;

	while ((field = weir_headers_find_id(headers, id, field))) {
		list = field->value;
		while (weir_text_next_item(&list, &item))
			take_scheme(client, id == WEIR_HEADER_FORWARDED
						    ? element_param(item, WEIR_TEXT("proto"))
						    : item);
	}
}

static __attribute__((noinline)) int find_client(const struct forwarded *layer,
						 struct weir_call *call)
{
	const struct weir_headers *headers = &call->request.headers;
	struct client client = { 0 }, *copy;
	bool standard = layer->headers == WEIR_FORWARDED_STANDARD ||
			(layer->headers == WEIR_FORWARDED_BOTH &&
			 !weir_headers_find_id(headers, WEIR_HEADER_X_FORWARDED_FOR, NULL));

	read_list(layer, headers, standard ? WEIR_HEADER_FORWARDED : WEIR_HEADER_X_FORWARDED_FOR,
		  &client);
	read_scheme(headers, standard ? WEIR_HEADER_FORWARDED : WEIR_HEADER_X_FORWARDED_PROTO,
		    &client);
	if (client.address.size == 0 && !client.scheme.data)
		return 0;
	copy = weir_arena_memdup(&call->arena, &client, sizeof(client));
	if (!copy)
		return -ENOMEM;
	return weir_extension_add(&call->extensions, &call->arena, &client_key, copy);
}

/* ---- telling ------------------------------------------------------------------------------ */

static const enum weir_header_id names_x[] = {
	WEIR_HEADER_X_FORWARDED_FOR,
	WEIR_HEADER_X_FORWARDED_PROTO,
	WEIR_HEADER_X_FORWARDED_HOST,
};

static void drop_x(struct weir_headers *headers)
{
	size_t i;

	for (i = 0; i < WEIR_ARRAY_SIZE(names_x); i++)
		weir_headers_del_id(headers, names_x[i]);
}

/* All lines of ID and then ITEM, as one. */
static int append_item(struct weir_call *call, enum weir_header_id id, struct weir_text item)
{
	struct weir_headers *headers = &call->request.headers;
	const struct weir_header *field = weir_headers_find_id(headers, id, NULL);
	const char *value;

	if (!field)
		return weir_headers_set_id(headers, id, item);
	value = weir_arena_strndup(&call->arena, field->value.data, field->value.size);
	while (value && (field = weir_headers_find_id(headers, id, field)))
		value = weir_arena_printf(&call->arena, "%s, %.*s", value,
					  WEIR_TEXT_ARGS(field->value));
	if (value)
		value = weir_arena_printf(&call->arena, "%s%s%.*s", value, *value ? ", " : "",
					  WEIR_TEXT_ARGS(item));
	return value ? weir_headers_set_id(headers, id, weir_text_of(value)) : -ENOMEM;
}

static int set_absent(struct weir_headers *headers, enum weir_header_id id, struct weir_text value)
{
	if (value.size == 0 || weir_headers_find_id(headers, id, NULL))
		return 0;
	return weir_headers_add_id(headers, id, value);
}

static int tell_x(const struct forwarded *layer, struct weir_call *call, const struct peer *peer,
		  struct weir_text client)
{
	struct weir_headers *headers = &call->request.headers;
	bool has_list = weir_headers_find_id(headers, WEIR_HEADER_X_FORWARDED_FOR, NULL) != NULL;
	int status = 0;

	if (layer->mode == WEIR_FORWARDED_REPLACE) {
		drop_x(headers);
		has_list = false;
	}
	/* Applications read addresses here: a peer that has none adds nothing. */
	if (!has_list && (peer->is_ip || client.data != peer->text.data))
		status = weir_headers_add_id(headers, WEIR_HEADER_X_FORWARDED_FOR, client);
	else if (layer->mode == WEIR_FORWARDED_APPEND && peer->is_ip)
		status = append_item(call, WEIR_HEADER_X_FORWARDED_FOR, peer->text);
	if (status == 0)
		status = set_absent(headers, WEIR_HEADER_X_FORWARDED_PROTO,
				    weir_client_scheme(call));
	if (status == 0)
		status = set_absent(headers, WEIR_HEADER_X_FORWARDED_HOST, call->request.authority);
	return status;
}

/* for=192.0.2.1;host="example.com:80";proto=http */
static struct weir_text make_element(struct weir_call *call, struct weir_text node)
{
	bool quoted = node.size > 0 && memchr(node.data, ':', node.size);
	bool has_host = call->request.authority.size > 0;

	return weir_text_of(weir_arena_printf(
		&call->arena, "for=%s%.*s%s%s%.*s%s;proto=%.*s", quoted ? "\"[" : "",
		WEIR_TEXT_ARGS(node), quoted ? "]\"" : "", has_host ? ";host=\"" : "",
		WEIR_TEXT_ARGS(call->request.authority), has_host ? "\"" : "",
		WEIR_TEXT_ARGS(weir_client_scheme(call))));
}

static int tell_standard(const struct forwarded *layer, struct weir_call *call,
			 const struct peer *peer, struct weir_text client)
{
	struct weir_headers *headers = &call->request.headers;
	bool has_list = weir_headers_find_id(headers, WEIR_HEADER_FORWARDED, NULL) != NULL;
	struct weir_text element;

	if (has_list && layer->mode == WEIR_FORWARDED_KEEP)
		return 0;
	element = make_element(call, layer->mode == WEIR_FORWARDED_REPLACE ? client : peer->text);
	if (!element.data)
		return -ENOMEM;
	if (layer->mode == WEIR_FORWARDED_REPLACE)
		return weir_headers_set_id(headers, WEIR_HEADER_FORWARDED, element);
	return append_item(call, WEIR_HEADER_FORWARDED, element);
}

/* The client's address in text; the peer's own one when that is the client. */
static struct weir_text client_text(struct weir_call *call, const struct peer *peer)
{
	const struct client *client = weir_extension_find(&call->extensions, &client_key);
	char text[WEIR_ADDRESS_TEXT];

	if (!client || client->address.size == 0)
		return peer->text;
	return weir_text_of(
		weir_arena_strdup(&call->arena, weir_address_format_host(&client->address, text)));
}

static __attribute__((noinline)) int tell(const struct forwarded *layer, struct weir_call *call,
					  const struct peer *peer)
{
	struct weir_headers *headers = &call->request.headers;
	struct weir_text client = client_text(call, peer);
	bool x = layer->headers == WEIR_FORWARDED_X || layer->headers == WEIR_FORWARDED_BOTH;
	bool standard = layer->headers == WEIR_FORWARDED_STANDARD ||
			layer->headers == WEIR_FORWARDED_BOTH;
	int status = client.data ? 0 : -ENOMEM;

	/* What we do not write nobody shall believe. */
	if (!peer->is_trusted || !x)
		drop_x(headers);
	if (!peer->is_trusted || !standard)
		weir_headers_del_id(headers, WEIR_HEADER_FORWARDED);
	if (status == 0 && x)
		status = tell_x(layer, call, peer, client);
	if (status == 0 && standard)
		status = tell_standard(layer, call, peer, client);
	if (status == 0 && layer->via[0])
		status = append_item(call, WEIR_HEADER_VIA,
				     weir_text_of(layer->via[call->request.version]));
	return status;
}

/* ---- the layer ---------------------------------------------------------------------------- */

static __attribute__((noinline)) int forwarded_tell(const struct forwarded *layer,
						    struct weir_call *call)
{
	struct peer peer;
	int status = find_peer(layer, call, &peer);

	if (status == 0 && peer.is_trusted)
		status = find_client(layer, call);
	return status < 0 ? status : tell(layer, call, &peer);
}

static int forwarded_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct forwarded *layer = weir_container_of(svc, struct forwarded, svc);
	int status = forwarded_tell(layer, call);

	if (status == -E2BIG)
		return weir_call_refuse(call, 431, "too_many_fields");
	return status < 0 ? status : weir_handle(svc->inner, call);
}

static void forwarded_free(struct weir_http_service *svc)
{
	struct forwarded *layer = weir_container_of(svc, struct forwarded, svc);

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(layer->via); i++)
		free(layer->via[i]);
	free(layer->trusted);
	free(layer);
}

static const struct weir_http_ops forwarded_ops = {
	.name = "forwarded",
	.handle = forwarded_handle,
	.free = forwarded_free,
};

static int check_via(const char *via, struct weir_error *error)
{
	if (!via || (*via && weir_header_is_valid(weir_text_of(via), WEIR_TEXT(""))))
		return 0;
	weir_error_remedy(error, "write one word, for example weir");
	return weir_error_set(error, WEIR_ECONFIG, "\"%.100s\" is no name for Via", via);
}

/* Once, not with every call. */
static int make_via(struct forwarded *layer, const char *name)
{
	for (size_t i = 0; name && i < WEIR_ARRAY_SIZE(layer->via); i++) {
		if (asprintf(&layer->via[i], "%s %s", versions[i], name) < 0) {
			layer->via[i] = NULL;
			return -ENOMEM;
		}
	}
	return 0;
}

struct weir_http_service *weir_http_forwarded_layer(struct weir_http_service *inner,
						    const struct weir_forwarded_conf *conf,
						    struct weir_error *error)
{
	struct forwarded *layer = NULL;

	if (!inner || check_via(conf->via, error) < 0)
		goto err;
	layer = calloc(1, sizeof(*layer));
	if (!layer)
		goto err_memory;
	layer->svc = (struct weir_http_service){ .ops = &forwarded_ops, .inner = inner };
	layer->headers = conf->headers;
	layer->mode = conf->mode;
	layer->n_trusted = conf->n_trusted;
	layer->trusted = calloc(conf->n_trusted + 1, sizeof(*layer->trusted));
	if (!layer->trusted || make_via(layer, conf->via) < 0)
		goto err_memory;
	if (conf->n_trusted > 0)
		memcpy(layer->trusted, conf->trusted, conf->n_trusted * sizeof(*layer->trusted));
	return &layer->svc;
err_memory:
	weir_error_set(error, -ENOMEM, "out of memory");
err:
	if (layer)
		forwarded_free(&layer->svc);
	weir_http_service_free(inner);
	return NULL;
}
