/* SPDX-License-Identifier: MIT */
/*
 * /proc/sys/fs/pipe-user-pages-soft limits what an unprivileged user may have in pipes (64 MiB):
 * past it pipes stay small, which is slower and still right.
 */

#include "net/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/stream.h>

#include "net/spare.h"

#define PIPE_BYTES (1 << 20)
#define PIPE_KEPT  32

struct pipe_pool {
	struct weir_list free;
	unsigned count;
};

static void pipe_free(struct pipe *pipe)
{
	close(pipe->read_fd);
	close(pipe->write_fd);
	free(pipe);
}

static void pipe_pool_free(void *value)
{
	struct pipe_pool *pool = value;
	struct weir_list *link;

	while ((link = weir_list_pop(&pool->free)))
		pipe_free(weir_container_of(link, struct pipe, link));
	free(pool);
}

static const struct weir_loop_key pipe_pool_key = { "pipes", pipe_pool_free };

static struct pipe_pool *pipe_pool_of(struct weir_loop *loop)
{
	struct pipe_pool *pool = weir_loop_attached(loop, &pipe_pool_key);

	if (pool)
		return pool;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	weir_list_init(&pool->free);
	if (weir_loop_attach(loop, &pipe_pool_key, pool)) {
		free(pool);
		return NULL;
	}
	return pool;
}

static int pipe_open(int fds[2])
{
	bool scarce = spare_lock();
	int status = pipe2(fds, O_NONBLOCK | O_CLOEXEC);

	spare_unlock(scarce);
	return status;
}

static struct pipe *pipe_new(void)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));
	int fds[2], capacity;

	if (!pipe)
		return NULL;
	if (pipe_open(fds)) {
		free(pipe);
		return NULL;
	}
	capacity = fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	if (capacity < 0)
		capacity = fcntl(fds[1], F_GETPIPE_SZ);
	weir_list_init(&pipe->link);
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	pipe->capacity = capacity > 0 ? (size_t)capacity : 65536;
	return pipe;
}

struct pipe *pipe_get(struct weir_loop *loop)
{
	struct pipe_pool *pool = pipe_pool_of(loop);
	struct weir_list *link;

	if (!pool)
		return NULL;
	link = weir_list_pop(&pool->free);
	if (!link)
		return pipe_new();
	pool->count--;
	return weir_container_of(link, struct pipe, link);
}

void pipe_put(struct weir_loop *loop, struct pipe *pipe)
{
	struct pipe_pool *pool = pipe_pool_of(loop);

	if (!pipe)
		return;
	if (!pool || pipe->size > 0 || pool->count >= PIPE_KEPT) {
		pipe_free(pipe);
		return;
	}
	weir_list_add_head(&pool->free, &pipe->link);
	pool->count++;
}

void pipe_trim(struct weir_loop *loop)
{
	struct pipe_pool *pool = weir_loop_attached(loop, &pipe_pool_key);
	struct weir_list *link;

	while (pool && (link = weir_list_pop(&pool->free))) {
		pipe_free(weir_container_of(link, struct pipe, link));
		pool->count--;
	}
}

/* ------------------------------------------------------------------------------------------
 * Bytes
 */

static ssize_t pipe_splice(int from, int to, size_t size)
{
	ssize_t moved;

	do {
		moved = splice(from, NULL, to, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (moved < 0 && errno == EINTR);
	return moved < 0 ? -errno : moved;
}

/* splice(2) says "end" at urgent data, too, when the stream's end lies behind it. */
static bool watch_is_at_end(struct weir_watch *watch)
{
	char byte;

	if (recv(watch->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		return true;
	watch->ready |= WEIR_URGENT;
	return false;
}

ssize_t pipe_fill(struct pipe *pipe, struct weir_stream *from, size_t size)
{
	struct weir_watch *watch = weir_stream_watch(from);
	ssize_t got;

	if (!(watch->ready & WEIR_READABLE))
		return -EAGAIN;
	if (watch->ready & WEIR_URGENT)
		return -EOPNOTSUPP;
	got = pipe_splice(watch->fd, pipe->write_fd, size);
	if (got == -EAGAIN)
		weir_watch_clear(watch, WEIR_READABLE);
	if (got == 0 && !watch_is_at_end(watch))
		return -EOPNOTSUPP;
	if (got == 0)
		from->read_ended = true;
	if (got > 0) {
		pipe->size = (size_t)got;
		from->bytes_read += (uint64_t)got;
	}
	return got;
}

ssize_t pipe_drain(struct pipe *pipe, struct weir_stream *to)
{
	struct weir_watch *watch = weir_stream_watch(to);
	ssize_t sent = pipe_splice(pipe->read_fd, watch->fd, pipe->size);

	if (sent == -EAGAIN)
		weir_watch_clear(watch, WEIR_WRITABLE);
	if (sent > 0) {
		pipe->size -= (size_t)sent;
		to->bytes_written += (uint64_t)sent;
	}
	return sent;
}
