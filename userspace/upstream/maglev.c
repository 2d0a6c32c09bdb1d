/* SPDX-License-Identifier: MIT */
/*
 * Maglev tables with weights: whoever is due claims a slot and is due again after a time that is
 * as short as its weight is large. Members of equal weight take turns.
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
#define TIME_UNIT    (1ull << 40) /* between two claims of weight 1 */

struct claimant {
	uint64_t identity;
	uint64_t next; /* slot that it would like */
	uint64_t skip;
	uint64_t due; /* time of its next claim */
	uint64_t period;
	uint16_t member;
};

static int claimant_compare(const void *left, const void *right)
{
	const struct claimant *a = left, *b = right;

	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
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
		.due = TIME_UNIT / member->weight,
		.period = TIME_UNIT / member->weight,
		.member = (uint16_t)index,
	};
}

/* Takes the next slot of its permutation that is free; there is one. */
static void claimant_claim(struct claimant *claimant, struct weir_maglev *maglev)
{
	while (maglev->slots[claimant->next] != SLOT_UNTAKEN)
		claimant->next = (claimant->next + claimant->skip) % maglev->n;
	maglev->slots[claimant->next] = claimant->member;
	claimant->due += claimant->period;
}

/* The first one of a heap is due later than before: it sinks to its place. */
static void heap_sink(struct claimant *heap, size_t n)
{
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;
		struct claimant sinking = heap[at];

		if (child + 1 < n && claimant_compare(&heap[child + 1], &heap[child]) < 0)
			child++;
		if (child >= n || claimant_compare(&sinking, &heap[child]) < 0)
			return;
		heap[at] = heap[child];
		heap[child] = sinking;
		at = child;
	}
}

/* Sorted claimants are a heap already. */
static void maglev_fill(struct weir_maglev *maglev, struct claimant *heap, size_t n)
{
	for (size_t taken = 0; taken < maglev->n; taken++) {
		claimant_claim(&heap[0], maglev);
		heap_sink(heap, n);
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
