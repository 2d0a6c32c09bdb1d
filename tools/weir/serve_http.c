/* SPDX-License-Identifier: MIT */
/*
 * weir serve http: an origin to try clients and proxies with. The path says what happens.
 */

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>
#include <weir/http_layer.h>
#include <weir/http_server.h>
#include <weir/router.h>
#include <weir/static_files.h>

#include "tools/weir/serve.h"

#define PATTERN_BYTES 65536
#define MAX_DELAY_MS  600000
#define EVENT_MS      100

/* ---- bodies -------------------------------------------------------------------------------- */

static char pattern[PATTERN_BYTES + 64]; /* "0123...", the same line of 64 bytes again and again */

static void pattern_fill(void)
{
	static const char line[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n";

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = line[i % 64];
}

struct made_body {
	struct weir_body body;
	uint64_t at;
	uint64_t size;
	uint64_t breaks_at; /* fails there */
	uint64_t pause_ms;  /* before each event; 0: no events, but the pattern */
	char event[32];
};

static int made_next_event(struct made_body *made, struct iovec *piece, bool wait)
{
	int status;

	if (!wait)
		return -EAGAIN;
	status = weir_task_sleep_ms(made->pause_ms);
	if (status)
		return status;
	piece->iov_base = made->event;
	piece->iov_len = (size_t)snprintf(made->event, sizeof(made->event), "data: %llu\n\n",
					  (unsigned long long)++made->at);
	return 1;
}

static int made_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct made_body *made = weir_container_of(body, struct made_body, body);
	uint64_t left = WEIR_MIN(made->size, made->breaks_at) - made->at;

	if (left == 0)
		return made->breaks_at < made->size ? -EPIPE : 0;
	if (made->pause_ms)
		return made_next_event(made, piece, wait);
	piece->iov_base = pattern + made->at % 64;
	piece->iov_len = (size_t)WEIR_MIN(left, (uint64_t)PATTERN_BYTES);
	made->at += piece->iov_len;
	return 1;
}

static void made_free(struct weir_body *body)
{
	(void)body; /* the arena's */
}

static const struct weir_body_ops made_ops = {
	.name = "made",
	.next = made_next,
	.free = made_free,
};

/* SAYS: its size is announced. */
static struct made_body *made_body(struct weir_call *call, uint64_t size, bool says)
{
	struct made_body *made = weir_arena_zalloc(&call->arena, sizeof(*made));

	if (!made)
		return NULL;
	made->body.ops = &made_ops;
	made->body.size = says ? size : WEIR_BODY_UNKNOWN;
	made->size = size;
	made->breaks_at = UINT64_MAX;
	return made;
}

/* ---- answers ------------------------------------------------------------------------------- */

static int answer_type(struct weir_call *call, struct weir_text type)
{
	call->response.status = 200;
	return weir_headers_add_id(&call->response.headers, WEIR_HEADER_CONTENT_TYPE, type);
}

static int answer_made(struct weir_call *call, struct made_body *made, struct weir_text type)
{
	if (!made)
		return -ENOMEM;
	call->response.body = &made->body;
	return answer_type(call, type);
}

/* The number in the path. 0 or -EINVAL. */
static int path_number(const struct weir_call *call, uint64_t *number)
{
	const struct weir_match_params *params =
		weir_extension_find(&call->extensions, &weir_match_params_key);

	return weir_text_parse_u64(weir_match_param(params, WEIR_TEXT("n")), number);
}

/* What a number means. */
typedef int number_fn(struct weir_call *call, uint64_t n);

static int answer_number(struct weir_call *call, void *ctx)
{
	number_fn *const *fn = ctx;
	uint64_t n;

	if (path_number(call, &n))
		return weir_call_refuse(call, 400, "no_number");
	return (*fn)(call, n);
}

static int answer_status(struct weir_call *call, uint64_t n)
{
	if (n < 200 || n > 599)
		return weir_call_refuse(call, 400, "no_status");
	return weir_call_refuse(call, (unsigned)n, "asked");
}

static int answer_bytes(struct weir_call *call, uint64_t n)
{
	return answer_made(call, made_body(call, n, true), WEIR_TEXT("application/octet-stream"));
}

static int answer_stream(struct weir_call *call, uint64_t n)
{
	return answer_made(call, made_body(call, n, false), WEIR_TEXT("application/octet-stream"));
}

/* Half of what it says, and then the end of the connection. */
static int answer_drop(struct weir_call *call, uint64_t n)
{
	struct made_body *made = made_body(call, n, true);

	if (made)
		made->breaks_at = n / 2;
	return answer_made(call, made, WEIR_TEXT("application/octet-stream"));
}

static int answer_events(struct weir_call *call, uint64_t n)
{
	struct made_body *made = made_body(call, n, false);

	if (made)
		made->pause_ms = EVENT_MS;
	return answer_made(call, made, WEIR_TEXT("text/event-stream"));
}

static int answer_delay(struct weir_call *call, uint64_t n)
{
	int status = weir_task_sleep_ms(WEIR_MIN(n, (uint64_t)MAX_DELAY_MS));

	return status ? status : weir_call_respond(call, 200, "text/plain", WEIR_TEXT("late\n"));
}

static int answer_redirect(struct weir_call *call, uint64_t n)
{
	char *to =
		n > 1 ? weir_arena_printf(&call->arena, "/redirect/%llu", (unsigned long long)n - 1)
		      : weir_arena_strdup(&call->arena, "/");
	int status = to ? weir_call_refuse(call, 302, "asked") : -ENOMEM;

	return status ? status
		      : weir_headers_add_id(&call->response.headers, WEIR_HEADER_LOCATION,
					    weir_text_of(to));
}

/* ---- the request, looked at ---------------------------------------------------------------- */

