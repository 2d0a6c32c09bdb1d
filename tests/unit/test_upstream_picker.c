/* SPDX-License-Identifier: MIT */
/* Balances over pictures: shares by weight, skipping, slow start, and how few keys move. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "upstream/mix.h"
#include "upstream/picker.h"

#define ENTRIES_MAX 1000
#define KEYS	    20000

struct fixture {
	struct weir_picker picker;
	struct weir_picker_entry entries[ENTRIES_MAX];
	uint64_t ends[ENTRIES_MAX];
	_Atomic uint64_t active[ENTRIES_MAX];
	uint64_t counts[ENTRIES_MAX];
	uint64_t random;
};

static const enum weir_balance hashes[] = { WEIR_BALANCE_RING_HASH, WEIR_BALANCE_MAGLEV };
static const enum weir_balance balances[] = {
	WEIR_BALANCE_ROUND_ROBIN, WEIR_BALANCE_RANDOM, WEIR_BALANCE_LEAST_CONNECTIONS,
	WEIR_BALANCE_RING_HASH,	  WEIR_BALANCE_MAGLEV, WEIR_BALANCE_SOURCE_HASH,
};

static struct fixture *fixture_new(enum weir_balance balance, const unsigned *weights, size_t n)
{
	struct weir_table_member *members = calloc(n, sizeof(*members));
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(members);
	assert_non_null(f);
	f->random = 42;
	f->picker.balance = balance;
	f->picker.entries = f->entries;
	f->picker.ends = f->ends;
	f->picker.n = n;
	for (size_t i = 0; i < n; i++) {
		members[i].identity = weir_mix(1000 + i);
		members[i].weight = weights[i];
		f->entries[i].identity = members[i].identity;
		f->entries[i].weight = weights[i];
		f->entries[i].ramp_percent = 100;
		f->entries[i].active = &f->active[i];
	}
	if (balance == WEIR_BALANCE_RING_HASH)
		assert_non_null(f->picker.ring = weir_ring_new(members, n));
	if (balance == WEIR_BALANCE_MAGLEV)
		assert_non_null(f->picker.maglev = weir_maglev_new(members, n));
	weir_picker_refresh(&f->picker);
	free(members);
	return f;
}

static void fixture_free(struct fixture *f)
{
	free((void *)f->picker.ring);
	free((void *)f->picker.maglev);
	free(f);
}

static int pick(struct fixture *f, uint64_t key)
{
	weir_picker_begin(&f->picker);
	return weir_picker_pick(&f->picker, weir_mix(key), &f->random);
}

static void count(struct fixture *f, size_t picks)
{
	for (size_t i = 0; i < f->picker.n; i++)
		f->counts[i] = 0;
	for (size_t k = 0; k < picks; k++)
		f->counts[pick(f, k)]++;
}

/* Each share is what its weight says, give or take TOLERANCE of it. */
static void assert_shares(struct fixture *f, size_t picks, double tolerance)
{
	double weights = 0;

	count(f, picks);
	for (size_t i = 0; i < f->picker.n; i++)
		weights += f->entries[i].weight;
	for (size_t i = 0; i < f->picker.n; i++) {
		double want = picks * f->entries[i].weight / weights;

		if (f->counts[i] < want * (1 - tolerance) || f->counts[i] > want * (1 + tolerance))
			fail_msg("balance %d: %zu: got %zu, want %.0f", f->picker.balance, i,
				 (size_t)f->counts[i], want);
	}
}

static void shares_follow_weights(void **state)
{
	const unsigned weights[] = { 1, 2, 3, 4, 10 };

	(void)state;
	for (size_t b = 0; b < WEIR_ARRAY_SIZE(balances); b++) {
		struct fixture *f = fixture_new(balances[b], weights, 5);

		/* Two endpoints that chance gives are always compared: with none busy the
		 * first of the two wins, which is the one with the weight's chance. */
		assert_shares(f, 60000, balances[b] == WEIR_BALANCE_ROUND_ROBIN ? 0.001 : 0.08);
		fixture_free(f);
	}
}

