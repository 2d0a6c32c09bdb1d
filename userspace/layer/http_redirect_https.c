/* SPDX-License-Identifier: MIT */
/*
 * redirect_https: sends what came without TLS to the same place with it. The host is the request's
 * own, which the router before it may have checked, or a fixed one.
 */

#include <weir/http_security.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "layer/http_answer.h"

#define HTTPS_PORT 443

struct redirect {
	struct weir_http_service svc;
	struct weir_arena arena;
	unsigned status;
	uint16_t port;
	const char *host; /* NULL: the request's */
	const char *const *except;
	size_t n_except;
};

static int redirect_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct redirect *redirect = weir_container_of(svc, struct redirect, svc);
	const struct weir_request *request = &call->request;
	struct weir_text host = weir_text_of(redirect->host);
	char port[8] = "";
	uint16_t ignored;

	if (http_is_https(call) ||
	    http_path_is_under(request, redirect->except, redirect->n_except))
		return weir_handle(svc->inner, call);
	if (!host.data && weir_authority_parse(request->authority, &host, &ignored))
		return weir_call_refuse(call, 400, "host");
	if (redirect->port != HTTPS_PORT)
		snprintf(port, sizeof(port), ":%u", redirect->port);
	if (request->form == WEIR_TARGET_ASTERISK)
		return http_redirect(call, redirect->status,
				     http_text(call, "https://%.*s%s/", WEIR_TEXT_ARGS(host),
					       port));
	return http_redirect(call, redirect->status,
			     http_text(call, "https://%.*s%s%.*s%s%.*s", WEIR_TEXT_ARGS(host), port,
				       WEIR_TEXT_ARGS(request->path),
				       request->query.data ? "?" : "",
				       WEIR_TEXT_ARGS(request->query)));
}

static void redirect_free(struct weir_http_service *svc)
{
	struct redirect *redirect = weir_container_of(svc, struct redirect, svc);

	weir_arena_fini(&redirect->arena);
	free(redirect);
}

static const struct weir_http_ops redirect_ops = {
	.name = "redirect_https",
	.handle = redirect_handle,
	.free = redirect_free,
};

static int redirect_check(const struct weir_http_redirect_https_conf *conf,
			  struct weir_error *error)
{
	struct weir_text host;
	uint16_t port;

	if (conf->status && conf->status != 301 && conf->status != 302 && conf->status != 307 &&
	    conf->status != 308)
		return http_layer_refuse(error, "say 301, 302, 307 or 308",
					 "%u is no redirect that keeps its place", conf->status);
	if (conf->host && (weir_authority_parse(weir_text_of(conf->host), &host, &port) || port))
		return http_layer_refuse(error, "say a name without port",
					 "\"%s\" is no host to redirect to", conf->host);
	return 0;
}

static int redirect_configure(struct redirect *redirect,
			      const struct weir_http_redirect_https_conf *conf,
			      struct weir_error *error)
{
	weir_arena_init(&redirect->arena, 0);
	if (redirect_check(conf, error))
		return WEIR_ECONFIG;
	redirect->status = conf->status ? conf->status : 308;
	redirect->port = conf->port ? conf->port : HTTPS_PORT;
	redirect->host = http_string_copy(&redirect->arena, conf->host, NULL);
	redirect->except = http_strings_copy(&redirect->arena, conf->except, conf->n_except);
	redirect->n_except = conf->n_except;
	if (!redirect->except || (conf->host && !redirect->host))
		return http_layer_memory(error);
	return 0;
}

struct weir_http_service *weir_http_redirect_https_layer(
	struct weir_http_service *inner, const struct weir_http_redirect_https_conf *conf,
	struct weir_error *error)
{
	struct redirect *redirect = http_layer_new(sizeof(*redirect), &redirect_ops, inner, error);

	if (!redirect)
		return NULL;
	return http_layer_done(&redirect->svc, redirect_configure(redirect, conf, error));
}
