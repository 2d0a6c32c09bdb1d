/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

/*
 * What the BPF programs and the daemon have in common: keys, values, events, limits. Both
 * compilers read this file, so it has fixed-width types only, padding has names, and every size
 * is asserted. Pinned maps outlive the process: whoever changes anything here raises WEIR_ABI,
 * and maps of another number are thrown away, not converted.
 *
 * A flow has two directions, each with one record in weir_flows (found by the socket cookie of
 * the socket it comes from; for people and bpftool) and one slot in weir_slots (found by index,
 * mapped into the daemon; for the programs and the daemon).
 */

#ifdef __bpf__
#include <linux/types.h>
#else
#include <stdint.h>
#include <linux/types.h>
#endif

#define WEIR_ABI 4

#define WEIR_FLOWS_MAX	16384u /* flows in the kernel at a time, by default */
#define WEIR_RINGS	64u    /* event rings: one per worker and process */
#define WEIR_RING_BYTES 65536u
#define WEIR_NAME_BYTES 72u
#define WEIR_END_BYTES	48u
#define WEIR_NO_RING	0xffffu

/* Whether the kernel may carry this direction. Zero is harmless: all bytes go to userspace. */
enum weir_want {
	WEIR_WANT_PASS,
	WEIR_WANT_REDIRECT,
	WEIR_WANT_LEAVE, /* to pass as soon as nothing is pending; then userspace says PASS */
};

/* What became of the last segment of a direction; shown by bpftool. */
enum weir_flow_state {
	WEIR_FLOW_NEW,	      /* no segment yet */
	WEIR_FLOW_PASSING,    /* userspace carries, or catches up */
	WEIR_FLOW_REDIRECTED, /* the kernel carries */
	WEIR_FLOW_SPILLED,    /* the sender outran the receiver: userspace takes over */
	WEIR_FLOW_ENDED,      /* the source has sent its FIN */
	WEIR_FLOW_BROKEN,     /* bytes are missing: the daemon resets the flow */
};

/* Values of weir_flow.path: the numbers of enum weir_path in userspace. */
enum weir_flow_path {
	WEIR_FLOW_COPY = 0,
	WEIR_FLOW_SOCKMAP = 2,
};

enum weir_flow_way {
	WEIR_FLOW_UP, /* from the client to the upstream */
	WEIR_FLOW_DOWN,
};

/* slot.phase of UP, for both directions: who carries. Every change of passed or redirected adds a
 * step (decide.h). */
#define WEIR_PHASE_PASS 1ull /* userspace; else the kernel */
#define WEIR_PHASE_STEP 2ull

/* slot.flags, written by the kernel. */
#define WEIR_SLOT_SEQ  1u /* next_seq is known */
#define WEIR_SLOT_BASE 2u /* base_seq is known */
#define WEIR_SLOT_LOST 4u /* bytes of this direction were lost */

/* slot.marks, written by the daemon, for one that takes its place. */
#define WEIR_MARK_FIRST 1u /* its source ended before that of the other direction */
#define WEIR_MARK_DONE	2u /* its end was passed on */

/*
 * One direction, as far as it changes with every segment. Two cache lines: the first is
 * written by the verdict program, under the lock of the socket that the bytes come from; the
 * second by the daemon. "Written" counts in the scale of tcpi_bytes_acked of the destination.
 */
struct weir_slot {
	__u64 received;	  /* bytes that came, what was trimmed not counted */
	__u64 redirected; /* of them to the destination */
	__u64 passed;	  /* of them to userspace */
	__u64 trimmed;	  /* bytes cut off because the stream had them already */
	__u64 seen_ns;	  /* of the last segment; CLOCK_MONOTONIC, as coarse as a tick */
	__u32 next_seq;	  /* TCP sequence number of the next new byte */
	__u32 base_seq;	  /* write_seq of the destination when it had written 0 */
	__u32 flags;
	__u32 spills;
	__u64 phase; /* WEIR_PHASE_*; in the slot of DOWN it is 0: atomics on it order loads */

	__u64 cookie;	 /* of the socket it comes from; 0: free */
	__u64 user_done; /* passed bytes that userspace has written to the destination */
	__u64 user_tx;	 /* bytes that userspace has written there, ever */
	__u64 limit;	 /* bytes that may be in flight to the destination */
	__u32 want;	 /* enum weir_want */
	__u16 ring;	 /* where its events go */
	__u16 marks;	 /* WEIR_MARK_* */
	__u32 owner;	 /* process that has it; 0: free */
	__u32 other;	 /* slot of the other direction */
	__u64 before;	 /* bytes read from the source before it was in the map */
	__u64 tx_before; /* bytes written to the destination before that */
};
_Static_assert(sizeof(struct weir_slot) == 128, "slots are two cache lines");