static void shares_of_many_are_even(void **state)
{
	unsigned weights[100];

	(void)state;
	for (size_t i = 0; i < 100; i++)
		weights[i] = 7;
	for (size_t b = 0; b < WEIR_ARRAY_SIZE(balances); b++) {
		struct fixture *f = fixture_new(balances[b], weights, 100);

		assert_shares(f, 200000, 0.15);
		fixture_free(f);
	}
}

static void round_robin_is_smooth(void **state)
{
	const unsigned weights[] = { 5, 1, 1 };
	const int want[] = { 0, 0, 1, 0, 2, 0, 0 };
	struct fixture *f = fixture_new(WEIR_BALANCE_ROUND_ROBIN, weights, 3);

	(void)state;
	for (size_t k = 0; k < 21; k++)
		assert_int_equal(pick(f, 0), want[k % 7]);
	fixture_free(f);
}

static void round_robin_of_equals_goes_in_turn(void **state)
{
	const unsigned weights[] = { 3, 3, 3, 3 };
	const int want[] = { 0, 2, 3 };
	struct fixture *f = fixture_new(WEIR_BALANCE_ROUND_ROBIN, weights, 4);

	(void)state;
	for (int k = 0; k < 12; k++)
		assert_int_equal(pick(f, 0), k % 4);
	f->entries[1].weight = 0;
	weir_picker_refresh(&f->picker);
	for (size_t k = 0; k < 12; k++)
		assert_int_equal(pick(f, 0), want[k % 3]);
	/* One that fails each time: its turns are everybody's. */
	count(f, 0);
	for (size_t k = 0; k < 3000; k++) {
		int i = pick(f, 0);

		if (i == 2) {
			weir_picker_skip(&f->picker, i);
			i = weir_picker_pick(&f->picker, 0, &f->random);
		}
		f->counts[i]++;
	}
	assert_int_equal(f->counts[0], 1500);
	assert_int_equal(f->counts[3], 1500);
	fixture_free(f);
}

static void least_connections_follows_load(void **state)
{
	const unsigned weights[] = { 1, 1, 2 };
	struct fixture *f = fixture_new(WEIR_BALANCE_LEAST_CONNECTIONS, weights, 3);

	(void)state;
	/* Connections that stay: they settle in proportion to the weights, closer than chance. */
	for (size_t k = 0; k < 40000; k++)
		f->active[pick(f, k)]++;
	assert_in_range(f->active[0], 9900, 10100);
	assert_in_range(f->active[1], 9900, 10100);
	assert_in_range(f->active[2], 19900, 20100);
	/* The idle one is preferred whenever it is one of the two. */
	f->active[0] = 0;
	count(f, 10000);
	assert_true(f->counts[0] > 4000);
	fixture_free(f);
	/* Of two, always. */
	f = fixture_new(WEIR_BALANCE_LEAST_CONNECTIONS, weights, 2);
	f->active[1] = 1;
	for (size_t k = 0; k < 100; k++)
		assert_int_equal(pick(f, k), 0);
	fixture_free(f);
}

static void unusable_and_skipped_are_never_picked(void **state)
{
	const unsigned weights[] = { 1, 1, 1, 1 };

	(void)state;
	for (size_t b = 0; b < WEIR_ARRAY_SIZE(balances); b++) {
		struct fixture *f = fixture_new(balances[b], weights, 4);

		f->entries[1].weight = 0;
		weir_picker_refresh(&f->picker);
		assert_int_equal(f->picker.usable, 3);
		for (size_t k = 0; k < 1000; k++) {
			int first, second, third;

			first = pick(f, k);
			weir_picker_skip(&f->picker, first);
			second = weir_picker_pick(&f->picker, weir_mix(k), &f->random);
			weir_picker_skip(&f->picker, second);
			third = weir_picker_pick(&f->picker, weir_mix(k), &f->random);
			weir_picker_skip(&f->picker, third);
			assert_true(first >= 0 && second >= 0 && third >= 0);
			assert_true(first != 1 && second != 1 && third != 1);
			assert_true(first != second && second != third && first != third);
			assert_int_equal(weir_picker_pick(&f->picker, k, &f->random), -1);
		}
		f->entries[0].weight = f->entries[2].weight = f->entries[3].weight = 0;
		weir_picker_refresh(&f->picker);
		assert_int_equal(pick(f, 1), -1);
		fixture_free(f);
	}
}

