/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel data plane: a stream verdict on the proxy's own sockets, which sends what comes on
 * one socket of a flow straight out of the other one. See decide.h for what is decided and
 * userspace/offload/ for the protocol around it.
 *
 * The program runs under the lock of the socket that the segment came on, so one direction is
 * never decided on two CPUs at a time, and its half of the slot needs no atomics.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "decide.h"
#include "kernel.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Sockets by their own cookie: cookies are unique on the machine until it reboots. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 2 * WEIR_FLOWS_MAX);
	__type(key, __u64);
	__type(value, __u64);
} weir_socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * WEIR_FLOWS_MAX);
	__type(key, __u64);
	__type(value, struct weir_flow);
} weir_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * WEIR_FLOWS_MAX);
	__type(key, __u32);
	__type(value, struct weir_slot);
} weir_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_stats);
} weir_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_meta);
} weir_meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_RINGS);
	__type(key, __u32);
	__type(value, struct weir_ring);
} weir_rings SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WEIR_RING_BYTES);
};

/* One ring for every worker of every process: nobody reads for another one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_RINGS);
	__type(key, __u32);
	__array(values, struct ring);
} weir_events SEC(".maps");

/* sk_skb_adjust_room() refuses more at a time (len_diff_abs > 0xfff). */
#define TRIM_MAX 4000u

/* Times that the phase may change while a segment is looked at. */
#define STEP_TRIES 4

#define READ_ONCE(x) (*(volatile __typeof__(x) *)&(x))

/* A direction on its way through the program. */
struct segment {
	struct __sk_buff *skb;
	struct weir_flow *flow;
	struct weir_slot *slot;
	struct weir_slot *other; /* of the other direction */
	__u64 *phase;		 /* of both */
	struct weir_stats *stats;
	__u32 len;
};

static __always_inline void event_send(const struct segment *seg, enum weir_event_kind kind)
{
	struct weir_kernel_event *event;
	struct weir_ring *owner;
	__u32 ring = READ_ONCE(seg->slot->ring);
	void *map;

	map = bpf_map_lookup_elem(&weir_events, &ring);
	event = map ? bpf_ringbuf_reserve(map, sizeof(*event), 0) : NULL;
	if (!event) {
		seg->stats->events_lost++;
		owner = bpf_map_lookup_elem(&weir_rings, &ring);
		if (owner)
			__sync_fetch_and_add(&owner->lost, 1);
		return;
	}
	event->cookie = seg->slot->cookie;
	event->slot = seg->flow->slot;
	event->kind = kind;
	seg->stats->events++;
	bpf_ringbuf_submit(event, 0);
}

/* Bytes are missing or will be: nothing can repair the stream, so the daemon resets it. */
static __always_inline void segment_break(const struct segment *seg)
{
	seg->slot->flags |= WEIR_SLOT_LOST;
	seg->flow->state = WEIR_FLOW_BROKEN;
	event_send(seg, WEIR_EVENT_BROKEN);
}

/* What the other direction has pending for the socket that this segment came on, whose lock is
 * ours: its write_seq stands still. */
static __always_inline __u32 segment_behind(const struct segment *seg)
{
	struct weir_slot *other = seg->other;
	struct bpf_sock *sk = seg->skb->sk;
	struct tcp_sock *tp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
	__u64 sent;

	if (!tp || !(other->flags & WEIR_SLOT_BASE))
		return 0;
	sent = READ_ONCE(other->user_tx) + READ_ONCE(other->redirected);
	return weir_decide_pending(sent, tp->write_seq - other->base_seq);
}

struct trim {
	struct __sk_buff *skb;
	__u32 bytes; /* to cut off in all */
	bool failed;
};

/* What is left follows from the turn. A count carried from turn to turn would be a new state for
 * the verifier at each one, and it would walk through all of them. */
static long trim_step(__u64 turn, struct trim *trim)
{
	__u32 left = trim->bytes - (__u32)turn * TRIM_MAX;
	__u32 step = left > TRIM_MAX ? TRIM_MAX : left;

	if (!bpf_skb_adjust_room(trim->skb, -(__s32)step, 0, 0))
		return 0;
	trim->failed = true;
	return 1;
}

/* Cuts BYTES off the front. 0 or -1; then part of them may be gone already. A loop of the
 * kernel's, because the verifier would walk through every turn of one of ours. */
