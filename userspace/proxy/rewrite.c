/* SPDX-License-Identifier: MIT */
/*
 * rewrite: a new path, a new host. A prefix is a path phrase too: prefix, then {rest}.
 */

#include <weir/rewrite.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/phrase.h"

struct rewrite {
	struct weir_http_service svc;
	struct phrase *path; /* NULL: as it is */
	char *host;	     /* NULL: as it is */
};

/* "/v2/" and "/x" are "/v2/x", "/" and "" are "/". */
static struct weir_text tidy_path(struct weir_text path)
{
	char *text = (char *)(uintptr_t)path.data;
	size_t i, n = 0;

	for (i = 0; i < path.size; i++) {
		if (text[i] == '/' && n > 0 && text[n - 1] == '/')
			continue;
		text[n++] = text[i];
	}
	return n == 0 ? WEIR_TEXT("/") : (struct weir_text){ path.data, n };
}

static int rewrite_request(const struct rewrite *rewrite, struct weir_call *call)
{
	struct weir_request *request = &call->request;
	struct weir_text path;

	/* OPTIONS * and CONNECT have no path. */
	if (rewrite->path && request->path.size > 0 && request->path.data[0] == '/') {
		path = phrase_fill(rewrite->path, call);
		if (!path.data)
			return -ENOMEM;
		request->path = tidy_path(path);
	}
	if (!rewrite->host)
		return 0;
	request->authority = weir_text_of(rewrite->host);
	return weir_headers_set_id(&request->headers, WEIR_HEADER_HOST, request->authority);
}

static int rewrite_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct rewrite *rewrite = weir_container_of(svc, struct rewrite, svc);
	int status = rewrite_request(rewrite, call);

	return status < 0 ? status : weir_handle(svc->inner, call);
}

static void rewrite_free(struct weir_http_service *svc)
{
	struct rewrite *rewrite = weir_container_of(svc, struct rewrite, svc);

	phrase_free(rewrite->path);
	free(rewrite->host);
	free(rewrite);
}

static const struct weir_http_ops rewrite_ops = {
	.name = "rewrite",
	.handle = rewrite_handle,
	.free = rewrite_free,
};

static int rewrite_check(const struct weir_rewrite_conf *conf, struct weir_error *error)
{
	const char *path = conf->prefix ? conf->prefix : conf->path;
	struct weir_text host;
	uint16_t port;

	if (conf->prefix && conf->path) {
		weir_error_remedy(error, "keep one of them");
		return weir_error_set(error, WEIR_ECONFIG, "rewrite has both a prefix and a path");
	}
	if (path && path[0] != '/') {
		weir_error_remedy(error, "write /%.100s", path);
		return weir_error_set(error, WEIR_ECONFIG,
				      "rewritten path \"%.200s\" does not start with /", path);
	}
	if (path && strpbrk(path, "?#")) {
		weir_error_remedy(error, "the query is kept as it is");
		return weir_error_set(error, WEIR_ECONFIG, "rewritten path \"%.200s\" has a ? or #",
				      path);
	}
	if (conf->host && weir_authority_parse(weir_text_of(conf->host), &host, &port) < 0) {
		weir_error_remedy(error, "write example.com or example.com:8080");
		return weir_error_set(error, WEIR_ECONFIG, "\"%.200s\" is no host", conf->host);
	}
	return 0;
}

static struct phrase *path_phrase(const struct weir_rewrite_conf *conf, struct weir_error *error)
{
	struct phrase *phrase = NULL;
	char *text;

	if (!conf->prefix)
		return phrase_new(conf->path, error);
	if (asprintf(&text, "%s{rest}", conf->prefix) < 0) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	phrase = phrase_new(text, error);
	free(text);
	return phrase;
}

struct weir_http_service *weir_http_rewrite_layer(struct weir_http_service *inner,
						  const struct weir_rewrite_conf *conf,
						  struct weir_error *error)
{
	struct rewrite *rewrite = NULL;

	if (!inner || rewrite_check(conf, error) < 0)
		goto err;
	rewrite = calloc(1, sizeof(*rewrite));
	if (!rewrite)
		goto err_memory;
	rewrite->svc = (struct weir_http_service){ .ops = &rewrite_ops, .inner = inner };
	if (conf->prefix || conf->path) {
		rewrite->path = path_phrase(conf, error);
		if (!rewrite->path)
			goto err;
	}
	if (conf->host) {
		rewrite->host = strdup(conf->host);
		if (!rewrite->host)
			goto err_memory;
	}
	return &rewrite->svc;
err_memory:
	weir_error_set(error, -ENOMEM, "out of memory");
err:
	if (rewrite)
		rewrite_free(&rewrite->svc);
	weir_http_service_free(inner);
	return NULL;
}
