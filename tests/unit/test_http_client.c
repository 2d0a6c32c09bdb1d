/* SPDX-License-Identifier: MIT */
/* The HTTP client against an origin that follows a script and dies at every stage. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/http_client.h>
#include <weir/http_server.h>

#include "loopback.h"
#include "origin.h"

#define OK    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define NONE  "HTTP/1.1 204 No Content\r\n\r\n"
#define LEN10 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"

static enum stage_kind kind;

struct fixture {
	struct origin origin;
	struct weir_http_client *client;
	struct weir_http_client_conf conf;
	struct weir_target to;
	unsigned informed; /* interim responses passed on */
	unsigned last_informed;
};

static struct fixture *informed_fixture;

static int on_inform(struct weir_call *call, unsigned status, const struct weir_headers *headers)
{
	(void)call;
	assert_non_null(headers);
	informed_fixture->informed++;
	informed_fixture->last_informed = status;
	return 0;
}

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	origin_init(&f->origin, kind);
	informed_fixture = f;
}

static void fixture_open(struct fixture *f)
{
	f->to = (struct weir_target){ .address = loopback_address(80), .port = 80 };
	f->conf.connector = origin_connector(&f->origin, 1);
	f->client = weir_http_client_new(&f->conf, NULL);
	assert_non_null(f->client);
}

static void fixture_close(struct fixture *f)
{
	weir_http_client_free(f->client);
	origin_fini(&f->origin);
}

/* What a call is and what has come of it. */
struct deal {
	const char *method; /* GET */
	const char *body;   /* NULL: none */
	bool chunked;
	bool expects;
	const char *upgrade;
	/* Results. */
	int status;	 /* of the exchange */
	int body_status; /* of reading the response's body */
	unsigned code;
	unsigned attempts;
	bool sent;
	const char *why;
	char text[4096];
};

static void deal_ask(const struct deal *deal, struct weir_call *call)
{
	struct weir_request *request = &call->request;
	const char *method = deal->method ? deal->method : "GET";

	request->method = weir_method_parse(weir_text_of(method));
	request->method_text = weir_text_of(method);
	request->scheme = WEIR_TEXT("http");
	request->authority = WEIR_TEXT("origin.example");
	request->path = WEIR_TEXT("/a");
	request->keep_alive = true;
	request->expects_continue = deal->expects;
	if (deal->expects)
		assert_int_equal(weir_headers_add_id(&request->headers, WEIR_HEADER_EXPECT,
						     WEIR_TEXT("100-continue")),
				 0);
	request->upgrade = weir_text_of(deal->upgrade);
	if (!deal->body)
		return;
	request->body = weir_text_body(&call->arena, weir_text_of(deal->body));
	assert_non_null(request->body);
	if (deal->chunked)
		request->body->size = WEIR_BODY_UNKNOWN;
}

static void deal_read(struct deal *deal, struct weir_call *call)
{
	struct weir_buffer body = { 0 };

	deal->code = call->response.status;
	if (!call->response.body)
		return;
	deal->body_status = weir_body_read_all(call->response.body, &body, 1 << 20);
	snprintf(deal->text, sizeof(deal->text), "%.*s", (int)weir_buffer_size(&body),
		 body.data ? weir_buffer_head(&body) : "");
	weir_buffer_fini(&body);
}

static void deal_run(struct fixture *f, struct deal *deal)
{
	struct weir_call call;

	weir_call_init(&call, NULL);
	call.inform = on_inform;
	deal_ask(deal, &call);
	deal->status = weir_http_client_exchange(f->client, &call, &f->to);
	deal->attempts = call.result.attempts;
	deal->why = call.result.why;
	if (!deal->status)
		deal_read(deal, &call);
	deal->sent = weir_http_client_has_sent(&call);
	weir_call_fini(&call);
}

static struct deal get(struct fixture *f)
{
	struct deal deal = { 0 };

