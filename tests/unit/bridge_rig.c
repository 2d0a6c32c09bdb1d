/* SPDX-License-Identifier: MIT */
/* The rig of the bridge's tests: see bridge_rig.h. */

#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/bridge.h>
#include <weir/scope.h>

#include "bridge_rig.h"
#include "loopback.h"

const struct variant variants[N_VARIANTS] = {
	{ "copy tcp", WEIR_PATH_BIT(WEIR_PATH_COPY), false, true },
	{ "splice tcp", WEIR_PATH_BIT(WEIR_PATH_SPLICE), false, true },
	{ "adaptive tcp", 0, true, true },
	{ "copy unix", WEIR_PATH_BIT(WEIR_PATH_COPY), false, false },
	{ "splice unix", WEIR_PATH_BIT(WEIR_PATH_SPLICE), false, false },
};

/* ---- sockets ---- */

static void socket_pair_tcp(int fds[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t size = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int one = 1;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&sin, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &size), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&sin, size), 0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fds[1] >= 0);
	close(listener);
	for (int i = 0; i < 2; i++)
		assert_int_equal(setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)),
				 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
}

static void stream_pair(bool tcp, struct weir_stream **a, struct weir_stream **b)
{
	int fds[2];

	if (tcp)
		socket_pair_tcp(fds);
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*a = weir_socket_stream_new(fds[0], !tcp);
	*b = weir_socket_stream_new(fds[1], !tcp);
	assert_non_null(*a);
	assert_non_null(*b);
}

/* ---- payload: the byte at an offset is known, so every byte is checked ---- */

char payload_byte(uint64_t offset)
{
	return (char)((offset * 2654435761u) >> 13);
}

int payload_send(struct weir_stream *stream, uint64_t bytes)
{
	static char block[40000];
	uint64_t sent = 0;
	int status = 0;

	while (sent < bytes && !status) {
		size_t n = (size_t)WEIR_MIN(bytes - sent, 1 + (sent * 7919) % sizeof(block));

		for (size_t i = 0; i < n; i++)
			block[i] = payload_byte(sent + i);
		/* The block is shared, so it must go before another task gets its turn. */
		struct iovec iov = { block, n };
		ssize_t done = stream->ops->writev(stream, &iov, 1, false);

		if (done == -EAGAIN)
			status = weir_stream_wait(stream, WEIR_WRITABLE);
		else if (done < 0)
			status = (int)done;
		else
			sent += (uint64_t)done;
	}
	return status;
}

int payload_check(struct weir_stream *stream, uint64_t *got)
{
	static char block[50000];

	*got = 0;
	for (;;) {
		ssize_t n = weir_stream_read(stream, block, sizeof(block));

		if (n <= 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++) {
			if (block[i] != payload_byte(*got + (uint64_t)i))
				fail_msg("wrong byte at %llu",
					 (unsigned long long)*got + (unsigned long long)i);
		}
		*got += (uint64_t)n;
	}
}

/* ---- the rig ---- */

static int rig_bridge(void *arg)
{
	struct rig *rig = arg;

	weir_bridge_init(&rig->bridge, &rig->conf, rig->front, rig->back);
	rig->bridge_status = weir_bridge_run(&rig->bridge);
	weir_stream_close(rig->front);
	weir_stream_close(rig->back);
	return 0;
}

int rig_main(void *arg)
{
	struct rig *rig = arg;
	struct weir_scope peers;

	weir_scope_init(&rig->scope, NULL);
	weir_scope_init(&peers, NULL);
	assert_int_equal(weir_scope_spawn(&rig->scope, "bridge", rig_bridge, rig, NULL), 0);
	assert_int_equal(weir_scope_spawn(&peers, "client", rig->client_fn, rig, NULL), 0);
	assert_int_equal(weir_scope_spawn(&peers, "origin", rig->origin_fn, rig, NULL), 0);
	assert_int_equal(weir_scope_join(&peers), 0);
	assert_int_equal(weir_scope_join(&rig->scope), 0);
	weir_stream_close(rig->client);
	weir_stream_close(rig->origin);
	weir_scope_fini(&rig->scope);
	weir_scope_fini(&peers);
	return 0;
}

struct start {
	struct rig *rig;
	const struct variant *variant;
};

static int rig_start(void *arg)
{
	struct start *start = arg;

	stream_pair(start->variant->tcp, &start->rig->client, &start->rig->front);
	stream_pair(start->variant->tcp, &start->rig->back, &start->rig->origin);
	return rig_main(start->rig);
}

void rig_run(struct rig *rig, const struct variant *variant)
{
	struct start start = { rig, variant };

	rig->conf.paths = variant->paths;
	rig->conf.adaptive = variant->adaptive;
	weir_path_thresholds_complete(&rig->conf.thresholds);
	loopback_run(rig_start, &start);
}
