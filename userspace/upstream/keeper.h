/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_KEEPER_H
#define WEIR_UPSTREAM_KEEPER_H

/*
 * The keeper is the part of an upstream that works by itself, on one worker: it checks endpoints,
 * asks for names again and keeps the gauges of states. It lives as long as its tasks.
 */

#include <weir/metrics.h>
#include <weir/resolver.h>
#include <weir/scope.h>

#include "upstream/upstream_internal.h"

struct weir_keeper {
	unsigned references;		/* one a task; all on one thread */
	struct weir_upstream *upstream; /* counted */
	struct weir_scope *scope;	/* borrowed, as the rest */
	struct weir_connector *connector;
	struct weir_resolver *resolver;
	struct weir_metrics *metrics;
	unsigned worker;
	uint64_t random;
};

void weir_keeper_put(struct weir_keeper *keeper);

/* check.c: starts checking ENDPOINT, until it has left the set. 0 or -errno. */
int weir_keeper_check(struct weir_keeper *keeper, struct weir_endpoint *endpoint) WEIR_MUST_CHECK;

/* http_check.c: asks ENDPOINT. 0; WEIR_ESTATUS; what connecting or the exchange returned. Parks. */
int weir_keeper_http_check(struct weir_keeper *keeper, const struct weir_endpoint *endpoint)
	WEIR_MUST_CHECK;
/* Takes copies of what CONF says into CHECK, with defaults. 0 with nothing when it has no path;
 * WEIR_ECONFIG, -ENOMEM. */
int weir_http_check_init(struct weir_health_http_conf *check,
			 const struct weir_health_http_conf *conf, struct weir_error *error)
	WEIR_MUST_CHECK;
void weir_http_check_fini(struct weir_health_http_conf *check);

/* names.c: starts asking for the name of a listing. 0 or -errno. */
int weir_keeper_ask(struct weir_keeper *keeper, size_t listing) WEIR_MUST_CHECK;
/* The addresses of LISTING are now those of ANSWER; NULL: it has none. Endpoints whose address
 * stays, stay. 0 or -ENOMEM, then nothing has changed. */
int weir_keeper_replace(struct weir_keeper *keeper, size_t listing,
			const struct weir_resolved *answer) WEIR_MUST_CHECK;

#endif
