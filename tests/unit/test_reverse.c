/* SPDX-License-Identifier: MIT */
/* The reverse proxy service: retries, time, bodies that break, clients that go. */

#include "reverse_rig.h"

static const struct origin_step answers[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_AGAIN, NULL, 0 },
};
static const struct origin_step takes_hello[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_READ, NULL, 5 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_STALL, NULL, 0 },
};
static const struct origin_step refuses[] = { { ORIGIN_REFUSE, NULL, 0 } };
static const struct origin_step resets[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_RESET, NULL, 0 },
};
static const struct origin_step resets_after_hello[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_READ, NULL, 5 },
	{ ORIGIN_RESET, NULL, 0 },
};
static const struct origin_step says_500[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, SAYS("500"), 0 },
	{ ORIGIN_AGAIN, NULL, 0 },
};
static const struct origin_step says_503[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, SAYS("503"), 0 },
	{ ORIGIN_AGAIN, NULL, 0 },
};
static const struct origin_step stalls[] = { { ORIGIN_STALL, NULL, 0 } };
static const struct origin_step breaks_body[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 0 },
	{ ORIGIN_CLOSE, NULL, 0 },
};
static const struct origin_step stalls_amid_body[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

/* ------------------------------------------------------------------------------------------
 * Retries
 */

struct row {
	const char *name;
	const struct origin_step *first, *second; /* scripts of the first two origins */
	struct weir_retry_conf retry;
	struct trip trip;
	/* What is to come of it. */
	int status;
	unsigned code, attempts, connects;
	const char *reason; /* counted; NULL: nothing */
};

#define ON_STATUS (WEIR_RETRY_503 | WEIR_RETRY_504)

static const struct row rows[] = {
	{ "refused", refuses, answers, { 0 }, { 0 }, 0, 200, 1, 2, "connect" },
	{ "refused with a body",
	  refuses,
	  takes_hello,
	  { 0 },
	  { .method = "POST", .body = "hello" },
	  0,
	  200,
	  1,
	  2,
	  "connect" },
	{ "reset", resets, answers, { 0 }, { 0 }, 0, 200, 2, 2, "reset" },
	{ "reset, PUT",
	  resets_after_hello,
	  takes_hello,
	  { 0 },
	  { .method = "PUT", .body = "hello" },
	  0,
	  200,
	  2,
	  2,
	  "reset" },
	{ "reset, too much to keep",
	  resets_after_hello,
	  takes_hello,
	  { .replay_bytes = 4 },
	  { .method = "PUT", .body = "hello" },
	  -ECONNRESET,
	  0,
	  1,
	  1,
	  NULL },
	{ "reset, POST",
	  resets_after_hello,
	  takes_hello,
	  { 0 },
	  { .method = "POST", .body = "hello" },
	  -ECONNRESET,
	  0,
	  1,
	  1,
	  NULL },
	{ "reset, POST, unsafe",
	  resets_after_hello,
	  takes_hello,
	  { .unsafe = true },
	  { .method = "POST", .body = "hello" },
	  0,
	  200,
	  2,
	  2,
	  "reset" },
	{ "never", refuses, answers, { .on = WEIR_RETRY_NEVER }, { 0 }, -ECONNREFUSED, 0, 0, 1, NULL },
	{ "one attempt", resets, answers, { .attempts = 1 }, { 0 }, -ECONNRESET, 0, 1, 1, NULL },
	{ "503, not asked for", says_503, answers, { 0 }, { 0 }, 0, 503, 1, 1, NULL },
	{ "503", says_503, answers, { .on = ON_STATUS }, { 0 }, 0, 200, 2, 2, "503" },
	{ "503 and 503", says_503, says_503, { .on = ON_STATUS }, { 0 }, 0, 503, 2, 2, "503" },
	{ "503, POST",
	  says_503,
	  answers,
	  { .on = ON_STATUS },
	  { .method = "POST" },
	  0,
	  503,
	  1,
	  1,
	  NULL },
	{ "CONNECT", answers, answers, { 0 }, { .method = "CONNECT" }, 0, 501, 0, 0, NULL },
	{ "500 is no reason", says_500, answers, { .on = ON_STATUS }, { 0 }, 0, 500, 1, 1, NULL },
	{ "slow",
	  stalls,
	  answers,
	  { .on = WEIR_RETRY_TIMEOUT, .try_ms = 200 },
	  { 0 },
	  0,
	  200,
	  2,
	  2,
	  "timeout" },
	{ "slow, not asked for",
	  stalls,
	  answers,
	  { .try_ms = 200 },
	  { 0 },
	  -ETIMEDOUT,
	  0,
	  1,
	  1,
	  NULL },
};

static int row_run(void *arg)
{
	const struct row *row = arg;
	struct trip trip = row->trip;
	struct reverse_rig f;
	char label[40];

	reverse_rig_init(&f, 2);
	f.group.balance = WEIR_BALANCE_ROUND_ROBIN;
	/* The first one is first: the other one is a backup. */
	f.endpoints[1].backup = true;
	f.conf.retry = row->retry;
	f.conf.retry.backoff_ms = 1;
	origin_script(&f.origins[0], row->first);
	origin_script(&f.origins[1], row->second);
	reverse_rig_open(&f);
	trip_run(&f, &trip);
	if (trip.status == -EPIPE)
		trip.status = -ECONNRESET;
	if (trip.status != row->status || trip.code != row->code ||
	    trip.attempts != row->attempts ||
	    f.origins[0].connects + f.origins[1].connects != row->connects)
		fail_msg("%s: %d, %u, %u attempts, %u + %u connects", row->name, trip.status,
			 trip.code, trip.attempts, f.origins[0].connects, f.origins[1].connects);
	if (trip.code == 200)
		assert_string_equal(trip.text, "ok");
	if (trip.status)
		assert_non_null(trip.why);
	snprintf(label, sizeof(label), "reason=\"%s\"", row->reason ? row->reason : "");
	assert_int_equal(reverse_rig_counted(&f, "weir_http_upstream_retries_total", label),
			 row->reason != NULL);
	reverse_rig_close(&f);
	return 0;
}

static void failures_are_repeated_elsewhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(rows); i++)
		loopback_run(row_run, (void *)(uintptr_t)&rows[i]);
}

