/* SPDX-License-Identifier: MIT */
/*
 * cors (Fetch standard, section 3.2). Preflights are answered here; the answers to other requests
 * with an allowed Origin say so. Whether an answer depends on Origin, Vary tells caches, with and
 * without one in the request. Who is not allowed gets no such fields, and its browser refuses: the
 * protocol has no other way to say no.
 */

#include <weir/http_security.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer/http_answer.h"

#define MAX_AGE_S 600

struct cors {
	struct weir_http_service svc;
	struct weir_arena arena;
	const char *const *origins;
	size_t n_origins;
	bool any_origin, any_header, credentials;
	struct weir_text methods, headers, expose, max_age; /* no data: not said */
	struct weir_counter *refused;
};

/* ---- origins ---- */

/* "https://a.b.example" is under "https://" "*." "example"; "https://example" is not. */
static bool origin_is_under(struct weir_text origin, const char *pattern, const char *star)
{
	struct weir_text scheme = { pattern, (size_t)(star - pattern) };
	struct weir_text suffix = weir_text_of(star + 1);
	size_t host = origin.size - scheme.size;

	return origin.size > scheme.size &&
	       weir_text_is_equal_nocase((struct weir_text){ origin.data, scheme.size }, scheme) &&
	       host > suffix.size && weir_text_has_suffix_nocase(origin, suffix) &&
	       !memchr(origin.data + scheme.size, '/', host);
}

static bool cors_allows(const struct cors *cors, struct weir_text origin)
{
	if (cors->any_origin)
		return true;
	for (size_t i = 0; i < cors->n_origins; i++) {
		const char *star = strchr(cors->origins[i], '*');

		if (star ? origin_is_under(origin, cors->origins[i], star)
			 : weir_text_is_equal_nocase(origin, weir_text_of(cors->origins[i])))
			return true;
	}
	return false;
}

/* ---- answers ---- */

static int set_if(struct weir_headers *headers, enum weir_header_id id, struct weir_text value)
{
	return value.data ? weir_headers_set_id(headers, id, value) : 0;
}

/* What both kinds of answers say. */
static int cors_allow(const struct cors *cors, struct weir_call *call, struct weir_text origin)
{
	struct weir_headers *headers = &call->response.headers;
	int status;

	status = weir_headers_set_id(headers, WEIR_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
				     cors->any_origin ? WEIR_TEXT("*") : origin);
	if (!status && cors->credentials)
		status = weir_headers_set_id(headers, WEIR_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS,
					     WEIR_TEXT("true"));
	return status;
}

static int cors_preflight(const struct cors *cors, struct weir_call *call, struct weir_text origin)
{
	struct weir_headers *headers = &call->response.headers;
	struct weir_text asked = weir_headers_value(&call->request.headers,
						    WEIR_HEADER_ACCESS_CONTROL_REQUEST_HEADERS);
	int status = weir_call_respond(call, 204, NULL, WEIR_TEXT(""));

	if (!status && !cors->any_origin)
		status = http_vary(call, "Origin");
	/* With credentials "*" is a name like any other, so what is asked for is named. */
	if (!status && cors->any_header)
		status = http_vary(call, "Access-Control-Request-Headers");
	if (status)
		return status;
	if (!cors_allows(cors, origin)) {
		http_count(cors->refused, 1);
		return 0;
	}
	status = cors_allow(cors, call, origin);
	if (!status)
		status = set_if(headers, WEIR_HEADER_ACCESS_CONTROL_ALLOW_METHODS, cors->methods);
	if (!status)
		status = set_if(headers, WEIR_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
				cors->any_header ? asked : cors->headers);
	if (!status)
		status = set_if(headers, WEIR_HEADER_ACCESS_CONTROL_MAX_AGE, cors->max_age);
	return status;
}

static int cors_dress(const struct cors *cors, struct weir_call *call, struct weir_text origin)
{
	static const enum weir_header_id own[] = {
		WEIR_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
		WEIR_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS,
		WEIR_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS,
	};
	struct weir_headers *headers = &call->response.headers;
	int status = cors->any_origin ? 0 : http_vary(call, "Origin");

	/* One voice: two Allow-Origin fields are an error to browsers. */
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(own); i++)
		weir_headers_del_id(headers, own[i]);
	if (status || !origin.data || !cors_allows(cors, origin))
		return status;
	status = cors_allow(cors, call, origin);
	if (!status)
		status = set_if(headers, WEIR_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS, cors->expose);
	return status;
}