/* One direction, for people, and for a daemon that adopts the flow. */
struct weir_flow {
	__u64 id; /* the daemon's number of the flow: both directions have the same */
	__u64 peer_cookie;
	__u64 netns_cookie;
	enum weir_flow_way way;
	enum weir_flow_state state;
	enum weir_flow_path path;
	__u32 slot;
	__u32 rule;
	__u32 owner;	/* process id of the daemon that made the record; slot.owner has it now */
	__u32 attempts; /* connects tried */
	__u32 pad;
	char listener[WEIR_NAME_BYTES];
	char upstream[WEIR_NAME_BYTES];
	char from[WEIR_END_BYTES]; /* "127.0.0.1:80", "[::1]:80" */
	char to[WEIR_END_BYTES];
	char client[WEIR_END_BYTES]; /* who it is, also behind another proxy */
	char local[WEIR_END_BYTES];  /* where it connected to */
	__u64 before_bytes;	     /* carried before the hand-over */
	__u64 before_splice_bytes;   /* of them by splice(2) */
	__u64 before_sockmap_bytes;  /* of them by the kernel, in an earlier hand-over */
	__u64 redirected_bytes;
	__u64 redirected_segments;
	__u64 passed_bytes;
	__u64 passed_segments;
	__u64 trimmed_bytes;
	__u64 trimmed_segments;
	__u64 spills;
	__u64 accepted_ns; /* CLOCK_MONOTONIC, as all times here */
	__u64 connect_ns;  /* how long that took */
	__u64 started_ns;  /* of the flow */
	__u64 last_ns;
};
_Static_assert(sizeof(struct weir_flow) == 504, "no hidden padding");

/* Per CPU, since the maps were made. Every segment is in exactly one of redirected, passed
 * and drop_*. */
struct weir_stats {
	__u64 redirected_segments;
	__u64 redirected_bytes;
	__u64 passed_segments;
	__u64 passed_bytes;
	__u64 trimmed_segments;
	__u64 trimmed_bytes;
	__u64 spill_inflight; /* more unacknowledged bytes than the limit */
	__u64 spill_sndbuf;   /* the destination's send buffer is full */
	__u64 pass_shut;      /* of the passed: userspace wants them, or is catching up */
	__u64 pass_other;     /* of the passed: userspace has the other direction in hand */
	__u64 pass_foreign;   /* of the passed: the socket has no record */
	__u64 pass_peer_gone; /* of the passed: the destination is not in the map */
	__u64 pass_gap;	      /* of the passed: bytes before them are missing */
	__u64 pass_behind;    /* of the passed: behind redirected ones that are not yet written */
	__u64 put_off;	      /* of the redirected: passing them was put off because of that */
	__u64 drop_fin;	      /* a FIN without data: the end is seen by other means */
	__u64 drop_stale;     /* old bytes that came again with a FIN */
	__u64 drop_untrimmed; /* no memory to trim: bytes are lost, the flow is reset */
	__u64 events;
	__u64 events_lost; /* the ring was full */
};
_Static_assert(sizeof(struct weir_stats) == 160, "no hidden padding");

enum weir_event_kind {
	WEIR_EVENT_SPILL,  /* userspace has bytes to carry */
	WEIR_EVENT_BROKEN, /* bytes are missing */
};

struct weir_kernel_event {
	__u64 cookie;
	__u32 slot;
	__u32 kind; /* enum weir_event_kind */
};
_Static_assert(sizeof(struct weir_kernel_event) == 16, "no hidden padding");

/* Who reads a ring; mapped into the daemon. */
struct weir_ring {
	__u32 owner; /* process id; 0: free */
	__u32 lost;  /* events that did not fit */
};
_Static_assert(sizeof(struct weir_ring) == 8, "an array has no gaps between its elements");

/* What the maps are; one entry, mapped into the daemon. */
struct weir_meta {
	__u32 abi; /* WEIR_ABI; 0 while they are being made */
	__u32 flows_max;
	__u32 slot_bytes;
	__u32 flow_bytes;
	__u64 inflight_bytes; /* the limit of new flows */
	__u64 made_ns;	      /* CLOCK_MONOTONIC */
	char build[32];	      /* version of the daemon that made them */
};
_Static_assert(sizeof(struct weir_meta) == 64, "no hidden padding");

#endif
