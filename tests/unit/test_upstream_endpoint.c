/* SPDX-License-Identifier: MIT */
/* The state machine of an endpoint and the tiers of a set, with a clock of our own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "upstream/set.h"

#define MS 1000000ull

static const struct weir_health_rules rules = {
	.unhealthy = 3,
	.healthy = 2,
	.ejection_base_ms = 100,
	.ejection_max_ms = 350,
};

static struct weir_endpoint *endpoint_new(const char *text)
{
	struct weir_address address;
	struct weir_endpoint *endpoint;

	assert_int_equal(weir_address_parse(&address, text), 0);
	endpoint = weir_endpoint_new(text, 0, "", &address, 0);
	assert_non_null(endpoint);
	return endpoint;
}

static bool check(struct weir_endpoint *endpoint, int status)
{
	return weir_endpoint_checked(endpoint, &rules, status, 5 * MS);
}

static void checks_turn_after_thresholds(void **state)
{
	struct weir_endpoint *endpoint = endpoint_new("127.0.0.1:1");

	(void)state;
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_HEALTHY);
	assert_false(check(endpoint, -ECONNREFUSED));
	assert_false(check(endpoint, -ECONNREFUSED));
	/* In a row means in a row. */
	assert_false(check(endpoint, 0));
	assert_false(check(endpoint, -ECONNREFUSED));
	assert_false(check(endpoint, -ECONNREFUSED));
	assert_true(check(endpoint, -ETIMEDOUT));
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_UNHEALTHY);
	assert_int_equal(endpoint->since_ns, 5 * MS);
	assert_false(weir_endpoint_is_usable(endpoint, false));
	assert_true(weir_endpoint_is_usable(endpoint, true));
	assert_false(check(endpoint, 0));
	assert_false(check(endpoint, -ECONNREFUSED));
	assert_false(check(endpoint, 0));
	assert_true(check(endpoint, 0));
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_HEALTHY);
	assert_int_equal(endpoint->checks, 10);
	assert_int_equal(endpoint->checks_failed, 6);
	assert_int_equal(endpoint->last_status, -ECONNREFUSED);
	weir_endpoint_put(endpoint);
}

static void ejections_grow_and_shrink(void **state)
{
	struct weir_endpoint *endpoint = endpoint_new("127.0.0.1:1");
	uint64_t now = 1000 * MS;

	(void)state;
	assert_true(weir_endpoint_eject(endpoint, &rules, now));
	assert_false(weir_endpoint_eject(endpoint, &rules, now));
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_EJECTED);
	assert_int_equal(endpoint->ejected_for_ns, 100 * MS);
	assert_false(weir_endpoint_settle(endpoint, now + 100 * MS - 1));
	now += 100 * MS;
	assert_true(weir_endpoint_settle(endpoint, now));
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_HEALTHY);
	/* At once again: twice as long, then as long as the maximum. */
	assert_true(weir_endpoint_eject(endpoint, &rules, now));
	assert_int_equal(endpoint->ejected_for_ns, 200 * MS);
	now += 200 * MS;
	assert_true(weir_endpoint_settle(endpoint, now));
	assert_true(weir_endpoint_eject(endpoint, &rules, now));
	assert_int_equal(endpoint->ejected_for_ns, 350 * MS);
	/* It behaved well for two such lengths: two doublings are forgotten. */
	now += 350 * MS;
	assert_true(weir_endpoint_settle(endpoint, now));
	now += 700 * MS;
	assert_true(weir_endpoint_eject(endpoint, &rules, now));
	assert_int_equal(endpoint->ejected_for_ns, 200 * MS);
	assert_int_equal(endpoint->ejections, 4);
	/* Checks know better. */
	assert_false(check(endpoint, -ECONNREFUSED));
	assert_false(check(endpoint, -ECONNREFUSED));
	assert_true(check(endpoint, -ECONNREFUSED));
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_UNHEALTHY);
	assert_false(weir_endpoint_settle(endpoint, now + 1000 * MS));
	assert_false(weir_endpoint_eject(endpoint, &rules, now));
	weir_endpoint_put(endpoint);
}

