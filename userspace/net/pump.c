/* SPDX-License-Identifier: MIT */
/*
 * One direction of a bridge, by copy or by splice.
 *
 * Copy reads into the worker's scratch memory and writes at once; only what the destination
 * does not take is kept, in memory of its own that goes when it is written. An idle flow holds
 * no buffer. Splice takes a pipe while there are bytes in it.
 */

#include "net/pump.h"

#include <errno.h>

#include <weir/metrics.h>

/* Pieces moved in one step, before the other flows of the worker get their turn. */
#define PUMP_SHARE 16

void pump_init(struct pump *pump, struct weir_bridge *bridge, enum weir_way way)
{
	*pump = (struct pump){
		.bridge = bridge,
		.way = way,
		.from = bridge->stream[way == WEIR_UP ? 0 : 1],
		.to = bridge->stream[way == WEIR_UP ? 1 : 0],
	};
}

void pump_fini(struct pump *pump)
{
	weir_buffer_fini(&pump->rest);
	if (pump->pipe)
		pipe_put(weir_task_loop(pump->bridge->task), pump->pipe);
	pump->pipe = NULL;
}

bool pump_is_empty(const struct pump *pump)
{
	return weir_buffer_size(&pump->rest) == 0 && !pump->pipe;
}

/* Not a failure: PUMP waits for WAIT. */
static int pump_wait(struct pump *pump, enum pump_wait wait)
{
	pump->wait = wait;
	return -EAGAIN;
}

static int pump_break(struct pump *pump, int status, bool source)
{
	pump->status = status;
	pump->broke_source = source;
	return status;
}

/* ------------------------------------------------------------------------------------------
 * What all paths share
 */

static void pump_count(struct pump *pump, size_t bytes, enum weir_path path)
{
	struct weir_bridge_way *way = &pump->bridge->way[pump->way];

	way->bytes += bytes;
	way->bytes_path[path] += bytes;
	if (pump->bridge->moved[pump->way])
		weir_counter_add(pump->bridge->moved[pump->way], bytes);
	pump->bridge->active_ns = weir_loop_now(weir_task_loop(pump->bridge->task));
}

/* What the sizes of reads say about the flow. */
static void pump_note_read(struct pump *pump, size_t got, size_t asked)
{
	struct weir_bridge *bridge = pump->bridge;
	struct weir_path_sample *sample = &bridge->sample;
	unsigned way = pump->way;

	if (bridge->conf->paced)
		bridge->conf->paced(bridge->conf->ctx, pump->way, got);
	if (got >= WEIR_MIN(asked, (size_t)WEIR_COPY_BYTES)) {
		sample->full_reads[way]++;
		sample->small_reads[way] = 0;
		sample->turns = 0;
		return;
	}
	if (got > bridge->conf->thresholds.message_bytes)
		return;
	sample->full_reads[way] = 0;
	sample->small_reads[way]++;
	if (bridge->last_way != pump->way)
		sample->turns++;
	bridge->last_way = pump->way;
}

/* How much may be read now: 0 with *BUDGET lowered, or -EAGAIN. */
static int pump_pace(struct pump *pump, size_t *budget)
{
	const struct weir_bridge_conf *conf = pump->bridge->conf;
	uint64_t not_before;

	if (!conf->pace)
		return 0;
	not_before = conf->pace(conf->ctx, pump->way, budget);
	if (not_before == 0)
		return 0;
	pump->not_before = not_before;
	return pump_wait(pump, PUMP_WAIT_TIME);
}

static int pump_end(struct pump *pump)
{
	struct weir_bridge *bridge = pump->bridge;

	pump->state = PUMP_ENDED;
	if (!bridge->way[!pump->way].ended)
		bridge->first_ended = pump->way;
	bridge->way[pump->way].ended = true;
	bridge->sample.ended[pump->way] = true;
	return 0;
}

/* Passes the end on. */
static int pump_finish(struct pump *pump)
{
	int status = pump->to->ops->shutdown(pump->to);

	if (status == -EAGAIN)
		return pump_wait(pump, PUMP_WAIT_DESTINATION);
	if (status)
		return pump_break(pump, status, false);
	pump->state = PUMP_DONE;
	pump->bridge->way[pump->way].done = true;
	return pump_wait(pump, PUMP_WAIT_DONE);
}

/* ------------------------------------------------------------------------------------------
 * Copy
 */

/* Writes DATA; returns how much the destination took, or -errno. */
static ssize_t pump_write(struct pump *pump, const char *data, size_t size)
{
	struct iovec iov = { .iov_base = (char *)(uintptr_t)data, .iov_len = size };
	ssize_t sent = pump->to->ops->writev(pump->to, &iov, 1, false);

	if (sent == -EAGAIN)
		return 0;
	if (sent < 0)
		return pump_break(pump, (int)sent, false);
	pump_count(pump, (size_t)sent, WEIR_PATH_COPY);
	return sent;
}

