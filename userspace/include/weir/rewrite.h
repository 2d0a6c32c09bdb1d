/* SPDX-License-Identifier: MIT */
#ifndef WEIR_REWRITE_H
#define WEIR_REWRITE_H

/*
 * What a request asks for, changed before the inner service sees it. The query stays.
 *
 * Paths may have fields in braces: {rest}, which is what "*" of the route's path pattern stood for,
 * the pattern's parameters by name, and {path}. "{{" is a brace.
 */

#include <weir/call.h>
#include <weir/error.h>

/* At most one of prefix and path. */
struct weir_rewrite_conf {
	const char *prefix; /* put in place of what stood before the pattern's "*": "/v2" */
	const char *path;   /* put in place of the whole path: "/files/{id}" */
	const char *host;   /* host[:port] for Host and the authority */
};

/* ERROR says what is wrong. */
struct weir_http_service *weir_http_rewrite_layer(struct weir_http_service *inner,
						  const struct weir_rewrite_conf *conf,
						  struct weir_error *error) WEIR_MUST_CHECK;

#endif
