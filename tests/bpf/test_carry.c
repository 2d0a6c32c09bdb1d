/* SPDX-License-Identifier: MIT */
/*
 * Flows through the kernel: every byte, every end, every change of path. The counterpart of
 * tests/unit/test_bridge.c, which runs the same on the paths of userspace.
 */

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <weir/error.h>

#include "tests/bpf/rig.h"

#define SOCKMAP	 WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)
#define ANY_PATH (WEIR_PATH_BIT(WEIR_PATH_COPY) | WEIR_PATH_BIT(WEIR_PATH_SPLICE) | SOCKMAP)

static void flow_is_whole(const struct rig *rig)
{
	const struct weir_bridge *bridge = &rig->bridge;

	assert_int_equal(rig->bridge_status, 0);
	assert_int_equal(bridge->way[WEIR_UP].bytes, rig->client.send);
	assert_int_equal(bridge->way[WEIR_DOWN].bytes, rig->origin.send);
	for (int i = 0; i < 2; i++) {
		uint64_t sum = 0;

		for (int path = 0; path < WEIR_PATH_COUNT; path++)
			sum += bridge->way[i].bytes_path[path];
		assert_int_equal(sum, bridge->way[i].bytes);
	}
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* ---- sizes, both ways at once, IPv4 and IPv6 ---- */

static void sizes_of(int family)
{
	static const uint64_t sizes[][2] = {
		{ 0, 0 },     { 1, 0 },		{ 0, 1 },
		{ 16384, 1 }, { 1 << 20, 100 }, { 20 << 20, 30 << 20 },
	};
	struct weir_kernel *kernel;

	RIG_NEEDS_KERNEL(kernel);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(sizes); i++) {
		struct rig rig = {
			.kernel = kernel,
			.family = family,
			.conf = { .paths = SOCKMAP },
			.client = { .send = sizes[i][0], .seed = 1 + i },
			.origin = { .send = sizes[i][1], .seed = 100 + i },
		};

		rig_run(&rig);
		flow_is_whole(&rig);
		assert_int_equal(rig.bridge.path, WEIR_PATH_SOCKMAP);
	}
}

static void test_sizes(void **state)
{
	(void)state;
	sizes_of(AF_INET);
}

static void test_sizes_ipv6(void **state)
{
	(void)state;
	sizes_of(AF_INET6);
}

/* ---- small writes, slow reader ---- */

static void test_single_bytes(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client = { .send = 20000, .seed = 3, .chunk = 1 },
		.origin = { .send = 20000, .seed = 4, .chunk = 1, .read_chunk = 1 },
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	flow_is_whole(&rig);
}

static void test_slow_reader(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client = { .send = 12 << 20, .seed = 5 },
		.origin = { .send = 1000, .seed = 6, .read_nap_us = 2000, .read_chunk = 20000 },
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	flow_is_whole(&rig);
	/* What was outrun went through userspace. */
	assert_true(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_COPY] > 0);
	assert_true(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SOCKMAP] > 0);
}

/* ---- half-close ---- */

static int half_client(void *arg)
{
	struct rig *rig = arg;

	if (peer_send(&rig->client))
		rig_note(rig, "the client cannot send");
	peer_receive(&rig->client);
	return 0;
}

static int half_origin(void *arg)
{
	struct rig *rig = arg;

	/* Only when the end has arrived here does the answer start. */
	if (peer_receive(&rig->origin) || weir_task_sleep_ms(20) || peer_send(&rig->origin))
		rig_note(rig, "the origin: %s", weir_strerror(rig->origin.status));
	return 0;
}

static void test_half_close(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client = { .send = 1000, .seed = 7 },
		.origin = { .send = 5 << 20, .seed = 8 },
		.client_fn = half_client,
		.origin_fn = half_origin,
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	flow_is_whole(&rig);
	assert_int_equal(rig.client.got, rig.origin.send);
	assert_int_equal(rig.bridge.end, WEIR_END_CLIENT);
}

/* ---- resets ---- */