static void draining_returns_to_what_is_known(void **state)
{
	struct weir_endpoint *endpoint = endpoint_new("127.0.0.1:1");
	struct weir_endpoint *unknown = weir_endpoint_new("db:1", 0, "db", NULL, 0);

	(void)state;
	assert_true(weir_endpoint_drain(endpoint, true, 1));
	assert_false(weir_endpoint_drain(endpoint, true, 1));
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_DRAINING);
	assert_false(weir_endpoint_is_usable(endpoint, true));
	/* Checks are remembered, but do not move it. */
	for (unsigned i = 0; i < 5; i++)
		assert_false(check(endpoint, -ECONNREFUSED));
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_DRAINING);
	assert_true(weir_endpoint_drain(endpoint, false, 2));
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_UNHEALTHY);
	assert_true(weir_endpoint_drain(endpoint, true, 3));
	check(endpoint, 0);
	check(endpoint, 0);
	assert_true(weir_endpoint_drain(endpoint, false, 4));
	assert_int_equal(endpoint->state, WEIR_ENDPOINT_HEALTHY);
	assert_int_equal(endpoint->since_ns, 4);
	assert_non_null(unknown);
	assert_int_equal(unknown->state, WEIR_ENDPOINT_UNRESOLVED);
	assert_false(weir_endpoint_is_usable(unknown, true));
	assert_true(weir_endpoint_drain(unknown, true, 1));
	assert_true(weir_endpoint_drain(unknown, false, 1));
	assert_int_equal(unknown->state, WEIR_ENDPOINT_UNRESOLVED);
	weir_endpoint_put(endpoint);
	weir_endpoint_put(unknown);
}

static void ramp_rises_with_time(void **state)
{
	struct weir_endpoint *endpoint = endpoint_new("127.0.0.1:1");

	(void)state;
	/* There from the start: no ramp. */
	assert_int_equal(weir_endpoint_ramp(endpoint, 100, 5 * MS), 100);
	weir_endpoint_eject(endpoint, &rules, 0);
	weir_endpoint_settle(endpoint, 1000 * MS);
	assert_int_equal(weir_endpoint_ramp(endpoint, 100, 1000 * MS), 10);
	assert_int_equal(weir_endpoint_ramp(endpoint, 100, 999 * MS), 10);
	assert_int_equal(weir_endpoint_ramp(endpoint, 100, 1050 * MS), 50);
	assert_int_equal(weir_endpoint_ramp(endpoint, 100, 1100 * MS), 100);
	assert_int_equal(weir_endpoint_ramp(endpoint, 0, 1000 * MS), 100);
	weir_endpoint_put(endpoint);
}

static void places_are_limited(void **state)
{
	struct weir_endpoint *endpoint = endpoint_new("127.0.0.1:1");

	(void)state;
	assert_true(weir_endpoint_take(endpoint, 2));
	assert_true(weir_endpoint_take(endpoint, 2));
	assert_false(weir_endpoint_take(endpoint, 2));
	assert_true(weir_endpoint_take(endpoint, 0));
	weir_endpoint_give(endpoint);
	weir_endpoint_give(endpoint);
	assert_true(weir_endpoint_take(endpoint, 2));
	assert_int_equal(endpoint->active, 2);
	assert_int_equal(weir_endpoint_report(endpoint, WEIR_OUTCOME_CONNECT, -EPIPE).failures, 1);
	assert_int_equal(weir_endpoint_report(endpoint, WEIR_OUTCOME_CONNECT, -EPIPE).failures, 2);
	assert_int_equal(endpoint->last_status, -EPIPE);
	weir_endpoint_report(endpoint, WEIR_OUTCOME_SUCCESS, 0);
	assert_int_equal(endpoint->last_status, 0);
	assert_int_equal(weir_endpoint_report(endpoint, WEIR_OUTCOME_CONNECT, -EPIPE).failures, 1);
	assert_int_equal(endpoint->total, 1);
	assert_int_equal(endpoint->failures, 3);
	weir_endpoint_put(endpoint);
}

#define MEMBERS 6

static struct weir_set *set_new(enum weir_balance balance, struct weir_member *members)
{
	static const char *const texts[MEMBERS] = {
		"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4", "127.0.0.1:5", NULL,
	};
	struct weir_set *set;

	for (size_t i = 0; i < MEMBERS; i++) {
		members[i] = (struct weir_member){ .weight = 1 };
		members[i].endpoint = texts[i] ? endpoint_new(texts[i])
					       : weir_endpoint_new("name:1", 5, "name", NULL, 0);
	}
	members[0].backup = true;
	members[1].priority = 20;
	members[4].priority = 20;
	members[5].priority = 0;
	set = weir_set_new(balance, members, MEMBERS);
	assert_non_null(set);
	return set;
}

