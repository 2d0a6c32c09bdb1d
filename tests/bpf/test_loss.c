/* SPDX-License-Identifier: MIT */
/*
 * Flows on a network that loses segments, sends them twice and in another order, on every path:
 * retransmits, holes that are filled later, selective acknowledgements, overlaps.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "tests/bpf/middle_box.h"
#include "tests/bpf/scenario.h"

#define SOCKMAP	  WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)
#define BAD_FLOWS 12

static const struct middle_box_conf bad_network = { .lose = 8, .twice = 10, .disturb = 20 };

struct bad {
	const struct scenario_path *path;
	struct weir_offload *offload;
	unsigned next;
	unsigned flips;
	unsigned uneven;
	uint64_t kernel_bytes;
	char error[200];
};

static int bad_flip(void *arg)
{
	struct rig *rig = arg;
	struct bad *bad = rig->ctx;

	return rig_flip(rig, 20000, &bad->flips);
}

/* One in two talks in small pieces, the others send bulk. */
static void bad_prepare(struct rig *rig, struct bad *bad, unsigned index)
{
	rig->offload = bad->offload;
	rig->pair = middle_box_pair;
	rig->conf.paths = bad->path->paths;
	rig->conf.adaptive = bad->path->adaptive;
	rig->conf.thresholds.interactive_ms = 1;
	rig->ctx = bad;
	rig->beside = bad->path->flips ? bad_flip : NULL;
	for (int i = 0; i < 2; i++) {
		struct peer *peer = i ? &rig->origin : &rig->client;

		peer->seed = 9000 + index * 2 + (unsigned)i;
		peer->send = index % 2 ? 1000000 : 40000;
		peer->chunk = index % 2 ? 30000 : 300;
		peer->write_nap_us = index % 2 ? 0 : 2000;
	}
}

static int bad_flow(void *arg)
{
	struct bad *bad = arg;
	unsigned index = bad->next++;
	struct rig *rig = test_calloc(1, sizeof(*rig));

	bad_prepare(rig, bad, index);
	rig_flow(rig);
	if (rig->error[0] || rig->bridge_status)
		snprintf(bad->error, sizeof(bad->error), "flow %u: %.120s (%s)", index, rig->error,
			 weir_strerror(rig->bridge_status));
	bad->uneven += rig->uneven;
	for (int i = 0; i < 2; i++)
		bad->kernel_bytes += rig->bridge.way[i].bytes_path[WEIR_PATH_SOCKMAP];
	test_free(rig);
	return 0;
}

static int bad_main(void *arg)
{
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	for (int i = 0; i < BAD_FLOWS; i++) {
		if (weir_scope_spawn(&scope, "bad", bad_flow, arg, NULL))
			return -ENOMEM;
	}
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	return 0;
}

static void test_bad_network(void **state)
{
	const struct scenario_path *path = *state;
	struct bad bad = { .path = path };
	struct weir_offload_counts counts = { 0 };
	struct middle_box_counts seen;
	struct weir_kernel *kernel = NULL;
	int status;

	if (path->paths & SOCKMAP)
		RIG_NEEDS_KERNEL(kernel);
	status = middle_box_start(&bad_network);
	if (status) {
		print_message("needs root: no network of our own: %s\n", weir_strerror(status));
		skip();
	}
	rig_run_main(kernel, bad_main, &bad, &bad.offload, &counts);
	middle_box_stop(&seen);
	print_message("%lu segments passed, %lu lost, %lu twice, %lu overtaken; %llu bytes by the "
		      "kernel, %u changes of path, %llu handed over, %llu back, %llu spills\n",
		      seen.passed, seen.lost, seen.twice, seen.disturbed,
		      (unsigned long long)bad.kernel_bytes, bad.flips,
		      (unsigned long long)counts.handed_over,
		      (unsigned long long)counts.handed_back, (unsigned long long)counts.spills);
	if (bad.error[0])
		fail_msg("%s", bad.error);
	assert_true(seen.lost > 0 && seen.twice > 0 && seen.disturbed > 0);
	assert_int_equal(bad.uneven, 0);
	if (path->paths == SOCKMAP || path->flips)
		assert_true(bad.kernel_bytes > 0);
	assert_int_equal(counts.audit_failed, 0);
	assert_int_equal(counts.broken, 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

int main(void)
{
	struct CMUnitTest tests[SCENARIO_PATHS];
	char names[SCENARIO_PATHS][64];

	for (size_t i = 0; i < SCENARIO_PATHS; i++) {
		snprintf(names[i], sizeof(names[i]), "test_bad_network_%s", scenario_paths[i].name);
		tests[i] = (struct CMUnitTest){ .name = names[i],
						.test_func = test_bad_network,
						.initial_state =
							(void *)(uintptr_t)&scenario_paths[i] };
	}
	rig_kernel_warnings();
	cmocka_set_test_filter(getenv("TEST")); /* one test by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
