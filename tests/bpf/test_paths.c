/* SPDX-License-Identifier: MIT */
/*
 * Every scenario on every path: what the peers send arrives, in order, once, and ends as it was
 * ended, whoever carries it. A new path or a new scenario is one row.
 *
 * The payload is checked at both ends; the bridge's own counts, which the access log and the
 * metrics show, must be what the peers have sent.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "tests/bpf/scenario.h"

#define SOCKMAP WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)

#define KIB(n) ((n) << 10)
#define MIB(n) ((n) << 20)

static const struct scenario scenarios[] = {
	/* Sizes, both ways at once. */
	{ .name = "nothing" },
	{ .name = "1_byte_up", .client = { .send = 1 } },
	{ .name = "1_byte_down", .origin = { .send = 1 } },
	{ .name = "16k", .client = { .send = KIB(16) }, .origin = { .send = KIB(16) } },
	{ .name = "1m", .client = { .send = MIB(1) }, .origin = { .send = MIB(1) } },
	{ .name = "30m", .client = { .send = MIB(20) }, .origin = { .send = MIB(30) } },
	{ .name = "ipv6",
	  .client = { .send = MIB(2) },
	  .origin = { .send = MIB(1) },
	  .family = AF_INET6 },

	/* Pieces and pauses. */
	{ .name = "1_byte_segments",
	  .client = { .send = 20000, .chunk = 1 },
	  .origin = { .send = 20000, .chunk = 1, .read_chunk = 1 } },
	{ .name = "random_pieces",
	  .client = { .send = MIB(1), .chunk = 9000, .write_nap_us = 400, .read_nap_us = 300 },
	  .origin = { .send = MIB(1), .chunk = 3000, .write_nap_us = 150, .read_chunk = 7000 } },
	{ .name = "early_data",
	  .before = send_early,
	  .client_fn = early_client,
	  .origin_fn = early_origin },

	/* Receivers that are slow, or stop. */
	{ .name = "slow_reader",
	  .client = { .send = MIB(12) },
	  .origin = { .send = 1000, .read_nap_us = 2000, .read_chunk = 20000 } },
	{ .name = "slow_readers",
	  .client = { .send = MIB(6), .read_nap_us = 1000, .read_chunk = 20000 },
	  .origin = { .send = MIB(6), .read_nap_us = 1500, .read_chunk = 30000 } },
	{ .name = "zero_window_up",
	  .client = { .send = MIB(40) },
	  .origin = { .send = 1000 },
	  .origin_fn = shut_origin },
	{ .name = "zero_window_down",
	  .client = { .send = 1000 },
	  .origin = { .send = MIB(40) },
	  .client_fn = shut_client },

	/* Orderly ends. */
	{ .name = "half_close_client",
	  .client = { .send = 1000 },
	  .origin = { .send = MIB(5) },
	  .client_fn = half_client,
	  .origin_fn = half_origin,
	  .end = WEIR_END_CLIENT },
	{ .name = "half_close_origin",
	  .client = { .send = MIB(5) },
	  .origin = { .send = 1000 },
	  .client_fn = half_client_late,
	  .origin_fn = half_origin_early,
	  .end = WEIR_END_UPSTREAM },
	{ .name = "fin_with_data_client",
	  .client = { .send = 700 },
	  .origin = { .send = 900 },
	  .client_fn = fin_client,
	  .origin_fn = half_origin,
	  .end = WEIR_END_CLIENT },
	{ .name = "fin_with_data_origin",
	  .client = { .send = 700 },
	  .origin = { .send = 900 },
	  .client_fn = half_client_late,
	  .origin_fn = fin_origin,
	  .end = WEIR_END_UPSTREAM },

	/* Resets: SO_LINGER 0, and close() with data unread. */
	{ .name = "reset_client",
	  .client_fn = reset_client,
	  .origin_fn = reset_seen_origin,
	  .end = WEIR_END_CLIENT_RESET },
	{ .name = "reset_origin",
	  .client_fn = reset_seen_client,
	  .origin_fn = reset_origin,
	  .end = WEIR_END_UPSTREAM_RESET },
	{ .name = "unread_client",
	  .client_fn = unread_client,
	  .origin_fn = unread_seen_origin,
	  .end = WEIR_END_CLIENT_RESET },
	{ .name = "unread_origin",
	  .client_fn = unread_seen_client,
	  .origin_fn = unread_origin,
	  .end = WEIR_END_UPSTREAM_RESET },
	{ .name = "reset_mid_backlog_client",
	  .client = { .send = 1ull << 40 },
	  .client_fn = flood_client,
	  .origin_fn = deaf_origin,
	  .end = WEIR_END_CLIENT_RESET },
	{ .name = "reset_mid_backlog_origin",
	  .origin = { .send = 1ull << 40 },
	  .client_fn = deaf_client,
	  .origin_fn = flood_origin,
	  .end = WEIR_END_UPSTREAM_RESET },
	{ .name = "reset_of_a_deaf_origin",
	  .client = { .send = 1ull << 40 },
	  .client_fn = pouring_client,
	  .origin_fn = drowned_origin,
	  .end = WEIR_END_UPSTREAM_RESET },
	{ .name = "reset_of_a_deaf_client",
	  .origin = { .send = 1ull << 40 },
	  .client_fn = drowned_client,
	  .origin_fn = pouring_origin,
	  .end = WEIR_END_CLIENT_RESET },

	/* Awkward segments. */
	{ .name = "urgent_client", .client_fn = urgent_client, .origin_fn = inline_origin },
	{ .name = "urgent_origin", .client_fn = inline_client, .origin_fn = urgent_origin },
	{ .name = "overlaps_client",
	  .client_fn = overlap_client,
	  .origin_fn = overlap_seen_origin,
	  .end = WEIR_END_CLIENT },
	{ .name = "overlaps_origin",
	  .client_fn = overlap_seen_client,
	  .origin_fn = overlap_origin,
	  .end = WEIR_END_UPSTREAM },

	/* Timers. */
	{ .name = "idle",
	  .client_fn = deaf_client,
	  .origin_fn = deaf_origin,
	  .idle_ms = 150,
	  .end = WEIR_END_IDLE },
	{ .name = "lifetime",
	  .client_fn = deaf_client,
	  .origin_fn = deaf_origin,
	  .lifetime_ms = 500,
	  .end = WEIR_END_LIFETIME },
	{ .name = "never_idle",
	  .client = { .send = 60, .chunk = 1, .write_nap_us = 20000 },
	  .idle_ms = 150 },
};

