/* SPDX-License-Identifier: MIT */
/*
 * The ring: each member has points in proportion to its weight. The share of a member with P
 * points deviates by about 1/sqrt(P): 2048 points for each keep it within a few per cent. The
 * whole ring is bounded, so very large sets get coarser shares instead of more memory.
 */

#include <stdlib.h>

#include "upstream/mix.h"
#include "upstream/table.h"

#define POINTS_PER_MEMBER 2048
#define POINTS_MAX	  131072

static int point_compare(const void *left, const void *right)
{
	const struct weir_ring_point *a = left, *b = right;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return 0;
}

static size_t member_points(const struct weir_table_member *member, uint64_t points,
			    uint64_t weights)
{
	uint64_t n = (points * member->weight + weights / 2) / weights;

	return n ? n : 1;
}

struct weir_ring *weir_ring_new(const struct weir_table_member *members, size_t n)
{
	uint64_t points = WEIR_MIN((uint64_t)n * POINTS_PER_MEMBER, POINTS_MAX), weights = 0;
	struct weir_ring *ring;
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		weights += members[i].weight;
	for (size_t i = 0; i < n; i++)
		total += member_points(&members[i], points, weights);
	ring = malloc(sizeof(*ring) + total * sizeof(ring->points[0]));
	if (!ring)
		return NULL;
	ring->n = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t state = members[i].identity;

		for (size_t k = member_points(&members[i], points, weights); k > 0; k--)
			ring->points[ring->n++] =
				(struct weir_ring_point){ .hash = weir_mix_next(&state) >> 32,
							  .member = i };
	}
	qsort(ring->points, ring->n, sizeof(ring->points[0]), point_compare);
	return ring;
}

size_t weir_ring_find(const struct weir_ring *ring, uint32_t key)
{
	size_t low = 0, high = ring->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ring->points[middle].hash < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low == ring->n ? 0 : low;
}