static __always_inline int segment_trim(const struct segment *seg, __u32 bytes)
{
	struct trim trim = { .skb = seg->skb, .bytes = bytes };
	__u32 turns = (bytes + TRIM_MAX - 1) / TRIM_MAX;

	return bpf_loop(turns, trim_step, &trim, 0) == turns && !trim.failed ? 0 : -1;
}

/* Where the stream stands when the first segment comes by. */
static __always_inline void seq_learn(struct weir_slot *slot, struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;

	if (!tp)
		return;
	slot->next_seq = tp->copied_seq;
	slot->flags |= WEIR_SLOT_SEQ;
}

/* Cuts off what is not new. 0, or -1 when the segment must be dropped. The first words of the
 * control block that sk_skb programs see are TCP's seq and end_seq (sk_skb_cb.data is the
 * start of skb->cb since e0dc3b93bd7b, 5.16; a verdict without a parser leaves it to TCP). */
static __always_inline int segment_cut(struct segment *seg)
{
	struct weir_slot *slot = seg->slot;
	__u32 seq = seg->skb->cb[0];
	__u32 cut;

	if (!(slot->flags & WEIR_SLOT_SEQ))
		seq_learn(slot, seg->skb);
	if (!(slot->flags & WEIR_SLOT_SEQ))
		slot->next_seq = seq;

	switch (weir_decide_cut(slot->next_seq, seq, seg->len, &cut)) {
	case WEIR_CUT_GAP:
		seg->stats->pass_gap++;
		segment_break(seg);
		break;
	case WEIR_CUT_STALE:
		/* All of it must go: a drop counts what is left as read. */
		if (segment_trim(seg, seg->len))
			segment_break(seg);
		seg->stats->drop_stale++;
		return -1;
	case WEIR_CUT_NEW:
		break;
	}
	slot->next_seq = seq + seg->len;
	slot->flags |= WEIR_SLOT_SEQ;
	if (!cut)
		return 0;
	if (segment_trim(seg, cut)) {
		seg->stats->drop_untrimmed++;
		segment_break(seg);
		return -1;
	}
	seg->len -= cut;
	slot->trimmed += cut;
	seg->flow->trimmed_bytes += cut;
	seg->flow->trimmed_segments++;
	seg->stats->trimmed_bytes += cut;
	seg->stats->trimmed_segments++;
	return 0;
}

/* What was sent to the destination so far. Userspace counts what it writes before it opens the
 * gate, but loads are not ordered on every machine; an atomic add orders them. Once is enough:
 * the base must be exact, later a few bytes more or less in the bound do no harm. */
static __always_inline __u64 slot_sent(struct weir_slot *slot)
{
	if (!(slot->flags & WEIR_SLOT_BASE))
		__sync_fetch_and_add(&slot->phase, 0);
	return READ_ONCE(slot->user_tx) + slot->redirected;
}

/* How the destination stands. -1 when it is not in the map any more. While the gate is open
 * userspace writes nothing to it, so that the base can be taken then. */
static __always_inline int peer_look(struct weir_slot *slot, __u64 cookie, __u64 sent,
				     struct weir_peer *peer)
{
	struct tcp_sock *tp;
	struct bpf_sock *sk;
	int found = -1;

	sk = bpf_map_lookup_elem(&weir_socks, &cookie);
	if (!sk)
		return -1;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp) {
		__u32 write_seq = tp->write_seq;

		if (!(slot->flags & WEIR_SLOT_BASE)) {
			slot->base_seq = write_seq - (__u32)sent;
			slot->flags |= WEIR_SLOT_BASE;
		}
		peer->acked = tp->bytes_acked;
		peer->written = write_seq - slot->base_seq;
		peer->wmem_queued = tp->inet_conn.icsk_inet.sk.sk_wmem_queued;
		peer->sndbuf = tp->inet_conn.icsk_inet.sk.sk_sndbuf;
		found = 0;
	}
	bpf_sk_release(sk);
	return found;
}

/* Counts what is about to be redirected. 0, or -1 when userspace has the flow by now. */
static __always_inline int redirect_begin(const struct segment *seg)
{
	seg->slot->redirected += seg->len;
	if (!(__sync_fetch_and_add(seg->phase, WEIR_PHASE_STEP) & WEIR_PHASE_PASS))
		return 0;
	seg->slot->redirected -= seg->len;
	return -1;
}

