/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_PUMP_H
#define WEIR_NET_PUMP_H

/*
 * A pump is one direction of a bridge: it moves what it can without parking and says what it
 * waits for. Bytes that the destination did not take yet stay in it, in a buffer (copy) or in a
 * pipe (splice), and go first whatever path comes next.
 */

#include <weir/bridge.h>
#include <weir/buffer.h>

#include "net/pipe.h"

/*
 *	OPEN ----> ENDED ----> DONE
 *	  source's   all passed on,
 *	  end seen   destination shut
 */
enum pump_state {
	PUMP_OPEN,
	PUMP_ENDED,
	PUMP_DONE,
};

/* Why a step came back. */
enum pump_wait {
	PUMP_WAIT_NOTHING, /* moved its share and could go on */
	PUMP_WAIT_SOURCE,
	PUMP_WAIT_DESTINATION,
	PUMP_WAIT_TIME, /* until not_before */
	PUMP_WAIT_DONE,
};

struct pump {
	struct weir_bridge *bridge;
	enum weir_way way;
	enum pump_state state;
	enum pump_wait wait;
	struct weir_stream *from;
	struct weir_stream *to;
	struct weir_buffer rest; /* read and not yet written */
	struct pipe *pipe;	 /* the same, spliced; NULL while there is nothing in it */
	uint64_t not_before;	 /* ns */
	int status;		 /* what broke it */
	bool broke_source;	 /* on which side */
};

void pump_init(struct pump *pump, struct weir_bridge *bridge, enum weir_way way);
/* What is in it is dropped. */
void pump_fini(struct pump *pump);

/* Moves bytes. 0 with pump->wait set; -errno with status and broke_source set. */
int pump_step(struct pump *pump);

/* Nothing is on its way in userspace. */
bool pump_is_empty(const struct pump *pump);

#endif