static int reset_client(void *arg)
{
	struct rig *rig = arg;
	char data[100];

	payload_fill(data, sizeof(data), rig->client.seed, 0);
	if (weir_stream_write(rig->client.stream, data, sizeof(data)) || weir_task_sleep_ms(20))
		rig_note(rig, "the client cannot send");
	weir_stream_abort(rig->client.stream);
	weir_stream_close(rig->client.stream);
	rig->client.stream = NULL;
	return 0;
}

static int reset_origin(void *arg)
{
	struct rig *rig = arg;

	if (peer_receive(&rig->origin) != -ECONNRESET || rig->origin.got != 100)
		rig_note(rig, "the origin saw %s after %llu bytes",
			 weir_strerror(rig->origin.status), (unsigned long long)rig->origin.got);
	return 0;
}

static void test_reset_is_passed_on(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client = { .seed = 9 },
		.client_fn = reset_client,
		.origin_fn = reset_origin,
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	assert_int_equal(rig.bridge.end, WEIR_END_CLIENT_RESET);
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* One side resets just before the flow is handed over: the hand-over is the first to touch the
 * socket, and must not take the error away. */
struct early_reset {
	bool by_client;
	int seen; /* by the other side */
};

static void early_reset_by(struct rig *rig, struct peer *peer)
{
	if (weir_task_sleep_ms(20))
		rig_note(rig, "cancelled");
	weir_stream_abort(peer->stream);
	weir_stream_close(peer->stream);
	peer->stream = NULL;
	if (weir_flow_set_path(&rig->bridge, WEIR_PATH_SOCKMAP))
		rig_note(rig, "the kernel path is refused");
}

static void early_reset_seen(struct rig *rig, struct peer *peer)
{
	struct early_reset *early = rig->ctx;
	char byte;

	early->seen = (int)weir_stream_read(peer->stream, &byte, 1);
}

static int early_reset_client(void *arg)
{
	struct rig *rig = arg;

	if (((struct early_reset *)rig->ctx)->by_client)
		early_reset_by(rig, &rig->client);
	else
		early_reset_seen(rig, &rig->client);
	return 0;
}

static int early_reset_origin(void *arg)
{
	struct rig *rig = arg;

	if (((struct early_reset *)rig->ctx)->by_client)
		early_reset_seen(rig, &rig->origin);
	else
		early_reset_by(rig, &rig->origin);
	return 0;
}

static void test_reset_before_the_hand_over(void **state)
{
	struct weir_kernel *kernel;

	(void)state;
	RIG_NEEDS_KERNEL(kernel);
	for (int by_client = 0; by_client < 2; by_client++) {
		struct early_reset early = { .by_client = by_client };
		struct rig rig = {
			.kernel = kernel,
			.conf = { .paths = ANY_PATH, .adaptive = true, .idle_ms = 2000 },
			.client_fn = early_reset_client,
			.origin_fn = early_reset_origin,
			.ctx = &early,
		};

		rig_run(&rig);
		assert_string_equal(rig.error, "");
		assert_int_equal(rig.bridge.end,
				 by_client ? WEIR_END_CLIENT_RESET : WEIR_END_UPSTREAM_RESET);
		assert_int_equal(early.seen, -ECONNRESET);
	}
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* Reset in the middle of a flood that nobody reads. */
static int flood_client(void *arg)
{
	struct rig *rig = arg;
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, 80);
	weir_scope_enter(&scope);
	if (peer_send(&rig->client) != -ETIMEDOUT)
		rig_note(rig, "the flood was not stopped");
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	weir_stream_abort(rig->client.stream);
	weir_stream_close(rig->client.stream);
	rig->client.stream = NULL;
	return 0;
}

static int deaf_origin(void *arg)
{
	struct rig *rig = arg;

	while (!rig->bridge_ended) {
		if (weir_task_sleep_ms(10))
			break;
	}
	return 0;
}

static void test_reset_mid_backlog(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP, .idle_ms = 5000 },
		.client = { .send = 1ull << 32, .seed = 10 },
		.client_fn = flood_client,
		.origin_fn = deaf_origin,
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	assert_int_equal(rig.bridge.end, WEIR_END_CLIENT_RESET);
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* ---- timers and operators ---- */

static int quiet_peer(void *arg)
{
	struct rig *rig = arg;

	while (!rig->bridge_ended) {
		if (weir_task_sleep_ms(5))
			break;
	}
	return 0;
}

static void test_idle_and_lifetime(void **state)
{
	static const struct {
		uint64_t idle_ms, lifetime_ms;
		enum weir_end end;
	} cases[] = {
		{ 150, 0, WEIR_END_IDLE },
		{ 0, 150, WEIR_END_LIFETIME },
	};
	struct weir_kernel *kernel;

	(void)state;
	RIG_NEEDS_KERNEL(kernel);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct rig rig = {
			.kernel = kernel,
			.conf = { .paths = SOCKMAP,
				  .idle_ms = cases[i].idle_ms,
				  .lifetime_ms = cases[i].lifetime_ms },
			.client_fn = quiet_peer,
			.origin_fn = quiet_peer,
		};

		rig_run(&rig);
		assert_int_equal(rig.bridge.end, cases[i].end);
		assert_in_range((rig.ended_ns - rig.bridge.started_ns) / 1000000, 148, 250);
	}
}