static int pump_flush_rest(struct pump *pump)
{
	ssize_t sent =
		pump_write(pump, weir_buffer_head(&pump->rest), weir_buffer_size(&pump->rest));

	if (sent < 0)
		return (int)sent;
	weir_buffer_consume(&pump->rest, (size_t)sent);
	if (weir_buffer_size(&pump->rest) > 0)
		return pump_wait(pump, PUMP_WAIT_DESTINATION);
	weir_buffer_fini(&pump->rest);
	return 0;
}

static int pump_forward(struct pump *pump, const char *data, size_t size)
{
	ssize_t sent = pump_write(pump, data, size);

	if (sent < 0)
		return (int)sent;
	if ((size_t)sent == size)
		return 0;
	if (weir_buffer_append(&pump->rest, data + sent, size - (size_t)sent))
		return pump_break(pump, -ENOMEM, false);
	return pump_wait(pump, PUMP_WAIT_DESTINATION);
}

static int pump_inspect(struct pump *pump, const char *data, size_t size)
{
	const struct weir_bridge_conf *conf = pump->bridge->conf;
	int status = conf->inspect ? conf->inspect(conf->ctx, pump->way, data, size) : 0;

	return status ? pump_break(pump, status, true) : 0;
}

static int pump_copy(struct pump *pump)
{
	char *scratch = weir_loop_scratch(weir_task_loop(pump->bridge->task));
	size_t budget = WEIR_COPY_BYTES;
	struct iovec iov = { .iov_base = scratch };
	int status = pump_pace(pump, &budget);
	ssize_t got;

	if (status)
		return status;
	iov.iov_len = budget;
	got = pump->from->ops->readv(pump->from, &iov, 1, false);
	if (got == -EAGAIN)
		return pump_wait(pump, PUMP_WAIT_SOURCE);
	if (got < 0)
		return pump_break(pump, (int)got, true);
	if (got == 0)
		return pump_end(pump);
	pump_note_read(pump, (size_t)got, budget);
	status = pump_inspect(pump, scratch, (size_t)got);
	return status ? status : pump_forward(pump, scratch, (size_t)got);
}

/* ------------------------------------------------------------------------------------------
 * Splice
 */

static int pump_flush_pipe(struct pump *pump)
{
	struct pipe *pipe = pump->pipe;
	ssize_t sent = pipe_drain(pipe, pump->to);

	if (sent == -EAGAIN)
		return pump_wait(pump, PUMP_WAIT_DESTINATION);
	if (sent < 0)
		return pump_break(pump, (int)sent, false);
	pump_count(pump, (size_t)sent, WEIR_PATH_SPLICE);
	if (pipe->size > 0)
		return 0;
	pipe_put(weir_task_loop(pump->bridge->task), pipe);
	pump->pipe = NULL;
	return 0;
}

static int pump_splice(struct pump *pump)
{
	struct weir_loop *loop = weir_task_loop(pump->bridge->task);
	struct pipe *pipe = pipe_get(loop);
	size_t budget;
	ssize_t got;
	int status;

	if (!pipe)
		return pump_copy(pump);
	budget = pipe->capacity;
	status = pump_pace(pump, &budget);
	got = status ? status : pipe_fill(pipe, pump->from, budget);
	if (got <= 0) {
		pipe_put(loop, pipe);
		if (status)
			return status;
		if (got == -EAGAIN)
			return pump_wait(pump, PUMP_WAIT_SOURCE);
		if (got == -EOPNOTSUPP)
			return pump_copy(pump);
		if (got < 0)
			return pump_break(pump, (int)got, true);
		return pump_end(pump);
	}
	pump->pipe = pipe;
	pump_note_read(pump, (size_t)got, budget);
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Steps
 */

static int pump_advance(struct pump *pump)
{
	if (pump->pipe)
		return pump_flush_pipe(pump);
	if (weir_buffer_size(&pump->rest) > 0)
		return pump_flush_rest(pump);
	if (pump->state == PUMP_ENDED)
		return pump_finish(pump);
	return pump->bridge->path == WEIR_PATH_SPLICE ? pump_splice(pump) : pump_copy(pump);
}

int pump_step(struct pump *pump)
{
	int status = 0;

	if (pump->state == PUMP_DONE)
		return 0;
	pump->wait = PUMP_WAIT_NOTHING;
	for (int i = 0; i < PUMP_SHARE && status == 0; i++)
		status = pump_advance(pump);
	return status == -EAGAIN ? 0 : status;
}
