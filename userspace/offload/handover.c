/* SPDX-License-Identifier: MIT */
/*
 * Into the map. The order matters:
 *
 * 1. counts and records, so that the verdict finds them with the first segment;
 * 2. both sockets, with the gates shut: what comes now is passed to userspace;
 * 3. both gates open, before anything is read: a segment that comes between the last read and
 *    the opening would be passed with nobody reading;
 * 4. a kick, for what had come before the insertion; the lanes start SPILLED: what was passed is
 *    carried, then the kernel goes on.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "offload/carry.h"
#include "offload/gauge.h"

int lane_cookie(struct lane *lane)
{
	socklen_t size = sizeof(lane->cookie);

	return getsockopt(lane->from, SOL_SOCKET, SO_COOKIE, &lane->cookie, &size) ? -errno : 0;
}

static int lane_fill_slot(struct lane *lane)
{
	const struct weir_offload_worker *worker = lane->carry->worker;
	struct weir_slot *slot = lane->slot;
	uint64_t written, consumed;
	int status = gauge_written_exact(lane->to, &written);

	if (!status)
		status = gauge_consumed(lane->from, &consumed);
	if (status)
		return status;
	slot->before = consumed;
	slot->tx_before = written;
	slot->user_tx = written;
	slot->marks = 0;
	slot->limit = worker->kernel->inflight_bytes;
	slot->ring = (uint16_t)worker->ring;
	slot->want = WEIR_WANT_PASS;
	slot->phase = 0;
	slot->seen_ns = lane->carry->bridge->active_ns;
	slot->cookie = lane->cookie;
	return 0;
}

static int lane_take_slot(struct lane *lane)
{
	struct weir_kernel *kernel = lane->carry->worker->kernel;
	int index = slot_take(kernel);

	if (index < 0)
		return index;
	lane->index = (uint32_t)index;
	lane->slot = &kernel->slots[index];
	kernel->lanes[index] = lane;
	return 0;
}

static int lane_prepare(struct lane *lane)
{
	int status = lane_cookie(lane);

	if (!status)
		status = lane_take_slot(lane);
	if (!status)
		status = lane_fill_slot(lane);
	return status;
}

static int lane_insert(struct lane *lane)
{
	uint64_t fd = (uint64_t)lane->from;

	if (bpf_map_update_elem(lane->carry->worker->kernel->socks, &lane->cookie, &fd,
				BPF_NOEXIST))
		return -errno;
	lane->carry->mapped[lane->way] = true;
	return 0;
}

void carry_open(struct carry *carry)
{
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&carry->lane[i].slot->want, WEIR_WANT_REDIRECT, __ATOMIC_SEQ_CST);
}

/* Runs the verdict on what had come before the insertion: the kernel would leave it lying until
 * the next segment. Only a peek may do that: a recv() that takes bytes sets copied_seq to what
 * it was before the verdict ran (tcp_bpf_recvmsg_parser), and the socket could not be read once
 * it has left the map.
 *
 * A socket tells of a reset once, to whoever asks first: if that was the peek, it is kept. */
static void lane_kick(struct lane *lane)
{
	char byte;

	if (recv(lane->from, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno != EAGAIN &&
	    errno != EINTR)
		lane->reset = -errno;
}

static int carry_prepare(struct carry *carry)
{
	int status = 0;

	for (int i = 0; i < 2 && !status; i++)
		status = lane_prepare(&carry->lane[i]);
	for (int i = 0; i < 2 && !status; i++) {
		carry->lane[i].slot->other = carry->lane[!i].index;
		status = lane_record(&carry->lane[i]);
	}
	return status;
}

int carry_hand_over(struct carry *carry)
{
	int status = carry_prepare(carry);

	if (!status)
		status = lane_insert(&carry->lane[0]);
	if (status)
		return status;
	status = lane_insert(&carry->lane[1]) ? 1 : 0;
	if (!status)
		carry_open(carry);
	for (int i = 0; i < 2; i++)
		lane_kick(&carry->lane[i]);
	if (!status)
		carry_hold(carry);
	return status;
}
