/* SPDX-License-Identifier: MIT */
/*
 * A flow that another process has handed over and left, be it that it died or that it released
 * the flow. Both sockets are in the map, the verdict goes on, and what userspace knew is in the
 * slots and records.
 *
 * The one thing that must be found out is whether bytes were in the hands of a process that died:
 * read, and not yet written. TCP and the socket's queue say it:
 *
 *	read     = passed - what can still be read
 *	written  = what TCP has written to the destination, less what it had before the hand-over
 *	           and what was redirected
 *
 * When they differ, bytes are gone and the flow must be reset. While userspace has bytes in hand the
 * gate is shut, so that nothing of this moves but for a worker of the kernel that is still at it;
 * that takes a moment, so a difference is looked at again for a while.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include <weir/error.h>

#include "offload/carry.h"
#include "offload/gauge.h"

/* Half a second at least; on a machine that is busy naps are longer. */
#define ADOPT_TRIES  200
#define ADOPT_NAP_US 2500

#define STATE_CLOSE 7 /* enum of the kernel's net/tcp_states.h, part of TCP_INFO's ABI */

/* ------------------------------------------------------------------------------------------
 * Records
 */

static int record_find(const struct weir_kernel *kernel, int fd, uint64_t *cookie,
		       struct weir_flow *flow)
{
	socklen_t size = sizeof(*cookie);
	uint64_t mapped;

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &size))
		return -errno;
	if (bpf_map_lookup_elem(kernel->flows, cookie, flow) ||
	    bpf_map_lookup_elem(kernel->socks, cookie, &mapped))
		return -errno;
	if (flow->slot >= kernel->n_slots || kernel->slots[flow->slot].cookie != *cookie)
		return -ENOENT;
	return 0;
}

static void kept_fill(const struct weir_flow *flow, struct weir_kept_flow *kept)
{
	*kept = (struct weir_kept_flow){
		.id = flow->id,
		.accepted_ns = flow->accepted_ns,
		.started_ns = flow->started_ns,
		.connect_ns = flow->connect_ns,
		.attempts = flow->attempts,
		.rule = flow->rule,
	};
	memcpy(kept->listener, flow->listener, sizeof(kept->listener));
	memcpy(kept->upstream, flow->upstream, sizeof(kept->upstream));
	kept->listener[sizeof(kept->listener) - 1] = '\0';
	kept->upstream[sizeof(kept->upstream) - 1] = '\0';
	if (flow->client[0] && weir_address_parse(&kept->client, flow->client))
		kept->client.size = 0;
	if (flow->local[0] && weir_address_parse(&kept->local, flow->local))
		kept->local.size = 0;
}

int weir_kernel_find_flow(const struct weir_kernel *kernel, const int fds[2],
			  struct weir_kept_flow *kept)
{
	struct weir_flow flow[2] = { 0 };
	uint64_t cookie[2] = { 0 };

