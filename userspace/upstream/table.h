/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_TABLE_H
#define WEIR_UPSTREAM_TABLE_H

/*
 * Tables for consistent hashing: built once for a tier of endpoints, shared by all workers,
 * never changed. They hold all endpoints of the tier; the picker steps over those that may not
 * be used, so the keys of one that fails are spread over the others and no other key moves.
 *
 * A member's place depends on its identity alone, never on the order of members, so two
 * processes with the same endpoints agree.
 */

#include <weir/base.h>

struct weir_table_member {
	uint64_t identity; /* hash of what people call it */
	uint32_t weight;   /* at least 1 */
};

/* Points on a circle of 2^32, as Ketama does: a key belongs to the next point. */
struct weir_ring_point {
	uint32_t hash;
	uint32_t member;
};

struct weir_ring {
	size_t n;
	struct weir_ring_point points[]; /* by hash */
};

/* NULL when memory is out. N is at least 1. Freed by free(). */
struct weir_ring *weir_ring_new(const struct weir_table_member *members, size_t n) WEIR_MUST_CHECK;
/* Index of the point that KEY belongs to. */
size_t weir_ring_find(const struct weir_ring *ring, uint32_t key);

/* Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", section 3.4:
 * every member claims slots in its own random order, in turns. Slots hold members. */
struct weir_maglev {
	size_t n; /* a prime */
	uint16_t slots[];
};

/* At most so many members: slots are 16 bits wide. */
#define WEIR_MAGLEV_MEMBERS_MAX 65535

/* NULL when memory is out. 1 <= N <= WEIR_MAGLEV_MEMBERS_MAX. Freed by free(). */
struct weir_maglev *weir_maglev_new(const struct weir_table_member *members, size_t n)
	WEIR_MUST_CHECK;

#endif
