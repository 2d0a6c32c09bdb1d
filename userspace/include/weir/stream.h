/* SPDX-License-Identifier: MIT */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

/*
 * A stream is a pair of byte flows behind a table of operations. The operations never park;
 * the functions below them do: they try, subscribe, park, try again. A bridge uses the
 * operations directly, to wait for both of its streams in one task.
 *
 * At most one task reads and one task writes at a time.
 */

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weir/address.h>
#include <weir/loop.h>

struct weir_stream;

struct weir_stream_ops {
	const char *name; /* "tcp", "unix", "memory", "tls" */
	/* Bytes read; 0 at the end of the stream; -EAGAIN; -errno. PEEK leaves them there. */
	ssize_t (*readv)(struct weir_stream *stream, const struct iovec *iov, int n, bool peek);
	/* Bytes taken, at least 1 of what there is; -EAGAIN; -EPIPE, -ECONNRESET, -errno.
	 * MORE: more follows at once, so a segment need not be pushed. */
	ssize_t (*writev)(struct weir_stream *stream, const struct iovec *iov, int n, bool more);
	/* No more writes; the peer reads the end. Queued bytes go first. 0, -EAGAIN, -errno. */
	int (*shutdown)(struct weir_stream *stream);
	/* Drops everything; the peer sees a reset. The stream is still to be closed. */
	void (*abort)(struct weir_stream *stream);
	/* Frees the stream and everything under it. Never parks. */
	void (*close)(struct weir_stream *stream);
	/* As weir_watch_subscribe(); EVENTS of 0 ends it. */
	void (*subscribe)(struct weir_stream *stream, unsigned events, struct weir_task *task);
	/* As weir_watch_set_hook(). NULL: such a stream cannot tell. */
	void (*set_hook)(struct weir_stream *stream, struct weir_watch_hook *hook);
	/* The socket that carries exactly this stream's bytes, or -1 and *WHY (static memory). */
	int (*raw_fd)(struct weir_stream *stream, const char **why);
};

struct weir_stream {
	const struct weir_stream_ops *ops;
	struct weir_address local; /* size 0 where there is none */
	struct weir_address peer;
	uint64_t bytes_read; /* taken by userspace or moved by a bridge on its behalf */
	uint64_t bytes_written;
	bool read_ended;  /* readv() has returned 0 */
	bool write_ended; /* shutdown() was called */
	/* Called once by weir_stream_close(), before the stream is freed; NULL: nobody cares. For
	 * whoever counts streams without wrapping them; must not park. */
	void (*on_close)(void *ctx);
	void *on_close_ctx; /* borrowed */
};

/* Reads up to SIZE bytes. >0; 0 at the end; -errno, -ECANCELED, -ETIMEDOUT. Parks. */
ssize_t weir_stream_read(struct weir_stream *stream, void *data, size_t size) WEIR_MUST_CHECK;
ssize_t weir_stream_readv(struct weir_stream *stream, const struct iovec *iov, int n)
	WEIR_MUST_CHECK;
/* Reads exactly SIZE bytes. 0; -ENODATA when the stream ends before. */
int weir_stream_read_full(struct weir_stream *stream, void *data, size_t size) WEIR_MUST_CHECK;
/* The bytes that are there, at least 1, left in place. 0 at the end. Parks. */
ssize_t weir_stream_peek(struct weir_stream *stream, void *data, size_t size) WEIR_MUST_CHECK;
/* All bytes, or an error: 0, -EPIPE, -ECONNRESET, ... Parks. */
int weir_stream_write(struct weir_stream *stream, const void *data, size_t size) WEIR_MUST_CHECK;
/* All of IOV. IOV is changed. */
int weir_stream_writev(struct weir_stream *stream, struct iovec *iov, int n) WEIR_MUST_CHECK;
/* Drops SIZE bytes from the front of IOV; returns how many entries are used up. */
int weir_iov_advance(struct iovec *iov, int n, size_t size);
/* Half-close. Parks only where queued bytes must go first (TLS). */
int weir_stream_shutdown(struct weir_stream *stream);
void weir_stream_abort(struct weir_stream *stream);
/* Calls on_close, then frees. Accepts NULL. */
void weir_stream_close(struct weir_stream *stream);
/* See ops->set_hook; does nothing where there is none. */
void weir_stream_set_hook(struct weir_stream *stream, struct weir_watch_hook *hook);
/* See ops->raw_fd. WHY may be NULL. */
int weir_stream_raw_fd(struct weir_stream *stream, const char **why);
/* Parks until one of EVENTS (WEIR_READABLE, WEIR_WRITABLE). */
int weir_stream_wait(struct weir_stream *stream, unsigned events) WEIR_MUST_CHECK;
/* The same, for no longer than until DEADLINE (ns): -ETIMEDOUT. May return early. */
int weir_stream_wait_until(struct weir_stream *stream, unsigned events, uint64_t deadline)
	WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Sockets
 */

/* A stream on a connected TCP (or with IS_UNIX, Unix stream) socket, which it owns from now on
 * (also when it fails: then FD is closed). FD must be non-blocking. Addresses are asked of the kernel when
 * they are first needed, or set by the caller. NULL when memory or epoll is out. */
struct weir_stream *weir_socket_stream_new(int fd, bool is_unix) WEIR_MUST_CHECK;
/* The watch of a socket stream; NULL of any other kind. For the data paths. */
struct weir_watch *weir_stream_watch(struct weir_stream *stream);
/* Asks the kernel for the addresses if they are not set, and returns them. */
const struct weir_address *weir_stream_local(struct weir_stream *stream);
const struct weir_address *weir_stream_peer(struct weir_stream *stream);

/* ------------------------------------------------------------------------------------------
 * Memory, for tests and for protocol code without sockets
 */

/* Two ends of a pipe each way, each way holding at most CAPACITY bytes (0: 64 KiB).
 * 0 or -ENOMEM. Both ends on one loop. */
int weir_memory_stream_pair(struct weir_stream *ends[2], size_t capacity) WEIR_MUST_CHECK;

#endif