	if (!kernel->usable)
		return -ENOENT;
	for (int i = 0; i < 2; i++) {
		if (record_find(kernel, fds[i], &cookie[i], &flow[i]))
			return -ENOENT;
	}
	if (flow[0].peer_cookie != cookie[1] || flow[1].peer_cookie != cookie[0] ||
	    flow[0].way != WEIR_FLOW_UP)
		return -ENOENT;
	kept_fill(&flow[0], kept);
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * One direction
 */

/* What was counted before this process. */
static void lane_restore_counts(struct lane *lane, const struct weir_flow *flow)
{
	struct weir_bridge_way *way = &lane->carry->bridge->way[lane->way];

	lane->base_bytes = flow->before_bytes;
	lane->base_sockmap = flow->before_sockmap_bytes;
	lane->base_copy =
		flow->before_bytes - flow->before_sockmap_bytes - flow->before_splice_bytes;
	lane->base_read = flow->before_bytes;
	lane->base_written = flow->before_bytes;
	way->bytes_path[WEIR_PATH_SPLICE] = flow->before_splice_bytes;
}

static void lane_restore_end(struct lane *lane)
{
	struct weir_bridge *bridge = lane->carry->bridge;

	if (lane->slot->marks & WEIR_MARK_FIRST)
		bridge->first_ended = lane->way;
	/* It may have died between passing the end on and saying so. */
	if (!(lane->slot->marks & WEIR_MARK_DONE) && !gauge_has_sent_fin(lane->to))
		return;
	lane->state = LANE_DONE;
	bridge->way[lane->way].ended = true;
	bridge->way[lane->way].done = true;
	bridge->stream[lane->way]->read_ended = true;
	bridge->stream[!lane->way]->write_ended = true;
}

static int lane_restore(struct lane *lane)
{
	struct weir_offload_worker *worker = lane->carry->worker;
	struct weir_flow flow = { 0 };
	int unused = 0, status;

	status = record_find(worker->kernel, lane->from, &lane->cookie, &flow);
	if (status)
		return status;
	/* It may have died between holding and letting go (leave.c). */
	setsockopt(lane->from, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	lane->index = flow.slot;
	lane->slot = &worker->kernel->slots[flow.slot];
	lane->spills = lane->slot->spills;
	lane->carry->mapped[lane->way] = true;
	worker->kernel->lanes[flow.slot] = lane;
	slot_adopt(worker->kernel, flow.slot);
	/* From here on its events come to us; what came before is found by looking. */
	__atomic_store_n(&lane->slot->ring, (uint16_t)worker->ring, __ATOMIC_SEQ_CST);
	lane_restore_counts(lane, &flow);
	lane_restore_end(lane);
	return 0;
}

/* How much can be read, without reading it. */
static ssize_t lane_unread(const struct lane *lane, size_t most)
{
	char *memory = malloc(most);
	ssize_t n;

	if (!memory)
		return -ENOMEM;
	n = recv(lane->from, memory, most, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		n = errno == EAGAIN || errno == EINTR ? 0 : -errno;
	free(memory);
	return n;
}

/* Sets lane->read. 0; -EAGAIN when it cannot be said yet; -EBADMSG as long as bytes seem to be
 * gone. */
static int lane_recount(struct lane *lane)
{
	uint64_t passed = lane_passed(lane);
	uint64_t done = lane->slot->user_done;
	uint64_t written;
	ssize_t unread = 0;

	if (passed > done)
		unread = lane_unread(lane, (size_t)(passed - done));
	if (unread < 0)
		return (int)unread;
	gauge_barrier(lane->from);
	if (lane_passed(lane) != passed)
		return -EAGAIN;
	lane->read = passed - (uint64_t)unread;
	lane->slot->user_tx = lane->slot->tx_before + lane->read;
	if (lane->read == done)
		return 0;
	if (gauge_written(lane->to, &written))
		return -EBADMSG;
	return written == lane->slot->user_tx + lane_redirected(lane) ? 0 : -EBADMSG;
}

/* A socket is closed by both ends' FINs, or by a reset that its last owner may have been told
 * of. */
static void lane_check_reset(struct lane *lane)
{
	if (gauge_state(lane->from) == STATE_CLOSE && lane_other(lane)->state != LANE_DONE)
		lane->reset = -ECONNRESET;
}

/* ------------------------------------------------------------------------------------------
 * Both
 */

static int carry_recount(struct carry *carry)
{
	int status = lane_recount(&carry->lane[0]);
	int other = lane_recount(&carry->lane[1]);

	return status ? status : other;
}

static int carry_settle(struct carry *carry)
{
	int status = -EAGAIN;

	for (int i = 0; i < ADOPT_TRIES; i++) {
		status = carry_recount(carry);
		if (status != -EAGAIN && status != -EBADMSG)
			return status;
		if (weir_task_nap_us(ADOPT_NAP_US))
			return -ECANCELED;
	}
	return status;
}

int carry_adopt(struct carry *carry)
{
	int status = 0;

	/* Whoever held it for the other process goes on. */
	carry->held = carry->worker->keeper.ops;
	for (int i = 0; i < 2; i++)
		carry_watch(carry, i)->duplicated = true;
	for (int i = 0; i < 2 && !status; i++)
		status = lane_restore(&carry->lane[i]);
	if (!status)
		status = carry_settle(carry);
	if (status)
		return status;
	for (int i = 0; i < 2; i++)
		lane_check_reset(&carry->lane[i]);
	carry_open(carry);
	return 0;
}
