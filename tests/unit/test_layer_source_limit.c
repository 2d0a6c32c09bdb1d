/* SPDX-License-Identifier: MIT */
/* The source_limit layer, and the table of sources below it. */

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/layer.h>

#include "layer/source_table.h"
#include "stage.h"

#define S 1000000000ull

/* ---- the table: pure but for its locks, time is a number ---- */

static struct source_table *table;

static int table_setup(void **state)
{
	(void)state;
	table = source_table_new();
	return table ? 0 : -1;
}

static int table_teardown(void **state)
{
	(void)state;
	source_table_free(table);
	return 0;
}

static struct source_rules rules_of(uint64_t max, double rate, double burst)
{
	return (struct source_rules){
		.max = max,
		.rate = { .per_second = rate, .burst = burst },
		.prefix4 = 32,
		.prefix6 = 64,
		.max_sources = 65536,
	};
}

static int begin(const char *text, const struct source_rules *rules, uint64_t now,
		 struct source **source)
{
	struct weir_address address = { .size = 0 };

	if (*text)
		assert_int_equal(weir_address_parse(&address, text), 0);
	return source_table_begin(table, &address, rules, now, source);
}

/* A connection that is over at once. */
static int touch(const char *text, const struct source_rules *rules, uint64_t now)
{
	struct source *source;
	int status = begin(text, rules, now, &source);

	if (!status)
		source_table_end(table, source, now);
	return status;
}

