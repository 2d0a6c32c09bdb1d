/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_STACK_HTTP_H
#define WEIR_DAEMON_STACK_HTTP_H

/*
 * A listener's HTTP configuration to a stack of services:
 *
 *	server --> forwarded --> layers --> router --> layers of the route --> rewrite --> mirror
 *	--> what answers: an upstream, several of them, a fixed text, files
 *
 * The checker builds the same stacks with nothing behind them, so that what a constructor
 * refuses is a mistake with file and line before anything starts.
 */

#include <weir/call.h>
#include <weir/http_cache.h>
#include <weir/http_limit.h>
#include <weir/match.h>
#include <weir/metrics.h>

#include "daemon/config.h"

/* ---- what workers share, and a reload keeps ----------------------------------------------- */

union http_layer_shared {
	struct weir_http_concurrency_shared *concurrency;
	struct weir_http_rate_shared *rate;
	struct weir_http_cache *cache;
};

struct http_shared {
	const struct weir_config_http_layer *conf;
	char *id; /* where the layer stands, so that the next configuration finds it */
	union http_layer_shared object;
};

struct http_shared_list {
	struct http_shared *list;
	size_t n;
};

/* Makes what the layers of CONFIG share; takes over from BEFORE (may be NULL) what stands at the
 * same place there. 0 or -ENOMEM; then fini it all the same. */
int http_shared_init(struct http_shared_list *shared, const struct weir_config *config,
		     const struct http_shared_list *before) WEIR_MUST_CHECK;
void http_shared_fini(struct http_shared_list *shared);

/* ---- building ----------------------------------------------------------------------------- */

/* For whom a stack is built. */
struct http_site {
	const struct http_shared_list *shared; /* NULL: nobody shares */
	struct weir_metrics *metrics;	       /* NULL: nothing is counted */
	unsigned worker;
	const char *listener;
	const char *route; /* NULL: outside of routes */
	bool trial;	   /* touches no file and no network */
	/* What forwards to the upstream with this name; NULL with ERROR. */
	struct weir_http_service *(*upstream)(struct http_site *site, const char *name,
					      const struct weir_config_route *route,
					      struct weir_error *error);
	void *ctx; /* upstream's */
};

/* The layer CONF around INNER, which is taken over. ERROR has the place. */
struct weir_http_service *http_layer_build(struct weir_http_service *inner,
					   const struct http_site *site,
					   const struct weir_config_http_layer *conf,
					   struct weir_error *error) WEIR_MUST_CHECK;
/* What a route does with its calls. ERROR has the place. */
struct weir_http_service *http_route_build(struct http_site *site,
					   const struct weir_config_route *conf,
					   struct weir_error *error) WEIR_MUST_CHECK;
/* Forwarded, layers and router: what the server hands calls to. */
struct weir_http_service *http_build(struct http_site *site, const struct weir_config_http *conf,
				     struct weir_error *error) WEIR_MUST_CHECK;

/* A match as the router takes it; memory is ARENA's. 0 or -ENOMEM. */
int http_match_conf(struct weir_arena *arena, const struct weir_config_match *match,
		    struct weir_match_conf *conf) WEIR_MUST_CHECK;

#endif
