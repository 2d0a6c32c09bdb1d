/* SPDX-License-Identifier: MIT */
/*
 * What the verdict program counts and refuses: retransmits that overlap are trimmed, spills keep
 * the order, a full map refuses nobody.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/error.h>

#include "tests/bpf/scenario.h"

#define SOCKMAP WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)
#define NATURAL (WEIR_PATH_BIT(WEIR_PATH_COPY) | WEIR_PATH_BIT(WEIR_PATH_SPLICE) | SOCKMAP)

static void test_overlaps_are_trimmed(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client = { .seed = 21 },
		.client_fn = overlap_client,
		.origin_fn = overlap_seen_origin,
	};
	uint64_t before;

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	before = rig_stat(rig.kernel, "trimmed_bytes");
	rig_run(&rig);
	assert_int_equal(rig.bridge.end, WEIR_END_CLIENT);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SOCKMAP], OVERLAP_BYTES);
	assert_true(rig_stat(rig.kernel, "trimmed_bytes") > before);
	assert_int_equal(rig_stat(rig.kernel, "drop_stale"), 1);
	assert_int_equal(rig_stat(rig.kernel, "pass_gap"), 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* ---- spills, many at once, in order ---- */

#define STORM_FLOWS 24

struct storm {
	struct weir_offload *offload;
	unsigned next;
	uint64_t kernel_bytes, copied;
	char error[200];
};

static int storm_flow(void *arg)
{
	struct storm *storm = arg;
	unsigned index = storm->next++;
	struct rig *rig = test_calloc(1, sizeof(*rig));

	rig->offload = storm->offload;
	rig->conf.paths = SOCKMAP;
	rig->family = index % 3 ? AF_INET : AF_INET6;
	for (int i = 0; i < 2; i++) {
		struct peer *peer = i ? &rig->origin : &rig->client;

		peer->seed = 5000 + index * 2 + (unsigned)i;
		peer->send = (2u + index % 7) << 20;
		peer->chunk = 1000u << (index % 6);
		peer->read_chunk = 3000u << (index % 5);
		peer->read_nap_us = index % 2 == (unsigned)i ? 400 : 0;
		peer->write_nap_us = index % 4 ? 0 : 200;
	}
	rig_flow(rig);
	if (rig->error[0] || rig->bridge_status)
		snprintf(storm->error, sizeof(storm->error), "flow %u: %.120s (%s)", index,
			 rig->error, weir_strerror(rig->bridge_status));
	for (int i = 0; i < 2; i++) {
		storm->kernel_bytes += rig->bridge.way[i].bytes_path[WEIR_PATH_SOCKMAP];
		storm->copied += rig->bridge.way[i].bytes_path[WEIR_PATH_COPY];
	}
	test_free(rig);
	return 0;
}

static int storm_main(void *arg)
{
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	for (int i = 0; i < STORM_FLOWS; i++) {
		if (weir_scope_spawn(&scope, "storm", storm_flow, arg, NULL))
			return -ENOMEM;
	}
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	return 0;
}

static void test_spills_keep_the_order(void **state)
{
	struct weir_offload_counts counts;
	struct storm storm = { 0 };
	struct weir_kernel *kernel;

	(void)state;
	RIG_NEEDS_KERNEL(kernel);
	rig_run_main(kernel, storm_main, &storm, &storm.offload, &counts);
	print_message("%llu spills, %llu bytes by the kernel, %llu by userspace\n",
		      (unsigned long long)counts.spills, (unsigned long long)storm.kernel_bytes,
		      (unsigned long long)storm.copied);
	if (storm.error[0])
		fail_msg("%s", storm.error);
	assert_true(counts.spills > 0);
	assert_int_equal(counts.audit_failed, 0);
	assert_int_equal(counts.broken, 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* ---- refusals: the flow takes another path ---- */

#define FULL_FLOWS 12

struct full {
	struct weir_offload *offload;
	unsigned by_path[WEIR_PATH_COUNT];
	unsigned wrong;
};

static int full_flow(void *arg)
{
	struct full *full = arg;
	struct rig *rig = test_calloc(1, sizeof(*rig));

	rig->offload = full->offload;
	rig->conf.paths = NATURAL;
	rig->client = (struct peer){ .send = 40000, .seed = 31, .chunk = 100, .write_nap_us = 300 };
	rig->origin = (struct peer){ .send = 40000, .seed = 32, .chunk = 100, .write_nap_us = 300 };
	rig_flow(rig);
	full->by_path[rig->bridge.path]++;
	if (rig->error[0] || rig->bridge_status)
		full->wrong++;
	if (rig->bridge.path != WEIR_PATH_SOCKMAP &&
	    strcmp(rig->bridge.why, "the kernel's tables are full") != 0)
		full->wrong++;
	test_free(rig);
	return 0;
}

static int full_main(void *arg)
{
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	for (int i = 0; i < FULL_FLOWS; i++) {
		if (weir_scope_spawn(&scope, "full", full_flow, arg, NULL))
			return -ENOMEM;
	}
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	return 0;
}

static void test_full_maps_refuse_nobody(void **state)
{
	struct weir_kernel_conf conf = { .flows = 4 };
	struct weir_offload_counts counts;
	struct weir_kernel *kernel;
	struct full full = { 0 };

	(void)state;
	RIG_NEEDS_KERNEL(kernel);
	kernel = weir_kernel_open(&conf, NULL);
	assert_non_null(kernel);
	assert_true(weir_kernel_is_usable(kernel, NULL));
	rig_run_main(kernel, full_main, &full, &full.offload, &counts);
	weir_kernel_close(kernel, false);
	assert_int_equal(full.wrong, 0);
	assert_int_equal(full.by_path[WEIR_PATH_SOCKMAP], 4);
	assert_int_equal(full.by_path[WEIR_PATH_SPLICE], FULL_FLOWS - 4);
	assert_int_equal(counts.refused_full, FULL_FLOWS - 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlaps_are_trimmed),
		cmocka_unit_test(test_spills_keep_the_order),
		cmocka_unit_test(test_full_maps_refuse_nobody),
	};

	rig_kernel_warnings();
	cmocka_set_test_filter(getenv("TEST")); /* one test by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