/* The kernel's traffic counts as activity: nothing is idle for 300 ms while bytes move. */
static void test_idle_sees_the_kernel(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP, .idle_ms = 150 },
		.client = { .send = 60, .seed = 11, .chunk = 1, .write_nap_us = 20000 },
		.origin = { .send = 0, .seed = 12 },
		.origin_fn = NULL,
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	flow_is_whole(&rig);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SOCKMAP] > 0, 1);
}

static int close_by_operator(void *arg)
{
	struct rig *rig = arg;

	if (!weir_task_sleep_ms(30))
		weir_flow_end(&rig->bridge, WEIR_END_ADMIN);
	return 0;
}

static void test_operator_closes(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client_fn = quiet_peer,
		.origin_fn = quiet_peer,
		.beside = close_by_operator,
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	assert_int_equal(rig.bridge.end, WEIR_END_ADMIN);
}

/* ---- changes of path ---- */

static int flip_paths(void *arg)
{
	struct rig *rig = arg;
	uint64_t random = rig->client.seed * 7919 + 13;
	unsigned *flips = rig->ctx;

	for (;;) {
		enum weir_path path = (enum weir_path)(rig_random(&random) % WEIR_PATH_COUNT);
		int status = weir_task_nap_us((unsigned)(rig_random(&random) % 1500) + 50);

		if (status || rig->bridge_ended)
			return 0;
		if (weir_flow_set_path(&rig->bridge, path) == 0 && flips)
			(*flips)++;
	}
}

#define FLIP_FLOWS 40

struct flips {
	struct weir_offload *offload;
	unsigned flows;
	unsigned flips;
	unsigned switches;
	uint64_t kernel_bytes;
	uint64_t seed;
	char error[200];
};

static int flip_flow(void *arg)
{
	struct flips *flips = arg;
	uint64_t random = ++flips->seed * 2654435761u;
	struct rig *rig = calloc(1, sizeof(*rig)); /* cmocka's is for one thread */
	bool bulk = rig_random(&random) % 4 == 0;

	rig->offload = flips->offload;
	rig->family = rig_random(&random) % 4 ? AF_INET : AF_INET6;
	rig->conf.paths = ANY_PATH;
	rig->conf.adaptive = true;
	rig->beside = flip_paths;
	rig->ctx = &flips->flips;
	for (int i = 0; i < 2; i++) {
		struct peer *peer = i ? &rig->origin : &rig->client;

		peer->seed = flips->seed * 2 + (uint64_t)i;
		peer->chunk = bulk ? 60000 : 1 + (uint32_t)(rig_random(&random) % 8000);
		peer->send = bulk ? rig_random(&random) % (24 << 20)
				  : 100ull * (rig_random(&random) % (peer->chunk + 100u));
		peer->write_nap_us = bulk ? 0 : 1 + (unsigned)(rig_random(&random) % 800);
		peer->read_nap_us = rig_random(&random) % 3 ? 0 : 300;
	}
	rig_flow(rig);
	if (rig->error[0] || rig->bridge_status)
		snprintf(flips->error, sizeof(flips->error), "flow %llu: %.120s (%s, %s)",
			 (unsigned long long)flips->seed, rig->error,
			 weir_end_name(rig->bridge.end), weir_strerror(rig->bridge_status));
	flips->flows++;
	flips->switches += rig->bridge.switches;
	for (int i = 0; i < 2; i++)
		flips->kernel_bytes += rig->bridge.way[i].bytes_path[WEIR_PATH_SOCKMAP];
	free(rig);
	return 0;
}

