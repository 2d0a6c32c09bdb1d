/* SPDX-License-Identifier: MIT */
/*
 * Maglev tables with weights: in every round the heaviest member claims one slot, and the others
 * as often as their weight is worth of that.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "upstream/mix.h"
#include "upstream/table.h"

/* Primes. About a hundred slots for each member keep shares within a per cent. */
#define SLOTS_FEW    65537
#define SLOTS_MANY   655373
#define MEMBERS_FEW  640
#define SLOT_UNTAKEN UINT16_MAX

struct claimant {
	uint64_t identity;
	uint64_t next; /* slot that it would like */
	uint64_t skip;
	uint64_t credit;
	uint32_t weight;
	uint16_t member;
};

static int claimant_compare(const void *left, const void *right)
{
	const struct claimant *a = left, *b = right;

	if (a->identity != b->identity)
		return a->identity < b->identity ? -1 : 1;
	return 0;
}

static void claimant_init(struct claimant *claimant, const struct weir_table_member *member,
			  size_t index, size_t slots)
{
	*claimant = (struct claimant){
		.identity = member->identity,
		.next = weir_mix(member->identity + 1) % slots,
		.skip = weir_mix(member->identity + 2) % (slots - 1) + 1,
		.weight = member->weight,
		.member = index,
	};
}

/* Takes the next slot of its permutation that is free; there is one. */
static void claimant_claim(struct claimant *claimant, struct weir_maglev *maglev)
{
	while (maglev->slots[claimant->next] != SLOT_UNTAKEN)
		claimant->next = (claimant->next + claimant->skip) % maglev->n;
	maglev->slots[claimant->next] = claimant->member;
}

static void maglev_fill(struct weir_maglev *maglev, struct claimant *claimants, size_t n)
{
	uint32_t heaviest = 1;
	size_t taken = 0;

	for (size_t i = 0; i < n; i++)
		heaviest = WEIR_MAX(heaviest, claimants[i].weight);
	for (size_t i = 0; taken < maglev->n; i = (i + 1) % n) {
		claimants[i].credit += claimants[i].weight;
		if (claimants[i].credit < heaviest)
			continue;
		claimants[i].credit -= heaviest;
		claimant_claim(&claimants[i], maglev);
		taken++;
	}
}

struct weir_maglev *weir_maglev_new(const struct weir_table_member *members, size_t n)
{
	size_t slots = n <= MEMBERS_FEW ? SLOTS_FEW : SLOTS_MANY;
	struct claimant *claimants = calloc(n, sizeof(*claimants));
	struct weir_maglev *maglev = malloc(sizeof(*maglev) + slots * sizeof(maglev->slots[0]));

	assert(n >= 1 && n <= WEIR_MAGLEV_MEMBERS_MAX);
	if (!claimants || !maglev) {
		free(maglev);
		maglev = NULL;
		goto out;
	}
	maglev->n = slots;
	memset(maglev->slots, 0xff, slots * sizeof(maglev->slots[0]));
	for (size_t i = 0; i < n; i++)
		claimant_init(&claimants[i], &members[i], i, slots);
	qsort(claimants, n, sizeof(*claimants), claimant_compare);
	maglev_fill(maglev, claimants, n);
out:
	free(claimants);
	return maglev;
}
