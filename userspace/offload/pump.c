/* SPDX-License-Identifier: MIT */
/*
 * Carrying in userspace what the verdict passed: in order with what it redirected.
 *
 * A passed byte must not overtake a redirected one, which may still wait for a worker of the
 * kernel. While userspace has passed bytes in hand the gate is shut, so the number of redirected
 * bytes stands still, and one may wait until the destination's socket has them all.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "offload/carry.h"
#include "offload/gauge.h"

#define PUMP_TURNS 16 /* then others may go */

int lane_sync(struct lane *lane)
{
	uint64_t redirected = lane_redirected(lane);
	uint64_t written;
	int status;

	if (redirected == lane->synced)
		return 0;
	status = gauge_written(lane->to, &written);
	if (status)
		return status;
	if (written != lane->slot->user_tx + redirected) {
		lane->need = LANE_NEEDS_TIME;
		return -EAGAIN;
	}
	lane->synced = redirected;
	return 0;
}

static int lane_keep(struct lane *lane, const char *data, size_t size)
{
	lane->chunk = malloc(size);
	if (!lane->chunk)
		return -ENOMEM;
	memcpy(lane->chunk, data, size);
	lane->chunk_size = (uint32_t)size;
	lane->chunk_sent = 0;
	return 0;
}

static void lane_count_written(struct lane *lane, size_t bytes)
{
	struct weir_slot *slot = lane->slot;

	__atomic_store_n(&slot->user_tx, slot->user_tx + bytes, __ATOMIC_RELEASE);
	lane->carry->active_ns = weir_loop_now(lane->carry->worker->loop);
	lane->carry->naps = 0;
}

/* Bytes taken by the destination; -EAGAIN; -errno. */
static ssize_t lane_send(struct lane *lane, const char *data, size_t size)
{
	ssize_t n;

	do {
		n = send(lane->to, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		n = -errno;
		weir_watch_clear(carry_watch(lane->carry, !lane->way), WEIR_WRITABLE);
		lane->need = LANE_NEEDS_WRITABLE;
		return n;
	}
	lane_count_written(lane, (size_t)n);
	return n;
}

/* What is kept from before. 0 when it is gone. */
static int lane_flush(struct lane *lane, int *broken)
{
	int status = lane_sync(lane);

	if (status)
		return status;
	while (lane->chunk_sent < lane->chunk_size) {
		ssize_t n = lane_send(lane, lane->chunk + lane->chunk_sent,
				      lane->chunk_size - lane->chunk_sent);

		if (n < 0) {
			*broken = n == -EAGAIN ? -1 : !lane->way;
			return (int)n;
		}
		lane->chunk_sent += (uint32_t)n;
	}
	free(lane->chunk);
	lane->chunk = NULL;
	return 0;
}

/* Writes what was just read, or keeps what cannot be written now. */
static int lane_forward(struct lane *lane, const char *data, size_t size, int *broken)
{
	int status = lane_sync(lane);
	ssize_t n;

	if (status == -EAGAIN)
		return lane_keep(lane, data, size) ? -ENOMEM : -EAGAIN;
	if (status)
		return status;
	while (size) {
		n = lane_send(lane, data, size);
		if (n == -EAGAIN)
			return lane_keep(lane, data, size) ? -ENOMEM : -EAGAIN;
		if (n < 0) {
			*broken = !lane->way;
			return (int)n;
		}
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Nothing to read: because there is nothing, or because the kernel is about to queue it. */
static int lane_dry(struct lane *lane)
{
	if (!lane_is_mapped(lane) || lane_passed(lane) == lane->read)
		return 0;
	lane->need = LANE_NEEDS_TIME;
	return -EAGAIN;
}

/* Reads no more than can be written at once: what is in this process's hands dies with it, and the
 * flow as well. 0 with *SIZE; -EAGAIN with lane->need set; -errno. */
static int lane_budget(struct lane *lane, size_t *size)
{
	size_t room;
	int status;

	*size = WEIR_COPY_BYTES;
	if (lane_is_mapped(lane) && lane_passed(lane) == lane->read)
		return 0; /* there is nothing */
	status = lane_sync(lane);
	if (status)
		return status;
	room = gauge_room(lane->to);
	*size = WEIR_MIN(*size, room);
	if (*size)
		return 0;
	weir_watch_clear(carry_watch(lane->carry, !lane->way), WEIR_WRITABLE);
	lane->need = LANE_NEEDS_WRITABLE;
	return -EAGAIN;
}

int lane_pump(struct lane *lane, int *broken)
{
	char *scratch = weir_loop_scratch(lane->carry->worker->loop);
	size_t size;
	ssize_t n;
	int status;

	lane->need = LANE_NEEDS_NOTHING;
	for (int i = 0; i < PUMP_TURNS; i++) {
		status = lane->chunk ? lane_flush(lane, broken) : 0;
		if (!status)
			status = lane_budget(lane, &size);
		if (status)
			return status;
		n = recv(lane->from, scratch, size, MSG_DONTWAIT);
		/* The end: userspace learns of it from the watch, when all else has come. */
		if (n == 0 || (n < 0 && errno == EAGAIN))
			return lane_dry(lane);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*broken = lane->way;
			return -errno;
		}
		if (n == WEIR_COPY_BYTES)
			lane->full_reads++;
		else if ((size_t)n < size)
			lane->full_reads = 0;
		if (lane_is_mapped(lane))
			lane->read += (uint64_t)n;
		else
			lane->after += (uint64_t)n;
		status = lane_forward(lane, scratch, (size_t)n, broken);
		if (status)
			return status;
	}
	lane->need = LANE_NEEDS_TURN;
	return -EAGAIN;
}

bool lane_catch_up(struct lane *lane)
{
	__atomic_store_n(&lane->slot->user_done, lane->read, __ATOMIC_SEQ_CST);
	carry_yield(lane->carry);
	return lane_passed(lane) == lane->read;
}