static void set_free(struct weir_set *set, struct weir_member *members)
{
	weir_set_put(set);
	for (size_t i = 0; i < MEMBERS; i++)
		weir_endpoint_put(members[i].endpoint);
}

static void sets_have_tiers(void **state)
{
	const enum weir_balance balances[] = { WEIR_BALANCE_ROUND_ROBIN, WEIR_BALANCE_RING_HASH,
					       WEIR_BALANCE_MAGLEV };

	(void)state;
	for (size_t b = 0; b < WEIR_ARRAY_SIZE(balances); b++) {
		struct weir_member members[MEMBERS];
		struct weir_set *set = set_new(balances[b], members);

		assert_int_equal(set->n, 6);
		assert_int_equal(set->n_tiers, 3);
		assert_int_equal(set->tiers[0].n, 2);
		assert_ptr_equal(set->members[0].endpoint, members[2].endpoint);
		assert_ptr_equal(set->members[1].endpoint, members[3].endpoint);
		assert_int_equal(set->tiers[1].first, 2);
		assert_int_equal(set->tiers[1].n, 2);
		assert_ptr_equal(set->members[2].endpoint, members[1].endpoint);
		assert_int_equal(set->tiers[2].first, 4);
		assert_int_equal(set->tiers[2].n, 1);
		assert_ptr_equal(set->members[5].endpoint, members[5].endpoint);
		for (size_t t = 0; t < 3; t++) {
			assert_int_equal(!!set->tiers[t].ring,
					 balances[b] == WEIR_BALANCE_RING_HASH);
			assert_int_equal(!!set->tiers[t].maglev,
					 balances[b] == WEIR_BALANCE_MAGLEV);
		}
		assert_true(weir_set_is_equal(set, members, MEMBERS));
		assert_false(weir_set_is_equal(set, members, MEMBERS - 1));
		members[2].weight = 2;
		assert_false(weir_set_is_equal(set, members, MEMBERS));
		members[2].weight = 1;
		members[2].priority = 3;
		assert_false(weir_set_is_equal(set, members, MEMBERS));
		set_free(set, members);
	}
}

/* The queue's choice: tier by tier, the emptiest first, full is not the next tier's business. */
static void sets_give_places_by_tier(void **state)
{
	struct weir_member members[MEMBERS];
	struct weir_set *set = set_new(WEIR_BALANCE_ROUND_ROBIN, members);
	struct weir_endpoint *a = members[2].endpoint, *b = members[3].endpoint;
	struct weir_endpoint *c = members[1].endpoint, *d = members[4].endpoint;
	struct weir_endpoint *const both[] = { a, b };
	bool any;

	(void)state;
	assert_ptr_equal(weir_set_take(set, 1, NULL, 0, &any), a);
	assert_ptr_equal(weir_set_take(set, 1, NULL, 0, &any), b);
	assert_null(weir_set_take(set, 1, NULL, 0, &any));
	assert_true(any);
	/* Both were tried: the next tier. */
	assert_ptr_equal(weir_set_take(set, 1, both, 2, &any), c);
	assert_ptr_equal(weir_set_take(set, 1, both, 2, &any), d);
	/* Bad health of the first tier: the second one; of all: the first one again. */
	weir_endpoint_eject(a, &rules, 0);
	weir_endpoint_eject(b, &rules, 0);
	assert_ptr_equal(weir_set_take(set, 2, NULL, 0, &any), c);
	weir_endpoint_eject(c, &rules, 0);
	weir_endpoint_eject(d, &rules, 0);
	assert_ptr_equal(weir_set_take(set, 1, NULL, 0, &any), members[0].endpoint);
	weir_endpoint_eject(members[0].endpoint, &rules, 0);
	assert_true(weir_set_is_panicking(set));
	assert_ptr_equal(weir_set_take(set, 2, NULL, 0, &any), a);
	for (size_t i = 0; i < MEMBERS; i++)
		weir_endpoint_drain(members[i].endpoint, true, 0);
	assert_null(weir_set_take(set, 9, NULL, 0, &any));
	assert_false(any);
	set_free(set, members);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checks_turn_after_thresholds),
		cmocka_unit_test(ejections_grow_and_shrink),
		cmocka_unit_test(draining_returns_to_what_is_known),
		cmocka_unit_test(ramp_rises_with_time),
		cmocka_unit_test(places_are_limited),
		cmocka_unit_test(sets_have_tiers),
		cmocka_unit_test(sets_give_places_by_tier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