/* 0; -1 when the destination is not in the map any more. */
static __always_inline int redirect_finish(const struct segment *seg)
{
	__u64 peer = seg->flow->peer_cookie;

	if (bpf_sk_redirect_hash(seg->skb, &weir_socks, &peer, 0) != SK_PASS) {
		seg->slot->redirected -= seg->len;
		return -1;
	}
	seg->flow->redirected_bytes += seg->len;
	seg->flow->redirected_segments++;
	seg->flow->path = WEIR_FLOW_SOCKMAP;
	if (seg->flow->state != WEIR_FLOW_BROKEN)
		seg->flow->state = WEIR_FLOW_REDIRECTED;
	seg->stats->redirected_bytes += seg->len;
	seg->stats->redirected_segments++;
	return 0;
}

/* Counts what is about to be passed while userspace has the flow. 0, or -1 when it has not. */
static __always_inline int pass_begin(const struct segment *seg)
{
	seg->slot->passed += seg->len;
	if (__sync_fetch_and_add(seg->phase, WEIR_PHASE_STEP) & WEIR_PHASE_PASS)
		return 0;
	seg->slot->passed -= seg->len;
	return -1;
}

/* The same, and userspace takes the flow over, if nothing has moved since the phase was PHASE. */
static __always_inline int pass_take(const struct segment *seg, __u64 phase)
{
	__u64 next = (phase | WEIR_PHASE_PASS) + WEIR_PHASE_STEP;

	seg->slot->passed += seg->len;
	if (__sync_val_compare_and_swap(seg->phase, phase, next) == phase)
		return 0;
	seg->slot->passed -= seg->len;
	return -1;
}

static __always_inline void pass_force(const struct segment *seg)
{
	seg->slot->passed += seg->len;
	__sync_fetch_and_or(seg->phase, WEIR_PHASE_PASS);
}

/* The count comes first: whoever gets the event must find it in the slot. And it comes before the
 * look at what userspace has done; userspace looks the other way round before it sleeps. */
static __always_inline int pass_finish(const struct segment *seg, enum weir_flow_state state)
{
	__u64 before = seg->slot->passed - seg->len;
	bool spill = state == WEIR_FLOW_SPILLED;
	bool tell = weir_decide_tell(READ_ONCE(seg->slot->want),
				     before - READ_ONCE(seg->slot->user_done));

	if (segment_behind(seg))
		seg->stats->pass_behind++;
	if (spill) {
		seg->slot->spills++;
		seg->flow->spills++;
	} else if (tell) {
		seg->stats->pass_other++;
	} else {
		seg->stats->pass_shut++;
	}
	seg->flow->passed_bytes += seg->len;
	seg->flow->passed_segments++;
	seg->flow->path = WEIR_FLOW_COPY;
	if (seg->flow->state != WEIR_FLOW_BROKEN)
		seg->flow->state = state;
	seg->stats->passed_bytes += seg->len;
	seg->stats->passed_segments++;
	if (spill || tell)
		event_send(seg, WEIR_EVENT_SPILL);
	return SK_PASS;
}

enum step {
	STEP_AGAIN, /* something has moved meanwhile */
	STEP_REDIRECTED,
	STEP_PASSED,
	STEP_SPILLED,
};

static __always_inline enum step step_redirect(const struct segment *seg)
{
	return redirect_begin(seg) || redirect_finish(seg) ? STEP_AGAIN : STEP_REDIRECTED;
}

/* The kernel carries, and userspace is to take over. PEER is NULL when the destination is gone. */
static __always_inline enum step step_yield(const struct segment *seg, const struct weir_peer *peer,
					    __u64 sent, enum step passed)
{
	/* Atomic: what is looked at from here on is not older than the phase. */
	__u64 phase = __sync_fetch_and_add(seg->phase, 0);
	__u32 behind = segment_behind(seg);
	enum weir_turn turn = behind ? WEIR_TURN_FORCED : WEIR_TURN_NOW;
	enum step step;

	if (phase & WEIR_PHASE_PASS)
		return STEP_AGAIN;
	if (peer)
		turn = weir_decide_turn(peer, sent, seg->len, behind);
	switch (turn) {
	case WEIR_TURN_NOW:
		return pass_take(seg, phase) ? STEP_AGAIN : passed;
	case WEIR_TURN_PUT_OFF:
		step = step_redirect(seg);
		if (step == STEP_REDIRECTED)
			seg->stats->put_off++;
		return step;
	case WEIR_TURN_FORCED:
		break;
	}
	pass_force(seg);
	return passed;
}

