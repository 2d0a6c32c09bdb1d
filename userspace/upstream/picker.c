/* SPDX-License-Identifier: MIT */
/*
 * The balances. An entry is open when it may be used and is not skipped. Skipped entries are few
 * (full ones, those that just failed), so chance tries again when it meets one, and goes along
 * the entries only when it keeps meeting them.
 */

#include "upstream/mix.h"
#include "upstream/picker.h"

#define CHANCES 8   /* draws before going along */
#define PROBES	256 /* places of a table that a key looks at before going along */

static uint64_t entry_share(const struct weir_picker_entry *entry)
{
	return (uint64_t)entry->weight * entry->ramp_percent;
}

void weir_picker_refresh(struct weir_picker *picker)
{
	uint64_t end = 0, share = 0;

	picker->usable = 0;
	picker->is_even = true;
	for (size_t i = 0; i < picker->n; i++) {
		struct weir_picker_entry *entry = &picker->entries[i];

		/* Slow start must not shift all keys of a modulo: see entry_accepts(). */
		end += picker->balance == WEIR_BALANCE_SOURCE_HASH ? entry->weight
								   : entry_share(entry);
		picker->ends[i] = end;
		if (!entry->weight) {
			entry->current = 0;
			continue;
		}
		picker->usable++;
		if (share && share != entry_share(entry))
			picker->is_even = false;
		share = entry_share(entry);
	}
}

void weir_picker_begin(struct weir_picker *picker)
{
	picker->round++;
	picker->open = picker->usable;
}

void weir_picker_skip(struct weir_picker *picker, size_t index)
{
	picker->open -= weir_picker_is_open(picker, index);
	picker->entries[index].skipped = picker->round;
}

bool weir_picker_is_open(const struct weir_picker *picker, size_t index)
{
	const struct weir_picker_entry *entry = &picker->entries[index];

	return entry->weight && entry->skipped != picker->round;
}

/* The entry in whose share POINT lies; entries without weight have none. */
static size_t picker_at(const struct weir_picker *picker, uint64_t point)
{
	size_t low = 0, high = picker->n - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (picker->ends[middle] <= point)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first open entry from START on; -1 when there is none. */
static int picker_along(const struct weir_picker *picker, size_t start)
{
	for (size_t k = 0; k < picker->n; k++) {
		size_t i = (start + k) % picker->n;

		if (weir_picker_is_open(picker, i))
			return i;
	}
	return -1;
}

/* Equals take turns, whoever is next. */
static int pick_next(struct weir_picker *picker)
{
	int next = picker_along(picker, picker->turn);

	if (next >= 0)
		picker->turn = (size_t)next + 1;
	return next;
}

/* Smooth weighted round robin: everyone earns its share, the richest is chosen and pays all
 * that was earned. So heavy entries are spread among the others instead of coming in bursts. */
static int pick_round_robin(struct weir_picker *picker)
{
	int64_t earned = 0;
	int best = -1;

	if (picker->is_even)
		return pick_next(picker);
	for (size_t i = 0; i < picker->n; i++) {
		struct weir_picker_entry *entry = &picker->entries[i];

		if (!weir_picker_is_open(picker, i))
			continue;
		entry->current += entry_share(entry);
		earned += entry_share(entry);
		if (best < 0 || entry->current > picker->entries[best].current)
			best = i;
	}
	if (best >= 0)
		picker->entries[best].current -= earned;
	return best;
}

static int pick_random(const struct weir_picker *picker, uint64_t *random)
{
	uint64_t total = picker->ends[picker->n - 1];

	for (unsigned k = 0; k < CHANCES; k++) {
		size_t i = picker_at(picker, weir_mix_below(random, total));

		if (weir_picker_is_open(picker, i))
			return i;
	}
	return picker_along(picker, weir_mix_below(random, picker->n));
}

/* A second one, by its share among all but FIRST; -1 when there is none to be found. */
static int pick_other(const struct weir_picker *picker, size_t first, uint64_t *random)
{
	uint64_t share = entry_share(&picker->entries[first]);
	uint64_t begin = picker->ends[first] - share;
	uint64_t total = picker->ends[picker->n - 1] - share;

	for (unsigned k = 0; total && k < CHANCES; k++) {
		uint64_t point = weir_mix_below(random, total);
		size_t i = picker_at(picker, point < begin ? point : point + share);

		if (weir_picker_is_open(picker, i))
			return i;
	}
	return -1;
}

/* Of two that chance gives the one with fewer connections for its share; a tie goes to the
 * first, so that idle endpoints get connections by their weights. */
static int pick_least_connections(const struct weir_picker *picker, uint64_t *random)
{
	int first = pick_random(picker, random), other;
	const struct weir_picker_entry *a, *b;

	if (first < 0)
		return -1;
	other = pick_other(picker, first, random);
	if (other < 0)
		return first;
	a = &picker->entries[first];
	b = &picker->entries[other];
	if (atomic_load_explicit(b->active, memory_order_relaxed) * entry_share(a) <
	    atomic_load_explicit(a->active, memory_order_relaxed) * entry_share(b))
		return other;
	return first;
}

/* During slow start an entry takes as many of its keys as its ramp allows, always the same. */
static bool entry_accepts(const struct weir_picker_entry *entry, uint64_t key)
{
	return entry->ramp_percent >= 100 ||
	       weir_mix(key ^ entry->identity) % 100 < entry->ramp_percent;
}

/* The entry at the STEP-th place that KEY looks at; START is its place on the ring. */
static size_t key_candidate(const struct weir_picker *picker, uint64_t key, size_t start,
			    unsigned step)
{
	switch (picker->balance) {
	case WEIR_BALANCE_RING_HASH:
		return picker->ring->points[(start + step) % picker->ring->n].member;
	case WEIR_BALANCE_MAGLEV:
		return picker->maglev->slots[weir_mix(key + step) % picker->maglev->n];
	default:
		return picker_at(picker, weir_mix(key + step) % picker->ends[picker->n - 1]);
	}
}

static int pick_by_key(const struct weir_picker *picker, uint64_t key)
{
	size_t start = 0;
	int open = -1;

	if (picker->balance == WEIR_BALANCE_RING_HASH)
		start = weir_ring_find(picker->ring, weir_mix(key) >> 32);
	for (unsigned step = 0; step < PROBES; step++) {
		size_t i = key_candidate(picker, key, start, step);

		if (!weir_picker_is_open(picker, i))
			continue;
		if (entry_accepts(&picker->entries[i], key))
			return i;
		if (open < 0)
			open = i;
	}
	return open >= 0 ? open : picker_along(picker, key % picker->n);
}

int weir_picker_pick(struct weir_picker *picker, uint64_t key, uint64_t *random)
{
	if (!picker->open)
		return -1;
	switch (picker->balance) {
	case WEIR_BALANCE_ROUND_ROBIN:
		return pick_round_robin(picker);
	case WEIR_BALANCE_RANDOM:
		return pick_random(picker, random);
	case WEIR_BALANCE_LEAST_CONNECTIONS:
		return pick_least_connections(picker, random);
	case WEIR_BALANCE_RING_HASH:
	case WEIR_BALANCE_MAGLEV:
	case WEIR_BALANCE_SOURCE_HASH:
		return pick_by_key(picker, key);
	}
	return -1;
}
