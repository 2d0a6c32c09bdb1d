/* SPDX-License-Identifier: MIT */
/*
 * Three ways: splice through a pipe between two sockets, sendfile from a file into a socket, and
 * copy through the worker's scratch memory where an end is no socket. A step moves what it can
 * and says what it waits for.
 */

#include <weir/transfer.h>

#include <errno.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <weir/buffer.h>
#include <weir/error.h>

#include "net/pipe.h"

#define TRANSFER_SHARE	    16 /* steps before the other tasks get their turn */
#define TRANSFER_FILE_BYTES (1u << 20)
#define NS_PER_MS	    1000000ull

struct engine;

/* 0 after a move; -EAGAIN with waits_for_source set; -errno. */
typedef int engine_step_fn(struct engine *engine);

struct engine {
	struct weir_transfer *transfer;
	struct weir_loop *loop;
	struct pipe *pipe;
	struct weir_buffer rest; /* read and not yet taken by the destination */
	bool waits_for_source;
};

/* Both may be one stream: an echo. */
static int engine_wait_for(struct engine *engine, bool source)
{
	engine->waits_for_source = source;
	return -EAGAIN;
}

static int engine_break(struct engine *engine, int status, bool source)
{
	engine->transfer->broke_source = source;
	return status;
}

static uint64_t engine_left(const struct engine *engine)
{
	return engine->transfer->size - engine->transfer->taken;
}

/* What a read of the source said, which was no bytes. */
static int engine_note_no_bytes(struct engine *engine, ssize_t got)
{
	if (got == -EAGAIN)
		return engine_wait_for(engine, true);
	return engine_break(engine, got == 0 ? WEIR_EPROTO : (int)got, true);
}

