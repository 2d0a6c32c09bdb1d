/* SPDX-License-Identifier: MIT */
/*
 * Searches and places: a seat by the balance, or from the queue when all are full.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <weir/balancer.h>
#include <weir/error.h>
#include <weir/hash.h>
#include <weir/loop.h>
#include <weir/task.h>

#include "upstream/measure.h"
#include "upstream/mix.h"
#include "upstream/view.h"

#define NS_PER_MS   1000000u
#define NS_PER_S    1e9
#define HASH_SEED   0x77656972u /* the same everywhere: all proxies agree on who serves whom */
#define WAITERS_MAX 1024	/* for the first answer about a name */

struct weir_balancer {
	struct weir_view view;
	bool measured; /* the cells below are this worker's */
	unsigned waiting;
	struct weir_histogram *queue_time;
	struct weir_gauge *queue;
};

/* ------------------------------------------------------------------------------------------
 * Metrics
 */

/* The worker is known only when the first task of it comes by. */
static void balancer_measure(struct weir_balancer *balancer)
{
	struct weir_view *view = &balancer->view;
	const char *const labels[] = { weir_upstream_name(view->upstream) };

	balancer->measured = true;
	view->worker = weir_loop_index(weir_loop_current());
	balancer->queue_time = weir_metrics_histogram(view->metrics, view->worker,
						      &weir_measure_queue_time, labels);
	balancer->queue =
		weir_metrics_gauge(view->metrics, view->worker, &weir_measure_queue, labels);
}

/* Failures and refusals are rare: their cells are looked up when they happen. */
static void count_refusal(const struct weir_view *view, int status)
{
	const char *const labels[] = { weir_upstream_name(view->upstream),
				       weir_error_name(status) };

	weir_counter_add(weir_metrics_counter(view->metrics, view->worker, &weir_measure_refused,
					      labels),
			 1);
}

static void count_failure(const struct weir_seat *seat, const struct weir_metric_family *family,
			  const char *reason)
{
	const char *const labels[] = { weir_upstream_name(seat->upstream), seat->endpoint->name,
				       reason };

	weir_counter_add(weir_metrics_counter(seat->metrics, seat->worker, family, labels), 1);
}

/* ------------------------------------------------------------------------------------------
 * Places
 */

static void place_take(struct weir_place *place, struct weir_seat *seat)
{
	weir_gauge_add(seat->active, 1);
	*place = (struct weir_place){
		.target = &seat->endpoint->target,
		.name = seat->endpoint->name,
		.identity = seat->endpoint->identity,
		.seat = weir_seat_get(seat),
	};
}

void weir_seat_give(void *ctx)
{
	struct weir_seat *seat = ctx;

	weir_gauge_add(seat->active, -1);
	weir_queue_give(seat->upstream, seat->endpoint);
	weir_seat_put(seat);
}

void weir_place_give(struct weir_place *place)
{
	weir_seat_give(place->seat);
	place->seat = NULL;
}

void weir_place_connected(const struct weir_place *place, uint64_t ns)
{
	weir_counter_add(place->seat->connected, 1);
	weir_histogram_add(place->seat->connect_time, (double)ns / NS_PER_S);
}

