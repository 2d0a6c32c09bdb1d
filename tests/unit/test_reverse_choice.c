/* SPDX-License-Identifier: MIT */
/* The reverse proxy service: hedging, the breaker, sticky sessions, hashes. */

#include "reverse_rig.h"

static const struct origin_step answers[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_AGAIN, NULL, 0 },
};
static const struct origin_step stalls[] = { { ORIGIN_STALL, NULL, 0 } };

/* ------------------------------------------------------------------------------------------
 * Hedging
 */

static const struct origin_step slow_answer[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_SLEEP, NULL, 300 },
	{ ORIGIN_WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow", 0 },
	{ ORIGIN_STALL, NULL, 0 },
};
static const struct origin_step slow_reset[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_SLEEP, NULL, 200 },
	{ ORIGIN_RESET, NULL, 0 },
};

struct hedge {
	const struct origin_step *first, *second;
	const char *method;
	int status;
	const char *text;
	unsigned attempts;
	int64_t won, lost;
};

static const struct hedge hedges[] = {
	{ stalls, answers, "GET", 0, "ok", 2, 1, 0 },
	{ slow_answer, stalls, "GET", 0, "slow", 2, 0, 1 },
	{ answers, stalls, "GET", 0, "ok", 1, 0, 0 },
	{ slow_answer, answers, "POST", 0, "slow", 1, 0, 0 },
	{ slow_reset, slow_answer, "GET", 0, "slow", 2, 1, 0 },
	{ slow_reset, slow_reset, "GET", -ECONNRESET, "", 2, 0, 0 },
};

static int hedge_test_run(void *arg)
{
	const struct hedge *hedge = arg;
	struct trip trip = { .method = hedge->method };
	struct reverse_rig f;

	reverse_rig_init(&f, 2);
	f.endpoints[1].backup = true;
	f.conf.hedge.delay_ms = 50;
	origin_script(&f.origins[0], hedge->first);
	origin_script(&f.origins[1], hedge->second);
	reverse_rig_open(&f);
	trip_run(&f, &trip);
	assert_int_equal(trip.status, hedge->status);
	assert_string_equal(trip.text, hedge->text);
	assert_int_equal(trip.attempts, hedge->attempts);
	assert_int_equal(reverse_rig_counted(&f, "weir_http_upstream_hedges_total",
					     "result=\"won\""),
			 hedge->won);
	assert_int_equal(reverse_rig_counted(&f, "weir_http_upstream_hedges_total",
					     "result=\"lost\""),
			 hedge->lost);
	reverse_rig_close(&f);
	return 0;
}

static void the_first_response_wins(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(hedges); i++)
		loopback_run(hedge_test_run, (void *)(uintptr_t)&hedges[i]);
}

/* ------------------------------------------------------------------------------------------
 * The breaker
 */

static int breaker_run(void *arg)
{
	const struct weir_breaker_conf limits = { .calls = 2 };
	struct guest guests[2] = { 0 };
	struct weir_scope scope;
	struct trip trip;
	struct reverse_rig f;

	(void)arg;
	reverse_rig_init(&f, 1);
	f.conf.breaker = weir_breaker_new(&limits);
	origin_script(&f.origins[0], stalls);
	origin_script(&f.origins[0], stalls);
	origin_script(&f.origins[0], answers);
	reverse_rig_open(&f);
	weir_scope_init(&scope, NULL);
	for (size_t i = 0; i < 2; i++) {
		guests[i].rig = &f;
		assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guests[i], NULL), 0);
	}
	origin_settle();
	trip = trip_get(&f);
	assert_int_equal(trip.status, WEIR_ELIMIT);
	assert_string_equal(trip.why, "circuit_breaker");
	assert_int_equal(
		reverse_rig_counted(&f, "weir_http_upstream_refused_total", "limit=\"calls\""), 1);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(trip_get(&f).code, 200);
	reverse_rig_close(&f);
	return 0;
}

static void the_breaker_bounds_calls(void **state)
{
	(void)state;
	loopback_run(breaker_run, NULL);
}

static int pending_run(void *arg)
{
	const struct weir_breaker_conf limits = { .pending = 1, .budget_percent = 101 };
	struct guest guests[2] = { 0 };
	struct weir_scope scope;
	struct trip trip;
	struct reverse_rig f;

	(void)arg;
	reverse_rig_init(&f, 1);
	f.conf.breaker = weir_breaker_new(&limits);
	f.conf.client.max_connections = 1;
	origin_script(&f.origins[0], stalls);
	reverse_rig_open(&f);
	weir_scope_init(&scope, NULL);
	for (size_t i = 0; i < 2; i++) {
		guests[i].rig = &f;
		assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guests[i], NULL), 0);
		origin_settle();
	}
	/* The first has the connection, the second waits for it, the third is one too many. */
	trip = trip_get(&f);
	assert_int_equal(trip.status, WEIR_ELIMIT);
	assert_int_equal(reverse_rig_counted(&f, "weir_http_upstream_refused_total",
					     "limit=\"pending\""),
			 1);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	reverse_rig_close(&f);
	return 0;
}

