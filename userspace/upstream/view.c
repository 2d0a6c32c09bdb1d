/* SPDX-License-Identifier: MIT */
/*
 * Keeping the picture: a new set gets new arrays, with the seats of endpoints that stay; a new
 * version or a new moment only gets new weights.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>

#include "upstream/measure.h"
#include "upstream/mix.h"
#include "upstream/view.h"

#define NS_PER_MS  1000000u
#define RAMP_STEPS 20 /* of a slow start */
#define PICKS_MAX  4  /* full ones that the balance may name before any free one will do */

/* ------------------------------------------------------------------------------------------
 * Seats
 */

static struct weir_seat *seat_new(const struct weir_view *view, struct weir_endpoint *endpoint)
{
	const char *const labels[] = { weir_upstream_name(view->upstream), endpoint->name };
	const struct weir_metric_family *active =
		view->load == WEIR_LOAD_CALLS ? &weir_measure_calls : &weir_measure_active;
	struct weir_seat *seat = malloc(sizeof(*seat));

	if (!seat)
		return NULL;
	*seat = (struct weir_seat){
		.references = 1,
		.upstream = weir_upstream_get(view->upstream),
		.endpoint = weir_endpoint_get(endpoint),
		.metrics = view->metrics,
		.worker = view->worker,
		.load = view->load,
		.active = weir_metrics_gauge(view->metrics, view->worker, active, labels),
		.connected = weir_metrics_counter(view->metrics, view->worker,
						  &weir_measure_connected, labels),
		.connect_time = weir_metrics_histogram(view->metrics, view->worker,
						       &weir_measure_connect_time, labels),
	};
	return seat;
}

struct weir_seat *weir_seat_get(struct weir_seat *seat)
{
	seat->references++;
	return seat;
}

void weir_seat_put(struct weir_seat *seat)
{
	if (!seat || --seat->references)
		return;
	weir_endpoint_put(seat->endpoint);
	weir_upstream_put(seat->upstream);
	free(seat);
}

struct weir_seat *weir_view_seat(struct weir_view *view, const struct weir_endpoint *endpoint)
{
	for (size_t i = 0; i < view->set->n; i++)
		if (view->seats[i]->endpoint == endpoint)
			return view->seats[i];
	return NULL;
}

struct weir_seat *weir_view_seat_at(struct weir_view *view, const struct weir_address *address)
{
	for (size_t i = 0; i < view->set->n; i++)
		if (weir_address_is_equal(&view->seats[i]->endpoint->target.address, address))
			return view->seats[i];
	return NULL;
}

/* ------------------------------------------------------------------------------------------
 * Arrays for a set
 */

static void view_free_arrays(struct weir_view *view)
{
	for (size_t i = 0; view->seats && i < view->set->n; i++) {
		if (view->seats[i])
			view->seats[i]->index = SIZE_MAX;
		weir_seat_put(view->seats[i]);
	}
	free(view->seats);
	free(view->entries);
	free(view->ends);
	free(view->pickers);
	weir_set_put(view->set);
}

static struct weir_seat *view_seat_for(struct weir_view *old, struct weir_endpoint *endpoint)
{
	struct weir_seat *seat = old->set ? weir_view_seat(old, endpoint) : NULL;

	return seat ? weir_seat_get(seat) : seat_new(old, endpoint);
}

static int view_fill_arrays(struct weir_view *view, struct weir_view *old)
{
	for (size_t i = 0; i < view->set->n; i++) {
		struct weir_endpoint *endpoint = view->set->members[i].endpoint;

		view->seats[i] = view_seat_for(old, endpoint);
		if (!view->seats[i])
			return -ENOMEM;
		view->entries[i].identity = endpoint->identity;
		view->entries[i].active = &endpoint->active;
	}
	for (size_t t = 0; t < view->set->n_tiers; t++) {
		const struct weir_tier *tier = &view->set->tiers[t];

		view->pickers[t] = (struct weir_picker){
			.balance = view->upstream->conf.balance,
			.entries = view->entries + tier->first,
			.ends = view->ends + tier->first,
			.n = tier->n,
			.ring = tier->ring,
			.maglev = tier->maglev,
		};
	}
	return 0;
}

/* Takes over the reference to SET, also when it fails; then the old picture stays. */
static int view_adopt(struct weir_view *view, struct weir_set *set)
{
	struct weir_view old = *view;
	int status = -ENOMEM;

	view->set = set;
	view->seats = calloc(set->n, sizeof(struct weir_seat *));
	view->entries = calloc(set->n, sizeof(*view->entries));
	view->ends = calloc(set->n, sizeof(*view->ends));
	view->pickers = calloc(set->n_tiers + 1, sizeof(*view->pickers));
	if (view->seats && view->entries && view->ends && view->pickers)
		status = view_fill_arrays(view, &old);
	if (status) {
		view_free_arrays(view);
		*view = old;
	} else if (old.set) {
		view_free_arrays(&old);
	}
	for (size_t i = 0; view->set && i < view->set->n; i++)
		view->seats[i]->index = i;
	return status;
}

/* ------------------------------------------------------------------------------------------
 * Weights
 */

/* When time alone will change what ENDPOINT counts for. */
static uint64_t endpoint_stale_ns(const struct weir_endpoint *endpoint, uint32_t ramp_percent,
				  uint64_t slow_start_ms, uint64_t now)
{
	if (endpoint->state == WEIR_ENDPOINT_EJECTED)
		return endpoint->ejected_until_ns;
	if (ramp_percent < 100)
		return now + slow_start_ms * NS_PER_MS / RAMP_STEPS + 1;
	return UINT64_MAX;
}

