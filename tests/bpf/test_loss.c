/* SPDX-License-Identifier: MIT */
/*
 * Flows on a network that loses segments: retransmits, holes that are filled later, selective
 * acknowledgements. In a network namespace of its own: its loopback has an Ethernet's MTU and
 * loses at random, both what the proxy receives and what it sends.
 */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/error.h>

#include "tests/bpf/rig.h"

#define LOSSY_FLOWS 16
#define ANY_PATH                                                           \
	(WEIR_PATH_BIT(WEIR_PATH_COPY) | WEIR_PATH_BIT(WEIR_PATH_SPLICE) | \
	 WEIR_PATH_BIT(WEIR_PATH_SOCKMAP))

static const char lossy_network[] =
	"ip link set lo mtu 1500 up && "
	"nft 'add table inet lossy; "
	"add chain inet lossy input { type filter hook input priority 0; }; "
	"add rule inet lossy input tcp flags & (syn|rst) == 0 numgen random mod 1000 < 8 drop'";

static int enter_lossy_network(void)
{
	if (unshare(CLONE_NEWNET))
		return -errno;
	return system(lossy_network) == 0 ? 0 : -ENOTSUP;
}

struct lossy {
	struct weir_offload *offload;
	unsigned next;
	unsigned flips;
	unsigned paths; /* allowed */
	uint64_t kernel_bytes;
	char error[200];
};

static int lossy_flip(void *arg)
{
	struct rig *rig = arg;
	struct lossy *lossy = rig->ctx;
	uint64_t random = rig->client.seed * 7919 + 13;

	for (;;) {
		enum weir_path path = (enum weir_path)(rig_random(&random) % WEIR_PATH_COUNT);

		if (weir_task_nap_us((unsigned)(rig_random(&random) % 20000) + 500) ||
		    rig->bridge_ended)
			return 0;
		if (weir_flow_set_path(&rig->bridge, path) == 0)
			lossy->flips++;
	}
}

static int lossy_flow(void *arg)
{
	struct lossy *lossy = arg;
	unsigned index = lossy->next++;
	struct rig *rig = test_calloc(1, sizeof(*rig));

	rig->offload = lossy->offload;
	rig->conf.paths = lossy->paths;
	rig->conf.adaptive = true;
	rig->ctx = lossy;
	if (lossy->paths == ANY_PATH)
		rig->beside = lossy_flip;
	for (int i = 0; i < 2; i++) {
		struct peer *peer = i ? &rig->origin : &rig->client;

		peer->seed = 9000 + index * 2 + (unsigned)i;
		peer->send = index % 2 ? 1500000 : 60000;
		peer->chunk = index % 2 ? 30000 : 300;
		peer->write_nap_us = index % 2 ? 0 : 2000;
	}
	rig_flow(rig);
	if (rig->error[0] || rig->bridge_status)
		snprintf(lossy->error, sizeof(lossy->error), "flow %u: %.120s (%s)", index,
			 rig->error, weir_strerror(rig->bridge_status));
	for (int i = 0; i < 2; i++)
		lossy->kernel_bytes += rig->bridge.way[i].bytes_path[WEIR_PATH_SOCKMAP];
	test_free(rig);
	return 0;
}

static int lossy_main(void *arg)
{
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	for (int i = 0; i < LOSSY_FLOWS; i++) {
		if (weir_scope_spawn(&scope, "lossy", lossy_flow, arg, NULL))
			return -ENOMEM;
	}
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	return 0;
}

/* Of this network namespace, since it was made. */
static unsigned long retransmits(void)
{
	FILE *file = fopen("/proc/self/net/snmp", "re");
	unsigned long field = 0;
	char line[512];
	bool values = false;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "Tcp:", 4) != 0)
			continue;
		/* RetransSegs is the twelfth; the first such line has the names. */
		if (values)
			sscanf(line, "Tcp: %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu",
			       &field);
		values = true;
	}
	if (file)
		fclose(file);
	return field;
}

static void lossy_run(unsigned paths)
{
	unsigned long lost = 0;
	static int entered = 1;
	struct weir_offload_counts counts;
	struct lossy lossy = { .paths = paths };
	struct weir_kernel *kernel;

	RIG_NEEDS_KERNEL(kernel);
	if (entered > 0)
		entered = enter_lossy_network();
	if (entered) {
		print_message("needs nft: no network of our own that loses segments\n");
		skip();
	}
	lost = retransmits();
	rig_run_main(kernel, lossy_main, &lossy, &lossy.offload, &counts);
	lost = retransmits() - lost;
	print_message(
		"%lu retransmits, %llu bytes by the kernel, %u changes of path asked, %llu handed over, "
		"%llu back, %llu spills\n",
		lost, (unsigned long long)lossy.kernel_bytes, lossy.flips,
		(unsigned long long)counts.handed_over, (unsigned long long)counts.handed_back,
		(unsigned long long)counts.spills);
	if (lossy.error[0])
		fail_msg("%s", lossy.error);
	assert_true(lost > 0);
	assert_true(lossy.kernel_bytes > 0);
	assert_int_equal(counts.audit_failed, 0);
	assert_int_equal(counts.broken, 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

static void test_loss_in_the_kernel(void **state)
{
	(void)state;
	lossy_run(WEIR_PATH_BIT(WEIR_PATH_SOCKMAP));
}

static void test_loss_and_changes_of_path(void **state)
{
	(void)state;
	lossy_run(ANY_PATH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loss_in_the_kernel),
		cmocka_unit_test(test_loss_and_changes_of_path),
	};

	rig_kernel_warnings();
	cmocka_set_test_filter(getenv("TEST")); /* one test by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