static void the_breaker_bounds_waiting(void **state)
{
	(void)state;
	loopback_run(pending_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Sticky sessions and hashes
 */

static int sticky_run(void *arg)
{
	struct trip first, again = { 0 }, wrong = { .cookie = "WEIRID=4711" };
	struct reverse_rig f;
	char cookie[64];

	(void)arg;
	reverse_rig_init(&f, 3);
	for (size_t i = 0; i < 3; i++)
		origin_script(&f.origins[i], answers);
	f.conf.sticky.mode = WEIR_STICKY_COOKIE;
	f.conf.sticky.max_age_s = 60;
	f.conf.sticky.secure = true;
	reverse_rig_open(&f);
	first = trip_get(&f);
	assert_int_equal(strncmp(first.set_cookie, "WEIRID=", 7), 0);
	assert_string_equal(strchr(first.set_cookie, ';'),
			    "; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
	snprintf(cookie, sizeof(cookie), "a=b; %.23s", first.set_cookie);
	again.cookie = cookie;
	for (unsigned k = 0; k < 5; k++) {
		again.set_cookie[0] = '\0';
		trip_run(&f, &again);
		assert_int_equal(again.port, first.port);
		assert_string_equal(again.set_cookie, "");
	}
	/* Its endpoint goes: another one, and the client is told. */
	assert_int_equal(weir_upstream_set_draining(
				 f.upstream,
				 reverse_rig_endpoint(&f, first.port - ORIGIN_PORT).name, true),
			 0);
	trip_run(&f, &again);
	assert_int_not_equal(again.port, first.port);
	assert_int_equal(strncmp(again.set_cookie, "WEIRID=", 7), 0);
	assert_int_not_equal(strncmp(again.set_cookie, first.set_cookie, 23), 0);
	trip_run(&f, &wrong);
	assert_int_equal(wrong.code, 200);
	assert_int_equal(strncmp(wrong.set_cookie, "WEIRID=", 7), 0);
	reverse_rig_close(&f);
	return 0;
}

static void sessions_stick(void **state)
{
	(void)state;
	loopback_run(sticky_run, NULL);
}

static int hash_run(void *arg)
{
	struct trip a = { .cookie = "sid=alice" }, b = { .cookie = "x=1; sid=alice" };
	unsigned seen = 0;
	struct reverse_rig f;

	(void)arg;
	reverse_rig_init(&f, 3);
	for (size_t i = 0; i < 3; i++)
		origin_script(&f.origins[i], answers);
	f.group.balance = WEIR_BALANCE_MAGLEV;
	f.conf.hash.by = WEIR_HASH_COOKIE;
	f.conf.hash.name = "sid";
	reverse_rig_open(&f);
	trip_run(&f, &a);
	trip_run(&f, &b);
	assert_int_equal(a.port, b.port);
	for (unsigned k = 0; k < 50; k++) {
		char cookie[32];
		struct trip c = { .cookie = cookie };

		snprintf(cookie, sizeof(cookie), "sid=%u", k);
		trip_run(&f, &c);
		seen |= 1u << (c.port - ORIGIN_PORT);
	}
	assert_int_equal(seen, 7);
	reverse_rig_close(&f);
	return 0;
}

static void calls_are_hashed(void **state)
{
	(void)state;
	loopback_run(hash_run, NULL);
}

static int mistakes_run(void *arg)
{
	struct weir_error error;
	struct reverse_rig f;

	(void)arg;
	reverse_rig_init(&f, 1);
	origin_script(&f.origins[0], answers);
	reverse_rig_open(&f);
	f.conf.client.connector = NULL;
	assert_null(weir_http_reverse_service(&f.conf, NULL));
	weir_error_init(&error);
	f.conf.client.connector = origin_connector(f.origins, 1);
	f.conf.retry.attempts = 17;
	assert_null(weir_http_reverse_service(&f.conf, &error));
	assert_int_equal(error.status, WEIR_ECONFIG);
	f.conf.retry.attempts = 0;
	f.conf.hash.by = WEIR_HASH_HEADER;
	f.conf.client.connector = origin_connector(f.origins, 1);
	assert_null(weir_http_reverse_service(&f.conf, &error));
	f.conf.hash.by = WEIR_HASH_ADDRESS;
	f.conf.sticky.mode = WEIR_STICKY_COOKIE;
	f.conf.sticky.cookie = "not a token";
	f.conf.client.connector = origin_connector(f.origins, 1);
	assert_null(weir_http_reverse_service(&f.conf, &error));
	f.conf.sticky.cookie = NULL;
	f.conf.sticky.path = "/; Domain=evil.example";
	f.conf.client.connector = origin_connector(f.origins, 1);
	assert_null(weir_http_reverse_service(&f.conf, &error));
	reverse_rig_close(&f);
	return 0;
}

static void mistakes_are_named(void **state)
{
	(void)state;
	loopback_run(mistakes_run, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_response_wins),
		cmocka_unit_test(the_breaker_bounds_calls),
		cmocka_unit_test(the_breaker_bounds_waiting),
		cmocka_unit_test(sessions_stick),
		cmocka_unit_test(calls_are_hashed),
		cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests_name("reverse_choice", tests, NULL, NULL);
}
