/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_DECIDE_H
#define WEIR_DECIDE_H

/*
 * What the verdict program decides, as pure functions: the BPF program calls them with what it
 * reads from the kernel, the unit tests with a table of cases.
 *
 * 1. Cut. TCP hands whole segments to the verdict, also what the stream had before (a
 *    retransmit that overlaps, the rest of a segment that userspace had read in part). What
 *    lies before the next new byte is cut off.
 * 2. Gate. Bytes may pass userspace by only when it asked for that and has nothing in hand that
 *    must go first. Nor may they while it has bytes of the other direction in hand: what is
 *    redirected to a socket and what is passed from it share a queue of the kernel, where passed
 *    bytes would wait for redirected ones and are accounted without the socket's lock
 *    (sk_psock_backlog).
 * 3. Bound. The kernel queues redirected bytes without limit: what the destination cannot take
 *    now goes to userspace, whose receive buffer stops the sender.
 * 4. Put off. Userspace takes over when the kernel has written all that it was given.
 */

#include <stdbool.h>

#include "abi.h"

enum weir_cut {
	WEIR_CUT_NEW,	/* all or the last part of it is new */
	WEIR_CUT_STALE, /* nothing is new but its FIN: it was sent again with old bytes */
	WEIR_CUT_GAP,	/* bytes before it never came by */
};

/* How much of a segment to cut off. Sequence numbers wrap. LEN is not 0. */
static inline enum weir_cut weir_decide_cut(__u32 next_seq, __u32 seq, __u32 len, __u32 *cut)
{
	__s32 old = (__s32)(next_seq - seq);

	*cut = 0;
	if (old < 0)
		return WEIR_CUT_GAP;
	if ((__u32)old >= len)
		return WEIR_CUT_STALE;
	*cut = (__u32)old;
	return WEIR_CUT_NEW;
}

enum weir_gate {
	WEIR_GATE_SHUT,
	WEIR_GATE_LEAVING, /* shut as soon as nothing is pending */
	WEIR_GATE_OTHER,   /* shut because of the other direction only: userspace may be asleep */
	WEIR_GATE_OPEN,
};

/* Whether the kernel may carry the next byte. IN_HAND: passed and not yet forwarded bytes of this
 * direction and of the other one. */
static inline enum weir_gate weir_decide_gate(__u32 want, __u64 in_hand, __u64 other_in_hand)
{
	if ((want != WEIR_WANT_REDIRECT && want != WEIR_WANT_LEAVE) || in_hand)
		return WEIR_GATE_SHUT;
	if (other_in_hand)
		return WEIR_GATE_OTHER;
	return want == WEIR_WANT_LEAVE ? WEIR_GATE_LEAVING : WEIR_GATE_OPEN;
}

enum weir_bound {
	WEIR_BOUND_WITHIN,
	WEIR_BOUND_INFLIGHT, /* more unacknowledged bytes than the limit */
	WEIR_BOUND_SNDBUF,   /* the socket would not take them at once */
};

/* The destination, as its socket says. */
struct weir_peer {
	__u64 acked;	   /* bytes_acked */
	__u32 written;	   /* bytes written since the base, modulo 2^32 */
	__s32 wmem_queued; /* of the send buffer, in use */
	__s32 sndbuf;
	__u32 pad;
};

/* SENT: what userspace has written and the kernel has redirected to the destination so far. */
static inline enum weir_bound weir_decide_bound(const struct weir_peer *peer, __u64 sent, __u32 len,
						__u64 limit)
{
	__s64 inflight = (__s64)(sent - peer->acked);
	/* Redirected, but not yet in the socket: a worker of the kernel is at it. */
	__u32 backlog = (__u32)sent - peer->written;

	if (inflight + (__s64)len > (__s64)limit)
		return WEIR_BOUND_INFLIGHT;
	if ((__s64)peer->wmem_queued + backlog + len > peer->sndbuf)
		return WEIR_BOUND_SNDBUF;
	return WEIR_BOUND_WITHIN;
}

/* Redirected, and a worker of the kernel has not written it yet. */
static inline __u32 weir_decide_pending(__u64 sent, __u32 written)
{
	__s32 pending = (__s32)((__u32)sent - written);

	return pending > 0 ? (__u32)pending : 0;
}

/* Whether userspace, which has nothing in hand, takes over a little later. When it does, both
 * directions are passed. What is passed while redirected bytes are pending for the same socket
 * waits behind them, and the kernel's worker accounts for it without the socket's lock, whose
 * owner may be accounting at that moment: one of the two is lost, and the kernel warns when the
 * socket is freed. So it takes over when nothing is pending for either socket: for the destination
 * or for the source (BEHIND). Until then the bound is
 * wider; the send buffer is not. */
#define WEIR_PUT_OFF_TIMES 4

static inline bool weir_decide_put_off(const struct weir_peer *peer, __u64 sent, __u32 len,
				       __u64 limit, __u32 behind)
{
	if (!behind && !weir_decide_pending(sent, peer->written))
		return false;
	return weir_decide_bound(peer, sent, len, WEIR_PUT_OFF_TIMES * limit) == WEIR_BOUND_WITHIN;
}

/* One case for all, so that a table can be run in the kernel too (decide.bpf.c). */
struct weir_decide_case {
	__u32 next_seq;
	__u32 seq;
	__u32 len;
	__u32 want;
	__u64 in_hand;
	__u64 other_in_hand;
	__u64 sent;
	__u64 limit;
	struct weir_peer peer;
	__u32 behind;
	/* results */
	__u32 cut;
	__u32 cut_bytes;
	__u32 gate;
	__u32 bound;
	__u32 put_off;
};
_Static_assert(sizeof(struct weir_decide_case) == 96, "no hidden padding");

static inline void weir_decide_run(struct weir_decide_case *c)
{
	c->cut = weir_decide_cut(c->next_seq, c->seq, c->len, &c->cut_bytes);
	c->gate = weir_decide_gate(c->want, c->in_hand, c->other_in_hand);
	c->bound = weir_decide_bound(&c->peer, c->sent, c->len, c->limit);
	c->put_off = weir_decide_put_off(&c->peer, c->sent, c->len, c->limit, c->behind);
}

#endif
