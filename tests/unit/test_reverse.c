/* SPDX-License-Identifier: MIT */
/* The reverse proxy service, in front of origins that follow scripts. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/metrics.h>
#include <weir/reverse.h>

#include "loopback.h"
#include "origin.h"

#define ORIGINS	     3
#define OK	     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define SAYS(status) "HTTP/1.1 " status " Said\r\nContent-Length: 3\r\n\r\nbad"

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

struct fixture {
	struct origin origins[ORIGINS];
	struct weir_endpoint_conf endpoints[ORIGINS];
	struct weir_upstream_conf group;
	struct weir_upstream *upstream;
	struct weir_reverse_conf conf;
	struct weir_http_service *svc;
	struct weir_metrics *metrics;
	size_t n;
};

static void fixture_init(struct fixture *f, size_t n)
{
	memset(f, 0, sizeof(*f));
	f->n = n;
	for (size_t i = 0; i < n; i++) {
		origin_init(&f->origins[i], STAGE_MEMORY);
		f->endpoints[i].target.address = loopback_address((uint16_t)(ORIGIN_PORT + i));
	}
	f->group.name = "app";
	f->group.endpoints = f->endpoints;
	f->group.n_endpoints = n;
	f->conf.retry.backoff_ms = 1;
	f->conf.retry.backoff_max_ms = 1;
}

static void fixture_open(struct fixture *f)
{
	f->metrics = weir_metrics_new(1);
	f->upstream = weir_upstream_new(&f->group, NULL);
	assert_non_null(f->upstream);
	f->conf.upstream = f->upstream;
	f->conf.metrics = f->metrics;
	f->conf.client.connector = origin_connector(f->origins, f->n);
	f->svc = weir_http_reverse_service(&f->conf, NULL);
	assert_non_null(f->svc);
}

static void on_info(void *ctx, const struct weir_endpoint_info *info)
{
	struct weir_endpoint_info *infos = ctx;

	infos[weir_address_port(&info->address) - ORIGIN_PORT] = *info;
}

static struct weir_endpoint_info endpoint(struct fixture *f, size_t i)
{
	struct weir_endpoint_info infos[ORIGINS];

	weir_upstream_each(f->upstream, on_info, infos);
	return infos[i];
}

static void fixture_close(struct fixture *f)
{
	/* Every place was given back. */
	for (size_t i = 0; i < f->n; i++)
		assert_int_equal(endpoint(f, i).active, 0);
	weir_http_service_free(f->svc);
	for (size_t i = 0; i < f->n; i++)
		origin_fini(&f->origins[i]);
	weir_breaker_put(f->conf.breaker);
	weir_upstream_put(f->upstream);
	weir_metrics_free(f->metrics);
}

/* What a call is, and what has come of it. */
struct visit {
	const char *method; /* GET */
	const char *body;
	const char *cookie;
	int status;
	int body_status;
	unsigned code;
	unsigned attempts;
	unsigned port;
	const char *why;
	char text[200];
	char set_cookie[200];
};

static void visit_ask(const struct visit *visit, struct weir_call *call)
{
	struct weir_request *request = &call->request;

	request->method_text = weir_text_of(visit->method ? visit->method : "GET");
	request->method = weir_method_parse(request->method_text);
	request->scheme = WEIR_TEXT("http");
	request->authority = WEIR_TEXT("app.example");
	request->path = WEIR_TEXT("/");
	request->keep_alive = true;
	if (visit->cookie)
		assert_int_equal(weir_headers_add_id(&request->headers, WEIR_HEADER_COOKIE,
						     weir_text_of(visit->cookie)),
				 0);
	if (!visit->body)
		return;
	request->body = weir_text_body(&call->arena, weir_text_of(visit->body));
	assert_non_null(request->body);
}

