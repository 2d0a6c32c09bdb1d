/* SPDX-License-Identifier: MIT */
#ifndef WEIR_OFFLOAD_CARRY_H
#define WEIR_OFFLOAD_CARRY_H

/*
 * One flow in the kernel: two lanes, one for each direction, and two sockets. Socket I is
 * bridge->stream[I]; lane I comes from socket I and goes to the other one.
 */

#include <uv.h>

#include <weir/list.h>
#include <weir/offload.h>

#include "bpf/abi.h"
#include "offload/kernel.h"

struct ring_buffer;

struct weir_offload_worker {
	struct weir_offload offload; /* what bridges see */
	struct weir_kernel *kernel;
	struct weir_loop *loop;
	struct weir_list carries;
	struct weir_list retired; /* struct retired, oldest first */
	uv_timer_t *retire_timer; /* runs while something is retired */
	uv_poll_t *ring_poll;
	struct ring_buffer *ring_reader;
	struct weir_offload_keeper keeper; /* ops of NULL: nothing outlives the process */
	bool releasing;			   /* flows go to another process as soon as they can */
	int ring;			   /* index in weir_events */
	int ring_fd;
	uint32_t ring_lost; /* of the ring, when it was last looked at */
	_Atomic uint64_t counts[sizeof(struct weir_offload_counts) / sizeof(uint64_t)];
};

/* carry_count(worker, spills): one more. */
#define carry_count(worker, field) \
	worker_count(worker, offsetof(struct weir_offload_counts, field) / sizeof(uint64_t))

static inline void worker_count(struct weir_offload_worker *worker, size_t index)
{
	uint64_t value = atomic_load_explicit(&worker->counts[index], memory_order_relaxed);

	atomic_store_explicit(&worker->counts[index], value + 1, memory_order_relaxed);
}

/*
 * The life of a lane:
 *
 *	             spill, gate shut              caught up, gate open
 *	   OPEN --------------------> SPILLED --------------------> OPEN
 *	     |                          |  |
 *	     |  end of source           |  +------ flow leaves ------> LEAVING --> LEFT
 *	     +----------> ENDING <------+                                |          |
 *	                    |     <--------------------------------------+          |
 *	                    v               end of source                           |
 *	                   DONE <---------------------------------------------------+
 *
 * A lane starts SPILLED: what came while it was being handed over must be carried first.
 */
enum lane_state {
	LANE_SPILLED, /* userspace carries what was passed, then the kernel goes on */
	LANE_OPEN,    /* the kernel carries; userspace watches for the end only */
	LANE_LEAVING, /* the gate is shut; the socket leaves the map at the next gap */
	LANE_LEFT,    /* its socket is an ordinary one again; userspace carries */
	LANE_ENDING,  /* the source has ended; what it sent must reach the destination */
	LANE_DONE,    /* the end was passed on */
};

/* What a lane waits for. */
enum lane_need {
	LANE_NEEDS_NOTHING,
	LANE_NEEDS_READABLE, /* the source */
	LANE_NEEDS_WRITABLE, /* the destination */
	LANE_NEEDS_TURN,     /* nothing but to let others go first */
	LANE_NEEDS_TIME,     /* a worker of the kernel is about to finish something */
};

struct lane {
	struct carry *carry;
	enum weir_way way;
	enum lane_state state;
	enum lane_need need;
	int from; /* descriptors; borrowed */
	int to;
	uint64_t cookie; /* of the socket it comes from */
	uint32_t index;	 /* of the slot */
	struct weir_slot *slot;
	int reset;	     /* what the hand-over met at the source: -errno; 0: nothing */
	uint64_t read;	     /* passed bytes that userspace has read */
	uint64_t after;	     /* bytes read while the source was not in the map */
	uint64_t synced;     /* redirected bytes that are known to be in the destination's socket */
	uint32_t spills;     /* of the slot, when it was last looked at */
	uint32_t full_reads; /* of the scratch memory, in a row, since the spill */
	char *chunk;	     /* read and not yet written; NULL: none. Owned */
	uint32_t chunk_size;
	uint32_t chunk_sent;
	uint64_t base_bytes; /* of the bridge's direction, before the hand-over */
	uint64_t base_copy;
	uint64_t base_sockmap;
	uint64_t base_read;    /* stream->bytes_read of the source */
	uint64_t base_written; /* stream->bytes_written of the destination */
};

#define CARRY_SPILLS 8 /* times that are remembered */

