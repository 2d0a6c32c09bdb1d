/* SPDX-License-Identifier: MIT */
/*
 * A pair of streams in memory: what one end writes the other one reads, within a capacity. It
 * behaves as a socket does: short counts, -EAGAIN, half-close, reset.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>
#include <weir/stream.h>

struct memory_end {
	struct weir_stream stream;
	struct weir_watch watch;
	struct weir_buffer in;	 /* what this end has yet to read */
	struct memory_end *peer; /* NULL once closed */
	size_t capacity;
	bool in_ended; /* the peer writes no more */
	bool reset;
};

static struct memory_end *memory_of(struct weir_stream *stream)
{
	return weir_container_of(stream, struct memory_end, stream);
}

static ssize_t memory_readv(struct weir_stream *stream, const struct iovec *iov, int n, bool peek)
{
	struct memory_end *end = memory_of(stream);
	size_t size = weir_buffer_size(&end->in), done = 0;

	if (end->reset)
		return -ECONNRESET;
	if (size == 0 && end->in_ended) {
		stream->read_ended = true;
		return 0;
	}
	if (size == 0) {
		weir_watch_clear(&end->watch, WEIR_READABLE);
		return -EAGAIN;
	}
	for (int i = 0; i < n && done < size; i++) {
		size_t part = WEIR_MIN(iov[i].iov_len, size - done);

		memcpy(iov[i].iov_base, weir_buffer_head(&end->in) + done, part);
		done += part;
	}
	if (peek)
		return (ssize_t)done;
	weir_buffer_consume(&end->in, done);
	stream->bytes_read += done;
	if (end->peer)
		weir_watch_raise(&end->peer->watch, WEIR_WRITABLE);
	return (ssize_t)done;
}

static ssize_t memory_writev(struct weir_stream *stream, const struct iovec *iov, int n, bool more)
{
	struct memory_end *end = memory_of(stream), *peer = end->peer;
	size_t room, done = 0;

	(void)more;
	if (end->reset)
		return -ECONNRESET;
	if (!peer || stream->write_ended)
		return -EPIPE;
	room = peer->capacity - weir_buffer_size(&peer->in);
	if (room == 0) {
		weir_watch_clear(&end->watch, WEIR_WRITABLE);
		return -EAGAIN;
	}
	for (int i = 0; i < n && room > 0; i++) {
		size_t part = WEIR_MIN(iov[i].iov_len, room);

		if (weir_buffer_append(&peer->in, iov[i].iov_base, part))
			return done ? (ssize_t)done : -ENOMEM;
		done += part;
		room -= part;
	}
	stream->bytes_written += done;
	weir_watch_raise(&peer->watch, WEIR_READABLE);
	return (ssize_t)done;
}

static int memory_shutdown(struct weir_stream *stream)
{
	struct memory_end *end = memory_of(stream);

	stream->write_ended = true;
	if (end->peer) {
		end->peer->in_ended = true;
		weir_watch_raise(&end->peer->watch, WEIR_READABLE | WEIR_HANGUP);
	}
	return 0;
}

static void memory_abort(struct weir_stream *stream)
{
	struct memory_end *end = memory_of(stream);

	end->reset = true;
	if (end->peer) {
		end->peer->reset = true;
		weir_watch_raise(&end->peer->watch,
				 WEIR_READABLE | WEIR_WRITABLE | WEIR_HANGUP | WEIR_ERROR);
	}
}

/* The other end reads what is there, then the end; its writes fail. */
static void memory_close(struct weir_stream *stream)
{
	struct memory_end *end = memory_of(stream);

	if (end->peer) {
		end->peer->in_ended = true;
		end->peer->peer = NULL;
		weir_watch_raise(&end->peer->watch, WEIR_READABLE | WEIR_WRITABLE | WEIR_HANGUP);
	}
	weir_buffer_fini(&end->in);
	free(end);
}

static void memory_subscribe(struct weir_stream *stream, unsigned events, struct weir_task *task)
{
	struct memory_end *end = memory_of(stream);

	if (events)
		weir_watch_subscribe(&end->watch, events, task);
	else
		weir_watch_unsubscribe(&end->watch, task);
}

static void memory_set_hook(struct weir_stream *stream, struct weir_watch_hook *hook)
{
	weir_watch_set_hook(&memory_of(stream)->watch, hook);
}

static int memory_raw_fd(struct weir_stream *stream, const char **why)
{
	(void)stream;
	*why = "a stream in memory has no socket";
	return -1;
}

static const struct weir_stream_ops memory_ops = {
	.name = "memory",
	.readv = memory_readv,
	.writev = memory_writev,
	.shutdown = memory_shutdown,
	.abort = memory_abort,
	.close = memory_close,
	.subscribe = memory_subscribe,
	.set_hook = memory_set_hook,
	.raw_fd = memory_raw_fd,
};

static struct memory_end *memory_end_new(size_t capacity)
{
	struct memory_end *end = calloc(1, sizeof(*end));

	if (!end)
		return NULL;
	end->stream.ops = &memory_ops;
	end->capacity = capacity ? capacity : 65536;
	weir_watch_init(&end->watch);
	weir_watch_raise(&end->watch, WEIR_WRITABLE);
	weir_buffer_init(&end->in);
	return end;
}

int weir_memory_stream_pair(struct weir_stream *ends[2], size_t capacity)
{
	struct memory_end *a = memory_end_new(capacity), *b = memory_end_new(capacity);

	if (!a || !b) {
		free(a);
		free(b);
		return -ENOMEM;
	}
	a->peer = b;
	b->peer = a;
	ends[0] = &a->stream;
	ends[1] = &b->stream;
	return 0;
}