/* ---- one cell ---- */

#define TALK_TURNS 20
#define TALK_BYTES 8u

/* A ping-pong before the payload, so that the flow looks interactive and is handed over. */
static int talk(struct peer *peer, bool first)
{
	char message[TALK_BYTES] = "talk", answer[TALK_BYTES];
	int status = first ? weir_task_sleep_ms(5) : 0;

	for (int i = 0; i < TALK_TURNS && !status; i++) {
		if (first)
			status = weir_stream_write(peer->stream, message, sizeof(message));
		if (!status)
			status = weir_stream_read_full(peer->stream, answer, sizeof(answer));
		if (!status && !first)
			status = weir_stream_write(peer->stream, answer, sizeof(answer));
		if (!status && memcmp(answer, message, sizeof(answer)) != 0)
			status = -EBADMSG;
	}
	if (status)
		rig_note(peer->rig, "the talk: %s", weir_strerror(status));
	return status;
}

static int cell_client(void *arg)
{
	struct rig *rig = arg;
	const struct scenario_run *run = rig->ctx;
	weir_task_fn *fn = run->scenario->client_fn;

	if (run->talk_bytes && talk(&rig->client, true))
		return 0;
	return fn ? fn(rig) : rig_client_both(rig);
}

static int cell_origin(void *arg)
{
	struct rig *rig = arg;
	const struct scenario_run *run = rig->ctx;
	weir_task_fn *fn = run->scenario->origin_fn;

	if (run->talk_bytes && talk(&rig->origin, false))
		return 0;
	return fn ? fn(rig) : rig_origin_both(rig);
}

static int cell_flip(void *arg)
{
	struct rig *rig = arg;
	struct scenario_run *run = rig->ctx;

	return rig_flip(rig, 1500, &run->flips);
}

static int cell_main(void *arg)
{
	return rig_flow(arg);
}