	deal_run(f, &deal);
	return deal;
}

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
	struct fixture f;
	struct deal deal;

	(void)arg;
	fixture_init(&f);
	origin_script(&f.origin, keeps);
	fixture_open(&f);
	deal = get(&f);
	assert_int_equal(deal.status, 0);
	assert_int_equal(deal.code, 200);
	assert_string_equal(deal.text, "ok");
	deal = get(&f);
	assert_int_equal(deal.code, 204);
	deal = get(&f);
	assert_int_equal(deal.status, 0);
	assert_string_equal(deal.text, "abcde");
	deal = get(&f);
	assert_string_equal(deal.text, "x");
	assert_int_equal(f.origin.connects, 1);
	assert_true(deal.sent);
	/* That one was to be the last. */
	deal = get(&f);
	assert_int_equal(f.origin.connects, 2);
	assert_string_equal(deal.text, "ok");
	assert_non_null(strstr(origin_seen(&f.origin), "GET /a HTTP/1.1\r\n"));
	assert_non_null(strstr(origin_seen(&f.origin), "\r\nHost: origin.example\r\n"));
	fixture_close(&f);
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
	struct fixture f;

	(void)arg;
	fixture_init(&f);
	origin_script(&f.origin, takes_body);
	fixture_open(&f);
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
	fixture_close(&f);
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

#define CUT_BODY LEN10 "abc"

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
	struct fixture f;

	fixture_init(&f);
	origin_script(&f.origin, death->steps);
	fixture_open(&f);
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
	fixture_close(&f);
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
	struct fixture f;

	fixture_init(&f);
	origin_script(&f.origin, stale->first);
	origin_script(&f.origin, stale->second);
	fixture_open(&f);
	assert_int_equal(get(&f).code, 200);
	deal_run(&f, &deal);
	if (deal.status == -EPIPE)
		deal.status = -ECONNRESET;
	assert_int_equal(deal.status, stale->status);
	assert_int_equal(deal.attempts, stale->attempts);
	assert_int_equal(f.origin.connects, stale->connects);
	if (!deal.status)
		assert_string_equal(deal.text, "ok");
	fixture_close(&f);
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
	struct fixture f;
	struct deal deal;

	fixture_init(&f);
	origin_script(&f.origin, script);
	fixture_open(&f);
	deal = get(&f);
	if (deal.status != WEIR_EPROTO || !deal.why)
		fail_msg("%s: got %d", (const char *)arg, deal.status);
	deal = get(&f);
	assert_int_equal(f.origin.connects, 2);
	fixture_close(&f);
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
	struct fixture f;

	fixture_init(&f);
	origin_script(&f.origin, arg);
	origin_script(&f.origin, answers_get);
	fixture_open(&f);
	assert_int_equal(get(&f).status, 0);
	assert_int_equal(weir_task_sleep_ms(20), 0);
	/* What nobody has asked for answers nobody. */
	assert_string_equal(get(&f).text, "ok");
	assert_int_equal(f.origin.connects, 2);
	fixture_close(&f);
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
	struct fixture f;
	struct deal deal;

	(void)arg;
	fixture_init(&f);
	origin_script(&f.origin, hints);
	origin_script(&f.origin, storm);
	fixture_open(&f);
	deal = get(&f);
	assert_int_equal(deal.code, 200);
	assert_string_equal(deal.text, "ok");
	assert_int_equal(f.informed, 2); /* 100 is nobody's who has not asked */
	assert_int_equal(f.last_informed, 102);
	assert_int_equal(get(&f).code, 200);
	assert_int_equal(f.origin.connects, 1);
	fixture_close(&f);
	fixture_init(&f);
	origin_script(&f.origin, storm);
	fixture_open(&f);
	deal = get(&f);
	assert_int_equal(deal.status, WEIR_EPROTO);
	assert_in_range(f.informed, 10, 40);
	fixture_close(&f);
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
	struct fixture f;

	(void)arg;
	fixture_init(&f);
	f.conf.continue_ms = 20;
	origin_script(&f.origin, continues);
	origin_script(&f.origin, answers_get);
	fixture_open(&f);
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
	assert_int_equal(get(&f).status, 0);
	assert_int_equal(f.origin.connects, 2);
	fixture_close(&f);
	return 0;
}

static void bodies_wait_for_100(void **state)
{
	(void)state;
	loopback_run(continue_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Large bodies: the pump
 */

/* Sizes that fit no buffer, one piece after the other. */
struct endless {
	struct weir_body body;
	uint64_t left;
	int fails; /* with this at the end; 0: it ends */
	char piece[1000];
};

static int endless_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct endless *endless = weir_container_of(body, struct endless, body);
	size_t n = WEIR_MIN(endless->left, sizeof(endless->piece));

	(void)wait;
	if (n == 0)
		return endless->fails;
	memset(endless->piece, 'b', n);
	endless->left -= n;
	*piece = (struct iovec){ endless->piece, n };
	return 1;
}

static void endless_free(struct weir_body *body)
{
	(void)body;
}

static const struct weir_body_ops endless_ops = {
	.name = "endless",
	.next = endless_next,
	.free = endless_free,
};

#define LARGE (16u << 20) /* more than a socket and its peer hold */

static const struct origin_step takes_large[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_READ, NULL, LARGE }, { ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_READ_HEAD, NULL, 0 }, { ORIGIN_WRITE, OK, 0 },	     { ORIGIN_STALL, NULL, 0 },
};