static void visit_read(struct visit *visit, struct weir_call *call)
{
	struct weir_text cookie =
		weir_headers_value(&call->response.headers, WEIR_HEADER_SET_COOKIE);
	struct weir_buffer body = { 0 };

	visit->code = call->response.status;
	snprintf(visit->set_cookie, sizeof(visit->set_cookie), "%.*s", WEIR_TEXT_ARGS(cookie));
	if (!call->response.body)
		return;
	visit->body_status = weir_body_read_all(call->response.body, &body, 1 << 20);
	snprintf(visit->text, sizeof(visit->text), "%.*s", (int)weir_buffer_size(&body),
		 body.data ? weir_buffer_head(&body) : "");
	weir_buffer_fini(&body);
}

static void visit_run(struct fixture *f, struct visit *visit)
{
	struct weir_call call;

	weir_call_init(&call, NULL);
	visit_ask(visit, &call);
	visit->status = weir_handle(f->svc, &call);
	if (!visit->status)
		visit_read(visit, &call);
	visit->attempts = call.result.attempts;
	visit->port = weir_address_port(&call.result.endpoint);
	visit->why = call.result.why;
	assert_string_equal(call.result.upstream, "app");
	weir_call_fini(&call);
}

static struct visit get(struct fixture *f)
{
	struct visit visit = { 0 };

	visit_run(f, &visit);
	return visit;
}

/* A counter, as people read it. */
static int64_t counted(struct fixture *f, const char *family, const char *label)
{
	struct weir_buffer out = { 0 };
	char line[200];
	const char *at;
	int64_t value = 0;

	snprintf(line, sizeof(line), "%s{upstream=\"app\"%s%s} ", family, *label ? "," : "", label);
	assert_int_equal(weir_metrics_format(f->metrics, &out), 0);
	assert_int_equal(weir_buffer_append(&out, "", 1), 0);
	at = strstr(weir_buffer_head(&out), line);
	if (at)
		value = strtoll(at + strlen(line), NULL, 10);
	weir_buffer_fini(&out);
	return value;
}

/* ------------------------------------------------------------------------------------------
 * Retries
 */

struct row {
	const char *name;
	const struct origin_step *first, *second; /* scripts of the first two origins */
	struct weir_retry_conf retry;
	struct visit visit;
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
	{ "500 is no reason", says_500, answers, { .on = ON_STATUS }, { 0 }, 0, 500, 1, 1, NULL },
	{ "slow",
	  stalls,
	  answers,
	  { .on = WEIR_RETRY_TIMEOUT, .try_ms = 20 },
	  { 0 },
	  0,
	  200,
	  2,
	  2,
	  "timeout" },
	{ "slow, not asked for", stalls, answers, { .try_ms = 20 }, { 0 }, -ETIMEDOUT, 0, 1, 1, NULL },
};

static int row_run(void *arg)
{
	const struct row *row = arg;
	struct visit visit = row->visit;
	struct fixture f;
	char label[40];

	fixture_init(&f, 2);
	f.group.balance = WEIR_BALANCE_ROUND_ROBIN;
	/* The first one is first: the other one is a backup. */
	f.endpoints[1].backup = true;
	f.conf.retry = row->retry;
	f.conf.retry.backoff_ms = 1;
	origin_script(&f.origins[0], row->first);
	origin_script(&f.origins[1], row->second);
	fixture_open(&f);
	visit_run(&f, &visit);
	if (visit.status == -EPIPE)
		visit.status = -ECONNRESET;
	if (visit.status != row->status || visit.code != row->code ||
	    visit.attempts != row->attempts ||
	    f.origins[0].connects + f.origins[1].connects != row->connects)
		fail_msg("%s: %d, %u, %u attempts, %u + %u connects", row->name, visit.status,
			 visit.code, visit.attempts, f.origins[0].connects, f.origins[1].connects);
	if (visit.code == 200)
		assert_string_equal(visit.text, "ok");
	if (visit.status)
		assert_non_null(visit.why);
	snprintf(label, sizeof(label), "reason=\"%s\"", row->reason ? row->reason : "");
	assert_int_equal(counted(&f, "weir_http_upstream_retries_total", label),
			 row->reason != NULL);
	fixture_close(&f);
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
	struct fixture f;

	(void)arg;
	/* With no other endpoint, the same one again. */
	fixture_init(&f, 1);
	origin_script(&f.origins[0], resets);
	origin_script(&f.origins[0], answers);
	fixture_open(&f);
	assert_int_equal(get(&f).code, 200);
	assert_int_equal(f.origins[0].connects, 2);
	fixture_close(&f);
	return 0;
}

