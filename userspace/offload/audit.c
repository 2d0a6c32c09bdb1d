/* SPDX-License-Identifier: MIT */
/*
 * The last look at a lane, before its end is passed on: TCP's own count of what was received
 * against what the verdict program saw. A difference means that the kernel lost or doubled
 * bytes; then the receiver must see a reset, not an orderly end.
 */

#include <errno.h>

#include "offload/carry.h"
#include "offload/gauge.h"

int lane_audit(const struct lane *lane)
{
	const struct weir_slot *slot = lane->slot;
	uint64_t received;
	bool fin;

	if (slot->flags & WEIR_SLOT_LOST)
		return -EBADMSG;
	if (slot->received != slot->redirected + slot->passed || slot->passed != lane->read)
		return -EBADMSG;
	if (gauge_received(lane->from, &received, &fin))
		return -EBADMSG;
	if (received != slot->before + slot->received + lane->after)
		return -EBADMSG;
	return 0;
}
