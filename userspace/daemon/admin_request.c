/* SPDX-License-Identifier: MIT */

#include "daemon/admin_request.h"

#include <errno.h>
#include <string.h>

#include <weir/uri_path.h>

/* Percent-decodes TEXT; slashes may be in it, for they are in the names of sockets. NULL when it is
 * no encoding, or has a zero byte. */
static const char *decode(struct weir_arena *arena, struct weir_text text)
{
	char *out = weir_arena_alloc(arena, text.size + 1);
	size_t i, n = 0;
	int c;

	for (i = 0; out != NULL && i < text.size; i++) {
		c = (unsigned char)text.data[i];
		if (c == '%') {
			c = weir_uri_escape(text.data + i, text.size - i);
			i += 2;
		}
		if (c <= 0)
			return NULL;
		out[n++] = (char)c;
	}
	if (out != NULL)
		out[n] = '\0';
	return out;
}

static int read_path(struct admin_request *request, struct weir_call *call)
{
	struct weir_text segment, rest = call->request.path;

	weir_text_split(rest, '/', &segment, &rest); /* what is before the first slash */
	while (rest.data != NULL) {
		if (request->n_segments == ADMIN_SEGMENTS)
			return 404;
		weir_text_split(rest, '/', &segment, &rest);
		request->segments[request->n_segments] = decode(&call->arena, segment);
		if (request->segments[request->n_segments++] == NULL)
			return 400;
	}
	return 0;
}

static int read_query(struct admin_request *request, struct weir_call *call)
{
	struct weir_text parameter, name, value, rest = call->request.query;
	size_t i;

	while (rest.data != NULL) {
		weir_text_split(rest, '&', &parameter, &rest);
		if (parameter.size == 0)
			continue;
		i = request->n_parameters;
		if (i == ADMIN_PARAMETERS)
			return 414;
		weir_text_split(parameter, '=', &name, &value);
		request->parameters[i].name = decode(&call->arena, name);
		request->parameters[i].value = decode(&call->arena, value);
		if (request->parameters[i].name == NULL || request->parameters[i].value == NULL)
			return 400;
		request->n_parameters++;
	}
	return 0;
}

/* 0, or the HTTP status to refuse it with. */
static int read_request(struct admin_request *request, struct weir_call *call)
{
	enum weir_method method = call->request.method;
	int refused;

	if (method != WEIR_METHOD_GET && method != WEIR_METHOD_HEAD && method != WEIR_METHOD_POST)
		return 405;
	request->is_post = method == WEIR_METHOD_POST;
	refused = read_path(request, call);
	return refused != 0 ? refused : read_query(request, call);
}

const char *admin_parameter(const struct admin_request *request, const char *name)
{
	size_t i;

	for (i = 0; i < request->n_parameters; i++) {
		if (strcmp(request->parameters[i].name, name) == 0)
			return request->parameters[i].value;
	}
	return NULL;
}

bool admin_path_is(const struct admin_request *request, const char *pattern)
{
	size_t i, size;

	for (i = 0; i < request->n_segments; i++) {
		size = strcspn(pattern, "/");
		if (size == 0 || (strncmp(pattern, "*", size) != 0 &&
				  (strlen(request->segments[i]) != size ||
				   memcmp(request->segments[i], pattern, size) != 0)))
			return false;
		pattern += size;
		if (*pattern == '/')
			pattern++;
	}
	return *pattern == '\0';
}

static void refuse(struct admin_response *response, int status)
{
	struct weir_text reason = weir_status_reason((unsigned)status);

	response->status = status;
	(void)!weir_buffer_printf(&response->body, "{\"error\": {\"message\": \"%.*s\"}}\n",
				  WEIR_TEXT_ARGS(reason));
}

static int fill(struct weir_call *call, const struct admin_response *response)
{
	struct weir_text body = { weir_buffer_head(&response->body),
				  weir_buffer_size(&response->body) };
	int status = weir_call_respond(call, (unsigned)response->status, response->type, body);

	return status != 0 ? status
			   : weir_headers_add_id(&call->response.headers, WEIR_HEADER_CACHE_CONTROL,
						 WEIR_TEXT("no-store"));
}

int admin_request_answer(struct weir_call *call, admin_answer_fn *answer, void *ctx)
{
	struct admin_response response = { .status = 200, .type = "application/json" };
	struct admin_request request = { 0 };
	int status = read_request(&request, call);

	if (status != 0)
		refuse(&response, status);
	else
		answer(ctx, &request, &response);
	status = fill(call, &response);
	weir_buffer_fini(&response.body);
	return status;
}
