/* SPDX-License-Identifier: MIT */
/*
 * Bridges. Every case runs on copy, on splice and with the path chosen by behaviour; the cases
 * on sockets use both TCP over loopback and Unix sockets.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/bridge.h>
#include <weir/error.h>
#include <weir/scope.h>

#include "bridge_rig.h"
#include "loopback.h"

#define NS_PER_MS 1000000ull

/* ---- both ways at once, ends passed on ---- */

static int send_up(void *arg)
{
	struct rig *rig = arg;

	assert_int_equal(payload_send(rig->client, rig->up), 0);
	return weir_stream_shutdown(rig->client);
}

static int full_client(void *arg)
{
	struct rig *rig = arg;
	struct weir_scope scope;
	uint64_t got;

	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "send", send_up, rig, NULL), 0);
	assert_int_equal(payload_check(rig->client, &got), 0);
	assert_int_equal(got, rig->down);
	assert_int_equal(weir_scope_join(&scope), 0);
	weir_scope_fini(&scope);
	return 0;
}

static int send_down(void *arg)
{
	struct rig *rig = arg;

	assert_int_equal(payload_send(rig->origin, rig->down), 0);
	return weir_stream_shutdown(rig->origin);
}

static int full_origin(void *arg)
{
	struct rig *rig = arg;
	struct weir_scope scope;
	uint64_t got;

	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "send", send_down, rig, NULL), 0);
	assert_int_equal(payload_check(rig->origin, &got), 0);
	assert_int_equal(got, rig->up);
	assert_int_equal(weir_scope_join(&scope), 0);
	weir_scope_fini(&scope);
	return 0;
}

static void test_sizes(void **state)
{
	static const uint64_t sizes[][2] = {
		{ 0, 0 }, { 1, 0 }, { 0, 1 }, { 16384, 1 }, { 3000000, 100 }, { 2000000, 5000000 },
	};

	(void)state;
	EACH_VARIANT(v) {
		for (size_t i = 0; i < WEIR_ARRAY_SIZE(sizes); i++) {
			struct rig rig = { .client_fn = full_client,
					   .origin_fn = full_origin,
					   .up = sizes[i][0],
					   .down = sizes[i][1] };

			rig_run(&rig, v);
			assert_int_equal(rig.bridge_status, 0);
			assert_int_equal(rig.bridge.way[WEIR_UP].bytes, rig.up);
			assert_int_equal(rig.bridge.way[WEIR_DOWN].bytes, rig.down);
			assert_true(rig.bridge.end == WEIR_END_CLIENT ||
				    rig.bridge.end == WEIR_END_UPSTREAM);
		}
	}
}

/* Bulk moves to splice by itself, and only then. */
static void test_adaptive_uses_splice_for_bulk(void **state)
{
	struct rig rig = { .client_fn = full_client, .origin_fn = full_origin, .up = 20000000 };

	(void)state;
	rig_run(&rig, &variants[2]);
	assert_true(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SPLICE] > 0);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SPLICE] +
				 rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_COPY],
			 rig.up);
	assert_string_equal(rig.bridge.why, "the flow looks like bulk");
}

/* ---- half-close: the other direction goes on for long ---- */

static int half_client(void *arg)
{
	struct rig *rig = arg;
	uint64_t got;

	assert_int_equal(payload_send(rig->client, 1000), 0);
	assert_int_equal(weir_stream_shutdown(rig->client), 0);
	assert_int_equal(payload_check(rig->client, &got), 0);
	assert_int_equal(got, 500000);
	return 0;
}

static int half_origin(void *arg)
{
	struct rig *rig = arg;
	uint64_t got;

	assert_int_equal(payload_check(rig->origin, &got), 0);
	assert_int_equal(got, 1000);
	/* The end has arrived here; only now does the answer start. */
	assert_int_equal(weir_task_sleep_ms(10), 0);
	assert_int_equal(payload_send(rig->origin, 500000), 0);
	return weir_stream_shutdown(rig->origin);
}