static void view_weigh(struct weir_view *view, uint64_t now)
{
	uint64_t slow_start_ms = view->upstream->conf.slow_start_ms;
	bool panic;

	assert(view->set); /* an upstream has a set from its first moment */
	panic = weir_set_is_panicking(view->set);
	view->stale_ns = UINT64_MAX;
	for (size_t i = 0; i < view->set->n; i++) {
		const struct weir_member *member = &view->set->members[i];
		struct weir_picker_entry *entry = &view->entries[i];
		uint64_t stale_ns;

		entry->weight = weir_endpoint_is_usable(member->endpoint, panic) ? member->weight
										 : 0;
		entry->ramp_percent = weir_endpoint_ramp(member->endpoint, slow_start_ms, now);
		stale_ns = endpoint_stale_ns(member->endpoint, entry->ramp_percent, slow_start_ms,
					     now);
		view->stale_ns = WEIR_MIN(view->stale_ns, stale_ns);
	}
	for (size_t t = 0; t < view->set->n_tiers; t++)
		weir_picker_refresh(&view->pickers[t]);
}

/* Workers that start together must not all begin with the same endpoint. */
static void view_stagger(struct weir_view *view)
{
	for (size_t t = 0; t < view->set->n_tiers; t++) {
		struct weir_picker *picker = &view->pickers[t];

		if (picker->balance != WEIR_BALANCE_ROUND_ROBIN)
			return;
		for (uint64_t k = weir_mix_below(&view->random, picker->n); k > 0; k--) {
			weir_picker_begin(picker);
			weir_picker_pick(picker, 0, &view->random);
		}
	}
}

int weir_view_refresh(struct weir_view *view, uint64_t now)
{
	struct weir_upstream *upstream = view->upstream;
	uint64_t version = atomic_load(&upstream->version);
	bool is_new;
	struct weir_set *set;

	if (view->set && version == view->version && now < view->stale_ns)
		return 0;
	weir_upstream_settle(upstream);
	pthread_mutex_lock(&upstream->lock);
	/* Read before the states: a change after this is seen by the next refresh. */
	version = atomic_load(&upstream->version);
	set = weir_set_get(upstream->set);
	pthread_mutex_unlock(&upstream->lock);
	is_new = set != view->set;
	if (!is_new)
		weir_set_put(set);
	else if (view_adopt(view, set))
		return -ENOMEM;
	pthread_mutex_lock(&upstream->lock);
	view_weigh(view, weir_now());
	pthread_mutex_unlock(&upstream->lock);
	if (is_new)
		view_stagger(view);
	view->version = version;
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

void weir_view_init(struct weir_view *view, struct weir_upstream *upstream, enum weir_load load,
		    struct weir_metrics *metrics)
{
	*view = (struct weir_view){
		.upstream = weir_upstream_get(upstream),
		.load = load,
		.metrics = metrics,
		.random = weir_now() ^ weir_mix((uintptr_t)view),
	};
}

void weir_view_fini(struct weir_view *view)
{
	if (view->set)
		view_free_arrays(view);
	weir_upstream_put(view->upstream);
}

/* ------------------------------------------------------------------------------------------
 * Picking
 */

static bool picker_take(struct weir_view *view, struct weir_picker *picker, size_t index,
			struct weir_seat **seat)
{
	struct weir_seat *chosen = view->seats[(size_t)(picker->entries - view->entries) + index];

	if (!weir_endpoint_take(chosen->endpoint, view->upstream->conf.limit.connections))
		return false;
	*seat = chosen;
	return true;
}

static bool picker_take_any(struct weir_view *view, struct weir_picker *picker,
			    struct weir_seat **seat)
{
	size_t start = weir_mix_below(&view->random, picker->n);

	for (size_t k = 0; k < picker->n; k++) {
		size_t i = (start + k) % picker->n;

		if (weir_picker_is_open(picker, i) && picker_take(view, picker, i, seat))
			return true;
	}
	return false;
}

static enum weir_pick picker_choose(struct weir_view *view, struct weir_picker *picker,
				    uint64_t key, struct weir_seat **seat)
{
	for (unsigned k = 0; k < PICKS_MAX; k++) {
		int index = weir_picker_pick(picker, key, &view->random);

		if (index < 0)
			return WEIR_PICK_FULL;
		if (picker_take(view, picker, index, seat))
			return WEIR_PICK_DONE;
		weir_picker_skip(picker, index);
	}
	return picker_take_any(view, picker, seat) ? WEIR_PICK_DONE : WEIR_PICK_FULL;
}

enum weir_pick weir_view_pick(struct weir_view *view, uint64_t key, struct weir_seat *const *skip,
			      size_t n_skip, bool wait, struct weir_seat **seat)
{
	for (size_t t = 0; t < view->set->n_tiers; t++) {
		const struct weir_tier *tier = &view->set->tiers[t];
		struct weir_picker *picker = &view->pickers[t];

		weir_picker_begin(picker);
		for (size_t i = 0; i < n_skip; i++)
			if (skip[i]->index - tier->first < tier->n)
				weir_picker_skip(picker, skip[i]->index - tier->first);
		if (picker->open)
			return wait ? WEIR_PICK_FULL : picker_choose(view, picker, key, seat);
	}
	return WEIR_PICK_NONE;
}

enum weir_pick weir_view_prefer(struct weir_view *view, uint64_t identity, struct weir_seat **seat)
{
	for (size_t t = 0; t < view->set->n_tiers; t++) {
		struct weir_picker *picker = &view->pickers[t];

		for (size_t i = 0; i < picker->n; i++) {
			if (picker->entries[i].identity != identity || !picker->entries[i].weight)
				continue;
			return picker_take(view, picker, i, seat) ? WEIR_PICK_DONE : WEIR_PICK_FULL;
		}
	}
	return WEIR_PICK_NONE;
}