struct carry {
	struct weir_offload_worker *worker;
	struct weir_bridge *bridge;
	struct weir_list link; /* in worker->carries */
	struct lane lane[2];
	bool mapped[2];	     /* socket I is in the map */
	bool data_armed[2];  /* its watch reports data too */
	bool held;	     /* the keeper has its descriptors */
	bool moved;	     /* another process has the flow now */
	const char *leaving; /* why the flow leaves the kernel; NULL: it does not */
	bool shut;	     /* and both gates are shut for good */
	unsigned shut_tries;
	unsigned naps;	    /* in a row */
	uint64_t active_ns; /* of what userspace moved */
	uint64_t spill_ns[CARRY_SPILLS];
	unsigned spills;
};

static inline struct lane *lane_other(struct lane *lane)
{
	return &lane->carry->lane[!lane->way];
}

static inline struct weir_watch *carry_watch(struct carry *carry, int i)
{
	return weir_stream_watch(carry->bridge->stream[i]);
}

/* Whether what comes from its source goes through the verdict. */
static inline bool lane_is_mapped(const struct lane *lane)
{
	return lane->carry->mapped[lane->way];
}

static inline uint64_t lane_passed(const struct lane *lane)
{
	return __atomic_load_n(&lane->slot->passed, __ATOMIC_ACQUIRE);
}

static inline uint64_t lane_received(const struct lane *lane)
{
	return __atomic_load_n(&lane->slot->received, __ATOMIC_ACQUIRE);
}

static inline uint64_t lane_redirected(const struct lane *lane)
{
	return __atomic_load_n(&lane->slot->redirected, __ATOMIC_ACQUIRE);
}

/* The only place where a lane changes its state. */
void lane_set_state(struct lane *lane, enum lane_state state);

/* handover.c: puts both sockets into the map. 0; -errno with nothing changed; 1 when only one
 * went in, so that the flow must leave again. */
int carry_hand_over(struct carry *carry);

/* Lets the kernel carry both directions. */
void carry_open(struct carry *carry);
int lane_cookie(struct lane *lane);

/* adopt.c: takes over a flow that another process handed over. Parks. 0, or -errno: the flow must
 * be reset. */
int carry_adopt(struct carry *carry);

/* keep.c: who has the descriptors beside us. */
void carry_hold(struct carry *carry);
void carry_drop(struct carry *carry);
/* Whether the flow may go to another process now. */
bool carry_may_move(const struct carry *carry);
void carry_move(struct carry *carry);

/* pump.c. Carries what the kernel passed to userspace, as far as it goes now. 0 when all of it
 * is in the destination's socket and no more is there; -EAGAIN with lane->need set; -errno when
 * a socket broke (*BROKEN is its number). */
int lane_pump(struct lane *lane, int *broken);
/* Whether the redirected bytes are in the destination's socket. 0, -EAGAIN, -errno. */
int lane_sync(struct lane *lane);
/* Tells the verdict that all passed bytes are forwarded; true when it has passed none since. Then
 * the kernel goes on, as soon as this is so for both lanes. */
bool lane_catch_up(struct lane *lane);

/* leave.c: the flow is to leave the kernel; WHY is static memory. The first reason counts. */
void carry_leave_for(struct carry *carry, const char *why);
/* phase.c: who carries. Gives the flow to the kernel, if nothing of it is in hand and it does not
 * leave. */
void carry_yield(struct carry *carry);
/* Takes a flow that leaves from the kernel, so that the numbers of redirected bytes stand still.
 * 0; -EAGAIN: later, bytes are pending. */
int carry_shut(struct carry *carry);
/* leave.c: takes the lane's source out of the map. 0 when it is out: a chunk may be left to write;
 * -EAGAIN with lane->need set; -EOPNOTSUPP where that is not possible; -EBADMSG when bytes are
 * missing; -errno when the source broke. */
int lane_leave(struct lane *lane);

/* close.c: brings a lane whose source has ended to its end. 0 when done, as lane_pump() else. */
int lane_end(struct lane *lane, int *broken);

/* audit.c: 0, or -EBADMSG when the kernel and the verdict disagree on what was received, or
 * bytes were dropped. */
int lane_audit(const struct lane *lane);

/* flows.c: the record of a lane for people, and the end of both. */
int lane_record(struct lane *lane);
/* Slots and records go after a while: the verdict may still be looking at them. */
void carry_retire(struct carry *carry);

/* worker.c. Events are read while there are flows. */
void worker_add(struct weir_offload_worker *worker, struct carry *carry);
void worker_del(struct weir_offload_worker *worker, struct carry *carry);
void worker_retire(struct weir_offload_worker *worker, uint32_t index, uint64_t cookie);

/* carry.c */
extern const struct weir_offload_ops carry_ops;
/* Brings bridge->way up to date from the slots. */
void carry_account(struct carry *carry);

#endif
