/* SPDX-License-Identifier: MIT */
/*
 * The records that people see with bpftool and weirctl: made at the hand-over, written by the
 * verdict from then on, taken away a while after the end.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "offload/carry.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static void end_fill(char *end, struct weir_stream *stream)
{
	char text[WEIR_ADDRESS_TEXT];

	snprintf(end, WEIR_END_BYTES, "%.47s", weir_address_format(weir_stream_peer(stream), text));
}

static void record_fill(const struct lane *lane, struct weir_flow *flow)
{
	struct weir_bridge *bridge = lane->carry->bridge;
	socklen_t size = sizeof(flow->netns_cookie);

	*flow = (struct weir_flow){
		.id = bridge->id,
		.peer_cookie = lane->carry->lane[!lane->way].cookie,
		.way = lane->way == WEIR_UP ? WEIR_FLOW_UP : WEIR_FLOW_DOWN,
		.slot = lane->index,
		.rule = bridge->rule,
		.owner = lane->carry->worker->kernel->pid,
		.before_bytes = bridge->way[lane->way].bytes,
		.started_ns = bridge->started_ns,
		.last_ns = lane->slot->seen_ns,
	};
	snprintf(flow->listener, sizeof(flow->listener), "%s",
		 bridge->listener ? bridge->listener : "");
	snprintf(flow->upstream, sizeof(flow->upstream), "%s",
		 bridge->upstream ? bridge->upstream : "");
	end_fill(flow->from, bridge->stream[lane->way]);
	end_fill(flow->to, bridge->stream[!lane->way]);
	if (getsockopt(lane->from, SOL_SOCKET, SO_NETNS_COOKIE, &flow->netns_cookie, &size))
		flow->netns_cookie = 0; /* before 5.14 */
}

int lane_record(struct lane *lane)
{
	struct weir_flow flow;

	record_fill(lane, &flow);
	/* The socket is not in the map, so that nothing uses the record of an earlier hand-over. */
	if (bpf_map_update_elem(lane->carry->worker->kernel->flows, &lane->cookie, &flow, BPF_ANY))
		return -errno;
	return 0;
}

void carry_retire(struct carry *carry)
{
	for (int i = 0; i < 2; i++) {
		struct lane *lane = &carry->lane[i];

		if (!lane->slot)
			continue;
		__atomic_store_n(&lane->slot->want, WEIR_WANT_PASS, __ATOMIC_SEQ_CST);
		carry->worker->kernel->lanes[lane->index] = NULL;
		worker_retire(carry->worker, lane->index, lane->cookie);
		lane->slot = NULL;
	}
}