static int alone_run(void *arg)
{
	struct reverse_rig f;

	(void)arg;
	/* With no other endpoint, the same one again. */
	reverse_rig_init(&f, 1);
	origin_script(&f.origins[0], resets);
	origin_script(&f.origins[0], answers);
	reverse_rig_open(&f);
	assert_int_equal(trip_get(&f).code, 200);
	assert_int_equal(f.origins[0].connects, 2);
	reverse_rig_close(&f);
	return 0;
}

static void the_only_endpoint_is_tried_again(void **state)
{
	(void)state;
	loopback_run(alone_run, NULL);
}

static int total_run(void *arg)
{
	struct trip trip;
	struct reverse_rig f;

	(void)arg;
	reverse_rig_init(&f, 1);
	f.conf.total_ms = 200;
	f.conf.retry.on = WEIR_RETRY_TIMEOUT | WEIR_RETRY_RESET;
	f.conf.retry.attempts = 5;
	origin_script(&f.origins[0], stalls);
	origin_script(&f.origins[0], stalls_amid_body);
	reverse_rig_open(&f);
	trip = trip_get(&f);
	assert_int_equal(trip.status, -ETIMEDOUT);
	assert_string_equal(trip.why, "total_timeout");
	assert_int_equal(f.origins[0].connects, 1);
	assert_int_equal(reverse_rig_endpoint(&f, 0).failures, 1);
	trip = trip_get(&f);
	assert_int_equal(trip.code, 200);
	assert_int_equal(trip.body_status, -ETIMEDOUT);
	reverse_rig_close(&f);
	return 0;
}

static void all_of_it_has_a_limit(void **state)
{
	(void)state;
	loopback_run(total_run, NULL);
}

