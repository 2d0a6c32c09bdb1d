/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ROUTER_H
#define WEIR_ROUTER_H

/*
 * The HTTP service that hands each call to the service of the first route that matches
 * (weir/match.h), and answers 404 when there is none.
 *
 * Rules see the path in normal form, and so does what is inside: a request for /x/../admin is
 * routed and forwarded as one for /admin.
 */

#include <weir/call.h>
#include <weir/match.h>

struct weir_route_conf {
	const char *name; /* for logs: call->result.route; copied; NULL: the number */
	struct weir_match_conf match;
	struct weir_http_service *service; /* taken over in every case */
};

struct weir_router_conf {
	const struct weir_route_conf *routes;
	size_t n;
	struct weir_http_service *otherwise; /* taken over in every case; NULL: 404 */
	bool keep_slashes;		     /* empty segments stay: "//" is not "/" */
	bool as_received; /* the path goes on as it came, whatever the rules saw */
};

/* ERROR says which route is wrong. */
struct weir_http_service *weir_http_router(const struct weir_router_conf *conf,
					   struct weir_error *error) WEIR_MUST_CHECK;

#endif
