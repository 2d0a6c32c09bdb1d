/* SPDX-License-Identifier: MIT */
/*
 * Making an upstream from its configuration, and what operators ask of it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>
#include <weir/loop.h>

#include "upstream/keeper.h"

/* ------------------------------------------------------------------------------------------
 * Configuration
 */

#define OR_DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static void conf_fill(struct weir_upstream_conf *conf)
{
	OR_DEFAULT(conf->health.interval_ms, 2000);
	OR_DEFAULT(conf->health.timeout_ms, 1000);
	OR_DEFAULT(conf->health.unhealthy, 3);
	OR_DEFAULT(conf->health.healthy, 2);
	OR_DEFAULT(conf->health.jitter_percent, 10);
	OR_DEFAULT(conf->ejection.base_ms, 10000);
	OR_DEFAULT(conf->ejection.max_ms, 300000);
	OR_DEFAULT(conf->ejection.max_percent, 50);
	OR_DEFAULT(conf->attempts, 3);
	OR_DEFAULT(conf->limit.queue_ms, 5000);
	OR_DEFAULT(conf->name_hold_ms, 30000);
}

static int conf_check_numbers(const struct weir_upstream_conf *conf, struct weir_error *error)
{
	if (conf->health.jitter_percent > 100 || conf->ejection.max_percent > 100) {
		weir_error_remedy(error, "use 1 to 100");
		return weir_error_set(error, WEIR_ECONFIG, "a percentage is over 100");
	}
	if (conf->ejection.base_ms > conf->ejection.max_ms) {
		weir_error_remedy(error, "raise ejection max or lower base");
		return weir_error_set(
			error, WEIR_ECONFIG,
			"the first ejection (%llu ms) is longer than the longest (%llu ms)",
			(unsigned long long)conf->ejection.base_ms,
			(unsigned long long)conf->ejection.max_ms);
	}
	if (conf->attempts > WEIR_ATTEMPTS_MAX) {
		weir_error_remedy(error, "use at most %d", WEIR_ATTEMPTS_MAX);
		return weir_error_set(error, WEIR_ECONFIG, "%u attempts are too many",
				      conf->attempts);
	}
	if (conf->limit.queue && !conf->limit.connections) {
		weir_error_remedy(error, "set limit connections, or leave queue out");
		return weir_error_set(error, WEIR_ECONFIG,
				      "a queue without a limit of connections is never used");
	}
	return 0;
}

static int listing_check(const struct weir_listing *listing, const struct weir_listing *earlier,
			 size_t n, struct weir_error *error)
{
	if (listing->weight > WEIR_WEIGHT_MAX) {
		weir_error_remedy(error, "use 1 to %d", WEIR_WEIGHT_MAX);
		return weir_error_set(error, WEIR_ECONFIG, "endpoint %s: weight %u is too large",
				      listing->name, listing->weight);
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(earlier[i].name, listing->name) != 0)
			continue;
		weir_error_remedy(error, "list it once, with a larger weight");
		return weir_error_set(error, WEIR_ECONFIG, "endpoint %s is listed twice",
				      listing->name);
	}
	return 0;
}

static int upstream_add_listings(struct weir_upstream *upstream,
				 const struct weir_upstream_conf *conf, struct weir_error *error)
{
	int status;

	if (!conf->n_endpoints || conf->n_endpoints > WEIR_MAGLEV_MEMBERS_MAX) {
		weir_error_remedy(error, "list 1 to %d", WEIR_MAGLEV_MEMBERS_MAX);
		return weir_error_set(error, WEIR_ECONFIG, "upstream %s has %zu endpoints",
				      conf->name, conf->n_endpoints);
	}
	upstream->listings = calloc(conf->n_endpoints, sizeof(*upstream->listings));
	if (!upstream->listings)
		return weir_error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < conf->n_endpoints; i++) {
		struct weir_listing *listing = &upstream->listings[i];

		listing->target = conf->endpoints[i].target;
		listing->weight = conf->endpoints[i].weight ? conf->endpoints[i].weight : 1;
		listing->backup = conf->endpoints[i].backup;
		weir_target_format(&listing->target, listing->name, sizeof(listing->name));
		status = listing_check(listing, upstream->listings, i, error);
		if (status)
			return status;
		upstream->unanswered += weir_listing_is_name(listing);
		upstream->n_listings++;
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

/* The set before any name is known: addresses, and placeholders for names. */
static int upstream_add_first_set(struct weir_upstream *upstream)
{
	struct weir_member *members = calloc(upstream->n_listings, sizeof(*members));
	size_t n;

	if (!members)
		return -ENOMEM;
	for (n = 0; n < upstream->n_listings; n++) {
		const struct weir_listing *listing = &upstream->listings[n];
		const struct weir_address *address = &listing->target.address;

		members[n].endpoint = weir_endpoint_new(listing->name, n, listing->target.host,
							address->size ? address : NULL, weir_now());
		members[n].weight = listing->weight;
		members[n].backup = listing->backup;
		if (!members[n].endpoint)
			break;
	}
	if (n == upstream->n_listings)
		upstream->set = weir_set_new(upstream->conf.balance, members, n);
	while (n-- > 0)
		weir_endpoint_put(members[n].endpoint);
	free(members);
	return upstream->set ? 0 : -ENOMEM;
}

struct weir_upstream *weir_upstream_new(const struct weir_upstream_conf *conf,
					struct weir_error *error)
{
	struct weir_upstream *upstream = calloc(1, sizeof(*upstream));

	if (!upstream) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	atomic_init(&upstream->references, 1);
	pthread_mutex_init(&upstream->lock, NULL);
	weir_list_init(&upstream->waiters);
	upstream->conf = *conf;
	upstream->conf.name = NULL;
	upstream->conf.endpoints = NULL;
	upstream->conf.health.http = (struct weir_health_http_conf){ 0 };
	conf_fill(&upstream->conf);
	upstream->rules = (struct weir_health_rules){
		.unhealthy = upstream->conf.health.unhealthy,
		.healthy = upstream->conf.health.healthy,
		.ejection_base_ms = upstream->conf.ejection.base_ms,
		.ejection_max_ms = upstream->conf.ejection.max_ms,
	};
	if (asprintf(&upstream->object, "upstream %s", conf->name) < 0) {
		upstream->object = NULL;
		weir_error_set(error, -ENOMEM, "out of memory");
		goto fail;
	}
	upstream->name = upstream->object + strlen("upstream ");
	if (conf_check_numbers(&upstream->conf, error) ||
	    weir_http_check_init(&upstream->check, &conf->health.http, error) ||
	    upstream_add_listings(upstream, conf, error))
		goto fail;
	if (upstream_add_first_set(upstream)) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto fail;
	}
	return upstream;
fail:
	weir_upstream_put(upstream);
	return NULL;
}

