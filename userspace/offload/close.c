/* SPDX-License-Identifier: MIT */
/*
 * The end of a direction. EPOLLRDHUP says that the FIN is there, not that the bytes before it
 * are through: some may wait for userspace, some for a worker of the kernel. Shutting the
 * destination down before they are written would cut the stream short.
 */

#include <errno.h>

#include "offload/carry.h"
#include "offload/gauge.h"

int lane_end(struct lane *lane, int *broken)
{
	struct weir_bridge *bridge = lane->carry->bridge;
	struct weir_bridge_way *way = &bridge->way[lane->way];
	int status;

	gauge_barrier(lane->from);
	status = lane_pump(lane, broken);
	if (status)
		return status;
	lane_catch_up(lane);
	status = lane_sync(lane);
	if (status)
		return status;
	status = lane_audit(lane);
	if (status && gauge_error(lane->from)) {
		*broken = lane->way;
		return -ECONNRESET;
	}
	if (status) {
		carry_count(lane->carry->worker, audit_failed);
		return status;
	}
	way->ended = true;
	bridge->stream[lane->way]->read_ended = true;
	status = weir_stream_shutdown(bridge->stream[!lane->way]);
	if (status) {
		*broken = !lane->way;
		return status;
	}
	way->done = true;
	__atomic_fetch_or(&lane->slot->marks, WEIR_MARK_DONE, __ATOMIC_RELEASE);
	return 0;
}