static void the_only_endpoint_is_tried_again(void **state)
{
	(void)state;
	loopback_run(alone_run, NULL);
}

static int total_run(void *arg)
{
	struct visit visit;
	struct fixture f;

	(void)arg;
	fixture_init(&f, 1);
	f.conf.total_ms = 30;
	f.conf.retry.on = WEIR_RETRY_TIMEOUT | WEIR_RETRY_RESET;
	f.conf.retry.attempts = 5;
	origin_script(&f.origins[0], stalls);
	origin_script(&f.origins[0], stalls_amid_body);
	fixture_open(&f);
	visit = get(&f);
	assert_int_equal(visit.status, -ETIMEDOUT);
	assert_string_equal(visit.why, "total_timeout");
	assert_int_equal(f.origins[0].connects, 1);
	assert_int_equal(endpoint(&f, 0).failures, 1);
	visit = get(&f);
	assert_int_equal(visit.code, 200);
	assert_int_equal(visit.body_status, -ETIMEDOUT);
	fixture_close(&f);
	return 0;
}

static void all_of_it_has_a_limit(void **state)
{
	(void)state;
	loopback_run(total_run, NULL);
}

static int broken_run(void *arg)
{
	struct visit visit;
	struct fixture f;

	(void)arg;
	fixture_init(&f, 2);
	f.group.ejection.failures = 1;
	f.endpoints[1].backup = true;
	origin_script(&f.origins[0], breaks_body);
	origin_script(&f.origins[1], answers);
	fixture_open(&f);
	visit = get(&f);
	assert_int_equal(visit.code, 200);
	assert_int_equal(visit.body_status, WEIR_EPROTO);
	assert_int_equal(counted(&f, "weir_http_upstream_broken_bodies_total", ""), 1);
	assert_int_equal(endpoint(&f, 0).state, WEIR_ENDPOINT_EJECTED);
	assert_int_equal(get(&f).port, ORIGIN_PORT + 1);
	fixture_close(&f);
	return 0;
}

static void a_broken_body_is_seen(void **state)
{
	(void)state;
	loopback_run(broken_run, NULL);
}

static int outlier_run(void *arg)
{
	struct fixture f;

	(void)arg;
	fixture_init(&f, 2);
	f.group.ejection.gateway_errors = 3;
	f.endpoints[1].backup = true;
	origin_script(&f.origins[0], says_503);
	origin_script(&f.origins[1], answers);
	fixture_open(&f);
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(get(&f).code, 503);
	assert_int_equal(endpoint(&f, 0).state, WEIR_ENDPOINT_EJECTED);
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(get(&f).code, 200);
	assert_int_equal(f.origins[0].connects, 1);
	assert_int_equal(f.origins[1].connects, 1);
	assert_int_equal(counted(&f, "weir_http_upstream_requests_total", "code=\"5xx\""), 3);
	assert_int_equal(counted(&f, "weir_http_upstream_requests_total", "code=\"2xx\""), 3);
	fixture_close(&f);
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

struct guest {
	struct fixture *f;
	struct visit visit;
};

static int guest_run(void *arg)
{
	struct guest *guest = arg;

	visit_run(guest->f, &guest->visit);
	return 0;
}

static int abort_run(void *arg)
{
	const uint64_t *hedge_ms = arg;
	struct guest guest = { 0 };
	struct weir_scope scope;
	struct fixture f;

	fixture_init(&f, 2);
	f.conf.hedge.delay_ms = *hedge_ms;
	origin_script(&f.origins[0], stalls);
	origin_script(&f.origins[1], stalls);
	fixture_open(&f);
	guest.f = &f;
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guest, NULL), 0);
	assert_int_equal(weir_task_sleep_ms(30), 0);
	assert_int_equal(f.origins[0].connects + f.origins[1].connects, *hedge_ms ? 2 : 1);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(guest.visit.status, -ECANCELED);
	assert_int_equal(weir_task_sleep_ms(5), 0);
	assert_int_equal(f.origins[0].ended + f.origins[1].ended, *hedge_ms ? 2 : 1);
	/* Nobody is blamed. */
	assert_int_equal(endpoint(&f, 0).failures + endpoint(&f, 1).failures, 0);
	fixture_close(&f);
	return 0;
}

