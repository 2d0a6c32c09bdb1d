/* SPDX-License-Identifier: MIT */
/*
 * The verdict program against hostile and awkward TCP: retransmits that overlap, segments out of
 * order, urgent data, sockets that the map refuses, a full map, receivers that stop reading.
 *
 * Overlapping segments come from a raw socket that writes in the name of the client's kernel
 * socket, whose sequence numbers are read in repair mode.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/error.h>

#include "tests/bpf/rig.h"

#ifndef TCP_REPAIR_OFF_NO_WP
#define TCP_REPAIR_OFF_NO_WP -1
#endif

#define SOCKMAP WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)
#define NATURAL (WEIR_PATH_BIT(WEIR_PATH_COPY) | WEIR_PATH_BIT(WEIR_PATH_SPLICE) | SOCKMAP)

/* ---- segments by hand ---- */

struct forger {
	int raw;
	struct sockaddr_in from, to;
	uint32_t seq, ack; /* of the next byte each way */
};

static int repair_seq(int fd, int queue, uint32_t *seq)
{
	socklen_t size = sizeof(*seq);

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)))
		return -errno;
	return getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, seq, &size) ? -errno : 0;
}

static int forger_open(struct forger *forger, int fd)
{
	int on = 1, off = TCP_REPAIR_OFF_NO_WP;
	socklen_t size = sizeof(forger->from);
	int status;

	getsockname(fd, (struct sockaddr *)&forger->from, &size);
	getpeername(fd, (struct sockaddr *)&forger->to, &size);
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		return -errno;
	status = repair_seq(fd, TCP_SEND_QUEUE, &forger->seq);
	if (!status)
		status = repair_seq(fd, TCP_RECV_QUEUE, &forger->ack);
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
	if (status)
		return status;
	forger->raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	return forger->raw < 0 ? -errno : 0;
}

static uint32_t sum_words(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	if (size % 2)
		sum += (uint32_t)bytes[size - 1] << 8;
	return sum;
}

