/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_VIEW_H
#define WEIR_UPSTREAM_VIEW_H

/*
 * A view is what one worker sees of an upstream: the set as a picture to pick from, and a seat
 * for each endpoint. It is refreshed when the upstream's version has changed or time has passed
 * over the next ejection's end or slow start's step; a connection in between costs no lock and no
 * memory.
 *
 * A seat is the worker's half of an endpoint: where its streams return their place. It lives as
 * long as its view lists it or a stream is open, and is counted without atomics: all of that
 * happens on one thread.
 */

#include <weir/metrics.h>

#include "upstream/picker.h"
#include "upstream/upstream_internal.h"

struct weir_seat {
	unsigned references;
	struct weir_upstream *upstream; /* counted */
	struct weir_endpoint *endpoint; /* counted */
	size_t index;			/* in the picture; SIZE_MAX when no longer in it */
	struct weir_metrics *metrics;	/* borrowed */
	unsigned worker;
	enum weir_load load;
	struct weir_gauge *active;
	struct weir_counter *connected;
	struct weir_histogram *connect_time;
};

struct weir_view {
	struct weir_upstream *upstream; /* counted */
	struct weir_metrics *metrics;	/* borrowed */
	unsigned worker;
	enum weir_load load;
	struct weir_set *set; /* counted; NULL before the first refresh */
	uint64_t version;     /* of the picture */
	uint64_t stale_ns;    /* when time alone changes it; UINT64_MAX: never */
	struct weir_seat **seats;
	struct weir_picker_entry *entries;
	uint64_t *ends;
	struct weir_picker *pickers; /* one a tier */
	uint64_t random;
};

void weir_view_init(struct weir_view *view, struct weir_upstream *upstream, enum weir_load load,
		    struct weir_metrics *metrics);
void weir_view_fini(struct weir_view *view);

/* Brings the picture up to date. NOW is weir_loop_now(). 0 or -ENOMEM. */
int weir_view_refresh(struct weir_view *view, uint64_t now) WEIR_MUST_CHECK;

struct weir_seat *weir_seat_get(struct weir_seat *seat);
void weir_seat_put(struct weir_seat *seat);
/* Gives the place back that a search took in it: also a stream's on_close. */
void weir_seat_give(void *seat);

enum weir_pick {
	WEIR_PICK_DONE,
	WEIR_PICK_FULL, /* some may be used, but have no free place */
	WEIR_PICK_NONE, /* none may be used */
};

/* Picks by the balance, but none of SKIP, and takes a place there. WAIT: nobody may be overtaken,
 * so answer FULL even if there is a place. *SEAT is borrowed. */
enum weir_pick weir_view_pick(struct weir_view *view, uint64_t key, struct weir_seat *const *skip,
			      size_t n_skip, bool wait, struct weir_seat **seat) WEIR_MUST_CHECK;
/* The same, but the endpoint with this identity, whatever the balance says. */
enum weir_pick weir_view_prefer(struct weir_view *view, uint64_t identity, struct weir_seat **seat)
	WEIR_MUST_CHECK;
/* The seat of an endpoint whose place is held already; NULL when it is no longer in the set. */
struct weir_seat *weir_view_seat(struct weir_view *view, const struct weir_endpoint *endpoint);
/* The same by address. */
struct weir_seat *weir_view_seat_at(struct weir_view *view, const struct weir_address *address);

#endif
