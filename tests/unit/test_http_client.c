/* SPDX-License-Identifier: MIT */
/* The HTTP client against an origin that follows a script and dies at every stage. */

#include "http_deal.h"

static enum stage_kind kind;

/* ------------------------------------------------------------------------------------------
 * Good days
 */

static const struct origin_step keeps[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, NONE, 0 },
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 0 },
	{ ORIGIN_PAUSE, NULL, 0 },
	{ ORIGIN_WRITE, "2\r\nde\r\n0\r\n\r\n", 0 },
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static int keep_run(void *arg)
{
	struct deal_rig f;
	struct deal deal;

	(void)arg;
	deal_rig_init(&f, kind);
	origin_script(&f.origin, keeps);
	deal_rig_open(&f);
	deal = deal_get(&f);
	assert_int_equal(deal.status, 0);
	assert_int_equal(deal.code, 200);
	assert_string_equal(deal.text, "ok");
	deal = deal_get(&f);
	assert_int_equal(deal.code, 204);
	deal = deal_get(&f);
	assert_int_equal(deal.status, 0);
	assert_string_equal(deal.text, "abcde");
	deal = deal_get(&f);
	assert_string_equal(deal.text, "x");
	assert_int_equal(f.origin.connects, 1);
	assert_true(deal.sent);
	/* That one was to be the last. */
	deal = deal_get(&f);
	assert_int_equal(f.origin.connects, 2);
	assert_string_equal(deal.text, "ok");
	assert_non_null(strstr(origin_seen(&f.origin), "GET /a HTTP/1.1\r\n"));
	assert_non_null(strstr(origin_seen(&f.origin), "\r\nHost: origin.example\r\n"));
	deal_rig_close(&f);
	return 0;
}

static void connections_are_used_again(void **state)
{
	(void)state;
	loopback_run(keep_run, NULL);
}

static const struct origin_step takes_body[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_READ, NULL, 5 },      { ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_READ, NULL, 15 }, /* "5\r\nhello\r\n0\r\n\r\n" */
	{ ORIGIN_WRITE, OK, 0 },       { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static int body_run(void *arg)
{
	struct deal plain = { .method = "POST", .body = "hello" };
	struct deal chunked = { .method = "POST", .body = "hello", .chunked = true };
	struct deal empty = { .method = "POST" };
	struct deal_rig f;

	(void)arg;
	deal_rig_init(&f, kind);
	origin_script(&f.origin, takes_body);
	deal_rig_open(&f);
	deal_run(&f, &plain);
	assert_int_equal(plain.code, 200);
	deal_run(&f, &chunked);
	assert_int_equal(chunked.code, 200);
	deal_run(&f, &empty);
	assert_int_equal(empty.code, 200);
	assert_int_equal(f.origin.connects, 1);
	assert_non_null(strstr(origin_seen(&f.origin), "Content-Length: 5\r\n"));
	assert_non_null(strstr(origin_seen(&f.origin), "Transfer-Encoding: chunked\r\n"));
	assert_non_null(strstr(origin_seen(&f.origin), "Content-Length: 0\r\n"));
	deal_rig_close(&f);
	return 0;
}

static void bodies_are_sent(void **state)
{
	(void)state;
	loopback_run(body_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Deaths
 */

struct death {
	const char *name;
	struct origin_step steps[8];
	struct deal deal;
	int status, body_status;
	bool sent;
};

static const struct death deaths[] = {
	{ "before accepting", { { ORIGIN_REFUSE, NULL, 0 } }, { 0 }, -ECONNREFUSED, 0, false },
	{ "after accepting", { { ORIGIN_CLOSE, NULL, 0 } }, { 0 }, -ECONNRESET, 0, true },
	{ "after accepting, hard", { { ORIGIN_RESET, NULL, 0 } }, { 0 }, -ECONNRESET, 0, true },
	{ "amid the request",
	  { { ORIGIN_READ, NULL, 5 }, { ORIGIN_RESET, NULL, 0 } },
	  { 0 },
	  -ECONNRESET,
	  0,
	  true },
	{ "amid the request's body",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_READ, NULL, 2 }, { ORIGIN_RESET, NULL, 0 } },
	  { .method = "POST", .body = "hello" },
	  -ECONNRESET,
	  0,
	  true },
	{ "before the head",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_CLOSE, NULL, 0 } },
	  { 0 },
	  -ECONNRESET,
	  0,
	  true },
	{ "amid the head",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, "HTTP/1.1 200 O", 0 } },
	  { 0 },
	  WEIR_EPROTO,
	  0,
	  true },
	{ "after the head",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, LEN10, 0 } },
	  { 0 },
	  0,
	  WEIR_EPROTO,
	  true },
	{ "amid the body",
	  { { ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, CUT_BODY, 0 } },
	  { 0 },
	  0,
	  WEIR_EPROTO,
	  true },
	{ "amid a chunk",
	  { { ORIGIN_READ_HEAD, NULL, 0 },
	    { ORIGIN_WRITE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", 0 } },
	  { 0 },
	  0,
	  WEIR_EPROTO,
	  true },
	{ "after a 100",
	  { { ORIGIN_READ_HEAD, NULL, 0 },
	    { ORIGIN_WRITE, "HTTP/1.1 100 Continue\r\n\r\n", 0 },
	    { ORIGIN_CLOSE, NULL, 0 } },
	  { .method = "POST", .body = "hello", .expects = true },
	  -ECONNRESET,
	  0,
	  true },
};

static int death_run(void *arg)
{
	const struct death *death = arg;
	struct deal deal = death->deal;
	struct deal_rig f;

	deal_rig_init(&f, kind);
	origin_script(&f.origin, death->steps);
	deal_rig_open(&f);
	deal_run(&f, &deal);
	if (deal.status == -EPIPE)
		deal.status = -ECONNRESET; /* whichever the race gave */
	if (deal.status != death->status || deal.body_status != death->body_status)
		fail_msg("%s: got %d and %d, want %d and %d", death->name, deal.status,
			 deal.body_status, death->status, death->body_status);
	if (kind == STAGE_TCP && deal.sent != death->sent)
		fail_msg("%s: sent %d", death->name, deal.sent);
	/* A new connection is never tried twice, and none of these is kept. */
	assert_int_equal(f.origin.connects, 1);
	deal_rig_close(&f);
	return 0;
}

static void origins_die_at_every_stage(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(deaths); i++)
		loopback_run(death_run, (void *)(uintptr_t)&deaths[i]);
}

