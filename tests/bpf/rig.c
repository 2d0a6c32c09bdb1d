/* SPDX-License-Identifier: MIT */
/*
 * See rig.h. The payload is a window into one megabyte of noise, so that checking costs a
 * memcmp() and every shift of the stream shows.
 */

#include "tests/bpf/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/error.h>

#include "tests/bpf/ledger.h"

#define NOISE_BYTES (1u << 20)
#define BLOCK_BYTES 65536u

static char noise[NOISE_BYTES + BLOCK_BYTES];
static struct weir_kernel *kernel;
static char why_no_kernel[256];

uint64_t rig_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void noise_make(void)
{
	uint64_t state = 0x9e3779b97f4a7c15ull;

	for (size_t i = 0; i < NOISE_BYTES; i++)
		noise[i] = (char)rig_random(&state);
	memcpy(noise + NOISE_BYTES, noise, BLOCK_BYTES);
}

static void noise_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, noise_make);
}

static const char *payload_at(uint64_t seed, uint64_t offset)
{
	return noise + (seed * 40503u + offset) % NOISE_BYTES;
}

void payload_fill(char *data, size_t size, uint64_t seed, uint64_t offset)
{
	noise_init();
	memcpy(data, payload_at(seed, offset), size);
}

bool payload_is_right(const char *data, size_t size, uint64_t seed, uint64_t offset)
{
	noise_init();
	return memcmp(data, payload_at(seed, offset), size) == 0;
}

/* ------------------------------------------------------------------------------------------
 * The kernel
 */

struct weir_kernel *rig_kernel(void)
{
	struct weir_kernel_conf conf = { 0 };
	const char *why;

	if (kernel)
		return kernel;
	kernel = weir_kernel_open(&conf, NULL);
	if (kernel && weir_kernel_is_usable(kernel, &why))
		return kernel;
	snprintf(why_no_kernel, sizeof(why_no_kernel), "needs %s: %s", geteuid() ? "root" : "bpf",
		 kernel ? why : "memory");
	weir_kernel_close(kernel, false);
	kernel = NULL;
	return NULL;
}

const char *rig_why_no_kernel(void)
{
	return why_no_kernel;
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

uint64_t rig_stat(const struct weir_kernel *of, const char *name)
{
	struct stat_search search = { .name = name };

	assert_int_equal(weir_kernel_each_stat(of, stat_match, &search), 0);
	return search.value;
}

int rig_group_teardown(void **state)
{
	(void)state;
	weir_kernel_close(kernel, false);
	kernel = NULL;
	return 0;
}

/* Most of the kernel's warnings come once a boot; the next one shall show. */
static void rewind_warnings(void)
{
	pid_t child = fork();
	int fd;

	if (child == 0) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", "/sys/kernel/debug", "debugfs", 0, NULL))
			_exit(1);
		fd = open("/sys/kernel/debug/clear_warn_once", O_WRONLY | O_CLOEXEC);
		_exit(fd >= 0 && write(fd, "1", 1) == 1 ? 0 : 1);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static int log_warnings(void)
{
	static int log = -1;
	char line[8192];
	int found = 0;
	ssize_t n;

	if (log < 0) {
		rewind_warnings();
		log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (log >= 0)
			lseek(log, 0, SEEK_END);
		return 0;
	}
	while ((n = read(log, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (n <= 0)
			continue;
		line[n] = '\0';
		if (!strstr(line, "WARNING:") && !strstr(line, "BUG") &&
		    !strstr(line, "recvmsg seq"))
			continue;
		fprintf(stderr, "kernel: %s", line);
		found++;
	}
	return found;
}

int rig_kernel_warnings(void)
{
	ledger_open();
	return log_warnings() + ledger_uneven();
}

/* ------------------------------------------------------------------------------------------
 * Sockets
 */

int rig_listen(struct sockaddr *address, socklen_t size)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !bind(fd, address, size) && !listen(fd, 1) &&
	    !getsockname(fd, address, &size))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int rig_connect(int listener, int fd[2])
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	int on = 1;

	if (getsockname(listener, (struct sockaddr *)&address, &size) ||
	    connect(fd[0], (struct sockaddr *)&address, size))
		return -errno;
	fd[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd[1] < 0)
		return -errno;
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2; i++)
		setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return 0;
}

int rig_socket_pair(int family, int fd[2])
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	bool six = family == AF_INET6;
	int status = -ENOTSUP;
	int listener = rig_listen(six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
				  six ? sizeof(in6) : sizeof(in));

	if (listener < 0)
		return -errno;
	fd[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd[0] >= 0)
		status = rig_connect(listener, fd);
	close(listener);
	return status;
}