#define FLIP_TOTAL 1000

static int flip_worker(void *arg)
{
	struct flips *flips = arg;

	while (flips->seed < FLIP_TOTAL && !flips->error[0])
		flip_flow(flips);
	return 0;
}

static int flip_main(void *arg)
{
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	for (int i = 0; i < FLIP_FLOWS; i++) {
		if (weir_scope_spawn(&scope, "flips", flip_worker, arg, NULL))
			return -ENOMEM;
	}
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	return 0;
}

static void test_random_changes_of_path(void **state)
{
	struct weir_offload_counts counts;
	struct weir_kernel *kernel;
	struct flips flips = { 0 };

	(void)state;
	RIG_NEEDS_KERNEL(kernel);
	rig_run_main(kernel, flip_main, &flips, &flips.offload, &counts);
	print_message("%u flows, %u changes asked, %u made, %llu handed over, %llu back, "
		      "%llu spills, %llu refused, %llu bytes in the kernel\n",
		      flips.flows, flips.flips, flips.switches,
		      (unsigned long long)counts.handed_over,
		      (unsigned long long)counts.handed_back, (unsigned long long)counts.spills,
		      (unsigned long long)counts.refused, (unsigned long long)flips.kernel_bytes);
	if (flips.error[0])
		fail_msg("%s", flips.error);
	assert_int_equal(flips.flows, FLIP_TOTAL);
	assert_true(flips.switches >= 20000);
	assert_int_equal(counts.audit_failed, 0);
	assert_int_equal(counts.broken, 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* ---- two workers on one kernel ---- */

struct flip_thread {
	pthread_t thread;
	struct weir_kernel *kernel;
	struct flips flips;
	struct weir_offload_counts counts;
};

static void *flip_thread_main(void *arg)
{
	struct flip_thread *thread = arg;

	rig_run_main(thread->kernel, flip_main, &thread->flips, &thread->flips.offload,
		     &thread->counts);
	return NULL;
}

static void test_two_workers(void **state)
{
	struct flip_thread threads[2] = { 0 };
	struct weir_kernel *kernel;

	(void)state;
	RIG_NEEDS_KERNEL(kernel);
	for (int i = 0; i < 2; i++) {
		threads[i].kernel = kernel;
		threads[i].flips.seed = FLIP_TOTAL - 150;
		assert_int_equal(
			pthread_create(&threads[i].thread, NULL, flip_thread_main, &threads[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i].thread, NULL);
	for (int i = 0; i < 2; i++) {
		if (threads[i].flips.error[0])
			fail_msg("worker %d, %s", i, threads[i].flips.error);
		assert_int_equal(threads[i].flips.flows, 150);
		assert_true(threads[i].counts.handed_over > 150);
		assert_int_equal(threads[i].counts.audit_failed, 0);
		assert_int_equal(threads[i].counts.broken, 0);
	}
	assert_int_equal(rig_kernel_warnings(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sizes_ipv6),
		cmocka_unit_test(test_single_bytes),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_reset_is_passed_on),
		cmocka_unit_test(test_reset_before_the_hand_over),
		cmocka_unit_test(test_reset_mid_backlog),
		cmocka_unit_test(test_idle_and_lifetime),
		cmocka_unit_test(test_idle_sees_the_kernel),
		cmocka_unit_test(test_operator_closes),
		cmocka_unit_test(test_random_changes_of_path),
		cmocka_unit_test(test_two_workers),
	};

	rig_kernel_warnings();
	cmocka_set_test_filter(getenv("TEST")); /* one test by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