/* Answers before the body has come, and takes no more of it. */
static const struct origin_step answers_early[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_READ, NULL, 100 },
	{ ORIGIN_WRITE, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", 0 },
	{ ORIGIN_SLEEP, NULL, 5000 },
	{ ORIGIN_CLOSE, NULL, 0 },
};

static const struct origin_step answers_and_ends[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_READ, NULL, 100 },
	{ ORIGIN_WRITE, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", 0 },
	{ ORIGIN_CLOSE, NULL, 0 },
};

static const struct origin_step takes_nothing[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_SLEEP, NULL, 5000 },
	{ ORIGIN_CLOSE, NULL, 0 },
};

struct upload {
	const struct origin_step *script;
	int fails;
	int status;
	unsigned code;
	unsigned connects; /* with a GET that follows */
	bool broke_source;
};

static const struct upload uploads[] = {
	{ takes_large, 0, 0, 200, 1, false },	   { answers_early, 0, 0, 413, 2, false },
	{ answers_and_ends, 0, 0, 413, 2, false }, { takes_nothing, 0, -ETIMEDOUT, 0, 2, false },
	{ takes_large, -EIO, -EIO, 0, 2, true },
};

static int upload_run(void *arg)
{
	const struct upload *upload = arg;
	struct endless endless = {
		.body = { .ops = &endless_ops, .size = LARGE },
		.left = upload->fails ? LARGE / 2 : LARGE,
		.fails = upload->fails,
	};
	struct deal deal = { .method = "POST" };
	struct weir_call call;
	struct fixture f;

	fixture_init(&f);
	/* The one for streams that hold it up, the other for sockets that hold all of it. */
	f.conf.body_idle_ms = 200;
	f.conf.first_byte_ms = 200;
	origin_script(&f.origin, upload->script);
	origin_script(&f.origin, answers_get);
	fixture_open(&f);
	weir_call_init(&call, NULL);
	deal_ask(&deal, &call);
	call.request.body = &endless.body;
	deal.status = weir_http_client_exchange(f.client, &call, &f.to);
	assert_int_equal(deal.status, upload->status);
	assert_int_equal(weir_http_client_broke_source(&call), upload->broke_source);
	if (!deal.status)
		deal_read(&deal, &call);
	assert_int_equal(deal.code, upload->code);
	assert_int_equal(deal.body_status, 0);
	weir_call_fini(&call);
	deal = get(&f);
	if (deal.status || f.origin.connects != upload->connects)
		fail_msg("row %zu: %d, %u connects", (size_t)(upload - uploads), deal.status,
			 f.origin.connects);
	fixture_close(&f);
	return 0;
}

static void large_bodies_are_pumped(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(uploads); i++)
		loopback_run(upload_run, (void *)(uintptr_t)&uploads[i]);
}

/* ------------------------------------------------------------------------------------------
 * Time, cancelling, leaving bodies unread
 */

static const struct origin_step says_nothing[] = { { ORIGIN_STALL, NULL, 0 } };
static const struct origin_step stalls_amid_body[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, CUT_BODY, 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static int timeouts_run(void *arg)
{
	struct fixture f;
	struct deal deal;

	(void)arg;
	fixture_init(&f);
	f.conf.first_byte_ms = 20;
	f.conf.body_idle_ms = 20;
	origin_script(&f.origin, says_nothing);
	origin_script(&f.origin, stalls_amid_body);
	fixture_open(&f);
	assert_int_equal(get(&f).status, -ETIMEDOUT);
	deal = get(&f);
	assert_int_equal(deal.status, 0);
	assert_int_equal(deal.body_status, -ETIMEDOUT);
	fixture_close(&f);
	return 0;
}

static void slow_origins_time_out(void **state)
{
	(void)state;
	loopback_run(timeouts_run, NULL);
}

static int cancelled_task(void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(get(f).status, -ECANCELED);
	return 0;
}

static int cancel_run(void *arg)
{
	struct weir_scope scope;
	struct weir_call call;
	struct deal deal = { 0 };
	struct fixture f;

	(void)arg;
	fixture_init(&f);
	origin_script(&f.origin, says_nothing);
	origin_script(&f.origin, stalls_amid_body);
	fixture_open(&f);
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "call", cancelled_task, &f, NULL), 0);
	assert_int_equal(weir_task_sleep_ms(20), 0);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	/* The origin sees the end: its script is over. */
	assert_int_equal(weir_task_sleep_ms(20), 0);
	assert_int_equal(f.origin.ended, 1);
	/* And when a body is not read to its end. */
	weir_call_init(&call, NULL);
	deal_ask(&deal, &call);
	assert_int_equal(weir_http_client_exchange(f.client, &call, &f.to), 0);
	weir_call_fini(&call);
	assert_int_equal(weir_task_sleep_ms(20), 0);
	assert_int_equal(f.origin.ended, 2);
	fixture_close(&f);
	return 0;
}

