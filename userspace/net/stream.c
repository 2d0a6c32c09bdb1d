/* SPDX-License-Identifier: MIT */
/*
 * The parking calls of streams: try, and when that would block, subscribe, park, try again.
 */

#include <errno.h>

#include <weir/stream.h>

int weir_stream_wait_until(struct weir_stream *stream, unsigned events, uint64_t deadline)
{
	struct weir_task *task = weir_task_current();
	int status;

	stream->ops->subscribe(stream, events, task);
	status = weir_task_park(events & WEIR_READABLE ? "readable" : "writable", deadline);
	stream->ops->subscribe(stream, 0, task);
	return status;
}

int weir_stream_wait(struct weir_stream *stream, unsigned events)
{
	return weir_stream_wait_until(stream, events, WEIR_NEVER);
}

static ssize_t stream_read(struct weir_stream *stream, const struct iovec *iov, int n, bool peek)
{
	ssize_t got;
	int status;

	for (;;) {
		got = stream->ops->readv(stream, iov, n, peek);
		if (got != -EAGAIN)
			return got;
		status = weir_stream_wait(stream, WEIR_READABLE);
		if (status)
			return status;
	}
}

ssize_t weir_stream_read(struct weir_stream *stream, void *data, size_t size)
{
	struct iovec iov = { .iov_base = data, .iov_len = size };

	return stream_read(stream, &iov, 1, false);
}

ssize_t weir_stream_readv(struct weir_stream *stream, const struct iovec *iov, int n)
{
	return stream_read(stream, iov, n, false);
}

ssize_t weir_stream_peek(struct weir_stream *stream, void *data, size_t size)
{
	struct iovec iov = { .iov_base = data, .iov_len = size };

	return stream_read(stream, &iov, 1, true);
}

int weir_stream_read_full(struct weir_stream *stream, void *data, size_t size)
{
	char *at = data;

	while (size > 0) {
		ssize_t n = weir_stream_read(stream, at, size);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -ENODATA;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int weir_stream_write(struct weir_stream *stream, const void *data, size_t size)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };

	return weir_stream_writev(stream, &iov, 1);
}

int weir_iov_advance(struct iovec *iov, int n, size_t size)
{
	int used = 0;

	while (used < n && size >= iov[used].iov_len)
		size -= iov[used++].iov_len;
	if (used < n) {
		iov[used].iov_base = (char *)iov[used].iov_base + size;
		iov[used].iov_len -= size;
	}
	return used;
}

int weir_stream_writev(struct weir_stream *stream, struct iovec *iov, int n)
{
	int used = weir_iov_advance(iov, n, 0);

	while (used < n) {
		ssize_t sent = stream->ops->writev(stream, iov + used, n - used, false);
		int status = 0;

		if (sent >= 0)
			used += weir_iov_advance(iov + used, n - used, (size_t)sent);
		else if (sent == -EAGAIN)
			status = weir_stream_wait(stream, WEIR_WRITABLE);
		else
			status = (int)sent;
		if (status)
			return status;
	}
	return 0;
}

int weir_stream_shutdown(struct weir_stream *stream)
{
	int status;

	for (;;) {
		status = stream->ops->shutdown(stream);
		if (status != -EAGAIN)
			return status;
		status = weir_stream_wait(stream, WEIR_WRITABLE);
		if (status)
			return status;
	}
}

void weir_stream_abort(struct weir_stream *stream)
{
	stream->ops->abort(stream);
}

void weir_stream_close(struct weir_stream *stream)
{
	if (!stream)
		return;
	if (stream->on_close)
		stream->on_close(stream->on_close_ctx);
	stream->ops->close(stream);
}

void weir_stream_set_hook(struct weir_stream *stream, struct weir_watch_hook *hook)
{
	if (stream->ops->set_hook)
		stream->ops->set_hook(stream, hook);
}

int weir_stream_raw_fd(struct weir_stream *stream, const char **why)
{
	const char *unused;

	return stream->ops->raw_fd(stream, why ? why : &unused);
}
