/* SPDX-License-Identifier: MIT */
/*
 * Memory, on every path: a receiver that does not read stops its sender, before much is held
 * for it, whoever holds it. Many such flows at once, so that the figures of the whole machine
 * say something about one of them.
 *
 * What is held is socket buffers, most of all: two of each kind, on either side of the proxy. How
 * far they may grow is the network namespace's to say (net.ipv4.tcp_rmem, tcp_wmem: from 6 to 32 MiB
 * by default, after the kernel's version), so the test has one of its own with known limits.
 */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/sync.h>

#include "tests/bpf/scenario.h"

#define SOCKMAP	   WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)
#define DEAF_FLOWS 16u
#define FLOW_MOST  (16u << 20)
#define TRIES	   3 /* other processes come and go */

static const char known_limits[] =
	"ip link set lo up && echo '4096 131072 6291456' > /proc/sys/net/ipv4/tcp_rmem && "
	"echo '4096 16384 4194304' > /proc/sys/net/ipv4/tcp_wmem";

/* Once; it goes with the process. */
static bool enter_known_network(void)
{
	static bool entered;

	if (!entered)
		entered = unshare(CLONE_NEWNET) == 0 && system(known_limits) == 0;
	return entered;
}

static uint64_t tcp_bytes(void)
{
	FILE *file = fopen("/proc/net/sockstat", "re");
	unsigned long long pages = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		const char *mem = strstr(line, " mem ");

		if (!strncmp(line, "TCP:", 4) && mem)
			pages = strtoull(mem + 5, NULL, 10);
	}
	if (file)
		fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib * 1024;
}

struct deaf {
	const struct scenario_path *path;
	struct weir_kernel *kernel;
	struct weir_offload *offload;
	struct weir_event full; /* all senders were stopped */
	unsigned stopped;
	uint64_t most_taken; /* of one flow */
	uint64_t tcp, host;  /* bytes of all */
	char error[200];
};

/* Until nothing more is taken for a while. */
static uint64_t sender_fill(struct weir_stream *stream)
{
	static char block[65536];
	uint64_t taken = 0;
	unsigned quiet = 0;

	while (quiet < 30 && taken < (1ull << 30)) {
		struct iovec iov = { block, sizeof(block) };
		ssize_t n = stream->ops->writev(stream, &iov, 1, false);

		if (n > 0) {
			taken += (uint64_t)n;
			quiet = 0;
			continue;
		}
		quiet++;
		if (weir_task_sleep_ms(10))
			break;
	}
	return taken;
}

static int deaf_sender(void *arg)
{
	struct rig *rig = arg;
	struct deaf *deaf = rig->ctx;
	uint64_t taken = sender_fill(rig->client.stream);

	deaf->most_taken = WEIR_MAX(deaf->most_taken, taken);
	if (++deaf->stopped == DEAF_FLOWS)
		weir_event_set(&deaf->full);
	while (!rig->bridge_ended && weir_task_sleep_ms(5) == 0)
		continue;
	return 0;
}

static int deaf_end(void *arg)
{
	struct rig *rig = arg;
	struct deaf *deaf = rig->ctx;

	if (weir_event_wait(&deaf->full, "senders", WEIR_NEVER) == 0 && weir_task_sleep_ms(20) == 0)
		weir_flow_end(&rig->bridge, WEIR_END_ADMIN);
	return 0;
}

static int deaf_flow(void *arg)
{
	struct deaf *deaf = arg;
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->offload = deaf->offload;
	rig->conf.paths = deaf->path->paths;
	rig->conf.adaptive = deaf->path->adaptive;
	rig->client_fn = deaf_sender;
	rig->origin_fn = deaf_origin;
	rig->beside = deaf_end;
	rig->ctx = deaf;
	rig_flow(rig);
	if (rig->error[0])
		snprintf(deaf->error, sizeof(deaf->error), "%s", rig->error);
	free(rig);
	return 0;
}

static int deaf_main(void *arg)
{
	struct deaf *deaf = arg;
	uint64_t tcp = tcp_bytes(), host = memory_available();
	struct weir_scope scope;

	weir_event_init(&deaf->full);
	weir_scope_init(&scope, NULL);
	for (unsigned i = 0; i < DEAF_FLOWS; i++) {
		if (weir_scope_spawn(&scope, "deaf", deaf_flow, deaf, NULL))
			return -ENOMEM;
	}
	if (weir_event_wait(&deaf->full, "senders", WEIR_NEVER))
		return -ECANCELED;
	deaf->tcp = tcp_bytes() - WEIR_MIN(tcp, tcp_bytes());
	deaf->host = host - WEIR_MIN(host, memory_available());
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	return 0;
}

static void test_deaf(void **state)
{
	const struct scenario_path *path = *state;
	uint64_t tcp = UINT64_MAX, host = UINT64_MAX;
	struct weir_kernel *kernel = NULL;

	if (path->paths & SOCKMAP)
		RIG_NEEDS_KERNEL(kernel);
	if (!enter_known_network()) {
		print_message("needs root: no network namespace with limits of our own\n");
		skip();
	}
	for (int i = 0; i < TRIES && WEIR_MAX(tcp, host) / DEAF_FLOWS > FLOW_MOST; i++) {
		struct deaf deaf = { .path = path };

		rig_run_main(kernel, deaf_main, &deaf, &deaf.offload, NULL);
		assert_string_equal(deaf.error, "");
		assert_in_range(deaf.most_taken, 1, FLOW_MOST);
		tcp = WEIR_MIN(tcp, deaf.tcp);
		host = WEIR_MIN(host, deaf.host);
		print_message("a flow of %u: %.1f MB taken at most, %.1f MB of TCP's memory, "
			      "%.1f MB of the host's\n",
			      DEAF_FLOWS, (double)deaf.most_taken / 1e6,
			      (double)deaf.tcp / DEAF_FLOWS / 1e6,
			      (double)deaf.host / DEAF_FLOWS / 1e6);
	}
	assert_in_range(tcp / DEAF_FLOWS, 0, FLOW_MOST);
	assert_in_range(host / DEAF_FLOWS, 0, FLOW_MOST);
	assert_int_equal(rig_kernel_warnings(), 0);
}

int main(void)
{
	struct CMUnitTest tests[SCENARIO_PATHS];
	char names[SCENARIO_PATHS][64];
	size_t n = 0;

	for (size_t i = 0; i < SCENARIO_PATHS; i++) {
		if (scenario_paths[i].flips)
			continue;
		snprintf(names[n], sizeof(names[n]), "test_deaf_%s", scenario_paths[i].name);
		tests[n] = (struct CMUnitTest){ .name = names[n],
						.test_func = test_deaf,
						.initial_state =
							(void *)(uintptr_t)&scenario_paths[i] };
		n++;
	}
	rig_kernel_warnings();
	return _cmocka_run_group_tests("memory", tests, n, NULL, rig_group_teardown);
}
