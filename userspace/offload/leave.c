/* SPDX-License-Identifier: MIT */
/*
 * Out of the map, without losing a byte.
 *
 * The kernel removes a socket without its lock, and what was passed and not read goes with the
 * entry. So a socket leaves only at a gap: everything passed is read, everything redirected to
 * it is written. In the microseconds between the last look and the removal the hold filter keeps
 * new data away; what it turns away is sent again by the peer. Afterwards TCP's count of what
 * left its queue must be ours: a segment that slipped through would show.
 */

#include <errno.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "offload/carry.h"
#include "offload/gauge.h"

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

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

	if (carry->mapped[lane->way] && bpf_map_delete_elem(carry->worker->kernel->socks, &lane->cookie))
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

/* With new data kept away: the last bytes, then out. What cannot be written now is kept. */
static int lane_leave_held(struct lane *lane, int *broken)
{
	int status = 0;

	/* A segment that had passed the filter before it was there has had time to come in. */
	gauge_barrier(lane->from);
	if (lane_passed(lane) != lane->read)
		status = lane_pump(lane, broken);
	if (status && status != -EAGAIN)
		return status;
	if (lane_passed(lane) != lane->read) {
		lane->need = LANE_NEEDS_TIME;
		return -EAGAIN;
	}
	status = lane_unmap(lane);
	return status ? status : lane_check_consumed(lane);
}

int lane_leave(struct lane *lane, int *broken)
{
	int status;

	/* What the other lane has redirected to this socket waits in the same map entry. */
	status = lane_sync(lane_other(lane));
	if (status == -EAGAIN)
		lane->need = LANE_NEEDS_TIME;
	if (status)
		return status;
	status = hold_start(lane);
	if (status)
		return status;
	status = lane_leave_held(lane, broken);
	hold_stop(lane);
	if (status == -EBADMSG)
		carry_count(lane->carry->worker, audit_failed);
	return status;
}
