/* SPDX-License-Identifier: MIT */

#include "layer/http_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/forwarded.h>

void *http_layer_new(size_t size, const struct weir_http_ops *ops, struct weir_http_service *inner,
		     struct weir_error *error)
{
	struct weir_http_service *svc;

	if (!inner)
		return NULL;
	svc = calloc(1, size);
	if (!svc) {
		weir_http_service_free(inner);
		http_layer_memory(error);
		return NULL;
	}
	svc->ops = ops;
	svc->inner = inner;
	return svc;
}

struct weir_http_service *http_layer_done(struct weir_http_service *svc, int status)
{
	if (!status)
		return svc;
	weir_http_service_free(svc);
	return NULL;
}

int http_layer_refuse(struct weir_error *error, const char *remedy, const char *message, ...)
{
	char text[sizeof(error->message)];
	va_list args;

	va_start(args, message);
	vsnprintf(text, sizeof(text), message, args);
	va_end(args);
	weir_error_remedy(error, "%s", remedy);
	return weir_error_set(error, WEIR_ECONFIG, "%s", text);
}

int http_layer_memory(struct weir_error *error)
{
	return weir_error_set(error, -ENOMEM, "out of memory");
}

const char *const *http_strings_copy(struct weir_arena *arena, const char *const *strings, size_t n)
{
	const char **copy = weir_arena_zalloc(arena, (n + 1) * sizeof(*copy));

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = weir_arena_strdup(arena, strings[i]);
		if (!copy[i])
			return NULL;
	}
	return copy;
}

const char *http_string_copy(struct weir_arena *arena, const char *text, const char *otherwise)
{
	return text ? weir_arena_strdup(arena, text) : otherwise;
}

int http_answer(struct weir_call *call, int status)
{
	if (status >= 0 || status == -ECANCELED)
		return status;
	return weir_call_refuse(call, weir_http_status(status), weir_error_name(status));
}

int http_refuse_until(struct weir_call *call, unsigned status, const char *why, uint64_t seconds)
{
	struct weir_text value = http_text(call, "%llu", (unsigned long long)seconds);
	int result = weir_call_refuse(call, status, why);

	if (result)
		return result;
	if (!value.data)
		return -ENOMEM;
	return weir_headers_set_id(&call->response.headers, WEIR_HEADER_RETRY_AFTER, value);
}

int http_redirect(struct weir_call *call, unsigned status, struct weir_text location)
{
	int result = weir_call_respond(call, status, NULL, WEIR_TEXT(""));

	if (result)
		return result;
	if (!location.data)
		return -ENOMEM;
	return weir_headers_set_id(&call->response.headers, WEIR_HEADER_LOCATION, location);
}

int http_replace(struct weir_call *call, struct weir_text type, struct weir_text content)
{
	static const enum weir_header_id described[] = {
		WEIR_HEADER_ACCEPT_RANGES,
		WEIR_HEADER_CONTENT_ENCODING,
		WEIR_HEADER_CONTENT_LENGTH,
		WEIR_HEADER_CONTENT_RANGE,
		WEIR_HEADER_ETAG,
		WEIR_HEADER_LAST_MODIFIED,
		WEIR_HEADER_TRANSFER_ENCODING,
	};
	struct weir_response *response = &call->response;

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(described); i++)
		weir_headers_del_id(&response->headers, described[i]);
	weir_body_free(response->body);
	response->body = NULL;
	response->announced = content.size;
	if (call->request.method != WEIR_METHOD_HEAD && content.size > 0) {
		response->body = weir_text_body(&call->arena, content);
		if (!response->body)
			return -ENOMEM;
	}
	return weir_headers_set_id(&response->headers, WEIR_HEADER_CONTENT_TYPE, type);
}

int http_vary(struct weir_call *call, const char *name)
{
	struct weir_headers *headers = &call->response.headers;

	if (weir_headers_has_item(headers, WEIR_HEADER_VARY, weir_text_of(name)) ||
	    weir_headers_has_item(headers, WEIR_HEADER_VARY, WEIR_TEXT("*")))
		return 0;
	return weir_headers_add_id(headers, WEIR_HEADER_VARY, weir_text_of(name));
}

struct weir_text http_text(struct weir_call *call, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = weir_arena_vprintf(&call->arena, format, args);
	va_end(args);
	return weir_text_of(text);
}

static bool path_is_under(struct weir_text path, struct weir_text prefix)
{
	while (prefix.size > 0 && prefix.data[prefix.size - 1] == '/')
		prefix.size--;
	return weir_text_has_prefix(path, prefix) &&
	       (path.size == prefix.size || path.data[prefix.size] == '/');
}

bool http_path_is_under(const struct weir_request *request, const char *const *prefixes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (path_is_under(request->path, weir_text_of(prefixes[i])))
			return true;
	return false;
}

bool http_is_https(const struct weir_call *call)
{
	return weir_text_is_equal_nocase(weir_client_scheme(call), WEIR_TEXT("https"));
}