struct weir_upstream *weir_upstream_get(struct weir_upstream *upstream)
{
	atomic_fetch_add_explicit(&upstream->references, 1, memory_order_relaxed);
	return upstream;
}

void weir_upstream_put(struct weir_upstream *upstream)
{
	if (!upstream || atomic_fetch_sub(&upstream->references, 1) > 1)
		return;
	weir_http_check_fini(&upstream->check);
	weir_set_put(upstream->set);
	pthread_mutex_destroy(&upstream->lock);
	free(upstream->listings);
	free(upstream->object);
	free(upstream);
}

const char *weir_upstream_name(const struct weir_upstream *upstream)
{
	return upstream->name;
}

/* ------------------------------------------------------------------------------------------
 * Operators
 */

static void member_tell(const struct weir_member *member, struct weir_endpoint_info *info)
{
	const struct weir_endpoint *endpoint = member->endpoint;

	*info = (struct weir_endpoint_info){
		.address = endpoint->target.address,
		.state = endpoint->state,
		.weight = member->weight,
		.backup = member->backup,
		.active = atomic_load(&endpoint->active),
		.total = atomic_load(&endpoint->total),
		.failures = atomic_load(&endpoint->failures),
		.ejections = endpoint->ejections,
		.checks = endpoint->checks,
		.checks_failed = endpoint->checks_failed,
		.last_status = atomic_load(&endpoint->last_status),
		.state_since_ns = endpoint->since_ns,
	};
	snprintf(info->name, sizeof(info->name), "%s", endpoint->name);
}

void weir_upstream_each(struct weir_upstream *upstream,
			void (*fn)(void *ctx, const struct weir_endpoint_info *info), void *ctx)
{
	struct weir_endpoint_info info;
	struct weir_set *set;

	weir_upstream_settle(upstream);
	pthread_mutex_lock(&upstream->lock);
	set = weir_set_get(upstream->set);
	pthread_mutex_unlock(&upstream->lock);
	for (size_t i = 0; i < set->n; i++) {
		pthread_mutex_lock(&upstream->lock);
		member_tell(&set->members[i], &info);
		pthread_mutex_unlock(&upstream->lock);
		fn(ctx, &info);
	}
	weir_set_put(set);
}

int weir_upstream_set_draining(struct weir_upstream *upstream, const char *endpoint, bool draining)
{
	struct weir_set *set;
	size_t listing = 0;

	while (listing < upstream->n_listings &&
	       strcmp(upstream->listings[listing].name, endpoint) != 0)
		listing++;
	if (listing == upstream->n_listings)
		return -ENOENT;
	pthread_mutex_lock(&upstream->lock);
	upstream->listings[listing].draining = draining;
	set = upstream->set;
	for (size_t i = 0; i < set->n; i++)
		if (set->members[i].endpoint->listing == listing)
			weir_endpoint_drain(set->members[i].endpoint, draining, weir_now());
	weir_upstream_changed(upstream);
	pthread_mutex_unlock(&upstream->lock);
	weir_log(WEIR_LOG_INFO, upstream->object, draining ? "endpoint drains" : "endpoint resumes",
		 WEIR_LOG_STR("endpoint", endpoint));
	return 0;
}