static void test_half_close(void **state)
{
	(void)state;
	EACH_VARIANT(v) {
		struct rig rig = { .client_fn = half_client, .origin_fn = half_origin };

		rig_run(&rig, v);
		assert_int_equal(rig.bridge.end, WEIR_END_CLIENT);
	}
}

/* ---- resets ---- */

static int reset_client(void *arg)
{
	struct rig *rig = arg;

	assert_int_equal(payload_send(rig->client, 100), 0);
	assert_int_equal(weir_task_sleep_ms(10), 0);
	weir_stream_abort(rig->client);
	weir_stream_close(rig->client);
	rig->client = NULL;
	return 0;
}

static int reset_origin(void *arg)
{
	struct rig *rig = arg;
	uint64_t got;
	int status = payload_check(rig->origin, &got);

	assert_int_equal(got, 100);
	assert_int_equal(status, -ECONNRESET);
	return 0;
}

static void test_reset_is_passed_on(void **state)
{
	(void)state;
	EACH_VARIANT(v) {
		struct rig rig = { .client_fn = reset_client, .origin_fn = reset_origin };

		if (!v->tcp) /* a Unix socket knows no reset */
			continue;
		rig_run(&rig, v);
		assert_int_equal(rig.bridge.end, WEIR_END_CLIENT_RESET);
		assert_int_equal(rig.bridge_status, -ECONNRESET);
	}
}

static int stuck_origin(void *arg)
{
	struct rig *rig = arg;

	/* Reads nothing: the bridge is blocked on writing when the client resets. */
	assert_int_equal(weir_task_sleep_ms(200), 0);
	(void)rig;
	return 0;
}

static int flood_then_reset(void *arg)
{
	struct rig *rig = arg;
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, 60);
	weir_scope_enter(&scope);
	assert_int_equal(payload_send(rig->client, 1u << 30), -ETIMEDOUT);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	weir_stream_abort(rig->client);
	weir_stream_close(rig->client);
	rig->client = NULL;
	return 0;
}

static void test_reset_is_seen_while_blocked(void **state)
{
	(void)state;
	EACH_VARIANT(v) {
		struct rig rig = { .client_fn = flood_then_reset, .origin_fn = stuck_origin };

		if (!v->tcp)
			continue;
		rig.conf.idle_ms = 5000;
		rig_run(&rig, v);
		assert_int_equal(rig.bridge.end, WEIR_END_CLIENT_RESET);
	}
}

/* ---- a slow reader stops the sender, and loses nothing ---- */

static int slow_origin(void *arg)
{
	struct rig *rig = arg;
	char block[4096];
	uint64_t got = 0;

	assert_int_equal(weir_task_sleep_ms(100), 0);
	/* What the sender got rid of is bounded by socket buffers and the bridge. */
	assert_true(rig->client->bytes_written < rig->up);
	for (;;) {
		ssize_t n = weir_stream_read(rig->origin, block, sizeof(block));

		if (n <= 0) {
			assert_int_equal(n, 0);
			break;
		}
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(block[i], payload_byte(got + (uint64_t)i));
		got += (uint64_t)n;
	}
	assert_int_equal(got, rig->up);
	return weir_stream_shutdown(rig->origin);
}

static void test_slow_reader(void **state)
{
	(void)state;
	EACH_VARIANT(v) {
		struct rig rig = { .client_fn = full_client, .origin_fn = slow_origin };

		rig.up = 30000000;
		rig_run(&rig, v);
		assert_int_equal(rig.bridge_status, 0);
	}
}

/* ---- time, shutdown, operators ---- */

static int silent_peer(struct weir_stream *stream)
{
	char c;
	ssize_t n = weir_stream_read(stream, &c, 1);

	assert_true(n == 0 || n == -ECONNRESET);
	return 0;
}

static int silent_client(void *arg)
{
	return silent_peer(((struct rig *)arg)->client);
}