static void connections_at_one_time(void **state)
{
	struct source_rules rules = rules_of(2, 0, 0);
	struct source *a, *b, *none, *other;

	(void)state;
	assert_int_equal(begin("10.0.0.1:1", &rules, S, &a), 0);
	assert_int_equal(begin("10.0.0.1:2", &rules, S, &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(begin("10.0.0.1:3", &rules, S, &none), WEIR_ELIMIT);
	assert_null(none);
	assert_int_equal(begin("10.0.0.2:3", &rules, S, &other), 0);
	source_table_end(table, a, S);
	assert_int_equal(begin("10.0.0.1:3", &rules, S, &a), 0);
	source_table_end(table, a, S);
	source_table_end(table, b, S);
	source_table_end(table, other, S);
	assert_int_equal(source_table_size(table), 2);
}

static void rate_of_new_ones(void **state)
{
	struct source_rules rules = rules_of(0, 2, 3);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(touch("10.0.0.1:1", &rules, S), 0);
	assert_int_equal(touch("10.0.0.1:1", &rules, S), WEIR_ERATE);
	assert_int_equal(touch("10.0.0.2:1", &rules, S), 0);
	assert_int_equal(touch("10.0.0.1:1", &rules, S + S / 4), WEIR_ERATE);
	assert_int_equal(touch("10.0.0.1:1", &rules, S + S / 2), 0);
	assert_int_equal(touch("10.0.0.1:1", &rules, S + S / 2), WEIR_ERATE);
}

/* Who is one too many at one time pays no token for it. */
static void limit_costs_no_rate(void **state)
{
	struct source_rules rules = rules_of(1, 1, 2);
	struct source *a, *b;

	(void)state;
	assert_int_equal(begin("10.0.0.1:1", &rules, S, &a), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(begin("10.0.0.1:1", &rules, S, &b), WEIR_ELIMIT);
	source_table_end(table, a, S);
	assert_int_equal(touch("10.0.0.1:1", &rules, S), 0);
	assert_int_equal(touch("10.0.0.1:1", &rules, S), WEIR_ERATE);
}

static void prefixes_make_sources(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned prefix4, prefix6;
		bool same;
	} cases[] = {
		{ "10.0.0.1:1", "10.0.0.1:2", 32, 64, true },
		{ "10.0.0.1:1", "10.0.0.2:1", 32, 64, false },
		{ "10.0.0.1:1", "10.0.0.2:1", 30, 64, true },
		{ "10.0.0.1:1", "10.0.0.4:1", 30, 64, false },
		{ "10.0.0.1:1", "10.128.0.1:1", 9, 64, false },
		{ "10.0.0.1:1", "10.128.0.1:1", 8, 64, true },
		{ "1.2.3.4:1", "200.2.3.4:1", 0, 64, true },
		{ "[2001:db8::1]:1", "[2001:db8::2:0:0:1]:1", 32, 64, true },
		{ "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", 32, 64, false },
		{ "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", 32, 48, true },
		{ "[2001:db8::1]:1", "[2001:db8::2]:1", 32, 128, false },
		{ "[2001:db8::2]:1", "[2001:db8::3]:1", 32, 127, true },
		{ "[::ffff:10.0.0.1]:1", "10.0.0.1:2", 32, 64, true },
		{ "[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.2]:2", 32, 64, false },
		{ "[::1]:1", "unix:@a", 32, 64, false },
		{ "0.0.0.0:1", "[::]:1", 32, 64, false },
		{ "unix:/a", "unix:/b", 32, 64, true },
		{ "unix:/a", "", 32, 64, true },
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct source_rules rules = rules_of(0, 0, 0);
		struct source *a, *b;

		rules.prefix4 = cases[i].prefix4;
		rules.prefix6 = cases[i].prefix6;
		assert_int_equal(begin(cases[i].a, &rules, S, &a), 0);
		assert_int_equal(begin(cases[i].b, &rules, S, &b), 0);
		if ((a == b) != cases[i].same)
			fail_msg("case %zu: %s and %s", i, cases[i].a, cases[i].b);
		source_table_end(table, a, S);
		source_table_end(table, b, S);
	}
}

static void oldest_idle_one_is_forgotten(void **state)
{
	struct source_rules rules = rules_of(0, 1, 1);

	(void)state;
	rules.max_sources = 3;
	assert_int_equal(touch("10.0.0.1:1", &rules, S), 0);
	assert_int_equal(touch("10.0.0.2:1", &rules, S), 0);
	assert_int_equal(touch("10.0.0.3:1", &rules, S), 0);
	/* Refused, but seen: .1 is the most recent one now. */
	assert_int_equal(touch("10.0.0.1:1", &rules, S), WEIR_ERATE);
	assert_int_equal(touch("10.0.0.4:1", &rules, S), 0);
	assert_int_equal(source_table_size(table), 3);
	assert_int_equal(touch("10.0.0.1:1", &rules, S), WEIR_ERATE);
	assert_int_equal(touch("10.0.0.3:1", &rules, S), WEIR_ERATE);
	/* .2 went, and with it what was known of it. */
	assert_int_equal(touch("10.0.0.2:1", &rules, S), 0);
	assert_int_equal(source_table_size(table), 3);
}

static void connected_ones_are_never_forgotten(void **state)
{
	struct source_rules rules = rules_of(1, 0, 0);
	struct source *sources[5], *none;
	char text[32];

	(void)state;
	rules.max_sources = 2;
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "10.0.0.%d:1", i);
		assert_int_equal(begin(text, &rules, S, &sources[i]), 0);
	}
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "10.0.0.%d:1", i);
		assert_int_equal(begin(text, &rules, S, &none), WEIR_ELIMIT);
		source_table_end(table, sources[i], S);
	}
	/* With the connections goes what is too much. */
	assert_int_equal(touch("10.0.1.1:1", &rules, S), 0);
	assert_int_equal(source_table_size(table), 2);
}

static void flood_stays_within_bounds(void **state)
{
	struct source_rules rules = rules_of(0, 1, 5);
	char text[64];

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		snprintf(text, sizeof(text), "[2001:db8:%x:%x::1]:1", i >> 16, i & 0xffff);
		assert_int_equal(touch(text, &rules, S), 0);
	}
	assert_in_range(source_table_size(table), 60000, 65536);
}

static void old_ones_go_without_a_flood(void **state)
{
	struct source_rules rules = rules_of(0, 1, 5);
	char text[64];

	(void)state;
	rules.max_sources = 1000;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "10.0.%u.%u:1", i >> 8, i & 255);
		assert_int_equal(touch(text, &rules, S), 0);
	}
	for (unsigned i = 0; i < 600; i++) {
		snprintf(text, sizeof(text), "10.1.%u.%u:1", i >> 8, i & 255);
		assert_int_equal(touch(text, &rules, 1000 * S), 0);
	}
	assert_int_equal(source_table_size(table), 600);
}

#define THREADS 4
#define ROUNDS	20000

static atomic_uint inside, worst;