static int rig_pair(const struct rig *rig, bool from_outside, int fd[2])
{
	if (rig->pair)
		return rig->pair(from_outside, fd);
	return rig_socket_pair(rig->family ? rig->family : AF_INET, fd);
}

int rig_open(struct rig *rig)
{
	int left[2] = { -1, -1 }, right[2] = { -1, -1 };
	int status = rig_pair(rig, true, left);

	if (!status)
		status = rig_pair(rig, false, right);
	if (status) {
		rig_note(rig, "sockets: %s", weir_strerror(status));
		return status;
	}
	ledger_watch(left[1]);
	ledger_watch(right[0]);
	rig->client.stream = weir_socket_stream_new(left[0], false);
	rig->front = weir_socket_stream_new(left[1], false);
	rig->back = weir_socket_stream_new(right[0], false);
	rig->origin.stream = weir_socket_stream_new(right[1], false);
	rig->client.rig = rig;
	rig->origin.rig = rig;
	rig->origin.expect_seed = rig->client.seed;
	rig->client.expect_seed = rig->origin.seed;
	rig->origin.expect = rig->client.send;
	rig->client.expect = rig->origin.send;
	return 0;
}

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
/* Places in the array, of the kernel's linux/sock_diag.h. */
#define MEMINFO_RMEM_ALLOC  0
#define MEMINFO_FWD_ALLOC   4
#define MEMINFO_WMEM_QUEUED 5
#define MEMINFO_BACKLOG	    7
#define MEMINFO_VARS	    9
#define ACCOUNT_BYTES	    4096 /* SK_MEM_QUANTUM, since 5.19 on every machine with such pages */

int rig_memory_is_even(int fd)
{
	uint32_t vars[MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof(vars);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, vars, &size))
		return -errno;
	if (vars[MEMINFO_RMEM_ALLOC] || vars[MEMINFO_WMEM_QUEUED] || vars[MEMINFO_BACKLOG])
		return -EAGAIN;
	return vars[MEMINFO_FWD_ALLOC] % ACCOUNT_BYTES == 0;
}

/* ------------------------------------------------------------------------------------------
 * Peers
 */

void rig_note(struct rig *rig, const char *format, ...)
{
	va_list args;

	if (rig->error[0])
		return;
	va_start(args, format);
	vsnprintf(rig->error, sizeof(rig->error), format, args);
	va_end(args);
}

static int peer_nap(unsigned max_us, uint64_t *random)
{
	return max_us ? weir_task_nap_us((unsigned)(rig_random(random) % max_us) + 1) : 0;
}

int peer_send(struct peer *peer)
{
	uint64_t random = peer->seed * 2654435761u + 1;
	size_t chunk = peer->chunk ? peer->chunk : 40000;
	uint64_t sent = 0;
	int status = 0;

	noise_init();
	while (sent < peer->send && !status) {
		size_t n = 1 + rig_random(&random) % chunk;

		n = WEIR_MIN(n, (size_t)(peer->send - sent));
		status = weir_stream_write(peer->stream, payload_at(peer->seed, sent), n);
		sent += n;
		if (!status)
			status = peer_nap(peer->write_nap_us, &random);
	}
	return status ? status : weir_stream_shutdown(peer->stream);
}

int peer_receive(struct peer *peer)
{
	uint64_t random = peer->expect_seed * 40503u + 7;
	size_t chunk = peer->read_chunk ? peer->read_chunk : 50000;
	char *block = malloc(BLOCK_BYTES);
	ssize_t n;

	for (;;) {
		n = weir_stream_read(peer->stream, block, chunk);
		if (n <= 0)
			break;
		if (!payload_is_right(block, (size_t)n, peer->expect_seed, peer->got)) {
			rig_note(peer->rig, "a wrong byte within %zd from %llu", n,
				 (unsigned long long)peer->got);
			n = -EBADMSG;
			break;
		}
		peer->got += (uint64_t)n;
		if (peer_nap(peer->read_nap_us, &random))
			break;
	}
	free(block);
	peer->status = (int)n;
	return peer->status;
}

static int peer_send_task(void *arg)
{
	return peer_send(arg);
}

/* Both directions at once. */
static int peer_both(struct peer *peer)
{
	struct weir_scope scope;
	int sent;

	weir_scope_init(&scope, NULL);
	if (weir_scope_spawn(&scope, "send", peer_send_task, peer, NULL))
		rig_note(peer->rig, "no task");
	peer_receive(peer);
	sent = weir_scope_join(&scope);
	weir_scope_fini(&scope);
	if (sent || peer->status)
		rig_note(peer->rig, "sent: %s, received: %s after %llu of %llu bytes",
			 weir_strerror(sent), weir_strerror(peer->status),
			 (unsigned long long)peer->got, (unsigned long long)peer->expect);
	else if (peer->got != peer->expect)
		rig_note(peer->rig, "%llu bytes arrived of %llu", (unsigned long long)peer->got,
			 (unsigned long long)peer->expect);
	return 0;
}