static int silent_origin(void *arg)
{
	return silent_peer(((struct rig *)arg)->origin);
}

static int talking_client(void *arg)
{
	struct rig *rig = arg;

	for (int i = 0; i < 1000; i++) {
		if (weir_stream_write(rig->client, "x", 1))
			break;
		assert_int_equal(weir_task_sleep_ms(5), 0);
	}
	return 0;
}

static int draining_origin(void *arg)
{
	struct rig *rig = arg;
	char block[64];
	ssize_t n;

	do {
		n = weir_stream_read(rig->origin, block, sizeof(block));
	} while (n > 0);
	return 0;
}

static void test_idle(void **state)
{
	(void)state;
	EACH_VARIANT(v) {
		struct rig rig = { .client_fn = silent_client, .origin_fn = silent_origin };

		rig.conf.idle_ms = 30;
		rig_run(&rig, v);
		assert_int_equal(rig.bridge.end, WEIR_END_IDLE);
		assert_int_equal(rig.bridge_status, WEIR_EIDLE);
	}
}

static void test_traffic_is_not_idle(void **state)
{
	(void)state;
	EACH_VARIANT(v) {
		struct rig rig = { .client_fn = talking_client, .origin_fn = draining_origin };

		rig.conf.idle_ms = 100;
		rig.conf.lifetime_ms = 300;
		rig_run(&rig, v);
		assert_int_equal(rig.bridge.end, WEIR_END_LIFETIME);
		assert_true(rig.bridge.active_ns - rig.bridge.started_ns > 150 * NS_PER_MS);
	}
}

static int cancelling_client(void *arg)
{
	struct rig *rig = arg;

	assert_int_equal(weir_task_sleep_ms(10), 0);
	weir_scope_cancel(&rig->scope);
	return silent_peer(rig->client);
}

static void test_shutdown(void **state)
{
	(void)state;
	EACH_VARIANT(v) {
		struct rig rig = { .client_fn = cancelling_client, .origin_fn = silent_origin };

		rig_run(&rig, v);
		assert_int_equal(rig.bridge.end, WEIR_END_SHUTDOWN);
	}
}

static int operating_client(void *arg)
{
	struct rig *rig = arg;
	char c = 0;

	rig->bridge.id = 7;
	for (int i = 0; i < 20; i++) {
		struct weir_bridge *flow = weir_flow_find(weir_loop_current(), 7);

		assert_ptr_equal(flow, &rig->bridge);
		assert_int_equal(weir_flow_set_path(flow, WEIR_PATH_SOCKMAP), -EOPNOTSUPP);
		assert_int_equal(weir_flow_set_path(flow, (enum weir_path)(i % 2)), 0);
		assert_int_equal(weir_stream_write(rig->client, "p", 1), 0);
		assert_int_equal(weir_stream_read(rig->client, &c, 1), 1);
		assert_int_equal(c, 'p');
		assert_int_equal(flow->path, i % 2);
	}
	assert_null(weir_flow_find(weir_loop_current(), 8));
	weir_flow_end(weir_flow_find(weir_loop_current(), 7), WEIR_END_ADMIN);
	return silent_peer(rig->client);
}

static int echoing_origin(void *arg)
{
	struct rig *rig = arg;
	char block[64];

	for (;;) {
		ssize_t n = weir_stream_read(rig->origin, block, sizeof(block));

		if (n <= 0)
			return 0;
		assert_int_equal(weir_stream_write(rig->origin, block, (size_t)n), 0);
	}
}

static int operated_bridge_first(void *arg)
{
	assert_int_equal(weir_task_yield(), 0);
	return operating_client(arg);
}

static void test_operator(void **state)
{
	struct rig rig = { .client_fn = operated_bridge_first, .origin_fn = echoing_origin };

	(void)state;
	rig_run(&rig, &variants[2]);
	assert_int_equal(rig.bridge.end, WEIR_END_ADMIN);
	assert_true(rig.bridge.switches >= 19);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes, 20);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_COPY], 10);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SPLICE], 10);
}