static void a_client_that_goes_takes_all_with_it(void **state)
{
	uint64_t hedge_ms[] = { 0, 5 };

	(void)state;
	loopback_run(abort_run, &hedge_ms[0]);
	loopback_run(abort_run, &hedge_ms[1]);
}

/* ------------------------------------------------------------------------------------------
 * Hedging
 */

static const struct origin_step slow_answer[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_SLEEP, NULL, 30 },
	{ ORIGIN_WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow", 0 },
	{ ORIGIN_STALL, NULL, 0 },
};
static const struct origin_step slow_reset[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_SLEEP, NULL, 20 },
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
	struct visit visit = { .method = hedge->method };
	struct fixture f;

	fixture_init(&f, 2);
	f.endpoints[1].backup = true;
	f.conf.hedge.delay_ms = 10;
	origin_script(&f.origins[0], hedge->first);
	origin_script(&f.origins[1], hedge->second);
	fixture_open(&f);
	visit_run(&f, &visit);
	assert_int_equal(visit.status, hedge->status);
	assert_string_equal(visit.text, hedge->text);
	assert_int_equal(visit.attempts, hedge->attempts);
	assert_int_equal(counted(&f, "weir_http_upstream_hedges_total", "result=\"won\""),
			 hedge->won);
	assert_int_equal(counted(&f, "weir_http_upstream_hedges_total", "result=\"lost\""),
			 hedge->lost);
	fixture_close(&f);
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
	struct visit visit;
	struct fixture f;

	(void)arg;
	fixture_init(&f, 1);
	f.conf.breaker = weir_breaker_new(&limits);
	origin_script(&f.origins[0], stalls);
	origin_script(&f.origins[0], stalls);
	origin_script(&f.origins[0], answers);
	fixture_open(&f);
	weir_scope_init(&scope, NULL);
	for (size_t i = 0; i < 2; i++) {
		guests[i].f = &f;
		assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guests[i], NULL), 0);
	}
	assert_int_equal(weir_task_sleep_ms(5), 0);
	visit = get(&f);
	assert_int_equal(visit.status, WEIR_ELIMIT);
	assert_string_equal(visit.why, "circuit_breaker");
	assert_int_equal(counted(&f, "weir_http_upstream_refused_total", "limit=\"calls\""), 1);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(get(&f).code, 200);
	fixture_close(&f);
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
	struct visit visit;
	struct fixture f;

	(void)arg;
	fixture_init(&f, 1);
	f.conf.breaker = weir_breaker_new(&limits);
	f.conf.client.max_connections = 1;
	origin_script(&f.origins[0], stalls);
	fixture_open(&f);
	weir_scope_init(&scope, NULL);
	for (size_t i = 0; i < 2; i++) {
		guests[i].f = &f;
		assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guests[i], NULL), 0);
		assert_int_equal(weir_task_sleep_ms(5), 0);
	}
	/* The first has the connection, the second waits for it, the third is one too many. */
	visit = get(&f);
	assert_int_equal(visit.status, WEIR_ELIMIT);
	assert_int_equal(counted(&f, "weir_http_upstream_refused_total", "limit=\"pending\""), 1);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	fixture_close(&f);
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
	struct visit first, again = { 0 }, wrong = { .cookie = "WEIRID=4711" };
	struct fixture f;
	char cookie[64];

	(void)arg;
	fixture_init(&f, 3);
	for (size_t i = 0; i < 3; i++)
		origin_script(&f.origins[i], answers);
	f.conf.sticky.mode = WEIR_STICKY_COOKIE;
	f.conf.sticky.max_age_s = 60;
	f.conf.sticky.secure = true;
	fixture_open(&f);
	first = get(&f);
	assert_int_equal(strncmp(first.set_cookie, "WEIRID=", 7), 0);
	assert_string_equal(strchr(first.set_cookie, ';'),
			    "; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
	snprintf(cookie, sizeof(cookie), "a=b; %.23s", first.set_cookie);
	again.cookie = cookie;
	for (unsigned k = 0; k < 5; k++) {
		again.set_cookie[0] = '\0';
		visit_run(&f, &again);
		assert_int_equal(again.port, first.port);
		assert_string_equal(again.set_cookie, "");
	}
	/* Its endpoint goes: another one, and the client is told. */
	assert_int_equal(weir_upstream_set_draining(
				 f.upstream, endpoint(&f, first.port - ORIGIN_PORT).name, true),
			 0);
	visit_run(&f, &again);
	assert_int_not_equal(again.port, first.port);
	assert_int_equal(strncmp(again.set_cookie, "WEIRID=", 7), 0);
	assert_int_not_equal(strncmp(again.set_cookie, first.set_cookie, 23), 0);
	visit_run(&f, &wrong);
	assert_int_equal(wrong.code, 200);
	assert_int_equal(strncmp(wrong.set_cookie, "WEIRID=", 7), 0);
	fixture_close(&f);
	return 0;
}

