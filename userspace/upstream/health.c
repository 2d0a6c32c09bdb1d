/* SPDX-License-Identifier: MIT */
/*
 * Events of health: the lock, the endpoint's own decision (endpoint.c), and what follows from it
 * for everyone: a new version, a look at the queue, a line in the log.
 */

#include <weir/error.h>
#include <weir/log.h>
#include <weir/loop.h>

#include "upstream/upstream_internal.h"

void weir_upstream_changed(struct weir_upstream *upstream)
{
	atomic_fetch_add(&upstream->version, 1);
	weir_queue_serve(upstream);
}

/* WHY may be NULL. */
static void endpoint_log(const struct weir_upstream *upstream, const struct weir_endpoint *endpoint,
			 const char *why, int status)
{
	enum weir_endpoint_state state = endpoint->state;
	char address[WEIR_ADDRESS_TEXT];

	weir_log(state == WEIR_ENDPOINT_HEALTHY ? WEIR_LOG_INFO : WEIR_LOG_WARN, upstream->object,
		 "endpoint changed its state", WEIR_LOG_STR("endpoint", endpoint->name),
		 WEIR_LOG_STR("address", weir_address_format(&endpoint->target.address, address)),
		 WEIR_LOG_STR("state", weir_endpoint_state_name(state)), WEIR_LOG_STR("why", why),
		 WEIR_LOG_STR("error", status ? weir_strerror(status) : NULL));
}

void weir_upstream_settle(struct weir_upstream *upstream)
{
	uint64_t now = weir_now();
	bool changed = false;

	pthread_mutex_lock(&upstream->lock);
	for (size_t i = 0; i < upstream->set->n; i++) {
		struct weir_endpoint *endpoint = upstream->set->members[i].endpoint;

		if (!weir_endpoint_settle(endpoint, now))
			continue;
		endpoint_log(upstream, endpoint, NULL, 0);
		changed = true;
	}
	if (changed)
		weir_upstream_changed(upstream);
	pthread_mutex_unlock(&upstream->lock);
}

void weir_upstream_checked(struct weir_upstream *upstream, struct weir_endpoint *endpoint,
			   int status)
{
	pthread_mutex_lock(&upstream->lock);
	if (weir_endpoint_checked(endpoint, &upstream->rules, status, weir_now())) {
		endpoint_log(upstream, endpoint, status ? "checks" : NULL, status);
		weir_upstream_changed(upstream);
	}
	pthread_mutex_unlock(&upstream->lock);
}

/* One of them may always go, more only up to max_percent; and never the last healthy one. */
static bool may_eject_one(const struct weir_upstream *upstream)
{
	const struct weir_set *set = upstream->set;
	size_t ejected = weir_set_count(set, WEIR_ENDPOINT_EJECTED);
	size_t resolved = set->n - weir_set_count(set, WEIR_ENDPOINT_UNRESOLVED);

	if (weir_set_count(set, WEIR_ENDPOINT_HEALTHY) < 2)
		return false;
	return !ejected || (ejected + 1) * 100 <= resolved * upstream->conf.ejection.max_percent;
}

static bool is_too_many(unsigned in_row, unsigned allowed)
{
	return allowed && in_row >= allowed;
}

bool weir_upstream_reported(struct weir_upstream *upstream, struct weir_endpoint *endpoint,
			    enum weir_outcome outcome, int status)
{
	const struct weir_upstream_conf *conf = &upstream->conf;
	struct weir_rows rows = weir_endpoint_report(endpoint, outcome, status);
	bool ejected;

	if (!is_too_many(rows.failures, conf->ejection.failures) &&
	    !is_too_many(rows.server_errors, conf->ejection.server_errors) &&
	    !is_too_many(rows.gateway_errors, conf->ejection.gateway_errors))
		return false;
	pthread_mutex_lock(&upstream->lock);
	ejected = may_eject_one(upstream) &&
		  weir_endpoint_eject(endpoint, &upstream->rules, weir_now());
	if (ejected) {
		endpoint_log(upstream, endpoint, weir_outcome_name(outcome), status);
		weir_upstream_changed(upstream);
	}
	pthread_mutex_unlock(&upstream->lock);
	return ejected;
}