/* ---- hooks ---- */

struct hooks {
	uint64_t seen[2];
	uint64_t next_ns;
};

static int hooks_inspect(void *ctx, enum weir_way way, const void *data, size_t size)
{
	struct hooks *hooks = ctx;

	for (size_t i = 0; i < size; i++)
		assert_int_equal(((const char *)data)[i], payload_byte(hooks->seen[way] + i));
	hooks->seen[way] += size;
	return 0;
}

static void test_inspect(void **state)
{
	(void)state;
	EACH_VARIANT(v) {
		struct hooks hooks = { .next_ns = 0 };
		struct rig rig = { .client_fn = full_client, .origin_fn = full_origin };

		rig.up = 700000;
		rig.down = 300000;
		rig.conf.inspect = hooks_inspect;
		rig.conf.ctx = &hooks;
		rig_run(&rig, v);
		assert_int_equal(hooks.seen[WEIR_UP], rig.up);
		assert_int_equal(hooks.seen[WEIR_DOWN], rig.down);
		assert_int_equal(rig.bridge.path, WEIR_PATH_COPY);
		if (v->paths != WEIR_PATH_BIT(WEIR_PATH_COPY))
			assert_string_equal(rig.bridge.why, "a layer must see all bytes");
	}
}

/* 1000 bytes each 2 ms. */
static uint64_t hooks_pace(void *ctx, enum weir_way way, size_t *budget)
{
	struct hooks *hooks = ctx;
	uint64_t now = weir_loop_now(weir_loop_current());

	(void)way;
	if (now < hooks->next_ns)
		return hooks->next_ns;
	*budget = WEIR_MIN(*budget, (size_t)1000);
	return 0;
}

static void hooks_paced(void *ctx, enum weir_way way, size_t bytes)
{
	struct hooks *hooks = ctx;

	assert_true(bytes <= 1000);
	hooks->seen[way] += bytes;
	hooks->next_ns = weir_loop_now(weir_loop_current()) + 2 * NS_PER_MS;
}

static void test_pace(void **state)
{
	(void)state;
	EACH_VARIANT(v) {
		struct hooks hooks = { .next_ns = 0 };
		struct rig rig = { .client_fn = full_client, .origin_fn = full_origin };

		rig.up = 20000;
		rig.conf.pace = hooks_pace;
		rig.conf.paced = hooks_paced;
		rig.conf.ctx = &hooks;
		rig_run(&rig, v);
		assert_int_equal(hooks.seen[WEIR_UP], rig.up);
		assert_true(rig.bridge.active_ns - rig.bridge.started_ns >= 38 * NS_PER_MS);
	}
}

/* ---- streams in memory have no descriptor: copy, and the reason is told ---- */

static int memory_start(void *arg)
{
	struct rig *rig = arg;
	struct weir_stream *front[2], *back[2];

	assert_int_equal(weir_memory_stream_pair(front, 5000), 0);
	assert_int_equal(weir_memory_stream_pair(back, 0), 0);
	rig->client = front[0];
	rig->front = front[1];
	rig->back = back[0];
	rig->origin = back[1];
	return rig_main(rig);
}

static void test_memory(void **state)
{
	struct rig rig = { .client_fn = full_client, .origin_fn = full_origin };

	(void)state;
	rig.up = 1000000;
	rig.down = 777;
	rig.conf.adaptive = true;
	weir_path_thresholds_complete(&rig.conf.thresholds);
	loopback_run(memory_start, &rig);
	assert_string_equal(rig.bridge.why, "a stream in memory has no socket");
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_COPY], rig.up);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_adaptive_uses_splice_for_bulk),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_reset_is_passed_on),
		cmocka_unit_test(test_reset_is_seen_while_blocked),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_traffic_is_not_idle),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_operator),
		cmocka_unit_test(test_inspect),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("bridge", tests, NULL, NULL);
}