/* ------------------------------------------------------------------------------------------
 * Connections that died in the pool
 */

static const struct origin_step one_and_out[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_READ, NULL, 1 }, /* of the next request */
	{ ORIGIN_RESET, NULL, 0 },
};

static const struct origin_step one_and_end[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_READ, NULL, 1 },
	{ ORIGIN_CLOSE, NULL, 0 },
};

static const struct origin_step answers[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_READ, NULL, 5 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static const struct origin_step answers_get[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

struct stale {
	const struct origin_step *first, *second;
	struct deal deal;
	int status;
	unsigned connects, attempts;
};

static const struct stale stales[] = {
	{ one_and_out, answers_get, { 0 }, 0, 2, 2 },
	{ one_and_end, answers_get, { 0 }, 0, 2, 2 },
	{ one_and_out, answers, { .method = "PUT", .body = "hello" }, 0, 2, 2 },
	/* It may have been done. */
	{ one_and_out, answers, { .method = "POST", .body = "hello" }, -ECONNRESET, 1, 1 },
	/* A new one that dies too is not tried a third time. */
	{ one_and_out, one_and_out + 3, { 0 }, -ECONNRESET, 2, 2 },
};

static int stale_run(void *arg)
{
	const struct stale *stale = arg;
	struct deal deal = stale->deal;
	struct deal_rig f;

	deal_rig_init(&f, kind);
	origin_script(&f.origin, stale->first);
	origin_script(&f.origin, stale->second);
	deal_rig_open(&f);
	assert_int_equal(deal_get(&f).code, 200);
	deal_run(&f, &deal);
	if (deal.status == -EPIPE)
		deal.status = -ECONNRESET;
	assert_int_equal(deal.status, stale->status);
	assert_int_equal(deal.attempts, stale->attempts);
	assert_int_equal(f.origin.connects, stale->connects);
	if (!deal.status)
		assert_string_equal(deal.text, "ok");
	deal_rig_close(&f);
	return 0;
}

static void a_dead_connection_is_not_the_calls_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(stales); i++)
		loopback_run(stale_run, (void *)(uintptr_t)&stales[i]);
}

/* ------------------------------------------------------------------------------------------
 * Wrong answers
 */

static const char *const wrong[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
	"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
	"HTTP/1.1 20 OK\r\n\r\n",
	"ICY 200 OK\r\n\r\n",
	"SSH-2.0-OpenSSH_9.2\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
};

static int wrong_run(void *arg)
{
	const struct origin_step script[] = {
		{ ORIGIN_READ_HEAD, NULL, 0 },
		{ ORIGIN_WRITE, arg, 0 },
		{ ORIGIN_STALL, NULL, 0 },
	};
	struct deal_rig f;
	struct deal deal;

	deal_rig_init(&f, kind);
	origin_script(&f.origin, script);
	deal_rig_open(&f);
	deal = deal_get(&f);
	if (deal.status != WEIR_EPROTO || !deal.why)
		fail_msg("%s: got %d", (const char *)arg, deal.status);
	deal = deal_get(&f);
	assert_int_equal(f.origin.connects, 2);
	deal_rig_close(&f);
	return 0;
}

