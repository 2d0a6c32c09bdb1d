/* SPDX-License-Identifier: MIT */
/*
 * redirect: Location by a phrase, and a short text for people (RFC 9110 section 15.4).
 */

#include <weir/redirect.h>

#include <errno.h>
#include <stdlib.h>

#include "proxy/phrase.h"

struct redirect {
	struct weir_http_service svc;
	struct phrase *to;
	unsigned status;
};

static int redirect_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct redirect *redirect = weir_container_of(svc, struct redirect, svc);
	struct weir_text to = phrase_fill(redirect->to, call);
	int status;

	if (!to.data)
		return -ENOMEM;
	/* "//elsewhere" out of "{path}" would be another host's address. */
	if (to.size > 1 && to.data[0] == '/' && to.data[1] == '/')
		return weir_call_refuse(call, 400, "bad_path");
	status = weir_call_refuse(call, redirect->status, "redirect");
	if (status == 0)
		status = weir_headers_set_id(&call->response.headers, WEIR_HEADER_LOCATION, to);
	return status;
}

static void redirect_free(struct weir_http_service *svc)
{
	struct redirect *redirect = weir_container_of(svc, struct redirect, svc);

	phrase_free(redirect->to);
	free(redirect);
}

static const struct weir_http_ops redirect_ops = {
	.name = "redirect",
	.handle = redirect_handle,
	.free = redirect_free,
};

static int redirect_check(const struct weir_redirect_conf *conf, struct weir_error *error)
{
	switch (conf->status) {
	case 0:
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		break;
	default:
		weir_error_remedy(error, "write 301, 302, 303, 307 or 308");
		return weir_error_set(error, WEIR_ECONFIG, "status %u is no redirect",
				      conf->status);
	}
	if (conf->to && *conf->to)
		return 0;
	weir_error_remedy(error, "write where to: https://www.example.com{uri}");
	return weir_error_set(error, WEIR_ECONFIG, "a redirect has no target");
}

struct weir_http_service *weir_http_redirect(const struct weir_redirect_conf *conf,
					     struct weir_error *error)
{
	struct redirect *redirect;

	if (redirect_check(conf, error) < 0)
		return NULL;
	redirect = calloc(1, sizeof(*redirect));
	if (!redirect) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	redirect->svc.ops = &redirect_ops;
	redirect->status = conf->status == 0 ? 302 : conf->status;
	redirect->to = phrase_new(conf->to, error);
	if (!redirect->to) {
		redirect_free(&redirect->svc);
		return NULL;
	}
	return &redirect->svc;
}
