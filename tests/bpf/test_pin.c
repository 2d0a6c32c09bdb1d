/* SPDX-License-Identifier: MIT */
/*
 * Pinned maps: what tools see, what a killed daemon leaves, what another version finds. All in a
 * mount namespace of its own with a bpffs of its own.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include <weir/error.h>

#include "bpf/abi.h"
#include "tests/bpf/rig.h"

#define SOCKMAP WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)

static char folder[] = "/tmp/weir-pin-XXXXXX";
static char pin[64];
static char other_pin[64];

static int pin_setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(pin, sizeof(pin), "%s/weir", folder);
	snprintf(other_pin, sizeof(other_pin), "%s/other", folder);
	return 0;
}

static int pin_teardown(void **state)
{
	umount2(folder, MNT_DETACH);
	rmdir(folder);
	return rig_group_teardown(state);
}

/* Once; the namespace goes with the process. */
static bool mount_bpffs(void)
{
	static bool mounted;

	if (mounted)
		return true;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", folder, "bpf", 0, NULL))
		return false;
	mounted = true;
	return true;
}

#define NEEDS_BPFFS()                                                          \
	do {                                                                   \
		struct weir_kernel *probe_;                                    \
		RIG_NEEDS_KERNEL(probe_);                                      \
		if (!mount_bpffs()) {                                          \
			print_message("needs bpf: no bpffs can be mounted\n"); \
			skip();                                                \
		}                                                              \
	} while (0)

static struct weir_kernel *kernel_at(const char *path)
{
	struct weir_kernel_conf conf = { .pin = path, .flows = 64 };
	struct weir_kernel *kernel = weir_kernel_open(&conf, NULL);

	assert_non_null(kernel);
	assert_true(weir_kernel_is_usable(kernel, NULL));
	return kernel;
}

static const struct weir_probe_result *result_named(struct weir_kernel *kernel, const char *name)
{
	size_t n;
	const struct weir_probe_result *results = weir_kernel_results(kernel, &n);

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(results[i].name, name))
			return &results[i];
	}
	return NULL;
}

static int open_map(const char *path, const char *name)
{
	char map[128];

	snprintf(map, sizeof(map), "%s/%s", path, name);
	return bpf_obj_get(map);
}

static void read_meta(const char *path, struct weir_meta *meta)
{
	uint32_t zero = 0;
	int fd = open_map(path, "weir_meta");

	assert_true(fd >= 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, meta), 0);
	close(fd);
}

/* ---- */

static void count_map(void *ctx, const struct weir_pinned_map *map)
{
	unsigned *count = ctx;

	assert_true(strlen(map->name) <= 15);
	assert_true(map->id > 0);
	if (strcmp(map->name, "weir_events") != 0)
		assert_true(map->memory_bytes > 0);
	(*count)++;
}

static void test_pins_come_and_go(void **state)
{
	struct weir_kernel *kernel;
	struct weir_meta meta;
	unsigned maps = 0;

	(void)state;
	NEEDS_BPFFS();
	kernel = kernel_at(pin);
	assert_string_equal(weir_kernel_pin(kernel), pin);
	assert_int_equal(weir_pinned_each_map(pin, count_map, &maps), 0);
	assert_int_equal(maps, 7);
	read_meta(pin, &meta);
	assert_int_equal(meta.abi, WEIR_ABI);
	assert_int_equal(meta.flows_max, 64);
	weir_kernel_close(kernel, false);
	assert_int_equal(access(pin, F_OK), -1);
	assert_int_equal(weir_pinned_each_map(pin, count_map, &maps), -ENOENT);
}

static void test_kept_maps_are_used_again(void **state)
{
	struct weir_kernel *kernel;
	struct weir_meta before, after;

	(void)state;
	NEEDS_BPFFS();
	weir_kernel_close(kernel_at(pin), true);
	read_meta(pin, &before);
	kernel = kernel_at(pin);
	read_meta(pin, &after);
	assert_int_equal(before.made_ns, after.made_ns);
	weir_kernel_close(kernel, false);
}

