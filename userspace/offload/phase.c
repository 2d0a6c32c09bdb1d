/* SPDX-License-Identifier: MIT */
/*
 * Who carries a flow: the kernel or userspace, both directions at a time (bpf/decide.h).
 *
 *	             verdict: bytes do not fit, or the flow leaves,
 *	             and nothing is pending; userspace: the flow leaves
 *	   KERNEL ----------------------------------------------------> PASS
 *	          <----------------------------------------------------
 *	             userspace: nothing is in hand
 *
 * The phase is a word that every segment adds to. Who wants to change it reads it, looks whether he
 * may, and changes it only if it is still what he has read: then what he has seen is still true.
 */

#include <errno.h>

#include "offload/carry.h"

#define SHUT_TRIES 400u /* naps; together some two seconds */

static uint64_t *carry_phase(struct carry *carry)
{
	return (uint64_t *)&carry->lane[WEIR_UP].slot->phase;
}

/* PHASE ends if nothing has moved since. */
static bool phase_end(struct carry *carry, uint64_t phase)
{
	uint64_t next = (phase ^ WEIR_PHASE_PASS) + WEIR_PHASE_STEP;

	return __atomic_compare_exchange_n(carry_phase(carry), &phase, next, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool lane_is_clear(const struct lane *lane)
{
	return lane_passed(lane) == __atomic_load_n(&lane->slot->user_done, __ATOMIC_SEQ_CST);
}

void carry_yield(struct carry *carry)
{
	uint64_t phase;

	if (carry->leaving)
		return;
	do {
		phase = __atomic_load_n(carry_phase(carry), __ATOMIC_SEQ_CST);
		if (!(phase & WEIR_PHASE_PASS) || !lane_is_clear(&carry->lane[0]) ||
		    !lane_is_clear(&carry->lane[1]))
			return;
	} while (!phase_end(carry, phase));
}

/* Takes the flow if nothing is pending for either socket. */
static int phase_take(struct carry *carry)
{
	uint64_t phase = __atomic_load_n(carry_phase(carry), __ATOMIC_SEQ_CST);

	if (phase & WEIR_PHASE_PASS)
		return 0;
	for (int i = 0; i < 2; i++) {
		if (lane_sync(&carry->lane[i]) == -EAGAIN)
			return -EAGAIN;
	}
	return phase_end(carry, phase) ? 0 : -EAGAIN;
}

int carry_shut(struct carry *carry)
{
	if (carry->shut)
		return 0;
	if (phase_take(carry)) {
		if (carry->shut_tries++ < SHUT_TRIES)
			return -EAGAIN;
		__atomic_fetch_or(carry_phase(carry), WEIR_PHASE_PASS, __ATOMIC_SEQ_CST);
	}
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&carry->lane[i].slot->want, WEIR_WANT_PASS, __ATOMIC_SEQ_CST);
	carry->shut = true;
	return 0;
}