static void wrong_answers_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(wrong); i++)
		loopback_run(wrong_run, (void *)(uintptr_t)wrong[i]);
}

static const struct origin_step garbage[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, OK "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static const struct origin_step late_garbage[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, NONE, 0 },
	{ ORIGIN_PAUSE, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static int garbage_run(void *arg)
{
	struct deal_rig f;

	deal_rig_init(&f, kind);
	origin_script(&f.origin, arg);
	origin_script(&f.origin, answers_get);
	deal_rig_open(&f);
	assert_int_equal(deal_get(&f).status, 0);
	origin_settle();
	/* What nobody has asked for answers nobody. */
	assert_string_equal(deal_get(&f).text, "ok");
	assert_int_equal(f.origin.connects, 2);
	deal_rig_close(&f);
	return 0;
}

static void an_unasked_response_ends_the_connection(void **state)
{
	(void)state;
	loopback_run(garbage_run, (void *)(uintptr_t)garbage);
	loopback_run(garbage_run, (void *)(uintptr_t)late_garbage);
}

/* ------------------------------------------------------------------------------------------
 * Interim responses
 */

static const struct origin_step hints[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", 0 },
	{ ORIGIN_PAUSE, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" OK, 0 },
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static const struct origin_step storm[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 103 Early Hints\r\n\r\n", 0 },
	{ ORIGIN_AGAIN, NULL, 1 },
};

static int interim_run(void *arg)
{
	struct deal_rig f;
	struct deal deal;

	(void)arg;
	deal_rig_init(&f, kind);
	origin_script(&f.origin, hints);
	origin_script(&f.origin, storm);
	deal_rig_open(&f);
	deal = deal_get(&f);
	assert_int_equal(deal.code, 200);
	assert_string_equal(deal.text, "ok");
	assert_int_equal(f.informed, 2); /* 100 is nobody's who has not asked */
	assert_int_equal(f.last_informed, 102);
	assert_int_equal(deal_get(&f).code, 200);
	assert_int_equal(f.origin.connects, 1);
	deal_rig_close(&f);
	deal_rig_init(&f, kind);
	origin_script(&f.origin, storm);
	deal_rig_open(&f);
	deal = deal_get(&f);
	assert_int_equal(deal.status, WEIR_EPROTO);
	assert_in_range(f.informed, 10, 40);
	deal_rig_close(&f);
	return 0;
}

static void interim_responses_are_passed_on(void **state)
{
	(void)state;
	loopback_run(interim_run, NULL);
}

static const struct origin_step continues[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 100 Continue\r\n\r\n", 0 },
	{ ORIGIN_READ, NULL, 5 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_READ, NULL, 5 }, /* knows nothing of it */
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static int continue_run(void *arg)
{
	const struct deal ask = { .method = "POST", .body = "hello", .expects = true };
	struct deal deal = ask;
	struct deal_rig f;

	(void)arg;
	deal_rig_init(&f, kind);
	f.conf.continue_ms = 200;
	origin_script(&f.origin, continues);
	origin_script(&f.origin, answers_get);
	deal_rig_open(&f);
	deal_run(&f, &deal);
	assert_int_equal(deal.code, 200);
	deal = ask;
	deal_run(&f, &deal);
	assert_int_equal(deal.code, 200);
	assert_int_equal(f.origin.connects, 1);
	deal = ask;
	deal_run(&f, &deal);
	assert_int_equal(deal.code, 417);
	assert_int_equal(f.informed, 0);
	/* The body that was announced did not go: nothing may follow it. */
	assert_int_equal(deal_get(&f).status, 0);
	assert_int_equal(f.origin.connects, 2);
	deal_rig_close(&f);
	return 0;
}

static void bodies_wait_for_100(void **state)
{
	(void)state;
	loopback_run(continue_run, NULL);
}

static int use_tcp(void **state)
{
	(void)state;
	kind = STAGE_TCP;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_are_used_again),
		cmocka_unit_test(bodies_are_sent),
		cmocka_unit_test(origins_die_at_every_stage),
		cmocka_unit_test(a_dead_connection_is_not_the_calls_fault),
		cmocka_unit_test(wrong_answers_are_refused),
		cmocka_unit_test(an_unasked_response_ends_the_connection),
		cmocka_unit_test(interim_responses_are_passed_on),
		cmocka_unit_test(bodies_wait_for_100),
	};
	int failed;

	kind = STAGE_MEMORY;
	failed = cmocka_run_group_tests_name("http_client, memory", tests, NULL, NULL);
	return failed + cmocka_run_group_tests_name("http_client, tcp", tests, use_tcp, NULL);
}