static void test_maps_of_another_version_are_replaced(void **state)
{
	struct weir_kernel *kernel;
	struct weir_meta meta;
	uint64_t made_ns;
	uint32_t zero = 0;
	unsigned maps = 0;
	int fd;

	(void)state;
	NEEDS_BPFFS();
	weir_kernel_close(kernel_at(pin), true);
	read_meta(pin, &meta);
	made_ns = meta.made_ns;
	meta.abi = WEIR_ABI + 1;
	fd = open_map(pin, "weir_meta");
	assert_int_equal(bpf_map_update_elem(fd, &zero, &meta, BPF_ANY), 0);
	close(fd);
	assert_int_equal(weir_pinned_each_map(pin, count_map, &maps), -EPROTO);

	kernel = kernel_at(pin);
	read_meta(pin, &meta);
	assert_int_equal(meta.abi, WEIR_ABI);
	assert_true(meta.made_ns > made_ns);
	assert_non_null(strstr(result_named(kernel, "pin")->reason, "thrown away"));
	weir_kernel_close(kernel, false);
}

static void test_two_folders_are_two_daemons(void **state)
{
	struct weir_kernel *first, *second;
	struct weir_meta one, two;

	(void)state;
	NEEDS_BPFFS();
	first = kernel_at(pin);
	second = kernel_at(other_pin);
	read_meta(pin, &one);
	read_meta(other_pin, &two);
	assert_true(one.made_ns != two.made_ns);
	weir_kernel_close(first, false);
	assert_int_equal(access(other_pin, F_OK), 0);
	weir_kernel_close(second, false);
}

static void test_without_a_bpffs_nothing_is_pinned(void **state)
{
	char path[] = "/tmp/weir-nopin-XXXXXX";
	struct weir_kernel *kernel;
	char inside[64];

	(void)state;
	NEEDS_BPFFS();
	assert_non_null(mkdtemp(path));
	snprintf(inside, sizeof(inside), "%s/weir", path);
	kernel = kernel_at(inside);
	assert_null(weir_kernel_pin(kernel));
	assert_int_equal(result_named(kernel, "pin")->status, WEIR_PROBE_FAILED);
	assert_non_null(strstr(result_named(kernel, "pin")->reason, "bpffs"));
	weir_kernel_close(kernel, false);
	assert_int_equal(rmdir(path), 0); /* nothing was left in it */
}

/* ---- flows in the maps ---- */

struct seen {
	unsigned flows;
	uint64_t redirected;
	char way[2][8];
	char listener[32];
	char from[64];
	bool states_fit;
};

static void see_flow(void *ctx, const struct weir_pinned_flow *flow)
{
	struct seen *seen = ctx;

	if (seen->flows < 2)
		snprintf(seen->way[seen->flows], sizeof(seen->way[0]), "%s", flow->way);
	seen->flows++;
	seen->redirected += flow->redirected_bytes;
	snprintf(seen->listener, sizeof(seen->listener), "%s", flow->listener);
	snprintf(seen->from, sizeof(seen->from), "%s", flow->from);
	seen->states_fit = !strcmp(flow->state, "redirected") && !strcmp(flow->path, "sockmap");
}

static void name_flow(struct rig *rig)
{
	rig->bridge.id = 77;
	rig->bridge.listener = "db";
	rig->bridge.upstream = "a-name-that-is-longer-than-the-record";
}

/* A few bytes each way, then the maps are read as weirctl does. */
static int shown_client(void *arg)
{
	struct rig *rig = arg;
	struct seen *seen = rig->ctx;
	char data[100];
	int status = weir_task_sleep_ms(20);

	payload_fill(data, sizeof(data), 0, 0);
	if (!status)
		status = weir_stream_write(rig->client.stream, data, sizeof(data));
	if (!status)
		status = weir_stream_read_full(rig->client.stream, data, sizeof(data));
	if (!status)
		status = weir_pinned_each_flow(pin, see_flow, seen);
	if (status)
		rig_note(rig, "the client: %s", weir_strerror(status));
	return weir_stream_shutdown(rig->client.stream);
}

static int shown_origin(void *arg)
{
	struct rig *rig = arg;
	char data[100];

	if (weir_stream_read_full(rig->origin.stream, data, sizeof(data)) ||
	    weir_stream_write(rig->origin.stream, data, sizeof(data)) ||
	    weir_stream_read(rig->origin.stream, data, sizeof(data)) != 0)
		rig_note(rig, "the origin failed");
	return weir_stream_shutdown(rig->origin.stream);
}

