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

#include <weir/conn.h>

#include "offload/carry.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static void end_fill(char *end, struct weir_stream *stream)
{
	char text[WEIR_ADDRESS_TEXT];

	snprintf(end, WEIR_END_BYTES, "%.47s", weir_address_format(weir_stream_peer(stream), text));
}

static void name_fill(char *name, const char *text)
{
	snprintf(name, WEIR_NAME_BYTES, "%s", text ? text : "");
}

/* What a daemon that adopts the flow wants to know of the connection. */
static void record_fill_conn(const struct weir_conn *conn, struct weir_flow *flow)
{
	char text[WEIR_ADDRESS_TEXT];

	if (!conn)
		return;
	flow->attempts = conn->result.attempts;
	flow->accepted_ns = conn->started_ns;
	flow->connect_ns = conn->result.connect_ns;
	snprintf(flow->client, sizeof(flow->client), "%.47s",
		 weir_address_format(&conn->peer, text));
	if (conn->local.size)
		snprintf(flow->local, sizeof(flow->local), "%.47s",
			 weir_address_format(&conn->local, text));
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
		.before_splice_bytes = bridge->way[lane->way].bytes_path[WEIR_PATH_SPLICE],
		.before_sockmap_bytes = bridge->way[lane->way].bytes_path[WEIR_PATH_SOCKMAP],
		.started_ns = bridge->started_ns,
		.last_ns = lane->slot->seen_ns,
	};
	name_fill(flow->listener, bridge->listener);
	name_fill(flow->upstream, bridge->upstream);
	record_fill_conn(bridge->conn, flow);
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
		if (carry->moved) {
			carry->worker->kernel->lanes[lane->index] = NULL;
			slot_leave(carry->worker->kernel);
			continue;
		}
		__atomic_store_n(&lane->slot->want, WEIR_WANT_PASS, __ATOMIC_SEQ_CST);
		carry->worker->kernel->lanes[lane->index] = NULL;
		worker_retire(carry->worker, lane->index, lane->cookie);
		lane->slot = NULL;
	}
}
