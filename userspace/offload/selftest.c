/* SPDX-License-Identifier: MIT */
/*
 * Self-tests on loopback sockets: each behaviour that the protocol of this room stands on is
 * shown to hold on the running kernel before a single flow is handed over.
 *
 *	client <=====> front   back <=====> server
 *	               (both in the map, as a flow's two sockets are)
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <weir/error.h>

#include "offload/gauge.h"
#include "offload/kernel.h"

#define RIG_WAIT_MS 500
#define RIG_LIMIT   65536u
#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

enum { CLIENT, FRONT, BACK, SERVER, RIG_SOCKETS };

struct rig {
	struct weir_kernel *kernel;
	int family;
	int fd[RIG_SOCKETS];
	uint64_t cookie[2]; /* of front and back */
	int slot[2];
	char reason[128];
};

/* ------------------------------------------------------------------------------------------
 * The rig
 */

static int rig_fail(struct rig *rig, const char *what)
{
	snprintf(rig->reason, sizeof(rig->reason), "%s", what);
	return -ENOTSUP;
}

static int rig_fail_errno(struct rig *rig, const char *what)
{
	snprintf(rig->reason, sizeof(rig->reason), "%s: %s", what, weir_strerror(-errno));
	return -ENOTSUP;
}

/* A connected pair: NEAR has accepted, FAR has connected. */
static int rig_connect(const struct rig *rig, int *far, int *near)
{
	struct sockaddr_storage address = { .ss_family = (sa_family_t)rig->family };
	socklen_t size = rig->family == AF_INET6 ? sizeof(struct sockaddr_in6)
						 : sizeof(struct sockaddr_in);
	int listener = socket(rig->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status = -1;

	if (rig->family == AF_INET6)
		((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &size))
		goto out;
	*far = socket(rig->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*far < 0 || connect(*far, (struct sockaddr *)&address, size))
		goto out;
	*near = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	status = *near < 0 ? -1 : 0;
out:
	if (listener >= 0)
		close(listener);
	return status;
}

static int rig_open(struct rig *rig, struct weir_kernel *kernel, int family)
{
	int on = 1;

	*rig = (struct rig){
		.kernel = kernel,
		.family = family,
		.fd = { -1, -1, -1, -1 },
		.slot = { -1, -1 },
	};
	if (rig_connect(rig, &rig->fd[CLIENT], &rig->fd[FRONT]) ||
	    rig_connect(rig, &rig->fd[BACK], &rig->fd[SERVER]))
		return rig_fail_errno(rig, "loopback sockets");
	for (int i = 0; i < RIG_SOCKETS; i++) {
		fcntl(rig->fd[i], F_SETFL, O_NONBLOCK);
		setsockopt(rig->fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	for (int i = 0; i < 2; i++) {
		socklen_t size = sizeof(rig->cookie[i]);

		rig->slot[i] = slot_take(kernel);
		if (rig->slot[i] < 0)
			return rig_fail(rig, "no free slot");
		getsockopt(rig->fd[FRONT + i], SOL_SOCKET, SO_COOKIE, &rig->cookie[i], &size);
	}
	return 0;
}

static void rig_close(struct rig *rig)
{
	for (int i = 0; i < RIG_SOCKETS; i++) {
		if (rig->fd[i] >= 0)
			close(rig->fd[i]);
	}
	for (int i = 0; i < 2; i++) {
		if (rig->slot[i] < 0)
			continue;
		bpf_map_delete_elem(rig->kernel->flows, &rig->cookie[i]);
		slot_put(rig->kernel, (uint32_t)rig->slot[i]);
	}
}

static struct weir_slot *rig_slot(const struct rig *rig, int i)
{
	return &rig->kernel->slots[rig->slot[i]];
}

static void rig_gate(struct rig *rig, enum weir_want want)
{
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&rig_slot(rig, i)->want, want, __ATOMIC_SEQ_CST);
}

/* Both sockets into the map, gates shut. */
static int rig_join(struct rig *rig)
{
	for (int i = 0; i < 2; i++) {
		struct weir_slot *slot = rig_slot(rig, i);
		struct weir_flow flow = {
			.peer_cookie = rig->cookie[!i],
			.way = i ? WEIR_FLOW_DOWN : WEIR_FLOW_UP,
			.slot = (uint32_t)rig->slot[i],
			.owner = rig->kernel->pid,
			.listener = "self-test",
		};

		uint64_t written, consumed;

		if (gauge_written_exact(rig->fd[FRONT + !i], &written) ||
		    gauge_consumed(rig->fd[FRONT + i], &consumed))
			return rig_fail_errno(rig, "TCP_INFO");
		slot->user_tx = written;
		slot->before = consumed;
		slot->limit = RIG_LIMIT;
		slot->ring = WEIR_NO_RING;
		slot->other = (uint32_t)rig->slot[!i];
		slot->cookie = rig->cookie[i];
		if (bpf_map_update_elem(rig->kernel->flows, &rig->cookie[i], &flow, BPF_ANY))
			return rig_fail_errno(rig, "record");
	}
	for (int i = 0; i < 2; i++) {
		uint64_t fd = (uint64_t)rig->fd[FRONT + i];

		if (bpf_map_update_elem(rig->kernel->socks, &rig->cookie[i], &fd, BPF_NOEXIST))
			return rig_fail_errno(rig, "insertion");
	}
	return 0;
}

static bool rig_wait(int fd, short events)
{
	struct pollfd poller = { .fd = fd, .events = events };

	return poll(&poller, 1, RIG_WAIT_MS) > 0;
}

/* Exactly TEXT arrives at socket I. */
static bool rig_expect(const struct rig *rig, int i, const char *text)
{
	char data[64];
	size_t got = 0, size = strlen(text);

	while (got < size) {
		ssize_t n;

		if (!rig_wait(rig->fd[i], POLLIN))
			return false;
		n = recv(rig->fd[i], data + got, sizeof(data) - got, 0);
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return got == size && memcmp(data, text, size) == 0;
}

static bool rig_send(const struct rig *rig, int i, const char *text)
{
	return send(rig->fd[i], text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* ------------------------------------------------------------------------------------------
 * The tests: 0, or -ENOTSUP with rig->reason
 */

static int test_redirect(struct rig *rig)
{
	if (rig_join(rig))
		return -ENOTSUP;
	rig_gate(rig, WEIR_WANT_REDIRECT);
	if (!rig_send(rig, CLIENT, "ping") || !rig_expect(rig, SERVER, "ping"))
		return rig_fail(rig, "bytes of the client do not arrive");
	if (!rig_send(rig, SERVER, "pong") || !rig_expect(rig, CLIENT, "pong"))
		return rig_fail(rig, "bytes of the server do not arrive");
	if (rig_slot(rig, 0)->redirected != 4 || rig_slot(rig, 1)->redirected != 4)
		return rig_fail(rig, "bytes are not counted");
	return 0;
}

static int test_early(struct rig *rig)
{
	char byte;

	if (!rig_send(rig, CLIENT, "early") || !rig_wait(rig->fd[FRONT], POLLIN))
		return rig_fail_errno(rig, "loopback");
	if (rig_join(rig))
		return -ENOTSUP;
	rig_gate(rig, WEIR_WANT_REDIRECT);
	(void)!recv(rig->fd[FRONT], &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (!rig_expect(rig, SERVER, "early"))
		return rig_fail(rig, "data from before the insertion stays where it is");
	return 0;
}

/* A segment that userspace has read in part comes to the verdict in full. */
static int test_trim(struct rig *rig)
{
	char data[3];

	if (!rig_send(rig, CLIENT, "abcdef") || !rig_wait(rig->fd[FRONT], POLLIN) ||
	    recv(rig->fd[FRONT], data, 3, 0) != 3)
		return rig_fail_errno(rig, "loopback");
	if (rig_join(rig))
		return -ENOTSUP;
	rig_gate(rig, WEIR_WANT_REDIRECT);
	(void)!recv(rig->fd[FRONT], data, 1, MSG_PEEK | MSG_DONTWAIT);
	if (!rig_expect(rig, SERVER, "def"))
		return rig_fail(rig, "bytes that were read already come again");
	if (rig_slot(rig, 0)->trimmed != 3)
		return rig_fail(rig, "sequence numbers are not where they should be");
	return 0;
}

/* The server does not read: the sender must be stopped, all the rest is for userspace. */
static int test_bound(struct rig *rig)
{
	struct weir_slot *slot = rig_slot(rig, 0);
	static char block[16384];
	size_t sent = 0;
	int small = 16384;

	setsockopt(rig->fd[SERVER], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (rig_join(rig))
		return -ENOTSUP;
	rig_gate(rig, WEIR_WANT_REDIRECT);
	while (sent < (64u << 20) && !__atomic_load_n(&slot->spills, __ATOMIC_ACQUIRE)) {
		ssize_t n = send(rig->fd[CLIENT], block, sizeof(block), MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return rig_fail_errno(rig, "send");
		if (n < 0 && !rig_wait(rig->fd[CLIENT], POLLOUT))
			break;
		sent += n > 0 ? (size_t)n : 0;
	}
	gauge_barrier(rig->fd[FRONT]);
	if (!slot->spills)
		return rig_fail(rig, "a receiver that does not read does not stop the sender");
	if (!slot->passed || slot->received != slot->redirected + slot->passed)
		return rig_fail(rig, "a spill is not counted");
	return 0;
}

static int test_end(struct rig *rig)
{
	char byte;

	if (rig_join(rig))
		return -ENOTSUP;
	rig_gate(rig, WEIR_WANT_REDIRECT);
	shutdown(rig->fd[CLIENT], SHUT_WR);
	if (!rig_wait(rig->fd[FRONT], POLLRDHUP))
		return rig_fail(rig, "the end of the stream is not reported");
	if (recv(rig->fd[FRONT], &byte, 1, MSG_DONTWAIT) != 0)
		return rig_fail(rig, "recv() does not return 0 at the end");
	if (gauge_error(rig->fd[FRONT]) || gauge_error(rig->fd[BACK]))
		return rig_fail(rig, "the end of the stream breaks a socket");
	if (!rig_send(rig, SERVER, "late") || !rig_expect(rig, CLIENT, "late"))
		return rig_fail(rig, "a half-closed flow carries nothing");
	return 0;
}

/* A socket in a map must not get TLS: that combination has had the worst bugs. */
static int test_ulp(struct rig *rig)
{
	if (rig_join(rig))
		return -ENOTSUP;
	if (setsockopt(rig->fd[FRONT], IPPROTO_TCP, TCP_ULP, "tls", 4) == 0)
		return rig_fail(rig, "TLS can be put on a socket in a map");
	snprintf(rig->reason, sizeof(rig->reason), "%s",
		 errno == ENOENT ? "this kernel has no TLS" : weir_strerror(-errno));
	return 0;
}

/* Held, drained, out: and what was sent meanwhile still comes. */
static int test_leave(struct rig *rig)
{
	int prog = rig->kernel->hold_prog, unused = 0;

	if (prog < 0)
		return rig_fail(rig, "the hold filter does not load");
	if (rig_join(rig))
		return -ENOTSUP;
	if (!rig_send(rig, CLIENT, "first") || !rig_expect(rig, FRONT, "first"))
		return rig_fail(rig, "a mapped socket cannot be read");
	if (setsockopt(rig->fd[FRONT], SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)))
		return rig_fail_errno(rig, "SO_ATTACH_BPF");
	gauge_barrier(rig->fd[FRONT]);
	if (!rig_send(rig, CLIENT, "second"))
		return rig_fail_errno(rig, "loopback");
	if (bpf_map_delete_elem(rig->kernel->socks, &rig->cookie[0]))
		return rig_fail_errno(rig, "removal");
	if (rig_slot(rig, 0)->received != 5)
		return rig_fail(rig, "the hold filter does not hold");
	setsockopt(rig->fd[FRONT], SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	if (!rig_expect(rig, FRONT, "second"))
		return rig_fail(rig, "bytes are lost when a socket leaves the map");
	return 0;
}

/* Why bulk flows have to leave the map: nothing depends on the answer. */
static int test_splice(struct rig *rig)
{
	int pipes[2];
	ssize_t n;

	if (rig_join(rig))
		return -ENOTSUP;
	if (!rig_send(rig, CLIENT, "data") || !rig_wait(rig->fd[FRONT], POLLIN))
		return rig_fail(rig, "a mapped socket cannot be read");
	if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
		return rig_fail_errno(rig, "pipe");
	n = splice(rig->fd[FRONT], NULL, pipes[1], NULL, 4, SPLICE_F_NONBLOCK);
	snprintf(rig->reason, sizeof(rig->reason), "splice(2) on a mapped socket: %s",
		 n == 4	 ? "works"
		 : n < 0 ? weir_strerror(-errno)
			 : "no data");
	close(pipes[0]);
	close(pipes[1]);
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Running them
 */

struct selftest {
	const char *name;
	int (*run)(struct rig *rig);
	int family;
	const char *disables; /* NULL: nothing, it is information */
	const char *proves;
};

static const struct selftest selftests[] = {
	{ "redirect", test_redirect, AF_INET, "sockmap", "bytes pass by in both directions" },
	{ "redirect6", test_redirect, AF_INET6, "sockmap over IPv6",
	  "bytes pass by in both directions" },
	{ "early", test_early, AF_INET, "sockmap", "data from before the insertion is carried" },
	{ "trim", test_trim, AF_INET, "sockmap", "old bytes of a segment are cut off" },
	{ "bound", test_bound, AF_INET, "sockmap", "a slow receiver stops the sender" },
	{ "end", test_end, AF_INET, "sockmap", "a FIN ends one direction only" },
	{ "ulp", test_ulp, AF_INET, "sockmap", NULL },
	{ "leave", test_leave, AF_INET, "handing flows back",
	  "a socket leaves the map without loss" },
	{ "splice", test_splice, AF_INET, NULL, NULL },
};

/* 0, or -ENOTSUP when the path must not be used. */
static int selftest_one(struct weir_kernel *kernel, const struct selftest *test)
{
	enum weir_probe_status good = test->disables ? WEIR_PROBE_OK : WEIR_PROBE_INFO;
	struct rig rig;
	int status = rig_open(&rig, kernel, test->family);

	if (!status)
		status = test->run(&rig);
	rig_close(&rig);
	kernel_result(kernel, test->name,
		      status ? (test->disables ? WEIR_PROBE_FAILED : WEIR_PROBE_INFO) : good,
		      test->disables, "%s", rig.reason[0] ? rig.reason : test->proves);
	if (!status || !test->disables)
		return 0;
	if (test->run == test_leave)
		kernel->hold_prog = -1;
	if (test->family == AF_INET6)
		kernel->no_ipv6 = true;
	return strcmp(test->disables, "sockmap") == 0 ? -ENOTSUP : 0;
}

/* What was counted here is nobody's traffic. */
static void stats_forget(const struct weir_kernel *kernel)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t zero = 0;
	void *zeros = cpus > 0 ? calloc((size_t)cpus, sizeof(struct weir_stats)) : NULL;

	if (zeros)
		bpf_map_update_elem(kernel->stats, &zero, zeros, BPF_ANY);
	free(zeros);
}

int selftest_run(struct weir_kernel *kernel)
{
	int status = 0;

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(selftests); i++) {
		if (selftest_one(kernel, &selftests[i]))
			status = -ENOTSUP;
	}
	if (kernel->fresh)
		stats_forget(kernel);
	return status;
}
