/* SPDX-License-Identifier: MIT */
/*
 * echo: sends back what it reads (RFC 862), and the end of the stream too. A client that does not
 * read what it is sent is not read from either. Without a timeout of its own: that is a layer's.
 */

#include <weir/layer.h>

#include <stdlib.h>
#include <string.h>

#include "layer/served.h"

#define ECHO_SHARE 16 /* reads before other tasks of the worker get their turn */

struct echo {
	struct weir_service svc;
};

/* The scratch memory is lost when a task parks: what a slow reader leaves needs its own. */
static int echo_write_rest(struct weir_stream *stream, const char *data, size_t size)
{
	char *rest = malloc(size);
	int status;

	if (!rest)
		return -ENOMEM;
	memcpy(rest, data, size);
	status = weir_stream_write(stream, rest, size);
	free(rest);
	return status;
}

static int echo_write(struct weir_stream *stream, char *data, size_t size)
{
	struct iovec iov = { .iov_base = data, .iov_len = size };
	ssize_t sent = stream->ops->writev(stream, &iov, 1, false);

	if (sent == -EAGAIN)
		sent = 0;
	if (sent < 0)
		return (int)sent;
	if ((size_t)sent == size)
		return 0;
	return echo_write_rest(stream, data + sent, size - (size_t)sent);
}

static int echo_step(struct weir_conn *conn, char *scratch, bool *ended)
{
	ssize_t got = weir_stream_read(conn->stream, scratch, WEIR_COPY_BYTES);
	int status;

	*ended = got == 0;
	if (got <= 0)
		return (int)got;
	conn->result.bytes_up += (uint64_t)got;
	status = echo_write(conn->stream, scratch, (size_t)got);
	if (!status)
		conn->result.bytes_down += (uint64_t)got;
	return status;
}

static int echo_serve(struct weir_service *svc, struct weir_conn *conn)
{
	char *scratch = weir_loop_scratch(weir_loop_current());
	bool ended = false;
	int status = 0;

	(void)svc;
	for (unsigned reads = 1; !status && !ended; reads++) {
		status = echo_step(conn, scratch, &ended);
		if (!status && reads % ECHO_SHARE == 0)
			status = weir_task_yield();
	}
	if (!status)
		status = weir_stream_shutdown(conn->stream);
	conn->result.end = served_end(status);
	return status;
}

static void echo_free(struct weir_service *svc)
{
	free(weir_container_of(svc, struct echo, svc));
}

static const struct weir_service_ops echo_ops = {
	.name = "echo",
	.needs = WEIR_NEEDS_ALL_BYTES,
	.serve = echo_serve,
	.free = echo_free,
};

struct weir_service *weir_echo_service(struct weir_error *error)
{
	struct echo *echo = calloc(1, sizeof(*echo));

	if (!echo) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	echo->svc.ops = &echo_ops;
	return &echo->svc;
}