/* What a write to the destination said. */
static int engine_note_sent(struct engine *engine, ssize_t sent)
{
	if (sent == -EAGAIN)
		return engine_wait_for(engine, false);
	if (sent < 0)
		return engine_break(engine, (int)sent, false);
	engine->transfer->moved += (uint64_t)sent;
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Splice
 */

static int step_copy(struct engine *engine);

static int step_splice(struct engine *engine)
{
	struct weir_transfer *transfer = engine->transfer;
	struct pipe *pipe = engine->pipe;
	ssize_t got;

	if (pipe->size > 0)
		return engine_note_sent(engine, pipe_drain(pipe, transfer->to));
	if (weir_buffer_size(&engine->rest) > 0)
		return step_copy(engine);
	got = pipe_fill(pipe, transfer->from, WEIR_MIN(engine_left(engine), pipe->capacity));
	if (got == -EOPNOTSUPP)
		return step_copy(engine);
	if (got <= 0)
		return engine_note_no_bytes(engine, got);
	transfer->taken += (uint64_t)got;
	return engine_note_sent(engine, pipe_drain(pipe, transfer->to));
}

/* ------------------------------------------------------------------------------------------
 * Sendfile
 */

static int step_sendfile(struct engine *engine)
{
	struct weir_transfer *transfer = engine->transfer;
	struct weir_watch *watch = weir_stream_watch(transfer->to);
	off_t offset = (off_t)(transfer->offset + transfer->taken);
	ssize_t sent;

	do {
		sent = sendfile(watch->fd, transfer->fd, &offset,
				WEIR_MIN(engine_left(engine), TRANSFER_FILE_BYTES));
	} while (sent < 0 && errno == EINTR);
	if (sent == 0) /* somebody has cut the file */
		return engine_break(engine, WEIR_EPROTO, true);
	if (sent > 0) {
		transfer->taken += (uint64_t)sent;
		transfer->to->bytes_written += (uint64_t)sent;
	}
	if (sent < 0 && errno == EAGAIN)
		weir_watch_clear(watch, WEIR_WRITABLE);
	return engine_note_sent(engine, sent < 0 ? -errno : sent);
}

/* ------------------------------------------------------------------------------------------
 * Copy
 */

static ssize_t engine_read(struct engine *engine, char *data, size_t size)
{
	struct weir_transfer *transfer = engine->transfer;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	ssize_t got;

	if (transfer->from)
		return transfer->from->ops->readv(transfer->from, &iov, 1, false);
	do {
		got = pread(transfer->fd, data, size, (off_t)(transfer->offset + transfer->taken));
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static ssize_t engine_write(struct engine *engine, const char *data, size_t size)
{
	struct weir_stream *to = engine->transfer->to;
	struct iovec iov = { .iov_base = (char *)(uintptr_t)data, .iov_len = size };

	return to->ops->writev(to, &iov, 1, false);
}

static int copy_flush(struct engine *engine)
{
	struct weir_buffer *rest = &engine->rest;
	ssize_t sent = engine_write(engine, weir_buffer_head(rest), weir_buffer_size(rest));

	if (sent > 0)
		weir_buffer_consume(rest, (size_t)sent);
	return engine_note_sent(engine, sent);
}

static int step_copy(struct engine *engine)
{
	struct weir_transfer *transfer = engine->transfer;
	char *scratch = weir_loop_scratch(engine->loop);
	ssize_t got, sent;

	if (weir_buffer_size(&engine->rest) > 0)
		return copy_flush(engine);
	got = engine_read(engine, scratch, WEIR_MIN(engine_left(engine), WEIR_COPY_BYTES));
	if (got <= 0)
		return engine_note_no_bytes(engine, got);
	transfer->taken += (uint64_t)got;
	sent = engine_write(engine, scratch, (size_t)got);
	if (sent == got || (sent < 0 && sent != -EAGAIN))
		return engine_note_sent(engine, sent);
	if (weir_buffer_append(&engine->rest, scratch + WEIR_MAX(sent, 0),
			       (size_t)(got - WEIR_MAX(sent, 0))))
		return engine_break(engine, -ENOMEM, false);
	return engine_note_sent(engine, sent);
}

/* ------------------------------------------------------------------------------------------
 * All of it
 */

static engine_step_fn *engine_choose(struct engine *engine)
{
	struct weir_transfer *transfer = engine->transfer;

	if (!weir_stream_watch(transfer->to))
		return step_copy;
	if (!transfer->from)
		return step_sendfile;
	if (!weir_stream_watch(transfer->from))
		return step_copy;
	engine->pipe = pipe_get(engine->loop);
	return engine->pipe ? step_splice : step_copy;
}

/* A receiver that is gone shows while nothing is written to it, too. */
static bool stream_has_error(struct weir_stream *stream)
{
	struct weir_watch *watch = weir_stream_watch(stream);

	return watch && watch->ready & WEIR_ERROR;
}

static int engine_park(struct engine *engine, uint64_t deadline)
{
	struct weir_transfer *transfer = engine->transfer;
	struct weir_task *task = weir_task_current();
	int status;

	if (!engine->waits_for_source)
		return weir_stream_wait_until(transfer->to, WEIR_WRITABLE, deadline);
	transfer->to->ops->subscribe(transfer->to, WEIR_ERROR, task);
	status = weir_stream_wait_until(transfer->from, WEIR_READABLE, deadline);
	transfer->to->ops->subscribe(transfer->to, 0, task);
	if (!status && stream_has_error(transfer->to))
		return engine_break(engine, -ECONNRESET, false);
	transfer->broke_source = status != 0;
	return status;
}

static uint64_t engine_deadline(const struct engine *engine)
{
	const struct weir_transfer *transfer = engine->transfer;
	bool is_from = engine->waits_for_source && transfer->from_idle_ms;
	uint64_t ms = is_from ? transfer->from_idle_ms : transfer->idle_ms;

	return ms ? weir_loop_now(engine->loop) + ms * NS_PER_MS : WEIR_NEVER;
}

/* Waits until something has moved. */
static int engine_wait(struct engine *engine, engine_step_fn *step)
{
	uint64_t deadline = engine_deadline(engine);
	int status;

	do {
		status = engine_park(engine, deadline);
		if (!status)
			status = step(engine);
	} while (status == -EAGAIN);
	return status;
}

static int engine_run(struct engine *engine, engine_step_fn *step)
{
	struct weir_transfer *transfer = engine->transfer;
	int status = 0;

	for (unsigned i = 1; !status && transfer->moved < transfer->size; i++) {
		status = step(engine);
		if (status == -EAGAIN)
			status = engine_wait(engine, step);
		else if (!status && i % TRANSFER_SHARE == 0)
			status = weir_task_yield();
	}
	return status;
}

int weir_transfer_run(struct weir_transfer *transfer)
{
	struct engine engine = {
		.transfer = transfer,
		.loop = weir_loop_current(),
	};
	int status;

	transfer->moved = 0;
	transfer->taken = 0;
	transfer->broke_source = false;
	status = engine_run(&engine, engine_choose(&engine));
	pipe_put(engine.loop, engine.pipe);
	weir_buffer_fini(&engine.rest);
	return status;
}
