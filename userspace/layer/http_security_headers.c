/* SPDX-License-Identifier: MIT */
/*
 * security_headers: what browsers are told about a site, also on errors. What the inner service
 * says for itself stands, unless it is to be replaced. HSTS is for https alone (RFC 6797 section
 * 7.2).
 */

#include <weir/http_security.h>

#include <errno.h>
#include <stdlib.h>

#include "layer/http_answer.h"

struct line {
	const char *name, *value; /* value NULL: not sent */
};

enum {
	STRICT_TRANSPORT,
	CONTENT_TYPE,
	FRAME,
	REFERRER,
	CONTENT_POLICY,
	PERMISSIONS,
	OPENER,
	LINES
};

struct security {
	struct weir_http_service svc;
	struct weir_arena arena;
	bool replace;
	struct line lines[LINES];
};

static int security_dress(const struct security *security, struct weir_call *call)
{
	struct weir_headers *headers = &call->response.headers;
	bool https = http_is_https(call);
	int status = 0;

	for (size_t i = 0; i < LINES && !status; i++) {
		struct weir_text name = weir_text_of(security->lines[i].name);

		if (!security->lines[i].value || (i == STRICT_TRANSPORT && !https))
			continue;
		if (!security->replace && weir_headers_find(headers, name, NULL))
			continue;
		status = weir_headers_set(headers, name, weir_text_of(security->lines[i].value));
	}
	return status;
}

static int security_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct security *security = weir_container_of(svc, struct security, svc);
	int status = http_answer(call, weir_handle(svc->inner, call));

	return status ? status : security_dress(security, call);
}

static void security_free(struct weir_http_service *svc)
{
	struct security *security = weir_container_of(svc, struct security, svc);

	weir_arena_fini(&security->arena);
	free(security);
}

static const struct weir_http_ops security_ops = {
	.name = "security_headers",
	.handle = security_handle,
	.free = security_free,
};

static int line_set(struct security *security, size_t i, const char *name, const char *value,
		    const char *otherwise, struct weir_error *error)
{
	struct line *line = &security->lines[i];

	line->name = name;
	if (!value)
		value = otherwise;
	if (!value || !*value)
		return 0;
	if (!weir_header_is_valid(weir_text_of(name), weir_text_of(value)))
		return http_layer_refuse(error, "leave control characters out",
					 "the value of %s is no value of a header field", name);
	line->value = weir_arena_strdup(&security->arena, value);
	return line->value ? 0 : http_layer_memory(error);
}

static int security_configure(struct security *security,
			      const struct weir_http_security_headers_conf *conf,
			      struct weir_error *error)
{
	const struct {
		const char *name, *value, *otherwise;
	} all[LINES] = {
		[STRICT_TRANSPORT] = { "Strict-Transport-Security", conf->strict_transport,
				       "max-age=31536000" },
		[CONTENT_TYPE] = { "X-Content-Type-Options", conf->content_type, "nosniff" },
		[FRAME] = { "X-Frame-Options", conf->frame, "SAMEORIGIN" },
		[REFERRER] = { "Referrer-Policy", conf->referrer,
			       "strict-origin-when-cross-origin" },
		[CONTENT_POLICY] = { "Content-Security-Policy", conf->content_policy, NULL },
		[PERMISSIONS] = { "Permissions-Policy", conf->permissions, NULL },
		[OPENER] = { "Cross-Origin-Opener-Policy", conf->opener, NULL },
	};
	int status = 0;

	weir_arena_init(&security->arena, 0);
	security->replace = conf->replace;
	for (size_t i = 0; i < LINES && !status; i++)
		status = line_set(security, i, all[i].name, all[i].value, all[i].otherwise, error);
	return status;
}

struct weir_http_service *weir_http_security_headers_layer(
	struct weir_http_service *inner, const struct weir_http_security_headers_conf *conf,
	struct weir_error *error)
{
	struct security *security = http_layer_new(sizeof(*security), &security_ops, inner, error);

	if (!security)
		return NULL;
	return http_layer_done(&security->svc, security_configure(security, conf, error));
}