static json_t *text_json(struct weir_text text)
{
	json_t *json = json_stringn(text.data ? text.data : "", text.size);

	return json ? json : json_string("(no UTF-8)");
}

static json_t *fields_json(const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;
	json_t *list = json_array();

	while ((field = weir_headers_next(headers, field)) != NULL) {
		json_t *pair = json_array();

		json_array_append_new(pair, text_json(field->name));
		json_array_append_new(pair, text_json(field->value));
		json_array_append_new(list, pair);
	}
	return list;
}

/* FNV-1a of 64 bits, which every language has at hand. */
static uint64_t hash_more(uint64_t hash, const struct iovec *piece)
{
	const unsigned char *data = piece->iov_base;

	for (size_t i = 0; i < piece->iov_len; i++)
		hash = (hash ^ data[i]) * 0x100000001b3;
	return hash;
}

static int body_json(struct weir_call *call, json_t *json)
{
	uint64_t hash = 0xcbf29ce484222325, bytes = 0;
	struct iovec piece;
	char text[20];
	int status = 0;

	while (call->request.body &&
	       (status = weir_body_next(call->request.body, &piece, true)) == 1) {
		hash = hash_more(hash, &piece);
		bytes += piece.iov_len;
	}
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
	json_object_set_new(json, "body_bytes", json_integer((json_int_t)bytes));
	json_object_set_new(json, "body_fnv1a", json_string(text));
	if (call->request.body && call->request.body->trailers)
		json_object_set_new(json, "trailers", fields_json(call->request.body->trailers));
	return status;
}

static json_t *request_json(const struct weir_call *call)
{
	const struct weir_request *request = &call->request;
	char client[WEIR_ADDRESS_TEXT] = "";
	json_t *json = json_object();

	if (call->conn->peer.size)
		weir_address_format(&call->conn->peer, client);
	json_object_set_new(json, "method", text_json(request->method_text));
	json_object_set_new(json, "path", text_json(request->path));
	json_object_set_new(json, "query",
			    request->query.data ? text_json(request->query) : json_null());
	json_object_set_new(json, "authority", text_json(request->authority));
	json_object_set_new(json, "version",
			    json_string(request->version == WEIR_HTTP_1_0 ? "1.0" : "1.1"));
	json_object_set_new(json, "client", json_string(client));
	json_object_set_new(json, "headers", fields_json(&request->headers));
	return json;
}

static int answer_request(struct weir_call *call, void *ctx)
{
	json_t *json = request_json(call);
	int status = body_json(call, json);
	char *text = status ? NULL : json_dumps(json, JSON_INDENT(1) | JSON_PRESERVE_ORDER);

	(void)ctx;
	json_decref(json);
	if (status)
		return status;
	if (!text)
		return -ENOMEM;
	status = weir_call_respond(call, 200, "application/json", weir_text_of(text));
	free(text);
	return status;
}

/* The body goes back as it comes. */
static int answer_echo(struct weir_call *call, void *ctx)
{
	struct weir_text type =
		weir_headers_value(&call->request.headers, WEIR_HEADER_CONTENT_TYPE);

	(void)ctx;
	call->response.body = call->request.body;
	call->request.body = NULL;
	return answer_type(call, type.data ? type : WEIR_TEXT("application/octet-stream"));
}

/* ---- services ------------------------------------------------------------------------------ */

static struct weir_http_service *numbered(number_fn *const *fn, struct weir_error *error)
{
	return weir_http_function(answer_number, (void *)(uintptr_t)fn, error);
}

static struct weir_http_service *by_path(struct weir_error *error)
{
	static const struct {
		const char *path;
		number_fn *fn;
	} numbers[] = {
		{ "/status/{n}", answer_status },     { "/bytes/{n}", answer_bytes },
		{ "/stream/{n}", answer_stream },     { "/drop/{n}", answer_drop },
		{ "/events/{n}", answer_events },     { "/delay/{n}", answer_delay },
		{ "/redirect/{n}", answer_redirect },
	};
	struct weir_route_conf routes[WEIR_ARRAY_SIZE(numbers) + 1] = { 0 };
	struct weir_router_conf router = {
		.routes = routes,
		.n = WEIR_ARRAY_SIZE(routes),
		.otherwise = weir_http_function(answer_request, NULL, error),
		.as_received = true,
	};
	size_t i;

	pattern_fill();
	for (i = 0; i < WEIR_ARRAY_SIZE(numbers); i++) {
		routes[i].name = numbers[i].path;
		routes[i].match.type = WEIR_MATCH_PATH;
		routes[i].match.value = numbers[i].path;
		routes[i].service = numbered(&numbers[i].fn, error);
	}
	routes[i].name = "/echo";
	routes[i].match.type = WEIR_MATCH_PATH;
	routes[i].match.value = "/echo";
	routes[i].service = weir_http_function(answer_echo, NULL, error);
	return weir_http_router(&router, error);
}

static struct weir_service *serve_calls(struct weir_http_service *svc,
					const struct serve_arguments *arguments,
					struct weir_error *error)
{
	const struct weir_http_access_log_conf log = { .path = "/dev/stderr" };
	struct weir_http_server_conf server = { .service = svc, .server = "weir" };

	if (arguments->verbose)
		server.service = weir_http_access_log_layer(svc, &log, error);
	return weir_http_server_service(&server, error);
}

struct weir_service *serve_http(const struct serve_arguments *arguments, struct weir_error *error)
{
	return serve_calls(by_path(error), arguments, error);
}

struct weir_service *serve_fs(const struct serve_arguments *arguments, struct weir_error *error)
{
	const struct weir_static_files_conf files = {
		.root = arguments->folder,
		.listing = arguments->listing,
		.precompressed = true,
	};

	return serve_calls(weir_http_static_files(&files, error), arguments, error);
}
