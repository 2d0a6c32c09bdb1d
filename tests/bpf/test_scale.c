/* SPDX-License-Identifier: MIT */
/*
 * Many flows at once, and many short ones after each other. Clients and origins are one child
 * process, so that each process stays within its descriptors.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/error.h>

#include "tests/bpf/rig.h"

#define SCALE_FLOWS 9000u
#define SCALE_SHORT 50000u

struct proxy {
	struct weir_offload *offload;
	struct weir_bridge_conf conf;
	struct weir_scope *scope;
	int listener;
	pid_t child;
	struct sockaddr_in to;
	unsigned started;
	unsigned active;
	unsigned wrong;
	unsigned by_kernel; /* flows whose bytes all took the kernel's path */
	unsigned most;	    /* in the kernel at a time */
	int child_status;
};

/* ---- the child: clients and origins, blocking ---- */

static void child_fail(const char *what)
{
	perror(what);
	_exit(1);
}

static int child_connect(const struct sockaddr_in *to, unsigned i)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct timeval patience = { .tv_sec = 10 };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	/* Many addresses, because each has some 28 000 ports. */
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + i % 251);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		child_fail("connect");
	return fd;
}

static int child_accept(int listener)
{
	struct timeval patience = { .tv_sec = 10 };
	int on = 1, fd = accept(listener, NULL, NULL);

	if (fd < 0)
		child_fail("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* One message there, which must be VALUE, and one back. */
static void child_exchange(int client, int origin, uint64_t value)
{
	uint64_t got = 0;

	if (write(client, &value, sizeof(value)) != sizeof(value) ||
	    recv(origin, &got, sizeof(got), MSG_WAITALL) != sizeof(got) || got != value)
		child_fail("a message");
	got = ~value;
	if (write(origin, &got, sizeof(got)) != sizeof(got) ||
	    recv(client, &got, sizeof(got), MSG_WAITALL) != sizeof(got) || got != ~value)
		child_fail("an answer");
}

/* The end there, and the end back. */
static void child_close(int client, int origin)
{
	char byte;

	shutdown(client, SHUT_WR);
	if (read(origin, &byte, 1) != 0)
		child_fail("the client's end");
	close(origin);
	if (read(client, &byte, 1) != 0)
		child_fail("the origin's end");
	close(client);
}

static void child_many(const struct sockaddr_in *to, int listener)
{
	int *clients = calloc(SCALE_FLOWS, sizeof(int));
	int *origins = calloc(SCALE_FLOWS, sizeof(int));

	for (unsigned i = 0; i < SCALE_FLOWS; i++) {
		clients[i] = child_connect(to, i);
		origins[i] = child_accept(listener);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SCALE_FLOWS; i++)
			child_exchange(clients[i], origins[i], i * 7919ull + round);
	}
	for (unsigned i = 0; i < SCALE_FLOWS; i++)
		child_close(clients[i], origins[i]);
	_exit(0);
}

static void child_short(const struct sockaddr_in *to, int listener)
{
	for (unsigned i = 0; i < SCALE_SHORT; i++) {
		int client = child_connect(to, i);
		int origin = child_accept(listener);

		child_exchange(client, origin, i);
		child_close(client, origin);
	}
	_exit(0);
}

/* ---- the proxy ---- */

struct proxied {
	struct proxy *proxy;
	int fd;
};

static int proxy_connect(struct proxy *proxy, struct weir_stream **stream)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + proxy->started % 251);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)))
		return -errno;
	if (connect(fd, (struct sockaddr *)&proxy->to, sizeof(proxy->to)) && errno != EINPROGRESS) {
		close(fd);
		return -errno;
	}
	*stream = weir_socket_stream_new(fd, false);
	return *stream ? weir_stream_wait(*stream, WEIR_WRITABLE) : -ENOMEM;
}

static int proxy_serve(void *arg)
{
	struct proxied *proxied = arg;
	struct proxy *proxy = proxied->proxy;
	struct weir_stream *client = weir_socket_stream_new(proxied->fd, false);
	struct weir_stream *upstream = NULL;
	struct weir_bridge bridge;

	free(proxied);
	if (proxy_connect(proxy, &upstream)) {
		proxy->wrong++;
		weir_stream_close(client);
		return 0;
	}
	weir_bridge_init(&bridge, &proxy->conf, client, upstream);
	proxy->active++;
	if (proxy->active > proxy->most)
		proxy->most = proxy->active;
	if (weir_bridge_run(&bridge))
		proxy->wrong++;
	proxy->active--;
	if (bridge.path == WEIR_PATH_SOCKMAP)
		proxy->by_kernel++;
	weir_stream_close(client);
	weir_stream_close(upstream);
	return 0;
}

static int proxy_accept(struct proxy *proxy)
{
	struct proxied *proxied;
	int on = 1, fd = accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	proxied = malloc(sizeof(*proxied));
	*proxied = (struct proxied){ .proxy = proxy, .fd = fd };
	proxy->started++;
	return weir_scope_spawn(proxy->scope, "flow", proxy_serve, proxied, NULL);
}

/* Until the child has ended, which is asked every now and then. */
static int proxy_main(void *arg)
{
	struct proxy *proxy = arg;
	struct weir_watch watch;
	struct weir_scope scope;
	int status = 0;

	proxy->conf.offload = proxy->offload;
	weir_path_thresholds_complete(&proxy->conf.thresholds);
	weir_scope_init(&scope, NULL);
	proxy->scope = &scope;
	if (weir_watch_add(&watch, proxy->listener))
		return -ENOMEM;
	while (waitpid(proxy->child, &proxy->child_status, WNOHANG) == 0) {
		weir_watch_subscribe(&watch, WEIR_READABLE, weir_task_current());
		if (weir_task_park("accept", weir_now() + 50000000ull) == -ECANCELED)
			break;
		weir_watch_unsubscribe(&watch, weir_task_current());
		do {
			status = proxy_accept(proxy);
		} while (!status);
		weir_watch_clear(&watch, WEIR_READABLE);
	}
	weir_watch_del(&watch);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	return 0;
}