static void cell_prepare(struct rig *rig, const struct scenario_run *run)
{
	const struct scenario *scenario = run->scenario;

	rig->client = scenario->client;
	rig->client.seed = 2 * (uint64_t)(scenario - scenarios) + 1;
	rig->origin = scenario->origin;
	rig->origin.seed = rig->client.seed + 1;
	rig->client_fn = cell_client;
	rig->origin_fn = cell_origin;
	rig->before = scenario->before;
	rig->family = scenario->family;
	rig->beside = run->path->flips ? cell_flip : NULL;
	rig->conf.paths = run->path->paths;
	rig->conf.adaptive = run->path->adaptive;
	rig->conf.thresholds.interactive_ms = 1;
	rig->conf.idle_ms = scenario->idle_ms;
	rig->conf.lifetime_ms = scenario->lifetime_ms;
}

/* The bridge's counts of one direction against what PEER has sent. */
static void check_way(struct rig *rig, enum weir_way way, const struct peer *receiver)
{
	const struct scenario_run *run = rig->ctx;
	const struct weir_bridge_way *counts = &rig->bridge.way[way];
	unsigned long long arrived = receiver->got + run->talk_bytes;
	uint64_t sum = 0;

	for (int path = 0; path < WEIR_PATH_COUNT; path++)
		sum += counts->bytes_path[path];
	if (sum != counts->bytes || counts->bytes != arrived)
		rig_note(rig, "%llu bytes were counted, %llu by paths, %llu arrived",
			 (unsigned long long)counts->bytes, (unsigned long long)sum, arrived);
}

static void check_end(struct rig *rig, const struct scenario *scenario)
{
	enum weir_end end = rig->bridge.end;
	bool orderly = end == WEIR_END_CLIENT || end == WEIR_END_UPSTREAM;

	if (scenario->end == WEIR_END_NONE ? !orderly : end != scenario->end)
		rig_note(rig, "it ended as %s", weir_end_name(end));
	if (!orderly)
		return;
	check_way(rig, WEIR_UP, &rig->origin);
	check_way(rig, WEIR_DOWN, &rig->client);
}

static void test_cell(void **state)
{
	struct scenario_run *run = *state;
	struct rig rig = { .ctx = run };

	if (run->path->paths & SOCKMAP)
		RIG_NEEDS_KERNEL(rig.kernel);
	run->talk_bytes = run->path->talk && !run->scenario->before ? TALK_TURNS * TALK_BYTES : 0;
	cell_prepare(&rig, run);
	rig_run_main(rig.kernel, cell_main, &rig, &rig.offload, &run->counts);
	check_end(&rig, run->scenario);
	if (rig.error[0])
		fail_msg("%s (%s, %s; up %llu, down %llu bytes; %u switches)", rig.error,
			 weir_end_name(rig.bridge.end), weir_path_name(rig.bridge.path),
			 (unsigned long long)rig.bridge.way[WEIR_UP].bytes,
			 (unsigned long long)rig.bridge.way[WEIR_DOWN].bytes, rig.bridge.switches);
	assert_int_equal(rig.uneven, 0);
	/* That it was the path that is meant: the row would prove nothing else. */
	if (run->path->paths == SOCKMAP || (run->talk_bytes && !run->path->flips))
		assert_true(run->counts.handed_over > 0);
	assert_int_equal(run->counts.audit_failed, 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

#define N_PATHS	    SCENARIO_PATHS
#define N_SCENARIOS WEIR_ARRAY_SIZE(scenarios)

static struct scenario_run runs[N_SCENARIOS * N_PATHS];
static struct CMUnitTest tests[N_SCENARIOS * N_PATHS];
static char names[N_SCENARIOS * N_PATHS][64];

int main(void)
{
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(tests); i++) {
		runs[i].scenario = &scenarios[i / N_PATHS];
		runs[i].path = &scenario_paths[i % N_PATHS];
		snprintf(names[i], sizeof(names[i]), "test_%s_%s", runs[i].scenario->name,
			 runs[i].path->name);
		tests[i] = (struct CMUnitTest){ .name = names[i],
						.test_func = test_cell,
						.initial_state = &runs[i] };
	}
	rig_kernel_warnings();
	cmocka_set_test_filter(getenv("TEST")); /* "test_reset_*", while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