static void sessions_stick(void **state)
{
	(void)state;
	loopback_run(sticky_run, NULL);
}

static int hash_run(void *arg)
{
	struct visit a = { .cookie = "sid=alice" }, b = { .cookie = "x=1; sid=alice" };
	unsigned seen = 0;
	struct fixture f;

	(void)arg;
	fixture_init(&f, 3);
	for (size_t i = 0; i < 3; i++)
		origin_script(&f.origins[i], answers);
	f.group.balance = WEIR_BALANCE_MAGLEV;
	f.conf.hash.by = WEIR_HASH_COOKIE;
	f.conf.hash.name = "sid";
	fixture_open(&f);
	visit_run(&f, &a);
	visit_run(&f, &b);
	assert_int_equal(a.port, b.port);
	for (unsigned k = 0; k < 50; k++) {
		char cookie[32];
		struct visit c = { .cookie = cookie };

		snprintf(cookie, sizeof(cookie), "sid=%u", k);
		visit_run(&f, &c);
		seen |= 1u << (c.port - ORIGIN_PORT);
	}
	assert_int_equal(seen, 7);
	fixture_close(&f);
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
	struct fixture f;

	(void)arg;
	fixture_init(&f, 1);
	origin_script(&f.origins[0], answers);
	fixture_open(&f);
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
	fixture_close(&f);
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
		cmocka_unit_test(failures_are_repeated_elsewhere),
		cmocka_unit_test(the_only_endpoint_is_tried_again),
		cmocka_unit_test(all_of_it_has_a_limit),
		cmocka_unit_test(a_broken_body_is_seen),
		cmocka_unit_test(outliers_are_ejected_and_backups_serve),
		cmocka_unit_test(a_client_that_goes_takes_all_with_it),
		cmocka_unit_test(the_first_response_wins),
		cmocka_unit_test(the_breaker_bounds_calls),
		cmocka_unit_test(the_breaker_bounds_waiting),
		cmocka_unit_test(sessions_stick),
		cmocka_unit_test(calls_are_hashed),
		cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests_name("reverse", tests, NULL, NULL);
}