static void the_last_of_many_is_found(void **state)
{
	unsigned weights[ENTRIES_MAX];

	(void)state;
	for (size_t i = 0; i < ENTRIES_MAX; i++)
		weights[i] = 1;
	for (size_t b = 0; b < WEIR_ARRAY_SIZE(balances); b++) {
		struct fixture *f = fixture_new(balances[b], weights, ENTRIES_MAX);

		for (size_t i = 0; i < ENTRIES_MAX; i++)
			if (i != 617)
				f->entries[i].weight = 0;
		weir_picker_refresh(&f->picker);
		for (size_t k = 0; k < 100; k++)
			assert_int_equal(pick(f, k), 617);
		fixture_free(f);
	}
}

/* When one goes, its keys go to all others, and no other key moves. */
static void few_keys_move(void **state)
{
	unsigned weights[10];
	int before[KEYS];

	(void)state;
	for (size_t i = 0; i < 10; i++)
		weights[i] = 1;
	for (size_t b = 0; b < WEIR_ARRAY_SIZE(hashes); b++) {
		struct fixture *f = fixture_new(hashes[b], weights, 10);
		uint64_t moved[10] = { 0 };

		for (size_t k = 0; k < KEYS; k++)
			before[k] = pick(f, k);
		f->entries[4].weight = 0;
		weir_picker_refresh(&f->picker);
		for (size_t k = 0; k < KEYS; k++) {
			int after = pick(f, k);

			if (before[k] == 4)
				moved[after]++;
			else
				assert_int_equal(after, before[k]);
		}
		for (size_t i = 0; i < 10; i++)
			if (i != 4)
				assert_in_range(moved[i], KEYS / 90 / 2, KEYS / 90 * 3 / 2);
		fixture_free(f);
	}
}

/* When the set itself loses one, so that the table is built anew, little else moves. */
static void few_keys_move_between_tables(void **state)
{
	unsigned weights[10];

	(void)state;
	for (size_t i = 0; i < 10; i++)
		weights[i] = 1;
	for (size_t b = 0; b < WEIR_ARRAY_SIZE(hashes); b++) {
		struct fixture *ten = fixture_new(hashes[b], weights, 10);
		struct fixture *nine = fixture_new(hashes[b], weights, 9);
		size_t moved = 0;

		for (size_t k = 0; k < KEYS; k++) {
			int before = pick(ten, k);

			moved += before != 9 && pick(nine, k) != before;
		}
		/* The ring is exact; Maglev's paper accepts a few per cent. */
		assert_true(moved <= (hashes[b] == WEIR_BALANCE_RING_HASH ? 0 : KEYS * 4 / 100));
		fixture_free(ten);
		fixture_free(nine);
	}
}

static void tables_ignore_order(void **state)
{
	struct weir_table_member members[20], turned[20];
	struct weir_maglev *a, *b;
	struct weir_ring *r, *s;

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		members[i] = (struct weir_table_member){ weir_mix(i), 1 + i % 3 };
		turned[19 - i] = members[i];
	}
	assert_non_null(a = weir_maglev_new(members, 20));
	assert_non_null(b = weir_maglev_new(turned, 20));
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		assert_int_equal(a->slots[i], 19 - b->slots[i]);
	assert_non_null(r = weir_ring_new(members, 20));
	assert_non_null(s = weir_ring_new(turned, 20));
	assert_int_equal(r->n, s->n);
	for (size_t i = 0; i < r->n; i++)
		assert_int_equal(r->points[i].hash, s->points[i].hash);
	free(a);
	free(b);
	free(r);
	free(s);
}

