/* SPDX-License-Identifier: MIT */
#ifndef WEIR_REDIRECT_H
#define WEIR_REDIRECT_H

#include <weir/call.h>
#include <weir/error.h>

/* A service that sends every client elsewhere. */
struct weir_redirect_conf {
	const char *to;	 /* Location, with fields in braces: {scheme} {host} {authority} {path}
			 * {query} {uri} (path and query) {rest} and the path pattern's parameters;
			 * "https://www.example.com{uri}". "{{" is a brace. Copied */
	unsigned status; /* 301, 302, 303, 307 or 308; 0: 302 */
};

struct weir_http_service *weir_http_redirect(const struct weir_redirect_conf *conf,
					     struct weir_error *error) WEIR_MUST_CHECK;

#endif
