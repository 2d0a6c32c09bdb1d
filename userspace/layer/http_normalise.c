/* SPDX-License-Identifier: MIT */
/*
 * normalise: one spelling for each path, so that rules about paths hold whatever way a client
 * writes them. What an upstream might read otherwise than we do is refused: encoded control
 * characters, climbing above the root, and dot segments whose slashes are encoded ("/a/..%2f").
 */

#include <weir/http_layer.h>

#include <errno.h>
#include <stdlib.h>

#include <weir/uri_path.h>

#include "layer/http_answer.h"

struct normalise {
	struct weir_http_service svc;
	bool keep_slashes, refuse_encoded_slashes, redirect;
	struct weir_counter *refused;
};

/* One character of a path, decoded once; how many bytes it took. */
static size_t path_char(struct weir_text path, size_t at, int *c, bool *encoded)
{
	int value = path.data[at] == '%' ? weir_uri_escape(path.data + at, path.size - at) : -1;

	*encoded = value >= 0;
	*c = value >= 0 ? value : (unsigned char)path.data[at];
	return value >= 0 ? 3 : 1;
}

/* Segments as somebody sees them for whom encoded slashes, and backslashes, are slashes. */
struct walk {
	int depth;	/* below the root */
	size_t segment; /* characters in this one so far */
	bool dots;	/* and all of them are dots */
	bool hidden;	/* it began behind a slash that is none to us */
};

/* A segment ends; false when it may not be. */
static bool walk_end(struct walk *walk, bool at_hidden_slash)
{
	bool is_dots = walk->dots && walk->segment >= 1 && walk->segment <= 2;

	if (is_dots && (walk->hidden || at_hidden_slash))
		return false;
	if (is_dots && walk->segment == 2)
		walk->depth--;
	else if (!is_dots && walk->segment > 0)
		walk->depth++;
	walk->segment = 0;
	walk->dots = true;
	walk->hidden = at_hidden_slash;
	return walk->depth >= 0;
}

static const char *normalise_refusal(const struct normalise *normalise, struct weir_text path)
{
	struct walk walk = { .dots = true };
	bool encoded;
	int c;

	for (size_t i = 1; i < path.size;) {
		i += path_char(path, i, &c, &encoded);
		if (encoded && (c < ' ' || c == 0x7f))
			return "path_control_character";
		if (c == '/' || c == '\\') {
			bool hidden = encoded || c == '\\';

			if (hidden && normalise->refuse_encoded_slashes)
				return "path_encoded_slash";
			if (!walk_end(&walk, hidden))
				return "path_dot_segments";
			continue;
		}
		walk.segment++;
		walk.dots = walk.dots && c == '.';
	}
	return walk_end(&walk, false) ? NULL : "path_dot_segments";
}

static int normalise_refuse(struct normalise *normalise, struct weir_call *call, const char *why)
{
	http_count(normalise->refused, 1);
	return weir_call_refuse(call, 400, why);
}

static int normalise_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct normalise *normalise = weir_container_of(svc, struct normalise, svc);
	struct weir_request *request = &call->request;
	struct weir_text path;
	const char *why;
	int status;

	if (request->path.size == 0 || request->path.data[0] != '/')
		return weir_handle(svc->inner, call);
	why = normalise_refusal(normalise, request->path);
	if (why)
		return normalise_refuse(normalise, call, why);
	status = weir_uri_path_normalise(&call->arena, request->path, !normalise->keep_slashes,
					 &path);
	if (status == -EINVAL)
		return normalise_refuse(normalise, call, "path_escape");
	if (status)
		return status;
	if (normalise->redirect && !weir_text_is_equal(path, request->path) &&
	    (request->method == WEIR_METHOD_GET || request->method == WEIR_METHOD_HEAD))
		return http_redirect(call, 308,
				     http_text(call, "%.*s%s%.*s", WEIR_TEXT_ARGS(path),
					       request->query.data ? "?" : "",
					       WEIR_TEXT_ARGS(request->query)));
	request->path = path;
	return weir_handle(svc->inner, call);
}

static void normalise_free(struct weir_http_service *svc)
{
	free(weir_container_of(svc, struct normalise, svc));
}

static const struct weir_http_ops normalise_ops = {
	.name = "normalise",
	.handle = normalise_handle,
	.free = normalise_free,
};

struct weir_http_service *weir_http_normalise_layer(struct weir_http_service *inner,
						    const struct weir_http_normalise_conf *conf,
						    struct weir_error *error)
{
	struct normalise *normalise =
		http_layer_new(sizeof(*normalise), &normalise_ops, inner, error);

	if (!normalise)
		return NULL;
	normalise->keep_slashes = conf->keep_slashes;
	normalise->refuse_encoded_slashes = conf->refuse_encoded_slashes;
	normalise->redirect = conf->redirect;
	normalise->refused = conf->refused;
	return &normalise->svc;
}
