/* SPDX-License-Identifier: MIT */
/*
 * Who has a flow's descriptors beside this process, and the way of a flow to another process:
 *
 *	HELD ----- hand-back, end ------> dropped
 *	  `------- release, at rest ----> moved: the records and both sockets stay as they are
 *
 * A flow is held while the kernel carries it, if another process could go on with its connection.
 */

#include "offload/carry.h"

void carry_hold(struct carry *carry)
{
	const struct weir_offload_keeper *keeper = &carry->worker->keeper;

	if (!keeper->ops || !carry->bridge->conn)
		return;
	for (int i = 0; i < 2; i++)
		carry_watch(carry, i)->duplicated = true;
	carry->held = true;
	keeper->ops->hold(keeper->ctx, carry->lane[0].cookie, carry->lane[0].from,
			  carry->lane[1].from);
}

void carry_drop(struct carry *carry)
{
	const struct weir_offload_keeper *keeper = &carry->worker->keeper;

	if (carry->held)
		keeper->ops->drop(keeper->ctx, carry->lane[0].cookie);
	carry->held = false;
}

/* Nothing of it is in userspace's hands: what was read is written. */
static bool lane_is_at_rest(const struct lane *lane)
{
	return !lane->chunk && lane_is_mapped(lane) && lane->state != LANE_LEAVING &&
	       lane->state != LANE_LEFT;
}

bool carry_may_move(const struct carry *carry)
{
	return carry->held && !carry->leaving && lane_is_at_rest(&carry->lane[0]) &&
	       lane_is_at_rest(&carry->lane[1]);
}

void carry_move(struct carry *carry)
{
	const struct weir_offload_keeper *keeper = &carry->worker->keeper;

	/* Exactly what the next one finds unread is still to be forwarded. */
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&carry->lane[i].slot->user_done, carry->lane[i].read,
				 __ATOMIC_SEQ_CST);
	carry->held = false;
	carry->moved = true;
	carry_count(carry->worker, moved);
	keeper->ops->release(keeper->ctx, carry->lane[0].cookie);
}
