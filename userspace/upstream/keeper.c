/* SPDX-License-Identifier: MIT */
/*
 * Starting the keeper, and its own task: once a second it ends ejections that are over, so that
 * who waits in the queue sees it, and counts endpoints by state.
 */

#include <errno.h>
#include <stdlib.h>

#include <weir/loop.h>

#include "upstream/keeper.h"
#include "upstream/measure.h"
#include "upstream/mix.h"

#define TICK_MS 1000
#define STATES	(WEIR_ENDPOINT_DRAINING + 1)

void weir_keeper_put(struct weir_keeper *keeper)
{
	if (--keeper->references)
		return;
	weir_upstream_put(keeper->upstream);
	free(keeper);
}

/* ------------------------------------------------------------------------------------------
 * Gauges
 */

static void count_listing(const struct weir_keeper *keeper, size_t listing, size_t counts[STATES])
{
	struct weir_upstream *upstream = keeper->upstream;

	pthread_mutex_lock(&upstream->lock);
	for (size_t i = 0; i < upstream->set->n; i++)
		if (upstream->set->members[i].endpoint->listing == listing)
			counts[upstream->set->members[i].endpoint->state]++;
	pthread_mutex_unlock(&upstream->lock);
}

/* GONE: nobody keeps these numbers any longer, so they must not stay in the sum. */
static void keeper_measure(const struct weir_keeper *keeper, bool gone)
{
	const struct weir_upstream *upstream = keeper->upstream;

	for (size_t i = 0; i < upstream->n_listings; i++) {
		size_t counts[STATES] = { 0 };

		if (!gone)
			count_listing(keeper, i, counts);
		for (unsigned state = 0; state < STATES; state++) {
			const char *const labels[] = { upstream->name, upstream->listings[i].name,
						       weir_endpoint_state_name(state) };

			weir_gauge_set(weir_metrics_gauge(keeper->metrics, keeper->worker,
							  &weir_measure_endpoints, labels),
				       counts[state]);
		}
	}
}

static int keeper_run(void *arg)
{
	struct weir_keeper *keeper = arg;
	int status = weir_task_check();

	while (!status) {
		weir_upstream_settle(keeper->upstream);
		keeper_measure(keeper, false);
		status = weir_task_sleep_ms(TICK_MS);
	}
	keeper_measure(keeper, true);
	weir_keeper_put(keeper);
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Starting
 */

static int keeper_start(struct weir_keeper *keeper)
{
	struct weir_upstream *upstream = keeper->upstream;
	int status;

	status = weir_scope_spawn(keeper->scope, "upstream", keeper_run, keeper, NULL);
	if (status)
		return status;
	keeper->references++; /* of the task, which runs later */
	for (size_t i = 0; i < upstream->n_listings && !status; i++)
		if (weir_listing_is_name(&upstream->listings[i]))
			status = weir_keeper_ask(keeper, i);
	/* Only the keeper's tasks change the set, and they run later. */
	for (size_t i = 0; i < upstream->set->n && !status; i++)
		if (upstream->set->members[i].endpoint->target.address.size)
			status = weir_keeper_check(keeper, upstream->set->members[i].endpoint);
	return status;
}

int weir_upstream_start(struct weir_upstream *upstream, struct weir_scope *scope,
			struct weir_connector *connector, struct weir_resolver *resolver,
			struct weir_metrics *metrics)
{
	struct weir_keeper *keeper;
	int status;

	if (atomic_exchange(&upstream->started, true))
		return -EALREADY;
	if (upstream->unanswered && !resolver)
		return -EINVAL;
	keeper = calloc(1, sizeof(*keeper));
	if (!keeper)
		return -ENOMEM;
	*keeper = (struct weir_keeper){
		.references = 1,
		.upstream = weir_upstream_get(upstream),
		.scope = scope,
		.connector = connector,
		.resolver = resolver,
		.metrics = metrics,
		.worker = weir_loop_index(scope->loop),
		.random = weir_now() ^ weir_mix((uintptr_t)keeper),
	};
	status = keeper_start(keeper);
	weir_keeper_put(keeper);
	return status;
}