static int cors_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct cors *cors = weir_container_of(svc, struct cors, svc);
	const struct weir_headers *headers = &call->request.headers;
	struct weir_text origin = weir_headers_value(headers, WEIR_HEADER_ORIGIN);
	int status;

	if (call->request.method == WEIR_METHOD_OPTIONS && origin.data &&
	    weir_headers_find_id(headers, WEIR_HEADER_ACCESS_CONTROL_REQUEST_METHOD, NULL))
		return cors_preflight(cors, call, origin);
	status = http_answer(call, weir_handle(svc->inner, call));
	return status ? status : cors_dress(cors, call, origin);
}

static void cors_free(struct weir_http_service *svc)
{
	struct cors *cors = weir_container_of(svc, struct cors, svc);

	weir_arena_fini(&cors->arena);
	free(cors);
}

static const struct weir_http_ops cors_ops = {
	.name = "cors",
	.handle = cors_handle,
	.free = cors_free,
};

/* ---- configuration ---- */

/* "scheme://host[:port]", with "*." before the host perhaps; or "*". */
static int origin_check(const char *origin, struct weir_error *error)
{
	const char *host = strstr(origin, "://");
	struct weir_text name;
	uint16_t port;

	if (strcmp(origin, "*") == 0)
		return 0;
	if (host && host > origin) {
		host += 3;
		host += strncmp(host, "*.", 2) == 0 ? 2 : 0;
		if (!weir_authority_parse(weir_text_of(host), &name, &port) &&
		    !memchr(name.data, '*', name.size))
			return 0;
	}
	return http_layer_refuse(error, "say https://app.example, https://*.example, or *",
				 "\"%s\" is no origin", origin);
}

/* "GET, HEAD", of tokens; "*" into *ANY. No data when there are none. */
static int list_join(struct cors *cors, const char *const *names, size_t n, struct weir_text *out,
		     bool *any, struct weir_error *error)
{
	char *text = n > 0 ? weir_arena_strdup(&cors->arena, "") : NULL;

	for (size_t i = 0; i < n && text; i++) {
		if (any && strcmp(names[i], "*") == 0)
			*any = true;
		else if (!weir_header_is_valid(weir_text_of(names[i]), WEIR_TEXT("")))
			return http_layer_refuse(error, "say names of methods or header fields",
						 "\"%s\" is no name", names[i]);
		text = weir_arena_printf(&cors->arena, "%s%s%s", text, i > 0 ? ", " : "", names[i]);
	}
	*out = weir_text_of(text);
	return n == 0 || text ? 0 : http_layer_memory(error);
}

static int cors_origins(struct cors *cors, const struct weir_http_cors_conf *conf,
			struct weir_error *error)
{
	if (conf->n_origins == 0)
		return http_layer_refuse(error, "name at least one origin, or *",
					 "no origin is allowed");
	for (size_t i = 0; i < conf->n_origins; i++) {
		if (origin_check(conf->origins[i], error))
			return WEIR_ECONFIG;
		cors->any_origin = cors->any_origin || strcmp(conf->origins[i], "*") == 0;
	}
	if (cors->any_origin && conf->credentials)
		return http_layer_refuse(error, "name the origins that may send credentials",
					 "every site could act for whoever is logged in here");
	cors->origins = http_strings_copy(&cors->arena, conf->origins, conf->n_origins);
	cors->n_origins = conf->n_origins;
	return cors->origins ? 0 : http_layer_memory(error);
}

static int cors_configure(struct cors *cors, const struct weir_http_cors_conf *conf,
			  struct weir_error *error)
{
	static const char *const methods[] = { "GET", "HEAD", "POST" };
	uint64_t max_age = conf->max_age_s ? conf->max_age_s : MAX_AGE_S;
	int status;

	weir_arena_init(&cors->arena, 0);
	cors->credentials = conf->credentials;
	cors->refused = conf->refused;
	status = cors_origins(cors, conf, error);
	if (!status)
		status = list_join(cors, conf->n_methods ? conf->methods : methods,
				   conf->n_methods ? conf->n_methods : WEIR_ARRAY_SIZE(methods),
				   &cors->methods, NULL, error);
	if (!status)
		status = list_join(cors, conf->headers, conf->n_headers, &cors->headers,
				   &cors->any_header, error);
	if (!status)
		status = list_join(cors, conf->expose, conf->n_expose, &cors->expose, NULL, error);
	if (status)
		return status;
	cors->max_age =
		weir_text_of(weir_arena_printf(&cors->arena, "%llu", (unsigned long long)max_age));
	return cors->max_age.data ? 0 : http_layer_memory(error);
}

struct weir_http_service *weir_http_cors_layer(struct weir_http_service *inner,
					       const struct weir_http_cors_conf *conf,
					       struct weir_error *error)
{
	struct cors *cors = http_layer_new(sizeof(*cors), &cors_ops, inner, error);

	if (!cors)
		return NULL;
	return http_layer_done(&cors->svc, cors_configure(cors, conf, error));
}
