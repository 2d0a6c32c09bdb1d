/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_SCENARIO_H
#define WEIR_TEST_SCENARIO_H

/*
 * What two peers do to a flow, and the ways in which a flow may be carried meanwhile: two tables
 * (test_paths.c, scenario_paths.c), and every row of one is run with every row of the other.
 * Behaviours that are more than numbers are tasks of the peers, in scenario_*.c.
 */

#include "tests/bpf/rig.h"

/* A way of carrying. */
struct scenario_path {
	const char *name;
	unsigned paths; /* set of WEIR_PATH_BIT() */
	bool adaptive;
	bool talk;  /* the peers talk first, until the flow has found its way */
	bool flips; /* an operator moves the flow to a path at random all the time */
};

#define SCENARIO_PATHS 5
extern const struct scenario_path scenario_paths[SCENARIO_PATHS];

/* What the peers do. */
struct scenario {
	const char *name;
	struct peer client; /* with no task of its own: sends and expects, both at once */
	struct peer origin;
	weir_task_fn *client_fn;
	weir_task_fn *origin_fn;
	void (*before)(struct rig *rig); /* when everything stands, before the bridge runs */
	int family;			 /* 0: AF_INET */
	uint64_t idle_ms;
	uint64_t lifetime_ms;
	enum weir_end end; /* that must be; NONE: an orderly one, and every byte counted */
};

/* One cell: rig->ctx. */
struct scenario_run {
	const struct scenario *scenario;
	const struct scenario_path *path;
	uint64_t talk_bytes; /* that went before, each way */
	unsigned flips;
	struct weir_offload_counts counts;
};

/* scenario_ends.c: rig is the argument of all. */
int half_client(void *rig); /* sends and ends; then the answer comes */
int half_origin(void *rig);
int half_client_late(void *rig); /* the same from the other side */
int half_origin_early(void *rig);
int fin_client(void *rig); /* the end is in the last segment with data */
int fin_origin(void *rig);
int reset_client(void *rig);
int reset_origin(void *rig);
int reset_seen_client(void *rig);
int reset_seen_origin(void *rig);
int unread_client(void *rig); /* closes with data unread */
int unread_origin(void *rig);
int unread_seen_client(void *rig);
int unread_seen_origin(void *rig);
int flood_client(void *rig); /* writes until nothing is taken, then resets */
int flood_origin(void *rig);
int deaf_client(void *rig); /* reads nothing while the bridge runs */
int deaf_origin(void *rig);
int drowned_client(void *rig); /* reads nothing for a while, then resets */
int drowned_origin(void *rig);
int pouring_client(void *rig); /* writes until it is told of the reset */
int pouring_origin(void *rig);

/* scenario_segments.c */
void send_early(struct rig *rig); /* 5000 bytes wait before the bridge runs */
int early_client(void *rig);
int early_origin(void *rig);
int urgent_client(void *rig); /* one byte of its data is urgent */
int urgent_origin(void *rig);
int inline_client(void *rig); /* takes it in line */
int inline_origin(void *rig);
int overlap_client(void *rig); /* raw segments that overlap, in and out of order */
int overlap_origin(void *rig);
int overlap_seen_client(void *rig);
int overlap_seen_origin(void *rig);
int shut_client(void *rig); /* its window is zero for a while */
int shut_origin(void *rig);
#define OVERLAP_BYTES 80000u

#endif
