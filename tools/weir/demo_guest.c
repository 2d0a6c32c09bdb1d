/* SPDX-License-Identifier: MIT */

#include "tools/weir/demo_guest.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/loop.h>
#include <weir/stream.h>

#define MESSAGE_BYTES 64u
#define BULK_BYTES    (512u << 10) /* on their way at a time: sockets hold that much */
#define NS_PER_MS     1000000ull

/* What it does, one after the other. */
struct mood {
	uint32_t bytes;	     /* of a turn, there and back; 0: nothing */
	uint64_t lasts_ms;   /* the mood */
	uint64_t between_ms; /* turns */
};

static const struct mood moods[] = {
	{ .bytes = MESSAGE_BYTES, .lasts_ms = 4000, .between_ms = 5 },
	{ .bytes = BULK_BYTES, .lasts_ms = 3000, .between_ms = 1 },
	{ .bytes = 0, .lasts_ms = 1000, .between_ms = 500 },
};

static struct weir_stream *guest_connect(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return NULL;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS)
		return weir_socket_stream_new(fd, false);
	close(fd);
	return NULL;
}

/* There and back; what comes back must be what went. */
static int guest_turn(struct weir_stream *stream, char *data, char *answer, uint32_t bytes)
{
	int status;

	if (bytes == 0)
		return 0;
	status = weir_stream_write(stream, data, bytes);
	if (!status)
		status = weir_stream_read_full(stream, answer, bytes);
	if (!status && memcmp(data, answer, bytes) != 0)
		status = -EBADMSG;
	return status;
}

static int guest_live(struct weir_stream *stream, char *data, char *answer)
{
	struct weir_loop *loop = weir_task_loop(weir_task_current());
	int status = weir_stream_wait(stream, WEIR_WRITABLE);

	for (size_t i = 0; !status; i = (i + 1) % WEIR_ARRAY_SIZE(moods)) {
		uint64_t end = weir_loop_now(loop) + moods[i].lasts_ms * NS_PER_MS;

		while (!status && weir_loop_now(loop) < end) {
			status = guest_turn(stream, data, answer, moods[i].bytes);
			if (!status)
				status = weir_task_sleep_ms(moods[i].between_ms);
		}
	}
	return status;
}

static int guest_main(void *arg)
{
	struct weir_stream *stream = guest_connect((uint16_t)(uintptr_t)arg);
	char *data = malloc(BULK_BYTES), *answer = malloc(BULK_BYTES);
	int status = stream && data && answer ? 0 : -ENOMEM;

	for (uint32_t i = 0; !status && i < BULK_BYTES; i++)
		data[i] = (char)(i * 2654435761u >> 24);
	if (!status)
		status = guest_live(stream, data, answer);
	if (status == -EBADMSG)
		fprintf(stderr, "weir demo: its own guest got other bytes than it sent\n");
	weir_stream_close(stream);
	free(data);
	free(answer);
	return 0;
}

void demo_guest_start(struct weir_scope *scope, uint16_t port)
{
	if (weir_scope_spawn(scope, "guest", guest_main, (void *)(uintptr_t)port, NULL) < 0)
		fprintf(stderr, "weir demo: there is no memory for a guest\n");
}