int rig_client_both(void *arg)
{
	return peer_both(&((struct rig *)arg)->client);
}

int rig_origin_both(void *arg)
{
	return peer_both(&((struct rig *)arg)->origin);
}

/* ------------------------------------------------------------------------------------------
 * Flows
 */

int rig_flip(struct rig *rig, unsigned max_us, unsigned *flips)
{
	uint64_t random = rig->client.seed * 7919 + 13;

	for (;;) {
		enum weir_path path = (enum weir_path)(rig_random(&random) % WEIR_PATH_COUNT);
		int status = weir_task_nap_us((unsigned)(rig_random(&random) % max_us) + 50);

		if (status || rig->bridge_ended)
			return 0;
		if (weir_flow_set_path(&rig->bridge, path) == 0 && flips)
			(*flips)++;
	}
}

/* Until the last acknowledgement is there. */
static void rig_settle(struct rig *rig, struct weir_stream *stream)
{
	int fd = weir_stream_raw_fd(stream, NULL);
	int even = rig_memory_is_even(fd);

	for (int i = 0; i < 100 && even == -EAGAIN; i++) {
		if (weir_task_sleep_ms(1))
			return;
		even = rig_memory_is_even(fd);
	}
	rig->uneven += even == 0;
}

static int rig_bridge(void *arg)
{
	struct rig *rig = arg;

	rig->bridge_status = weir_bridge_run(&rig->bridge);
	rig->bridge_ended = true;
	rig->ended_ns = weir_now();
	rig_settle(rig, rig->front);
	rig_settle(rig, rig->back);
	weir_stream_close(rig->front);
	weir_stream_close(rig->back);
	return 0;
}

int rig_flow(struct rig *rig)
{
	struct weir_scope flow, beside;
	int status = rig_open(rig);

	if (status)
		return status;
	weir_path_thresholds_complete(&rig->conf.thresholds);
	rig->conf.offload = rig->offload;
	weir_bridge_init(&rig->bridge, &rig->conf, rig->front, rig->back);
	if (rig->before)
		rig->before(rig);
	weir_scope_init(&flow, NULL);
	weir_scope_init(&beside, NULL);
	if (weir_scope_spawn(&flow, "bridge", rig_bridge, rig, NULL) ||
	    weir_scope_spawn(&flow, "client", rig->client_fn ? rig->client_fn : rig_client_both,
			     rig, NULL) ||
	    weir_scope_spawn(&flow, "origin", rig->origin_fn ? rig->origin_fn : rig_origin_both,
			     rig, NULL) ||
	    (rig->beside && weir_scope_spawn(&beside, "beside", rig->beside, rig, NULL)))
		rig_note(rig, "no tasks");
	weir_scope_join(&flow);
	weir_scope_cancel(&beside);
	weir_scope_join(&beside);
	weir_scope_fini(&flow);
	weir_scope_fini(&beside);
	weir_stream_close(rig->client.stream);
	weir_stream_close(rig->origin.stream);
	return 0;
}

void rig_run_main(struct weir_kernel *of, weir_task_fn *fn, void *arg,
		  struct weir_offload **offload, struct weir_offload_counts *counts)
{
	struct weir_loop_conf conf = { 0 };
	struct weir_loop *loop = weir_loop_new(&conf, NULL);
	struct weir_scope root;

	assert_non_null(loop);
	*offload = of ? weir_offload_new(of, loop) : NULL;
	if (of)
		assert_non_null(*offload);
	weir_scope_init_root(&root, loop);
	assert_int_equal(weir_scope_spawn(&root, "main", fn, arg, NULL), 0);
	assert_int_equal(weir_loop_run(loop), 0);
	weir_scope_fini(&root);
	if (counts && *offload)
		weir_offload_read_counts(*offload, counts);
	weir_offload_free(*offload);
	weir_loop_free(loop);
}

static int rig_main(void *arg)
{
	return rig_flow(arg);
}

void rig_run(struct rig *rig)
{
	rig_run_main(rig->kernel, rig_main, rig, &rig->offload, NULL);
	if (rig->error[0])
		fail_msg("%s (%s; up %llu, down %llu bytes)", rig->error,
			 weir_end_name(rig->bridge.end),
			 (unsigned long long)rig->bridge.way[WEIR_UP].bytes,
			 (unsigned long long)rig->bridge.way[WEIR_DOWN].bytes);
}
