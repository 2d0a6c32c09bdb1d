/* SPDX-License-Identifier: MIT */
/*
 * What only flows in the kernel do: hand-overs that meet a reset, spills, and changes of path at
 * random moments, many times. What all paths do is in test_paths.c.
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

/* ---- what was outrun goes through userspace ---- */

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
	assert_true(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_COPY] > 0);
	assert_true(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SOCKMAP] > 0);
}

/* ---- resets ---- */

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

/* ---- operators ---- */

static int quiet_peer(void *arg)
{
	struct rig *rig = arg;

	while (!rig->bridge_ended) {
		if (weir_task_sleep_ms(5))
			break;
	}
	return 0;
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

	return rig_flip(rig, 1500, rig->ctx);
}

#define FLIP_FLOWS 40

struct flips {
	struct weir_offload *offload;
	unsigned flows;
	unsigned flips;
	unsigned switches;
	unsigned uneven;
	uint64_t total; /* flows */
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
	flips->uneven += rig->uneven;
	for (int i = 0; i < 2; i++)
		flips->kernel_bytes += rig->bridge.way[i].bytes_path[WEIR_PATH_SOCKMAP];
	free(rig);
	return 0;
}

#define FLIP_TOTAL 1000

/* Fewer where a processor is emulated (tests/vm). */
static uint64_t flip_total(void)
{
	const char *text = getenv("FLIP_FLOWS");

	return text ? strtoull(text, NULL, 10) : FLIP_TOTAL;
}

static int flip_worker(void *arg)
{
	struct flips *flips = arg;

	while (flips->seed < flips->total && !flips->error[0])
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
	struct flips flips = { .total = flip_total() };
	uint64_t behind, passed;

	(void)state;
	RIG_NEEDS_KERNEL(kernel);
	behind = rig_stat(kernel, "pass_behind");
	passed = rig_stat(kernel, "passed_segments");
	rig_run_main(kernel, flip_main, &flips, &flips.offload, &counts);
	behind = rig_stat(kernel, "pass_behind") - behind;
	passed = rig_stat(kernel, "passed_segments") - passed;
	print_message("%llu segments passed, %llu behind redirected ones\n",
		      (unsigned long long)passed, (unsigned long long)behind);
	print_message("%u flows, %u changes asked, %u made, %llu handed over, %llu back, "
		      "%llu spills, %llu refused, %llu bytes in the kernel\n",
		      flips.flows, flips.flips, flips.switches,
		      (unsigned long long)counts.handed_over,
		      (unsigned long long)counts.handed_back, (unsigned long long)counts.spills,
		      (unsigned long long)counts.refused, (unsigned long long)flips.kernel_bytes);
	if (flips.error[0])
		fail_msg("%s", flips.error);
	assert_int_equal(flips.flows, flips.total);
	assert_true(flips.switches >= 20 * flips.total);
	assert_int_equal(flips.uneven, 0);
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
		threads[i].flips.total = FLIP_TOTAL;
		threads[i].flips.seed = FLIP_TOTAL - flip_total() * 15 / 100;
		assert_int_equal(
			pthread_create(&threads[i].thread, NULL, flip_thread_main, &threads[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i].thread, NULL);
	for (int i = 0; i < 2; i++) {
		if (threads[i].flips.error[0])
			fail_msg("worker %d, %s", i, threads[i].flips.error);
		assert_int_equal(threads[i].flips.flows, flip_total() * 15 / 100);
		assert_true(threads[i].counts.handed_over > threads[i].flips.flows);
		assert_int_equal(threads[i].flips.uneven, 0);
		assert_int_equal(threads[i].counts.audit_failed, 0);
		assert_int_equal(threads[i].counts.broken, 0);
	}
	assert_int_equal(rig_kernel_warnings(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_reset_before_the_hand_over),
		cmocka_unit_test(test_operator_closes),
		cmocka_unit_test(test_random_changes_of_path),
		cmocka_unit_test(test_two_workers),
	};

	rig_kernel_warnings();
	cmocka_set_test_filter(getenv("TEST")); /* one test by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
