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
 * 2. Phase. Both directions of a flow are carried by the kernel, or both by userspace: what is
 *    redirected to a socket and what is passed from it share a queue of the kernel, where passed
 *    bytes would wait for redirected ones and are accounted without the socket's lock
 *    (sk_psock_backlog). The phase is one word for both, which verdicts on two CPUs and userspace
 *    change: whoever passes or redirects counts the bytes first and adds a step then; was it the
 *    other phase, he takes his count back. Whoever ends a phase does it by compare and exchange
 *    from a value after which he found nothing in hand (userspace), or nothing pending.
 * 3. Bound. The kernel queues redirected bytes without limit: what the destination cannot take
 *    now goes to userspace, whose receive buffer stops the sender.
 * 4. Turn. Userspace takes over when the kernel has written all that it was given.
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
	WEIR_GATE_SHUT,	   /* userspace carries */
	WEIR_GATE_LEAVING, /* it will as soon as nothing is pending */
	WEIR_GATE_OPEN,
};

/* Whether the kernel may carry the next byte. */
static inline enum weir_gate weir_decide_gate(__u32 want, __u64 phase)
{
	if (phase & WEIR_PHASE_PASS)
		return WEIR_GATE_SHUT;
	return want == WEIR_WANT_REDIRECT ? WEIR_GATE_OPEN : WEIR_GATE_LEAVING;
}

/* Whether userspace must be told of a passed byte: it may be asleep when it had nothing of this
 * direction in hand. */
static inline bool weir_decide_tell(__u32 want, __u64 in_hand)
{
	return want != WEIR_WANT_PASS && !in_hand;
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

/* Whether SNDBUF bytes of send buffer take LEN more at once. SENT: what userspace has written and
 * the kernel has redirected to the destination so far; what is not in the socket yet, a worker of
 * the kernel is at. */
static inline bool weir_decide_fits(const struct weir_peer *peer, __u64 sent, __u32 len,
				    __s32 sndbuf)
{
	__u32 backlog = (__u32)sent - peer->written;

	return (__s64)peer->wmem_queued + backlog + len <= sndbuf;
}

/* A quarter of the send buffer is for what comes while taking over is put off. */
static inline enum weir_bound weir_decide_bound(const struct weir_peer *peer, __u64 sent, __u32 len,
						__u64 limit)
{
	__s64 inflight = (__s64)(sent - peer->acked);

	if (inflight + (__s64)len > (__s64)limit)
		return WEIR_BOUND_INFLIGHT;
	if (!weir_decide_fits(peer, sent, len, peer->sndbuf - (__s32)((__u32)peer->sndbuf / 4)))
		return WEIR_BOUND_SNDBUF;
	return WEIR_BOUND_WITHIN;
}

/* Redirected, and a worker of the kernel has not written it yet. */
static inline __u32 weir_decide_pending(__u64 sent, __u32 written)
{
	__s32 pending = (__s32)((__u32)sent - written);

	return pending > 0 ? (__u32)pending : 0;
}

enum weir_turn {
	WEIR_TURN_NOW,	   /* nothing is pending for either socket */
	WEIR_TURN_PUT_OFF, /* redirect it: there is room */
	WEIR_TURN_FORCED,  /* there is none: userspace takes over although something is pending */
};

/* When userspace takes over both directions are passed, so nothing may be pending for either
 * socket: for the destination or for the source (BEHIND). Until then only the send buffer is a
 * bound, but all of it: the worker can write what is pending without waiting for the receiver. */
static inline enum weir_turn weir_decide_turn(const struct weir_peer *peer, __u64 sent, __u32 len,
					      __u32 behind)
{
	if (!behind && !weir_decide_pending(sent, peer->written))
		return WEIR_TURN_NOW;
	if (weir_decide_fits(peer, sent, len, peer->sndbuf))
		return WEIR_TURN_PUT_OFF;
	return WEIR_TURN_FORCED;
}

/* One case for all, so that a table can be run in the kernel too (decide.bpf.c). */
struct weir_decide_case {
	__u32 next_seq;
	__u32 seq;
	__u32 len;
	__u32 want;
	__u64 in_hand;
	__u64 phase;
	__u64 sent;
	__u64 limit;
	struct weir_peer peer;
	__u32 behind;
	/* results */
	__u32 cut;
	__u32 cut_bytes;
	__u32 gate;
	__u32 bound;
	__u32 turn;
	__u32 tell;
	__u32 pad;
};
_Static_assert(sizeof(struct weir_decide_case) == 104, "no hidden padding");

static inline void weir_decide_run(struct weir_decide_case *c)
{
	c->cut = weir_decide_cut(c->next_seq, c->seq, c->len, &c->cut_bytes);
	c->gate = weir_decide_gate(c->want, c->phase);
	c->tell = weir_decide_tell(c->want, c->in_hand);
	c->bound = weir_decide_bound(&c->peer, c->sent, c->len, c->limit);
	c->turn = weir_decide_turn(&c->peer, c->sent, c->len, c->behind);
}

#endif
