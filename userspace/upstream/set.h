/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_SET_H
#define WEIR_UPSTREAM_SET_H

/*
 * A set of endpoints with the tables that its balance needs: counted, never changed. When a name
 * resolves to something else, a new set takes its place as a whole; endpoints that stay are the
 * same objects in both.
 *
 * Members lie in tiers: a tier is used only when the ones before it have nothing usable. What
 * has no address yet comes last and is in no tier.
 */

#include <weir/upstream.h>

#include "upstream/endpoint.h"
#include "upstream/table.h"

struct weir_member {
	struct weir_endpoint *endpoint; /* counted */
	uint32_t weight;
	bool backup;
	uint16_t priority; /* of an SRV answer, lower is better; else 0 */
};

struct weir_tier {
	size_t first;
	size_t n;
	struct weir_ring *ring;	    /* with ring hash */
	struct weir_maglev *maglev; /* with maglev */
};

struct weir_set {
	_Atomic unsigned references;
	struct weir_tier *tiers;
	size_t n_tiers;
	size_t n;
	struct weir_member members[]; /* by tier, else in the order given */
};

/* Takes references to the endpoints of MEMBERS of its own. The first reference is the caller's.
 * NULL when memory is out. */
struct weir_set *weir_set_new(enum weir_balance balance, const struct weir_member *members,
			      size_t n) WEIR_MUST_CHECK;
struct weir_set *weir_set_get(struct weir_set *set);
/* Accepts NULL. */
void weir_set_put(struct weir_set *set);

/* The same endpoints with the same weights in the same tiers, in whatever order. */
bool weir_set_is_equal(const struct weir_set *set, const struct weir_member *members, size_t n);

/* Endpoints with STATE. Under the upstream's lock. */
size_t weir_set_count(const struct weir_set *set, enum weir_endpoint_state state);

/* When nothing is healthy, health does not matter. Under the upstream's lock. */
bool weir_set_is_panicking(const struct weir_set *set);

/* Takes a place in the least loaded usable endpoint of the first tier with any, but not in one
 * of SKIP. NULL when there is none; then *ANY says whether some are usable, but full. Under the
 * upstream's lock. */
struct weir_endpoint *weir_set_take(struct weir_set *set, uint64_t limit,
				    struct weir_endpoint *const *skip, size_t n_skip, bool *any)
	WEIR_MUST_CHECK;

#endif
