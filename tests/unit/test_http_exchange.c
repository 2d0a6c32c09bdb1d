/* SPDX-License-Identifier: MIT */
/* The client's exchanges: large bodies, time, cancelling, tunnels. */

#include "http_deal.h"

static enum stage_kind kind;

static const struct origin_step answers_get[] = {
	{ ORIGIN_READ_HEAD, NULL, 0 },
	{ ORIGIN_WRITE, OK, 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

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
	struct deal_rig f;

	deal_rig_init(&f, kind);
	/* The one for streams that hold it up, the other for sockets that hold all of it. */
	if (upload->status == -ETIMEDOUT) {
		f.conf.body_idle_ms = 100;
		f.conf.first_byte_ms = 100;
	}
	origin_script(&f.origin, upload->script);
	origin_script(&f.origin, answers_get);
	deal_rig_open(&f);
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
	deal = deal_get(&f);
	if (deal.status || f.origin.connects != upload->connects)
		fail_msg("row %zu: %d, %u connects", (size_t)(upload - uploads), deal.status,
			 f.origin.connects);
	deal_rig_close(&f);
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
	struct deal_rig f;
	struct deal deal;

	(void)arg;
	deal_rig_init(&f, kind);
	f.conf.first_byte_ms = 100;
	f.conf.body_idle_ms = 100;
	origin_script(&f.origin, says_nothing);
	origin_script(&f.origin, stalls_amid_body);
	deal_rig_open(&f);
	assert_int_equal(deal_get(&f).status, -ETIMEDOUT);
	deal = deal_get(&f);
	assert_int_equal(deal.status, 0);
	assert_int_equal(deal.body_status, -ETIMEDOUT);
	deal_rig_close(&f);
	return 0;
}

static void slow_origins_time_out(void **state)
{
	(void)state;
	loopback_run(timeouts_run, NULL);
}

static int cancelled_task(void *arg)
{
	struct deal_rig *f = arg;

	assert_int_equal(deal_get(f).status, -ECANCELED);
	return 0;
}

static int cancel_run(void *arg)
{
	struct weir_scope scope;
	struct weir_call call;
	struct deal deal = { 0 };
	struct deal_rig f;

	(void)arg;
	deal_rig_init(&f, kind);
	origin_script(&f.origin, says_nothing);
	origin_script(&f.origin, stalls_amid_body);
	deal_rig_open(&f);
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "call", cancelled_task, &f, NULL), 0);
	origin_settle();
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	/* The origin sees the end: its script is over. */
	origin_settle();
	assert_int_equal(f.origin.ended, 1);
	/* And when a body is not read to its end. */
	weir_call_init(&call, NULL);
	deal_ask(&deal, &call);
	assert_int_equal(weir_http_client_exchange(f.client, &call, &f.to), 0);
	weir_call_fini(&call);
	origin_settle();
	assert_int_equal(f.origin.ended, 2);
	deal_rig_close(&f);
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
	struct deal_rig f;
	char text[4];

	(void)arg;
	deal_rig_init(&f, kind);
	f.conf.max_connections = 1;
	f.conf.queue_ms = 10;
	origin_script(&f.origin, upgrades);
	deal_rig_open(&f);
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
	assert_int_equal(deal_get(&f).status, WEIR_EQUEUE);
	weir_call_fini(&call);
	origin_settle();
	assert_int_equal(f.origin.ended, 1);
	deal_rig_close(&f);
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
	struct deal_rig f;

	(void)arg;
	deal_rig_init(&f, kind);
	origin_script(&f.origin, answers_get);
	deal_rig_open(&f);
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
		cmocka_unit_test(large_bodies_are_pumped),
		cmocka_unit_test(slow_origins_time_out),
		cmocka_unit_test(cancelling_closes_the_connection),
		cmocka_unit_test(a_101_makes_a_tunnel),
		cmocka_unit_test(a_client_is_a_service),
	};
	int failed;

	kind = STAGE_MEMORY;
	failed = cmocka_run_group_tests_name("http_exchange, memory", tests, NULL, NULL);
	return failed + cmocka_run_group_tests_name("http_exchange, tcp", tests, use_tcp, NULL);
}
