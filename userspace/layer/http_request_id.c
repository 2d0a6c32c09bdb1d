/* SPDX-License-Identifier: MIT */
/*
 * request_id: a name for a call that goes through all logs, the upstream's too. A client's id is
 * kept only when it is short and made of harmless characters, because it ends in logs; whoever
 * does not trust clients at all replaces them.
 */

#include <weir/http_layer.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "layer/http_answer.h"

#define ID_MAX	    128
#define TRACE_HEX   32
#define PARENT_HEX  16
#define TRACEPARENT "traceparent"

const struct weir_extension_key weir_http_request_id_key = { "request_id" };

struct request_id {
	struct weir_http_service svc;
	struct weir_arena arena;
	struct weir_text header;
	bool replace, hide, traceparent;
};

/* Of so many random bytes one system call makes ids for some time. One layer, one worker: but the
 * pool is the thread's, so that many layers share it. */
static _Thread_local struct {
	unsigned char bytes[512];
	size_t left;
} pool;

/* TEXT is terminated. */
static int random_hex(char *text, size_t digits)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < digits; i += 2) {
		if (pool.left == 0) {
			if (getrandom(pool.bytes, sizeof(pool.bytes), 0) != sizeof(pool.bytes))
				return -EIO;
			pool.left = sizeof(pool.bytes);
		}
		pool.left--;
		text[i] = hex[pool.bytes[pool.left] >> 4];
		text[i + 1] = hex[pool.bytes[pool.left] & 15];
	}
	text[digits] = '\0';
	return 0;
}

static bool id_is_harmless(struct weir_text id)
{
	if (id.size == 0 || id.size > ID_MAX)
		return false;
	for (size_t i = 0; i < id.size; i++) {
		char c = id.data[i];
		bool ok = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
			  (c && strchr("-_.:/+=@", c));

		if (!ok)
			return false;
	}
	return true;
}

static bool is_hex(struct weir_text text, size_t from, size_t n)
{
	for (size_t i = from; i < from + n; i++) {
		char c = text.data[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

static bool is_zero(struct weir_text text, size_t from, size_t n)
{
	for (size_t i = from; i < from + n; i++)
		if (text.data[i] != '0')
			return false;
	return true;
}

/* "00-<32 hex>-<16 hex>-<2 hex>": W3C Trace Context, section 3.2. */
static bool trace_is_valid(struct weir_text value)
{
	return value.size == 55 && memcmp(value.data, "00-", 3) == 0 &&
	       is_hex(value, 3, TRACE_HEX) && !is_zero(value, 3, TRACE_HEX) &&
	       value.data[35] == '-' && is_hex(value, 36, PARENT_HEX) &&
	       !is_zero(value, 36, PARENT_HEX) && value.data[52] == '-' && is_hex(value, 53, 2);
}

/* The trace goes on with a parent of its own: this process is a hop in it. ID takes the trace's. */
static int trace_continue(const struct request_id *layer, struct weir_call *call, char *id)
{
	struct weir_headers *headers = &call->request.headers;
	const struct weir_header *had = weir_headers_find(headers, WEIR_TEXT(TRACEPARENT), NULL);
	bool known = had && !layer->replace && trace_is_valid(had->value);
	char parent[PARENT_HEX + 1];
	char *value;

	if (random_hex(id, TRACE_HEX) || random_hex(parent, PARENT_HEX))
		return -EIO;
	if (known)
		snprintf(id, TRACE_HEX + 1, "%.*s", TRACE_HEX, had->value.data + 3);
	value = weir_arena_printf(&call->arena, "00-%s-%s-%.2s", id, parent,
				  known ? had->value.data + 53 : "00");
	if (!value)
		return -ENOMEM;
	if (!known)
		weir_headers_del(headers, WEIR_TEXT("tracestate"));
	return weir_headers_set(headers, WEIR_TEXT(TRACEPARENT), weir_text_of(value));
}

/* The call's id, in its arena, terminated. */
static int id_make(const struct request_id *layer, struct weir_call *call, const char **out)
{
	const struct weir_header *had =
		weir_headers_find(&call->request.headers, layer->header, NULL);
	char id[TRACE_HEX + 1] = "";
	int status = 0;

	if (layer->traceparent)
		status = trace_continue(layer, call, id);
	if (status)
		return status;
	if (had && !layer->replace && id_is_harmless(had->value)) {
		*out = weir_arena_strndup(&call->arena, had->value.data, had->value.size);
		return *out ? 0 : -ENOMEM;
	}
	if (!layer->traceparent)
		status = random_hex(id, TRACE_HEX);
	*out = weir_arena_strdup(&call->arena, id);
	return *out ? status : -ENOMEM;
}

static int request_id_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct request_id *layer = weir_container_of(svc, struct request_id, svc);
	const char *id;
	int status = id_make(layer, call, &id);

	if (!status)
		status = weir_headers_set(&call->request.headers, layer->header, weir_text_of(id));
	if (!status)
		status = weir_extension_add(&call->extensions, &call->arena,
					    &weir_http_request_id_key, id);
	if (status)
		return status;
	status = weir_handle(svc->inner, call);
	if (layer->hide)
		return status;
	status = http_answer(call, status);
	return status ? status
		      : weir_headers_set(&call->response.headers, layer->header, weir_text_of(id));
}

static void request_id_free(struct weir_http_service *svc)
{
	struct request_id *layer = weir_container_of(svc, struct request_id, svc);

	weir_arena_fini(&layer->arena);
	free(layer);
}

static const struct weir_http_ops request_id_ops = {
	.name = "request_id",
	.handle = request_id_handle,
	.free = request_id_free,
};

static int request_id_configure(struct request_id *layer,
				const struct weir_http_request_id_conf *conf,
				struct weir_error *error)
{
	weir_arena_init(&layer->arena, 0);
	layer->replace = conf->replace;
	layer->hide = conf->hide;
	layer->traceparent = conf->traceparent;
	layer->header = weir_text_of(http_string_copy(&layer->arena, conf->header, "X-Request-ID"));
	if (!layer->header.data)
		return http_layer_memory(error);
	if (!weir_header_is_valid(layer->header, WEIR_TEXT("")))
		return http_layer_refuse(error, "say a name such as X-Request-ID",
					 "\"%s\" is no name of a header field", conf->header);
	return 0;
}

struct weir_http_service *weir_http_request_id_layer(struct weir_http_service *inner,
						     const struct weir_http_request_id_conf *conf,
						     struct weir_error *error)
{
	struct request_id *layer = http_layer_new(sizeof(*layer), &request_id_ops, inner, error);

	if (!layer)
		return NULL;
	return http_layer_done(&layer->svc, request_id_configure(layer, conf, error));
}
