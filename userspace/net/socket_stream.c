/* SPDX-License-Identifier: MIT */
/*
 * Streams on connected sockets: TCP and Unix.
 *
 * A read is not tried while no edge says that there is something: a request and its response
 * cost two reads and two writes. A count shorter than asked for means that a TCP socket is
 * empty (epoll(7), question 9), unless the end of the stream or urgent data has been seen. Unix
 * sockets give short counts at passed descriptors too, so they are read until EAGAIN.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/stream.h>

#include "net/socket_call.h"

/* Pieces up to so much are put together for one send(2): cheaper than sendmsg(2). */
#define GATHER_BYTES 2048

struct socket_stream {
	struct weir_stream stream;
	struct weir_watch watch;
	bool is_unix;
};

static const struct weir_stream_ops tcp_ops;
static const struct weir_stream_ops unix_ops;

static struct socket_stream *socket_of(struct weir_stream *stream)
{
	return weir_container_of(stream, struct socket_stream, stream);
}

static size_t iov_size(const struct iovec *iov, int n)
{
	size_t size = 0;

	for (int i = 0; i < n; i++)
		size += iov[i].iov_len;
	return size;
}

static ssize_t socket_recv(int fd, const struct iovec *iov, int n, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };
	ssize_t got;

	do {
		got = n == 1 ? socket_call_recv(fd, iov->iov_base, iov->iov_len, flags)
			     : recvmsg(fd, &msg, flags);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static void socket_note_read(struct socket_stream *s, ssize_t got, size_t asked)
{
	bool more = s->is_unix || s->watch.ready & (WEIR_HANGUP | WEIR_URGENT);

	if (got == -EAGAIN || (got > 0 && (size_t)got < asked && !more))
		weir_watch_clear(&s->watch, WEIR_READABLE);
	if (got > 0)
		s->stream.bytes_read += (uint64_t)got;
	if (got == 0)
		s->stream.read_ended = true;
}

static ssize_t socket_readv(struct weir_stream *stream, const struct iovec *iov, int n, bool peek)
{
	struct socket_stream *s = socket_of(stream);
	ssize_t got;

	if (!(s->watch.ready & WEIR_READABLE))
		return -EAGAIN;
	got = socket_recv(s->watch.fd, iov, n, peek ? MSG_PEEK : 0);
	if (!peek)
		socket_note_read(s, got, iov_size(iov, n));
	else if (got == -EAGAIN)
		weir_watch_clear(&s->watch, WEIR_READABLE);
	return got;
}

static ssize_t socket_send(int fd, const void *data, size_t size, int flags)
{
	ssize_t sent;

	do {
		sent = socket_call_send(fd, data, size, flags);
	} while (sent < 0 && errno == EINTR);
	return sent;
}

static ssize_t socket_sendmsg(int fd, const struct iovec *iov, int n, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };
	ssize_t sent;

	do {
		sent = sendmsg(fd, &msg, flags);
	} while (sent < 0 && errno == EINTR);
	return sent;
}

static __attribute__((noinline)) ssize_t socket_send_gathered(int fd, const struct iovec *iov,
							      int n, int flags)
{
	char data[GATHER_BYTES];
	size_t size = 0;

	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len > 0)
			memcpy(data + size, iov[i].iov_base, iov[i].iov_len);
		size += iov[i].iov_len;
	}
	return socket_send(fd, data, size, flags);
}

static ssize_t socket_send_all(int fd, const struct iovec *iov, int n, int flags)
{
	if (n == 1)
		return socket_send(fd, iov->iov_base, iov->iov_len, flags);
	if (iov_size(iov, n) <= GATHER_BYTES)
		return socket_send_gathered(fd, iov, n, flags);
	return socket_sendmsg(fd, iov, n, flags);
}

static ssize_t socket_writev(struct weir_stream *stream, const struct iovec *iov, int n, bool more)
{
	struct socket_stream *s = socket_of(stream);
	ssize_t sent = socket_send_all(s->watch.fd, iov, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

	if (sent >= 0) {
		stream->bytes_written += (uint64_t)sent;
		return sent;
	}
	if (errno == EAGAIN)
		weir_watch_clear(&s->watch, WEIR_WRITABLE);
	return -errno;
}

static int socket_shutdown(struct weir_stream *stream)
{
	struct socket_stream *s = socket_of(stream);

	stream->write_ended = true;
	return shutdown(s->watch.fd, SHUT_WR) ? -errno : 0;
}

/* With a linger time of zero, close() sends RST and drops what is queued (socket(7)). Unix
 * sockets have no reset; closing with unread data is what comes nearest. */
static void socket_abort(struct weir_stream *stream)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(socket_of(stream)->watch.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void socket_close(struct weir_stream *stream)
{
	struct socket_stream *s = socket_of(stream);

	weir_watch_close(&s->watch);
	free(s);
}

static void socket_subscribe(struct weir_stream *stream, unsigned events, struct weir_task *task)
{
	struct socket_stream *s = socket_of(stream);

	if (events)
		weir_watch_subscribe(&s->watch, events, task);
	else
		weir_watch_unsubscribe(&s->watch, task);
}

static void socket_set_hook(struct weir_stream *stream, struct weir_watch_hook *hook)
{
	weir_watch_set_hook(&socket_of(stream)->watch, hook);
}

static int socket_raw_fd(struct weir_stream *stream, const char **why)
{
	(void)why;
	return socket_of(stream)->watch.fd;
}

#define SOCKET_OPS                                                                   \
	.readv = socket_readv, .writev = socket_writev, .shutdown = socket_shutdown, \
	.abort = socket_abort, .close = socket_close, .subscribe = socket_subscribe, \
	.set_hook = socket_set_hook, .raw_fd = socket_raw_fd

static const struct weir_stream_ops tcp_ops = { .name = "tcp", SOCKET_OPS };
static const struct weir_stream_ops unix_ops = { .name = "unix", SOCKET_OPS };

/* Without asking the kernel: the caller says which family it is. */
struct weir_stream *weir_socket_stream_new(int fd, bool is_unix)
{
	struct socket_stream *s = calloc(1, sizeof(*s));

	if (!s || weir_watch_add(&s->watch, fd)) {
		free(s);
		close(fd);
		return NULL;
	}
	s->is_unix = is_unix;
	s->stream.ops = is_unix ? &unix_ops : &tcp_ops;
	return &s->stream;
}

struct weir_watch *weir_stream_watch(struct weir_stream *stream)
{
	if (stream->ops != &tcp_ops && stream->ops != &unix_ops)
		return NULL;
	return &socket_of(stream)->watch;
}

/* ------------------------------------------------------------------------------------------
 * Addresses, asked for when needed
 */

static void socket_ask(struct weir_stream *stream, struct weir_address *address,
		       int (*ask)(int fd, struct sockaddr *sa, socklen_t *size))
{
	struct weir_watch *watch = weir_stream_watch(stream);
	socklen_t size = sizeof(address->un);

	if (address->size == 0 && watch && ask(watch->fd, &address->sa, &size) == 0)
		address->size = size;
}

static int ask_local(int fd, struct sockaddr *sa, socklen_t *size)
{
	return getsockname(fd, sa, size);
}

static int ask_peer(int fd, struct sockaddr *sa, socklen_t *size)
{
	return getpeername(fd, sa, size);
}

const struct weir_address *weir_stream_local(struct weir_stream *stream)
{
	socket_ask(stream, &stream->local, ask_local);
	return &stream->local;
}

const struct weir_address *weir_stream_peer(struct weir_stream *stream)
{
	socket_ask(stream, &stream->peer, ask_peer);
	return &stream->peer;
}