void weir_place_report(const struct weir_place *place, enum weir_outcome outcome, int status)
{
	struct weir_seat *seat = place->seat;

	if (outcome == WEIR_OUTCOME_CONNECT)
		count_failure(seat, &weir_measure_failures, weir_measure_reason(status));
	if (outcome != WEIR_OUTCOME_SUCCESS && seat->load == WEIR_LOAD_CALLS)
		count_failure(seat, &weir_measure_call_failures, weir_outcome_name(outcome));
	if (outcome == WEIR_OUTCOME_CONNECT && weir_measure_is_local(status))
		return;
	if (weir_upstream_reported(seat->upstream, seat->endpoint, outcome, status))
		count_failure(seat, &weir_measure_ejections, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Searches
 */

bool weir_balancer_has_keys(const struct weir_balancer *balancer)
{
	switch (balancer->view.upstream->conf.balance) {
	case WEIR_BALANCE_RING_HASH:
	case WEIR_BALANCE_MAGLEV:
	case WEIR_BALANCE_SOURCE_HASH:
		return true;
	default:
		return false;
	}
}

uint64_t weir_search_key(const void *data, size_t size)
{
	static const uint64_t key[2] = { HASH_SEED, HASH_SEED };

	return weir_hash(data, size, key);
}

uint64_t weir_search_key_of(const struct weir_address *address)
{
	return weir_address_hash_host(address, HASH_SEED);
}

void weir_search_init(struct weir_search *search, uint64_t key)
{
	search->key = key;
	search->preferred = 0;
	search->n_tried = 0;
}

void weir_search_forget(struct weir_search *search)
{
	while (search->n_tried > 0)
		weir_seat_put(search->tried[--search->n_tried]);
}

void weir_search_fini(struct weir_search *search)
{
	weir_search_forget(search);
}

static void search_note(struct weir_search *search, struct weir_seat *seat)
{
	assert(search->n_tried < WEIR_ATTEMPTS_MAX);
	search->tried[search->n_tried] = weir_seat_get(seat);
	search->endpoints[search->n_tried++] = seat->endpoint;
}

/* ------------------------------------------------------------------------------------------
 * Picking
 */

/* The picture may have changed while the task waited. */
static int balancer_seat_of(struct weir_balancer *balancer, struct weir_endpoint *endpoint,
			    struct weir_seat **seat)
{
	int status = weir_view_refresh(&balancer->view, weir_now());

	*seat = status ? NULL : weir_view_seat(&balancer->view, endpoint);
	if (!*seat)
		weir_queue_give(balancer->view.upstream, endpoint);
	weir_endpoint_put(endpoint);
	return status ? status : *seat ? 0 : -EAGAIN;
}

/* Parks in the queue. -EAGAIN: endpoints have changed, pick again. */
static int balancer_wait(struct weir_balancer *balancer, const struct weir_search *search,
			 unsigned max_waiting, uint64_t deadline, struct weir_seat **seat)
{
	struct weir_upstream *upstream = balancer->view.upstream;
	struct weir_endpoint *endpoint;
	uint64_t start = weir_now();
	int status;

	if (!max_waiting)
		return WEIR_ELIMIT;
	if (balancer->waiting >= max_waiting)
		return WEIR_EQUEUE;
	balancer->waiting++;
	weir_gauge_add(balancer->queue, 1);
	status = weir_queue_wait(upstream, search->endpoints, search->n_tried, deadline, &endpoint);
	weir_gauge_add(balancer->queue, -1);
	balancer->waiting--;
	weir_histogram_add(balancer->queue_time, (double)(weir_now() - start) / NS_PER_S);
	if (status == WEIR_ENOENDPOINT)
		return -EAGAIN;
	return status ? status : balancer_seat_of(balancer, endpoint, seat);
}

static bool is_unanswered(struct weir_upstream *upstream)
{
	bool unanswered;

	pthread_mutex_lock(&upstream->lock);
	unanswered = upstream->unanswered > 0;
	pthread_mutex_unlock(&upstream->lock);
	return unanswered;
}

/* One look at the picture: a seat with a place taken, or whatever keeps from it. */
static enum weir_pick balancer_look(struct weir_balancer *balancer,
				    const struct weir_search *search, struct weir_seat **seat)
{
	struct weir_upstream *upstream = balancer->view.upstream;
	bool queued = upstream->conf.limit.queue && atomic_load(&upstream->waiting) > 0;

	if (search->preferred && !queued && !search->n_tried &&
	    weir_view_prefer(&balancer->view, search->preferred, seat) == WEIR_PICK_DONE)
		return WEIR_PICK_DONE;
	return weir_view_pick(&balancer->view, search->key, search->tried, search->n_tried, queued,
			      seat);
}

static int balancer_seat(struct weir_balancer *balancer, const struct weir_search *search,
			 uint64_t deadline, struct weir_seat **seat)
{
	struct weir_upstream *upstream = balancer->view.upstream;
	int status = weir_view_refresh(&balancer->view, weir_loop_now(weir_loop_current()));

	if (status)
		return status;
	switch (balancer_look(balancer, search, seat)) {
	case WEIR_PICK_DONE:
		return 0;
	case WEIR_PICK_FULL:
		return balancer_wait(balancer, search, upstream->conf.limit.queue, deadline, seat);
	case WEIR_PICK_NONE:
		break;
	}
	/* At the start, names get the time to be answered. */
	if (is_unanswered(upstream))
		return balancer_wait(balancer, search, WAITERS_MAX, deadline, seat);
	return balancer->view.set->n_tiers ? WEIR_ENOENDPOINT : WEIR_ERESOLVE;
}

int weir_balancer_pick(struct weir_balancer *balancer, struct weir_search *search,
		       uint64_t deadline, struct weir_place *place)
{
	struct weir_seat *seat;
	int status;

	if (!balancer->measured)
		balancer_measure(balancer);
	if (!deadline)
		deadline = weir_loop_now(weir_loop_current()) +
			   balancer->view.upstream->conf.limit.queue_ms * NS_PER_MS;
	do {
		status = balancer_seat(balancer, search, deadline, &seat);
	} while (status == -EAGAIN);
	if (!status) {
		place_take(place, seat);
		search_note(search, seat);
	} else if (!search->n_tried) {
		count_refusal(&balancer->view, status);
	}
	return status;
}

int weir_balancer_resume(struct weir_balancer *balancer, const struct weir_address *address,
			 struct weir_place *place)
{
	struct weir_seat *seat;

	if (!balancer->measured)
		balancer_measure(balancer);
	if (weir_view_refresh(&balancer->view, weir_loop_now(weir_loop_current())))
		return -ENOENT;
	seat = weir_view_seat_at(&balancer->view, address);
	if (!seat || !weir_endpoint_take(seat->endpoint, 0))
		return -ENOENT;
	place_take(place, seat);
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

struct weir_balancer *weir_balancer_new(struct weir_upstream *upstream, enum weir_load load,
					struct weir_metrics *metrics, struct weir_error *error)
{
	struct weir_balancer *balancer = calloc(1, sizeof(*balancer));

	if (!balancer) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	weir_view_init(&balancer->view, upstream, load, metrics);
	return balancer;
}

void weir_balancer_free(struct weir_balancer *balancer)
{
	if (!balancer)
		return;
	weir_view_fini(&balancer->view);
	free(balancer);
}
