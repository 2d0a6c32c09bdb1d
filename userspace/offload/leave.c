/* SPDX-License-Identifier: MIT */
/*
 * Out of the map, without losing a byte.
 *
 * The kernel removes a socket without its lock, and what was passed and not read goes with the
 * entry. So a socket leaves when everything passed is read and everything redirected to it is
 * written. Between the last look and the removal the hold filter keeps new data away; what it
 * turns away is sent again by the peer. Afterwards TCP's count of what left its queue must be
 * ours: a segment that slipped through would show.
 *
 * The rest is read in one call, however much it is: reading opens the window, and a sender that
 * was stopped by it would send into the filter until the next read.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "offload/carry.h"
#include "offload/gauge.h"

/* A rest that is larger is carried by pieces first. */
#define LEAVE_BYTES (8u << 20)

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

/* ------------------------------------------------------------------------------------------
 * The wish
 */

void carry_leave_for(struct carry *carry, const char *why)
{
	if (carry->leaving)
		return;
	carry->leaving = why;
	carry->bridge->path = WEIR_PATH_COPY;
	carry->bridge->why = why;
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&carry->lane[i].slot->want, WEIR_WANT_LEAVE, __ATOMIC_SEQ_CST);
}

/* ------------------------------------------------------------------------------------------
 * The map
 */

static int hold_start(const struct lane *lane)
{
	int prog = lane->carry->worker->kernel->hold_prog;

	if (prog < 0)
		return -EOPNOTSUPP;
	if (setsockopt(lane->from, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)))
		return -errno;
	gauge_barrier(lane->from);
	return 0;
}

static void hold_stop(const struct lane *lane)
{
	int unused = 0;

	setsockopt(lane->from, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

static int lane_unmap(struct lane *lane)
{
	struct carry *carry = lane->carry;

	if (carry->mapped[lane->way] &&
	    bpf_map_delete_elem(carry->worker->kernel->socks, &lane->cookie))
		return -errno;
	carry->mapped[lane->way] = false;
	return 0;
}

/* Under the hold nothing comes in, so both counts stand still. */
static int lane_check_consumed(const struct lane *lane)
{
	uint64_t consumed;

	if (gauge_consumed(lane->from, &consumed))
		return -EBADMSG;
	if (lane_passed(lane) != lane->read || lane->slot->flags & WEIR_SLOT_LOST)
		return -EBADMSG;
	return consumed == lane->slot->before + lane->slot->received ? 0 : -EBADMSG;
}

/* Everything that is there goes behind what is kept already. */
static int lane_take_rest(struct lane *lane)
{
	size_t kept = lane->chunk ? lane->chunk_size - lane->chunk_sent : 0;
	size_t rest = (size_t)(lane_passed(lane) - lane->read);
	char *chunk;
	ssize_t n;

	if (!rest)
		return 0;
	chunk = malloc(kept + rest);
	if (!chunk)
		return -ENOMEM;
	if (kept)
		memcpy(chunk, lane->chunk + lane->chunk_sent, kept);
	n = recv(lane->from, chunk + kept, rest, MSG_DONTWAIT);
	if (n <= 0) {
		free(chunk);
		return n < 0 ? -errno : -EAGAIN;
	}
	lane->read += (uint64_t)n;
	free(lane->chunk);
	lane->chunk = chunk;
	lane->chunk_size = (uint32_t)(kept + (size_t)n);
	lane->chunk_sent = 0;
	return lane_passed(lane) == lane->read ? 0 : -EAGAIN;
}

static int lane_leave_held(struct lane *lane)
{
	int status;

	/* A segment that had passed the filter before it was there has had time to come in. */
	gauge_barrier(lane->from);
	status = lane_take_rest(lane);
	if (!status)
		status = lane_unmap(lane);
	return status ? status : lane_check_consumed(lane);
}

int lane_leave(struct lane *lane)
{
	int status;

	if (lane_passed(lane) - lane->read > LEAVE_BYTES) {
		if (lane->need == LANE_NEEDS_NOTHING)
			lane->need = LANE_NEEDS_TURN;
		return -EAGAIN;
	}
	/* What the other lane has redirected to this socket waits in the same map entry. */
	status = lane_sync(lane_other(lane));
	if (!status)
		status = hold_start(lane);
	if (!status) {
		status = lane_leave_held(lane);
		hold_stop(lane);
	}
	if (status == -EAGAIN)
		lane->need = LANE_NEEDS_TIME;
	/* A reset that has just come stops the counts, too; then it is no loss. */
	if (status == -EBADMSG && gauge_error(lane->from))
		status = -ECONNRESET;
	if (status == -EBADMSG)
		carry_count(lane->carry->worker, audit_failed);
	return status;
}