static uint16_t forger_checksum(const struct forger *forger, const void *segment, size_t size)
{
	uint32_t sum = sum_words(0, &forger->from.sin_addr, 4);

	sum = sum_words(sum, &forger->to.sin_addr, 4) + IPPROTO_TCP + (uint32_t)size;
	sum = sum_words(sum, segment, size);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Bytes FROM to FROM + SIZE of the client's stream. */
static int forger_send_end(struct forger *forger, uint64_t seed, uint32_t from, uint32_t size,
			   bool fin)
{
	char segment[sizeof(struct tcphdr) + 2000];
	struct tcphdr *tcp = (struct tcphdr *)(void *)segment;
	size_t total = sizeof(*tcp) + size;

	memset(tcp, 0, sizeof(*tcp));
	tcp->source = forger->from.sin_port;
	tcp->dest = forger->to.sin_port;
	tcp->seq = htonl(forger->seq + from);
	tcp->ack_seq = htonl(forger->ack);
	tcp->doff = sizeof(*tcp) / 4;
	tcp->psh = 1;
	tcp->fin = fin;
	tcp->ack = 1;
	tcp->window = htons(1000);
	payload_fill(segment + sizeof(*tcp), size, seed, from);
	tcp->check = forger_checksum(forger, segment, total);
	/* Bound to the client's address; the kernel writes the IP header. */
	if (sendto(forger->raw, segment, total, 0, (struct sockaddr *)&forger->to,
		   sizeof(forger->to)) != (ssize_t)total)
		return -errno;
	return 0;
}

static int forger_send(struct forger *forger, uint64_t seed, uint32_t from, uint32_t size)
{
	return forger_send_end(forger, seed, from, size, false);
}

#define OVERLAP_TURNS 40
#define OVERLAP_BYTES (OVERLAP_TURNS * 2000u)

/* Two thousand bytes a turn: each time some of them twice, and every other time the later half
 * before the earlier one. */
static int forge_overlaps(struct forger *forger, uint64_t seed)
{
	int status = 0;

	for (uint32_t turn = 0; turn < OVERLAP_TURNS && !status; turn++) {
		uint32_t at = turn * 2000;

		if (turn % 2) {
			status = forger_send(forger, seed, at + 1000, 1000);
			if (!status)
				status = forger_send(forger, seed, at, 1300);
		} else {
			status = forger_send(forger, seed, at, 1000);
			if (!status)
				status = forger_send(forger, seed, at, 1000);
			if (!status)
				status = forger_send(forger, seed, at > 0 ? at - 1 : at, 1500);
			if (!status)
				status = forger_send(forger, seed, at + 400, 1600);
		}
		if (!status && turn % 4 == 0)
			status = weir_task_sleep_ms(1);
	}
	return status;
}

static int overlap_client(void *arg)
{
	struct rig *rig = arg;
	struct forger forger;
	int status = forger_open(&forger, weir_stream_raw_fd(rig->client.stream, NULL));

	if (!status)
		status = weir_task_sleep_ms(20); /* the flow goes to the kernel */
	if (!status)
		status = forge_overlaps(&forger, rig->client.seed);
	/* The end comes with bytes that are all known. */
	if (!status)
		status = forger_send_end(&forger, rig->client.seed, OVERLAP_BYTES - 700, 700, true);
	if (status)
		rig_note(rig, "the forger: %s", weir_strerror(status));
	close(forger.raw);
	return 0;
}

static int overlap_origin(void *arg)
{
	struct rig *rig = arg;

	if (peer_receive(&rig->origin) || rig->origin.got != OVERLAP_BYTES)
		rig_note(rig, "%llu bytes arrived of %u: %s", (unsigned long long)rig->origin.got,
			 OVERLAP_BYTES, weir_strerror(rig->origin.status));
	return weir_stream_shutdown(rig->origin.stream);
}

struct stat_search {
	const char *name;
	uint64_t value;
};

static void stat_match(void *ctx, const char *name, uint64_t value)
{
	struct stat_search *search = ctx;

	if (!strcmp(name, search->name))
		search->value = value;
}

static uint64_t stat_of(struct weir_kernel *kernel, const char *name)
{
	struct stat_search search = { .name = name };

	assert_int_equal(weir_kernel_each_stat(kernel, stat_match, &search), 0);
	return search.value;
}

static void test_overlaps_are_trimmed(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client = { .seed = 21 },
		.client_fn = overlap_client,
		.origin_fn = overlap_origin,
	};
	uint64_t before;

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	before = stat_of(rig.kernel, "trimmed_bytes");
	rig_run(&rig);
	assert_int_equal(rig.bridge.end, WEIR_END_CLIENT);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SOCKMAP], OVERLAP_BYTES);
	assert_true(stat_of(rig.kernel, "trimmed_bytes") > before);
	assert_int_equal(stat_of(rig.kernel, "drop_stale"), 1);
	assert_int_equal(stat_of(rig.kernel, "pass_gap"), 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* ---- urgent data stays in the stream ---- */

static int urgent_client(void *arg)
{
	struct rig *rig = arg;
	int fd = weir_stream_raw_fd(rig->client.stream, NULL);
	char data[3000];

	payload_fill(data, sizeof(data), rig->client.seed, 0);
	if (weir_task_sleep_ms(20) || send(fd, data, 1000, 0) != 1000 ||
	    send(fd, data + 1000, 1, MSG_OOB) != 1 || send(fd, data + 1001, 1999, 0) != 1999)
		rig_note(rig, "the client cannot send");
	if (weir_stream_shutdown(rig->client.stream))
		rig_note(rig, "the client cannot end");
	peer_receive(&rig->client);
	return 0;
}

static int inline_origin(void *arg)
{
	struct rig *rig = arg;
	int on = 1;

	setsockopt(weir_stream_raw_fd(rig->origin.stream, NULL), SOL_SOCKET, SO_OOBINLINE, &on,
		   sizeof(on));
	if (peer_receive(&rig->origin) || rig->origin.got != 3000)
		rig_note(rig, "%llu bytes arrived", (unsigned long long)rig->origin.got);
	return weir_stream_shutdown(rig->origin.stream);
}

static void test_urgent_data_is_data(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client = { .seed = 22 },
		.client_fn = urgent_client,
		.origin_fn = inline_origin,
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	assert_int_equal(rig.bridge.end, WEIR_END_CLIENT);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes, 3000);
}