static void *hammer(void *arg)
{
	struct source_rules rules = rules_of(2, 0, 0);
	unsigned *refused = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct source *source;
		unsigned now, old;

		if (begin("10.0.0.1:1", &rules, S, &source)) {
			(*refused)++;
			continue;
		}
		now = atomic_fetch_add(&inside, 1) + 1;
		old = atomic_load(&worst);
		while (now > old && !atomic_compare_exchange_weak(&worst, &old, now))
			;
		atomic_fetch_sub(&inside, 1);
		source_table_end(table, source, S);
	}
	return NULL;
}

static void threads_keep_the_limit(void **state)
{
	pthread_t threads[THREADS];
	unsigned refused[THREADS] = { 0 };

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &refused[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_in_range(atomic_load(&worst), 1, 2);
	assert_int_equal(source_table_size(table), 1);
}

/* ---- the layer ---- */

static struct stage stage;
static struct gate gate;

static int setup(void **state)
{
	(void)state;
	stage_open(&stage);
	gate_init(&gate);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_close(&stage);
	return 0;
}

static int layer_main(void *arg)
{
	struct weir_counter refused = { 0 }, refused_rate = { 0 };
	struct weir_source_limit_shared *shared = weir_source_limit_shared_new();
	struct weir_source_limit_conf conf = {
		.max = 1,
		.rate = 0.001,
		.burst = 2,
		.shared = shared,
		.refused = &refused,
		.refused_rate = &refused_rate,
	};
	struct gate other;
	struct weir_service *a = weir_source_limit_layer(&gate.svc, &conf, NULL);
	struct weir_service *b = weir_source_limit_layer(gate_init(&other), &conf, NULL);
	struct stage_conn one, two;

	(void)arg;
	weir_source_limit_shared_put(shared);
	weir_event_set(&other.open);
	stage_connect(&one, a, STAGE_TCP, NULL); /* from a real loopback address */
	assert_false(stage_is_over(&one));
	stage_connect(&two, b, STAGE_TCP, NULL); /* another stack, the same table */
	assert_int_equal(stage_finish(&two), WEIR_ELIMIT);
	stage_connect(&two, b, STAGE_TCP, "[2001:db8::1]:1");
	assert_int_equal(stage_finish(&two), 0);
	weir_event_set(&gate.open);
	gate.status = -EPIPE;
	assert_int_equal(stage_finish(&one), -EPIPE);
	stage_connect(&two, b, STAGE_TCP, NULL);
	assert_int_equal(stage_finish(&two), 0);
	stage_connect(&two, a, STAGE_TCP, NULL);
	assert_int_equal(stage_finish(&two), WEIR_ERATE);
	assert_int_equal(refused.value, 1);
	assert_int_equal(refused_rate.value, 1);
	weir_service_free(a);
	weir_service_free(b);
	assert_int_equal(gate.freed, 1);
	return 0;
}

static void layer_refuses_and_counts(void **state)
{
	(void)state;
	stage_run(&stage, layer_main, NULL);
}

static void mistakes_free_the_inner_one(void **state)
{
	static const struct weir_source_limit_conf cases[] = {
		{ .max = 0, .rate = 0 },      { .rate = -1 },		{ .rate = NAN },
		{ .rate = INFINITY },	      { .max = 1, .burst = 5 }, { .max = 1, .prefix4 = 33 },
		{ .max = 1, .prefix6 = 129 },
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct weir_error error = { 0 };

		assert_null(weir_source_limit_layer(&gate.svc, &cases[i], &error));
		assert_int_equal(error.status, WEIR_ECONFIG);
		assert_true(error.message[0] && error.remedy[0]);
		assert_int_equal(gate.freed, (int)i + 1);
	}
	assert_null(weir_source_limit_layer(NULL, &cases[0], NULL));
	weir_source_limit_shared_put(NULL);
	source_table_free(NULL);
}

#define TABLE_TEST(fn) cmocka_unit_test_setup_teardown(fn, table_setup, table_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(connections_at_one_time),
		TABLE_TEST(rate_of_new_ones),
		TABLE_TEST(limit_costs_no_rate),
		TABLE_TEST(prefixes_make_sources),
		TABLE_TEST(oldest_idle_one_is_forgotten),
		TABLE_TEST(connected_ones_are_never_forgotten),
		TABLE_TEST(flood_stays_within_bounds),
		TABLE_TEST(old_ones_go_without_a_flood),
		TABLE_TEST(threads_keep_the_limit),
		cmocka_unit_test_setup_teardown(layer_refuses_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_free_the_inner_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