static int listen_on_loopback(struct sockaddr_in *address)
{
	socklen_t size = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET };
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
	assert_int_equal(listen(fd, 4096), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
	return fd;
}

static void proxy_run(void (*child)(const struct sockaddr_in *to, int listener),
		      struct proxy *proxy, struct weir_offload_counts *counts)
{
	struct weir_kernel *kernel;
	struct sockaddr_in here;
	int origin;

	RIG_NEEDS_KERNEL(kernel);
	proxy->conf.paths = WEIR_PATH_BIT(WEIR_PATH_SOCKMAP);
	proxy->listener = listen_on_loopback(&here);
	origin = listen_on_loopback(&proxy->to);
	proxy->child = fork();
	assert_true(proxy->child >= 0);
	if (proxy->child == 0) {
		fcntl(origin, F_SETFL, 0); /* accept() shall wait */
		child(&here, origin);
	}
	rig_run_main(kernel, proxy_main, proxy, &proxy->offload, counts);
	close(origin);
	close(proxy->listener);
}

static bool descriptors_are_enough(rlim_t needed)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur >= needed;
}

static void test_nine_thousand_flows(void **state)
{
	struct weir_offload_counts counts;
	struct proxy proxy = { 0 };

	(void)state;
	if (!descriptors_are_enough(2 * SCALE_FLOWS + 500)) {
		print_message("needs descriptors: a limit of %u\n", 2 * SCALE_FLOWS + 500);
		skip();
	}
	proxy_run(child_many, &proxy, &counts);
	assert_int_equal(proxy.child_status, 0);
	assert_int_equal(proxy.wrong, 0);
	assert_int_equal(proxy.most, SCALE_FLOWS);
	assert_int_equal(proxy.by_kernel, SCALE_FLOWS);
	assert_int_equal(counts.handed_over, SCALE_FLOWS);
	assert_int_equal(counts.audit_failed, 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

static void test_fifty_thousand_short_flows(void **state)
{
	struct weir_offload_counts counts;
	struct proxy proxy = { 0 };
	uint64_t started = weir_now();

	(void)state;
	proxy_run(child_short, &proxy, &counts);
	print_message("%u flows in %.1f s, %llu handed over, %llu refused\n", proxy.started,
		      (double)(weir_now() - started) / 1e9, (unsigned long long)counts.handed_over,
		      (unsigned long long)counts.refused);
	assert_int_equal(proxy.child_status, 0);
	assert_int_equal(proxy.wrong, 0);
	assert_int_equal(proxy.started, SCALE_SHORT);
	assert_int_equal(counts.audit_failed, 0);
	assert_int_equal(counts.broken, 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

/* ---- one flow beyond 32 bits of bytes, all by the kernel ---- */

#define LONG_MESSAGE 131072u
#define LONG_TURNS   36000u /* 4.4 GiB */

static int long_client(void *arg)
{
	struct rig *rig = arg;
	static char message[LONG_MESSAGE];
	int status = weir_task_sleep_ms(20);
	char answer;

	for (uint64_t turn = 0; turn < LONG_TURNS && !status; turn++) {
		payload_fill(message, LONG_MESSAGE / 2, rig->client.seed, turn * LONG_MESSAGE);
		payload_fill(message + LONG_MESSAGE / 2, LONG_MESSAGE / 2, rig->client.seed,
			     turn * LONG_MESSAGE + LONG_MESSAGE / 2);
		status = weir_stream_write(rig->client.stream, message, sizeof(message));
		if (!status)
			status = weir_stream_read_full(rig->client.stream, &answer, 1);
	}
	if (status)
		rig_note(rig, "the client: %s", weir_strerror(status));
	return weir_stream_shutdown(rig->client.stream);
}

static int long_origin(void *arg)
{
	struct rig *rig = arg;
	static char block[65536];
	uint64_t got = 0, answered = 0;

	for (;;) {
		ssize_t n = weir_stream_read(rig->origin.stream, block, sizeof(block));

		if (n <= 0)
			break;
		if (!payload_is_right(block, (size_t)n, rig->client.seed, got)) {
			rig_note(rig, "a wrong byte near %llu", (unsigned long long)got);
			break;
		}
		got += (uint64_t)n;
		for (; answered < got / LONG_MESSAGE; answered++) {
			if (weir_stream_write(rig->origin.stream, "", 1))
				break;
		}
	}
	rig->origin.got = got;
	return weir_stream_shutdown(rig->origin.stream);
}

static void test_more_than_four_gigabytes(void **state)
{
	struct rig rig = {
		.conf = { .paths = WEIR_PATH_BIT(WEIR_PATH_SOCKMAP) },
		.client = { .seed = 51 },
		.client_fn = long_client,
		.origin_fn = long_origin,
	};
	uint64_t bytes = (uint64_t)LONG_TURNS * LONG_MESSAGE;

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	assert_int_equal(rig.origin.got, bytes);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes, bytes);
	assert_true(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SOCKMAP] > UINT32_MAX);
	assert_int_equal(rig_kernel_warnings(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nine_thousand_flows),
		cmocka_unit_test(test_fifty_thousand_short_flows),
		cmocka_unit_test(test_more_than_four_gigabytes),
	};

	rig_kernel_warnings();
	cmocka_set_test_filter(getenv("TEST")); /* one test by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