static void tables_have_their_sizes(void **state)
{
	const size_t sizes[] = { 1, 2, 640, 641, 5000 };

	(void)state;
	for (size_t k = 0; k < WEIR_ARRAY_SIZE(sizes); k++) {
		struct weir_table_member *members = calloc(sizes[k], sizeof(*members));
		struct weir_maglev *maglev;
		struct weir_ring *ring;

		for (size_t i = 0; i < sizes[k]; i++)
			members[i] = (struct weir_table_member){ weir_mix(i), i ? 1 : 1000 };
		assert_non_null(maglev = weir_maglev_new(members, sizes[k]));
		assert_true(maglev->n >= sizes[k] * 100);
		for (size_t d = 2; d * d <= maglev->n; d++)
			assert_true(maglev->n % d);
		for (size_t i = 0; i < maglev->n; i++)
			assert_true(maglev->slots[i] < sizes[k]);
		assert_non_null(ring = weir_ring_new(members, sizes[k]));
		assert_in_range(ring->n, sizes[k], 131072 + sizes[k]);
		/* A key past the last point belongs to the first. */
		assert_int_equal(weir_ring_find(ring, ring->points[ring->n - 1].hash + 1), 0);
		assert_int_equal(weir_ring_find(ring, ring->points[ring->n / 2].hash), ring->n / 2);
		free(maglev);
		free(ring);
		free(members);
	}
}

/* During slow start an entry gets its part of the share, and a key keeps what it has got. */
static void slow_start_ramps(void **state)
{
	const unsigned weights[] = { 1, 1, 1, 1 };

	(void)state;
	for (size_t b = 0; b < WEIR_ARRAY_SIZE(balances); b++) {
		struct fixture *f = fixture_new(balances[b], weights, 4);
		int before[KEYS];

		f->entries[2].ramp_percent = 20;
		weir_picker_refresh(&f->picker);
		count(f, 100000);
		/* 0.2 / 3.2 of all; with a key a fifth of a quarter. */
		assert_in_range(f->counts[2], 4400, 6700);
		for (size_t k = 0; k < KEYS; k++)
			before[k] = pick(f, k);
		f->entries[2].ramp_percent = 60;
		weir_picker_refresh(&f->picker);
		for (size_t k = 0; k < KEYS; k++) {
			int after = pick(f, k);

			if (balances[b] >= WEIR_BALANCE_RING_HASH)
				assert_true(after == before[k] || after == 2);
		}
		/* Nobody accepts the key: it is served all the same. */
		for (size_t i = 0; i < 4; i++)
			f->entries[i].ramp_percent = 1;
		weir_picker_refresh(&f->picker);
		for (size_t k = 0; k < 1000; k++)
			assert_true(pick(f, k) >= 0);
		fixture_free(f);
	}
}

/* The widest products that can come up. */
static void heavy_weights_do_not_overflow(void **state)
{
	const unsigned weights[] = { WEIR_PICKER_WEIGHT_MAX, WEIR_PICKER_WEIGHT_MAX, 1 };

	(void)state;
	for (size_t b = 0; b < WEIR_ARRAY_SIZE(balances); b++) {
		struct fixture *f = fixture_new(balances[b], weights, 3);

		f->active[0] = f->active[1] = 1000000000;
		count(f, 1000);
		assert_true(f->counts[0] > 400 && f->counts[1] > 400);
		fixture_free(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(shares_of_many_are_even),
		cmocka_unit_test(round_robin_is_smooth),
		cmocka_unit_test(round_robin_of_equals_goes_in_turn),
		cmocka_unit_test(least_connections_follows_load),
		cmocka_unit_test(unusable_and_skipped_are_never_picked),
		cmocka_unit_test(the_last_of_many_is_found),
		cmocka_unit_test(few_keys_move),
		cmocka_unit_test(few_keys_move_between_tables),
		cmocka_unit_test(tables_ignore_order),
		cmocka_unit_test(tables_have_their_sizes),
		cmocka_unit_test(slow_start_ramps),
		cmocka_unit_test(heavy_weights_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