static void test_flows_are_shown(void **state)
{
	struct seen seen = { 0 };
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client = { .seed = 1 },
		.before = name_flow,
		.client_fn = shown_client,
		.origin_fn = shown_origin,
		.ctx = &seen,
	};

	(void)state;
	NEEDS_BPFFS();
	rig.kernel = kernel_at(pin);
	rig_run(&rig);
	assert_int_equal(seen.flows, 2);
	assert_int_equal(seen.redirected, 200);
	assert_true(strcmp(seen.way[0], seen.way[1]) != 0);
	assert_string_equal(seen.listener, "db");
	assert_non_null(strstr(seen.from, "127.0.0.1:"));
	assert_true(seen.states_fit);
	/* The flow has ended: nothing of it is left. */
	seen.flows = 0;
	assert_int_equal(weir_pinned_each_flow(pin, see_flow, &seen), 0);
	assert_int_equal(seen.flows, 0);
	weir_kernel_close(rig.kernel, false);
}

/* ---- a daemon that is killed ---- */

static int victim_client(void *arg)
{
	struct rig *rig = arg;

	(void)!write(*(int *)rig->ctx, "x", 1);
	return weir_task_sleep_ms(60000);
}

static int victim_origin(void *arg)
{
	(void)arg;
	return weir_task_sleep_ms(60000);
}

static void victim_main(int ready)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.before = name_flow,
		.client_fn = victim_client,
		.origin_fn = victim_origin,
		.ctx = &ready,
	};

	rig.kernel = kernel_at(pin);
	rig_run(&rig);
	_exit(1);
}

static void test_a_killed_daemon_leaves_nothing_that_stays(void **state)
{
	struct seen seen = { 0 };
	struct weir_kernel *kernel;
	struct weir_slot *slots;
	int pipes[2], fd;
	char byte;
	pid_t child;

	(void)state;
	NEEDS_BPFFS();
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		victim_main(pipes[1]);
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	usleep(100000); /* the flow goes to the kernel */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(pipes[0]);
	/* Its records are there for whoever comes next. */
	assert_int_equal(weir_pinned_each_flow(pin, see_flow, &seen), 0);
	assert_int_equal(seen.flows, 2);

	kernel = kernel_at(pin);
	seen.flows = 0;
	assert_int_equal(weir_pinned_each_flow(pin, see_flow, &seen), 0);
	assert_int_equal(seen.flows, 0);
	fd = open_map(pin, "weir_slots");
	slots = test_calloc(1, sizeof(*slots));
	for (uint32_t i = 0; i < 128; i++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &i, slots), 0);
		assert_int_equal(slots->owner, 0);
	}
	test_free(slots);
	close(fd);
	weir_kernel_close(kernel, false);
}

/* ---- without rights ---- */

static void test_without_rights_it_says_why(void **state)
{
	struct weir_kernel_conf conf = { 0 };
	int status;
	pid_t child;

	(void)state;
	if (geteuid()) {
		print_message("needs root: rights must be there to be given up\n");
		skip();
	}
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct weir_kernel *kernel;
		const char *why = NULL;
		bool said;

		if (setuid(65534))
			_exit(2);
		kernel = weir_kernel_open(&conf, NULL);
		said = kernel && !weir_kernel_is_usable(kernel, &why) &&
		       strstr(why, "CAP_BPF") != NULL;
		weir_kernel_close(kernel, false);
		_exit(said ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void test_switched_off(void **state)
{
	struct weir_kernel_conf conf = { .disabled = true };
	struct weir_kernel *kernel = weir_kernel_open(&conf, NULL);
	const char *why;

	(void)state;
	assert_non_null(kernel);
	assert_false(weir_kernel_is_usable(kernel, &why));
	assert_string_equal(why, "sockmap: switched off by the configuration");
	assert_null(weir_offload_new(kernel, NULL));
	weir_kernel_close(kernel, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pins_come_and_go),
		cmocka_unit_test(test_kept_maps_are_used_again),
		cmocka_unit_test(test_maps_of_another_version_are_replaced),
		cmocka_unit_test(test_two_folders_are_two_daemons),
		cmocka_unit_test(test_without_a_bpffs_nothing_is_pinned),
		cmocka_unit_test(test_flows_are_shown),
		cmocka_unit_test(test_a_killed_daemon_leaves_nothing_that_stays),
		cmocka_unit_test(test_without_rights_it_says_why),
		cmocka_unit_test(test_switched_off),
	};

	cmocka_set_test_filter(getenv("TEST")); /* one test by name, while looking for a fault */
	return cmocka_run_group_tests(tests, pin_setup, pin_teardown);
}