static void cancelling_closes_the_connection(void **state)
{
	(void)state;
	loopback_run(cancel_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Tunnels
 */

static const struct origin_step upgrades[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE,
	  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly",
	  0 },
	{ ORIGIN_READ, NULL, 4 },
	{ ORIGIN_WRITE, "pong", 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static int tunnel_run(void *arg)
{
	struct deal deal = { .upgrade = "echo" };
	struct weir_call call;
	struct fixture f;
	char text[4];

	(void)arg;
	fixture_init(&f);
	f.conf.max_connections = 1;
	f.conf.queue_ms = 10;
	origin_script(&f.origin, upgrades);
	fixture_open(&f);
	weir_call_init(&call, NULL);
	deal_ask(&deal, &call);
	assert_int_equal(weir_http_client_exchange(f.client, &call, &f.to), 0);
	assert_int_equal(call.response.status, 101);
	assert_non_null(call.tunnel);
	assert_int_equal(call.tunnel->early.size, 5);
	assert_memory_equal(call.tunnel->early.data, "early", 5);
	assert_int_equal(weir_stream_write(call.tunnel->stream, "ping", 4), 0);
	assert_int_equal(weir_stream_read_full(call.tunnel->stream, text, 4), 0);
	assert_memory_equal(text, "pong", 4);
	/* It keeps its place. */
	assert_int_equal(get(&f).status, WEIR_EQUEUE);
	weir_call_fini(&call);
	assert_int_equal(weir_task_sleep_ms(20), 0);
	assert_int_equal(f.origin.ended, 1);
	fixture_close(&f);
	return 0;
}

static void a_101_makes_a_tunnel(void **state)
{
	(void)state;
	loopback_run(tunnel_run, NULL);
}

static int service_run(void *arg)
{
	struct weir_http_service *svc;
	struct deal deal = { 0 };
	struct weir_call call;
	struct fixture f;

	(void)arg;
	fixture_init(&f);
	origin_script(&f.origin, answers_get);
	fixture_open(&f);
	svc = weir_http_client_service(f.client, &f.to, NULL);
	assert_non_null(svc);
	weir_call_init(&call, NULL);
	deal_ask(&deal, &call);
	assert_int_equal(weir_handle(svc, &call), 0);
	assert_int_equal(call.response.status, 200);
	assert_int_equal(call.result.attempts, 1);
	assert_true(call.result.connect_ns > 0);
	assert_true(call.result.first_byte_ns > 0);
	assert_int_equal(weir_address_port(&call.result.endpoint), 80);
	weir_call_fini(&call);
	weir_http_service_free(svc);
	origin_fini(&f.origin);
	assert_null(weir_http_client_service(NULL, &f.to, NULL));
	assert_null(weir_http_client_new(&(struct weir_http_client_conf){ 0 }, NULL));
	return 0;
}

static void a_client_is_a_service(void **state)
{
	(void)state;
	loopback_run(service_run, NULL);
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
		cmocka_unit_test(large_bodies_are_pumped),
		cmocka_unit_test(slow_origins_time_out),
		cmocka_unit_test(cancelling_closes_the_connection),
		cmocka_unit_test(a_101_makes_a_tunnel),
		cmocka_unit_test(a_client_is_a_service),
	};
	int failed;

	kind = STAGE_MEMORY;
	failed = cmocka_run_group_tests_name("http_client, memory", tests, NULL, NULL);
	return failed + cmocka_run_group_tests_name("http_client, tcp", tests, use_tcp, NULL);
}