/* ---- what came before the hand-over ---- */

/* Bytes that wait in the socket, and one that userspace has read in part. */
static void send_early(struct rig *rig)
{
	char data[5000];

	payload_fill(data, sizeof(data), rig->client.seed, 0);
	if (send(weir_stream_raw_fd(rig->client.stream, NULL), data, sizeof(data), 0) != 5000)
		rig_note(rig, "the client cannot send");
}

static int early_client(void *arg)
{
	struct rig *rig = arg;

	if (weir_task_sleep_ms(30) || weir_stream_shutdown(rig->client.stream))
		rig_note(rig, "the client cannot end");
	peer_receive(&rig->client);
	return 0;
}

static int early_origin(void *arg)
{
	struct rig *rig = arg;

	if (peer_receive(&rig->origin) || rig->origin.got != 5000)
		rig_note(rig, "%llu bytes arrived", (unsigned long long)rig->origin.got);
	return weir_stream_shutdown(rig->origin.stream);
}

static void test_early_data_is_carried(void **state)
{
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client = { .seed = 23 },
		.before = send_early,
		.client_fn = early_client,
		.origin_fn = early_origin,
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes, 5000);
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* ---- memory: a receiver that does not read stops the sender ---- */

#define FLOOD_LIMIT (16u << 20)

static uint64_t tcp_pages(void)
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
	return pages;
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

struct flood {
	uint64_t taken; /* by the sender's socket */
	uint64_t pages;
	uint64_t used; /* of the host's memory */
};

static int flood_client(void *arg)
{
	struct rig *rig = arg;
	struct flood *flood = rig->ctx;
	uint64_t memory = memory_available(), pages = tcp_pages();
	static char block[65536];
	unsigned quiet = 0;

	/* Until nothing more is taken for half a second. */
	while (quiet < 50 && flood->taken < (1ull << 30)) {
		struct iovec iov = { block, sizeof(block) };
		ssize_t n = rig->client.stream->ops->writev(rig->client.stream, &iov, 1, false);

		if (n > 0) {
			flood->taken += (uint64_t)n;
			quiet = 0;
			continue;
		}
		quiet++;
		if (weir_task_sleep_ms(10))
			break;
	}
	flood->pages = tcp_pages() - pages;
	flood->used = memory - WEIR_MIN(memory, memory_available());
	weir_flow_end(&rig->bridge, WEIR_END_ADMIN);
	return 0;
}

static int deaf_origin(void *arg)
{
	struct rig *rig = arg;

	while (!rig->bridge_ended && weir_task_sleep_ms(10) == 0)
		continue;
	return 0;
}

static void test_a_deaf_receiver_costs_little(void **state)
{
	struct flood flood = { 0 };
	struct rig rig = {
		.conf = { .paths = SOCKMAP },
		.client_fn = flood_client,
		.origin_fn = deaf_origin,
		.ctx = &flood,
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	print_message("taken %llu bytes, TCP memory %llu pages, host memory %llu bytes\n",
		      (unsigned long long)flood.taken, (unsigned long long)flood.pages,
		      (unsigned long long)flood.used);
	/* The origin has read nothing: whoever holds the bytes, they are no more than these. The
	 * other two figures are the whole machine's and so are for people. */
	assert_in_range(flood.taken, 1, FLOOD_LIMIT);
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
	assert_true(counts.spills >= 100);
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
		cmocka_unit_test(test_urgent_data_is_data),
		cmocka_unit_test(test_early_data_is_carried),
		cmocka_unit_test(test_a_deaf_receiver_costs_little),
		cmocka_unit_test(test_spills_keep_the_order),
		cmocka_unit_test(test_full_maps_refuse_nobody),
	};

	rig_kernel_warnings();
	cmocka_set_test_filter(getenv("TEST")); /* one test by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