static int broken_run(void *arg)
{
	struct trip trip;
	struct reverse_rig f;

	(void)arg;
	reverse_rig_init(&f, 2);
	f.group.ejection.failures = 1;
	f.endpoints[1].backup = true;
	origin_script(&f.origins[0], breaks_body);
	origin_script(&f.origins[1], answers);
	reverse_rig_open(&f);
	trip = trip_get(&f);
	assert_int_equal(trip.code, 200);
	assert_int_equal(trip.body_status, WEIR_EPROTO);
	assert_int_equal(reverse_rig_counted(&f, "weir_http_upstream_broken_bodies_total", ""), 1);
	assert_int_equal(reverse_rig_endpoint(&f, 0).state, WEIR_ENDPOINT_EJECTED);
	assert_int_equal(trip_get(&f).port, ORIGIN_PORT + 1);
	reverse_rig_close(&f);
	return 0;
}

static void a_broken_body_is_seen(void **state)
{
	(void)state;
	loopback_run(broken_run, NULL);
}

static int outlier_run(void *arg)
{
	struct reverse_rig f;

	(void)arg;
	reverse_rig_init(&f, 2);
	f.group.ejection.gateway_errors = 3;
	f.endpoints[1].backup = true;
	origin_script(&f.origins[0], says_503);
	origin_script(&f.origins[1], answers);
	reverse_rig_open(&f);
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(trip_get(&f).code, 503);
	assert_int_equal(reverse_rig_endpoint(&f, 0).state, WEIR_ENDPOINT_EJECTED);
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(trip_get(&f).code, 200);
	assert_int_equal(f.origins[0].connects, 1);
	assert_int_equal(f.origins[1].connects, 1);
	assert_int_equal(
		reverse_rig_counted(&f, "weir_http_upstream_requests_total", "code=\"5xx\""), 3);
	assert_int_equal(
		reverse_rig_counted(&f, "weir_http_upstream_requests_total", "code=\"2xx\""), 3);
	reverse_rig_close(&f);
	return 0;
}

static void outliers_are_ejected_and_backups_serve(void **state)
{
	(void)state;
	loopback_run(outlier_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * The client goes
 */

static int abort_run(void *arg)
{
	const uint64_t *hedge_ms = arg;
	struct guest guest = { 0 };
	struct weir_scope scope;
	struct reverse_rig f;

	reverse_rig_init(&f, 2);
	f.conf.hedge.delay_ms = *hedge_ms;
	origin_script(&f.origins[0], stalls);
	origin_script(&f.origins[1], stalls);
	reverse_rig_open(&f);
	guest.rig = &f;
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guest, NULL), 0);
	while (f.origins[0].connects + f.origins[1].connects < (*hedge_ms ? 2 : 1))
		assert_int_equal(weir_task_sleep_ms(1), 0);
	origin_settle();
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(guest.trip.status, -ECANCELED);
	origin_settle();
	assert_int_equal(f.origins[0].ended + f.origins[1].ended, *hedge_ms ? 2 : 1);
	/* Nobody is blamed. */
	assert_int_equal(
		reverse_rig_endpoint(&f, 0).failures + reverse_rig_endpoint(&f, 1).failures, 0);
	reverse_rig_close(&f);
	return 0;
}

static void a_client_that_goes_takes_all_with_it(void **state)
{
	uint64_t hedge_ms[] = { 0, 5 };

	(void)state;
	loopback_run(abort_run, &hedge_ms[0]);
	loopback_run(abort_run, &hedge_ms[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_are_repeated_elsewhere),
		cmocka_unit_test(the_only_endpoint_is_tried_again),
		cmocka_unit_test(all_of_it_has_a_limit),
		cmocka_unit_test(a_broken_body_is_seen),
		cmocka_unit_test(outliers_are_ejected_and_backups_serve),
		cmocka_unit_test(a_client_that_goes_takes_all_with_it),
	};

	return cmocka_run_group_tests_name("reverse", tests, NULL, NULL);
}
