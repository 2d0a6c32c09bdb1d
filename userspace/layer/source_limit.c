/* SPDX-License-Identifier: MIT */
/*
 * source_limit: so many connections at one time, and so many new ones a second, from each client
 * address (or network: a household with IPv6 has a /64). Over either, a connection is refused at
 * once and counted. What is known of sources is in a source table that the workers share.
 */

#include <weir/layer.h>

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "layer/source_table.h"

#define SOURCES_DEFAULT 65536

struct weir_source_limit_shared {
	struct source_table *table;
	atomic_uint references;
};

struct source_limit {
	struct weir_service svc;
	struct source_rules rules;
	struct weir_source_limit_shared *shared; /* counted */
	struct weir_counter *refused;		 /* borrowed, as the next; may be NULL */
	struct weir_counter *refused_rate;
};

struct weir_source_limit_shared *weir_source_limit_shared_new(void)
{
	struct weir_source_limit_shared *shared = calloc(1, sizeof(*shared));

	if (!shared)
		return NULL;
	atomic_init(&shared->references, 1);
	shared->table = source_table_new();
	if (!shared->table) {
		free(shared);
		return NULL;
	}
	return shared;
}

struct weir_source_limit_shared *weir_source_limit_shared_get(
	struct weir_source_limit_shared *shared)
{
	atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
	return shared;
}

void weir_source_limit_shared_put(struct weir_source_limit_shared *shared)
{
	if (!shared || atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1)
		return;
	source_table_free(shared->table);
	free(shared);
}

static void source_limit_count(const struct source_limit *limit, int status)
{
	struct weir_counter *counter = status == WEIR_ERATE ? limit->refused_rate : limit->refused;

	if (counter)
		weir_counter_add(counter, 1);
}

static int source_limit_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct source_limit *limit = weir_container_of(svc, struct source_limit, svc);
	struct weir_loop *loop = weir_loop_current();
	struct source_rules rules = limit->rules;
	struct source *source;
	int status;

	/* It counts, but was let in already. */
	if (conn->resumed) {
		rules.max = 0;
		rules.rate.per_second = 0;
	}
	status = source_table_begin(limit->shared->table, &conn->peer, &rules, weir_loop_now(loop),
				    &source);
	if (status) {
		source_limit_count(limit, status);
		return status;
	}
	status = weir_serve(svc->inner, conn);
	source_table_end(limit->shared->table, source, weir_loop_now(loop));
	return status;
}

static void source_limit_free(struct weir_service *svc)
{
	struct source_limit *limit = weir_container_of(svc, struct source_limit, svc);

	weir_source_limit_shared_put(limit->shared);
	free(limit);
}

static const struct weir_service_ops source_limit_ops = {
	.name = "source_limit",
	.needs = WEIR_NEEDS_NOTHING,
	.resumes = true,
	.serve = source_limit_serve,
	.free = source_limit_free,
};

static int source_limit_check(const struct weir_source_limit_conf *conf, struct weir_error *error)
{
	if (!isfinite(conf->rate) || conf->rate < 0) {
		weir_error_remedy(error, "say a number of connections a second, such as 50 or 0.5");
		return weir_error_set(error, WEIR_ECONFIG, "the rate is not a rate");
	}
	if (conf->max == 0 && conf->rate == 0) {
		weir_error_remedy(error, "say how many connections, or at what rate, or both");
		return weir_error_set(error, WEIR_ECONFIG, "a source limit without a limit");
	}
	if (conf->burst && conf->rate == 0) {
		weir_error_remedy(error, "say a rate too");
		return weir_error_set(error, WEIR_ECONFIG, "a burst means nothing without a rate");
	}
	if (conf->prefix4 > 32 || conf->prefix6 > 128) {
		weir_error_remedy(error, "IPv4 addresses have 32 bits, IPv6 addresses 128");
		return weir_error_set(error, WEIR_ECONFIG, "the prefix is longer than an address");
	}
	return 0;
}

static void source_limit_configure(struct source_limit *limit,
				   const struct weir_source_limit_conf *conf)
{
	limit->refused = conf->refused;
	limit->refused_rate = conf->refused_rate;
	limit->rules = (struct source_rules){
		.max = conf->max,
		.rate = { .per_second = conf->rate,
			  .burst = conf->burst ? (double)conf->burst : fmax(conf->rate, 1) },
		.prefix4 = conf->prefix4 ? conf->prefix4 : 32,
		.prefix6 = conf->prefix6 ? conf->prefix6 : 64,
		.max_sources = conf->max_sources ? conf->max_sources : SOURCES_DEFAULT,
	};
}

struct weir_service *weir_source_limit_layer(struct weir_service *inner,
					     const struct weir_source_limit_conf *conf,
					     struct weir_error *error)
{
	struct source_limit *limit = NULL;

	if (!inner || source_limit_check(conf, error))
		goto err;
	limit = calloc(1, sizeof(*limit));
	if (!limit)
		goto err_memory;
	limit->svc = (struct weir_service){ .ops = &source_limit_ops, .inner = inner };
	source_limit_configure(limit, conf);
	limit->shared = conf->shared ? weir_source_limit_shared_get(conf->shared)
				     : weir_source_limit_shared_new();
	if (!limit->shared)
		goto err_memory;
	return &limit->svc;
err_memory:
	weir_error_set(error, -ENOMEM, "out of memory");
err:
	free(limit);
	weir_service_free(inner);
	return NULL;
}