static __always_inline enum step step_spill(const struct segment *seg, const struct weir_peer *peer,
					    __u64 sent, enum weir_bound bound)
{
	enum step step = step_yield(seg, peer, sent, STEP_SPILLED);

	if (step != STEP_SPILLED)
		return step;
	if (!peer)
		seg->stats->pass_peer_gone++;
	else if (bound == WEIR_BOUND_INFLIGHT)
		seg->stats->spill_inflight++;
	else
		seg->stats->spill_sndbuf++;
	return step;
}

static __always_inline enum step segment_step(const struct segment *seg)
{
	struct weir_slot *slot = seg->slot;
	struct weir_peer peer = {};
	enum weir_bound bound;
	enum weir_gate gate = weir_decide_gate(READ_ONCE(slot->want), READ_ONCE(*seg->phase));
	__u64 sent;

	if (gate == WEIR_GATE_SHUT)
		return pass_begin(seg) ? STEP_AGAIN : STEP_PASSED;
	sent = slot_sent(slot);
	if (peer_look(slot, seg->flow->peer_cookie, sent, &peer))
		return step_spill(seg, NULL, sent, WEIR_BOUND_WITHIN);
	if (gate == WEIR_GATE_LEAVING)
		return step_yield(seg, &peer, sent, STEP_PASSED);
	bound = weir_decide_bound(&peer, sent, seg->len, READ_ONCE(slot->limit));
	if (bound != WEIR_BOUND_WITHIN)
		return step_spill(seg, &peer, sent, bound);
	return step_redirect(seg);
}

static __always_inline int segment_carry(const struct segment *seg)
{
	enum step step = STEP_AGAIN;

	for (int i = 0; i < STEP_TRIES && step == STEP_AGAIN; i++)
		step = segment_step(seg);
	if (step == STEP_REDIRECTED)
		return SK_PASS;
	if (step == STEP_AGAIN)
		pass_force(seg);
	return pass_finish(seg, step == STEP_SPILLED ? WEIR_FLOW_SPILLED : WEIR_FLOW_PASSING);
}

/* A socket that is no flow's. */
static __always_inline int pass_foreign(struct weir_stats *stats, __u32 len)
{
	stats->pass_foreign++;
	stats->passed_segments++;
	stats->passed_bytes += len;
	return SK_PASS;
}

/* 0 with the record, both slots and the phase; -1. */
static __always_inline int segment_find(struct segment *seg, __u64 cookie)
{
	__u32 slot, other;

	seg->flow = bpf_map_lookup_elem(&weir_flows, &cookie);
	if (!seg->flow)
		return -1;
	slot = seg->flow->slot;
	seg->slot = bpf_map_lookup_elem(&weir_slots, &slot);
	if (!seg->slot || seg->slot->cookie != cookie)
		return -1;
	other = READ_ONCE(seg->slot->other);
	seg->other = bpf_map_lookup_elem(&weir_slots, &other);
	if (!seg->other)
		return -1;
	seg->phase = seg->flow->way == WEIR_FLOW_UP ? &seg->slot->phase : &seg->other->phase;
	return 0;
}

SEC("sk_skb/stream_verdict")
int weir_verdict(struct __sk_buff *skb)
{
	struct segment seg = { .skb = skb, .len = skb->len };
	__u64 cookie = bpf_get_socket_cookie(skb);
	__u32 zero = 0;

	seg.stats = bpf_map_lookup_elem(&weir_stats, &zero);
	if (!seg.stats)
		return SK_PASS;
	if (segment_find(&seg, cookie))
		return pass_foreign(seg.stats, seg.len);
	seg.slot->seen_ns = bpf_ktime_get_coarse_ns();
	seg.flow->last_ns = seg.slot->seen_ns;

	/* A FIN is a segment without data. Redirected or passed it would set EPIPE on a socket;
	 * EPOLLRDHUP and the end of recv() come in spite of the drop. */
	if (!seg.len) {
		if (seg.flow->state != WEIR_FLOW_BROKEN)
			seg.flow->state = WEIR_FLOW_ENDED;
		seg.stats->drop_fin++;
		return SK_DROP;
	}
	if (segment_cut(&seg))
		return SK_DROP;
	seg.slot->received += seg.len;
	return segment_carry(&seg);
}
