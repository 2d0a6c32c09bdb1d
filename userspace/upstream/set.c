/* SPDX-License-Identifier: MIT */
/*
 * Building a set: members are sorted into tiers by "backup" and priority, then each tier gets its
 * table. Everything that asks for states is for the slow paths, which hold the upstream's lock.
 */

#include <stdlib.h>
#include <string.h>

#include "upstream/set.h"

/* ------------------------------------------------------------------------------------------
 * Tiers
 */

static bool member_is_resolved(const struct weir_member *member)
{
	return member->endpoint->target.address.size != 0;
}

/* Of two members in one tier this is equal; a lower one is used first. */
static uint32_t member_rank(const struct weir_member *member)
{
	if (!member_is_resolved(member))
		return UINT32_MAX;
	return (uint32_t)member->backup << 16 | member->priority;
}

struct ranked {
	struct weir_member member;
	size_t place; /* as given: keeps the sort stable */
};

static int ranked_compare(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;
	uint32_t rank_a = member_rank(&a->member), rank_b = member_rank(&b->member);

	if (rank_a != rank_b)
		return rank_a < rank_b ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

static int set_sort(struct weir_set *set, const struct weir_member *members)
{
	struct ranked *ranked = calloc(set->n + 1, sizeof(*ranked));

	if (!ranked)
		return -1;
	for (size_t i = 0; i < set->n; i++)
		ranked[i] = (struct ranked){ .member = members[i], .place = i };
	qsort(ranked, set->n, sizeof(*ranked), ranked_compare);
	for (size_t i = 0; i < set->n; i++) {
		set->members[i] = ranked[i].member;
		weir_endpoint_get(set->members[i].endpoint);
	}
	free(ranked);
	return 0;
}

/* Members from FIRST on with the same rank. */
static size_t tier_size(const struct weir_set *set, size_t first)
{
	uint32_t rank = member_rank(&set->members[first]);
	size_t n = 1;

	while (first + n < set->n && member_rank(&set->members[first + n]) == rank)
		n++;
	return n;
}

static int set_divide(struct weir_set *set)
{
	set->tiers = calloc(set->n + 1, sizeof(*set->tiers));
	if (!set->tiers)
		return -1;
	for (size_t i = 0; i < set->n && member_is_resolved(&set->members[i]);) {
		struct weir_tier *tier = &set->tiers[set->n_tiers++];

		tier->first = i;
		tier->n = tier_size(set, i);
		i += tier->n;
	}
	return 0;
}

static int tier_build(struct weir_tier *tier, enum weir_balance balance,
		      const struct weir_member *members)
{
	struct weir_table_member *table;
	int status = 0;

	if (balance != WEIR_BALANCE_RING_HASH && balance != WEIR_BALANCE_MAGLEV)
		return 0;
	table = calloc(tier->n, sizeof(*table));
	if (!table)
		return -1;
	for (size_t i = 0; i < tier->n; i++) {
		table[i].identity = members[tier->first + i].endpoint->identity;
		table[i].weight = members[tier->first + i].weight;
	}
	if (balance == WEIR_BALANCE_RING_HASH)
		status = (tier->ring = weir_ring_new(table, tier->n)) ? 0 : -1;
	else
		status = (tier->maglev = weir_maglev_new(table, tier->n)) ? 0 : -1;
	free(table);
	return status;
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

static void set_free(struct weir_set *set)
{
	for (size_t i = 0; i < set->n_tiers; i++) {
		free(set->tiers[i].ring);
		free(set->tiers[i].maglev);
	}
	for (size_t i = 0; i < set->n; i++)
		weir_endpoint_put(set->members[i].endpoint);
	free(set->tiers);
	free(set);
}

struct weir_set *weir_set_new(enum weir_balance balance, const struct weir_member *members,
			      size_t n)
{
	struct weir_set *set = calloc(1, sizeof(*set) + n * sizeof(set->members[0]));

	if (!set)
		return NULL;
	atomic_init(&set->references, 1);
	set->n = n;
	if (set_sort(set, members) || set_divide(set))
		goto fail;
	for (size_t i = 0; i < set->n_tiers; i++)
		if (tier_build(&set->tiers[i], balance, set->members))
			goto fail;
	return set;
fail:
	set_free(set);
	return NULL;
}

struct weir_set *weir_set_get(struct weir_set *set)
{
	atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
	return set;
}

void weir_set_put(struct weir_set *set)
{
	if (set && atomic_fetch_sub(&set->references, 1) == 1)
		set_free(set);
}

/* ------------------------------------------------------------------------------------------
 * Questions
 */

static const struct weir_member *set_find(const struct weir_set *set,
					  const struct weir_endpoint *endpoint)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->members[i].endpoint == endpoint)
			return &set->members[i];
	return NULL;
}

bool weir_set_is_equal(const struct weir_set *set, const struct weir_member *members, size_t n)
{
	if (n != set->n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct weir_member *found = set_find(set, members[i].endpoint);

		if (!found || found->weight != members[i].weight ||
		    member_rank(found) != member_rank(&members[i]))
			return false;
	}
	return true;
}

size_t weir_set_count(const struct weir_set *set, enum weir_endpoint_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < set->n; i++)
		count += set->members[i].endpoint->state == state;
	return count;
}

bool weir_set_is_panicking(const struct weir_set *set)
{
	return weir_set_count(set, WEIR_ENDPOINT_HEALTHY) == 0;
}

static bool is_skipped(const struct weir_endpoint *endpoint, struct weir_endpoint *const *skip,
		       size_t n_skip)
{
	for (size_t i = 0; i < n_skip; i++)
		if (skip[i] == endpoint)
			return true;
	return false;
}

/* The member with the fewest connections for its weight, of those with a free place. *ANY: some
 * member is usable, full or not. */
static struct weir_member *tier_least(struct weir_set *set, const struct weir_tier *tier,
				      uint64_t limit, struct weir_endpoint *const *skip,
				      size_t n_skip, bool *any)
{
	bool panic = weir_set_is_panicking(set);
	struct weir_member *best = NULL;
	uint64_t best_active = 0;

	*any = false;
	for (size_t i = tier->first; i < tier->first + tier->n; i++) {
		struct weir_member *member = &set->members[i];
		uint64_t active;

		if (!weir_endpoint_is_usable(member->endpoint, panic) ||
		    is_skipped(member->endpoint, skip, n_skip))
			continue;
		*any = true;
		active = atomic_load(&member->endpoint->active);
		if (limit && active >= limit)
			continue;
		if (!best || active * best->weight < best_active * member->weight) {
			best = member;
			best_active = active;
		}
	}
	return best;
}

struct weir_endpoint *weir_set_take(struct weir_set *set, uint64_t limit,
				    struct weir_endpoint *const *skip, size_t n_skip, bool *any)
{
	struct weir_member *best;

	*any = false;
	for (size_t i = 0; i < set->n_tiers && !*any; i++) {
		/* Someone without the lock may be faster: look again. */
		do {
			best = tier_least(set, &set->tiers[i], limit, skip, n_skip, any);
			if (best && weir_endpoint_take(best->endpoint, limit))
				return best->endpoint;
		} while (best);
	}
	return NULL;
}
