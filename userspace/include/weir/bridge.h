/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BRIDGE_H
#define WEIR_BRIDGE_H

/*
 * A bridge carries bytes between two streams until both directions are done. It picks the path
 * that suits what the flow does, keeps half-closes, passes resets on, stops a sender whose
 * receiver is slow, and ends with a typed reason. One task serves both directions.
 *
 * The operator sees a bridge as a flow: weir_flow_each() lists those of a loop.
 */

#include <stdbool.h>

#include <weir/list.h>
#include <weir/path.h>
#include <weir/stream.h>

struct weir_bridge;
struct weir_conn;
struct weir_counter;
struct weir_resumed;
struct weir_offload;

enum weir_end {
	WEIR_END_NONE,		 /* still going */
	WEIR_END_CLIENT,	 /* both sides are done; the client closed first */
	WEIR_END_UPSTREAM,	 /* both sides are done; the upstream closed first */
	WEIR_END_CLIENT_RESET,	 /* the client's connection broke */
	WEIR_END_UPSTREAM_RESET, /* the upstream's connection broke */
	WEIR_END_IDLE,		 /* nothing moved for the idle timeout */
	WEIR_END_LIFETIME,	 /* the lifetime or the scope's deadline was over */
	WEIR_END_SHUTDOWN,	 /* the scope was cancelled: the process stops */
	WEIR_END_ADMIN,		 /* an operator ended it */
	WEIR_END_REMOVED,	 /* its endpoint was taken away by a reload or a drain */
	WEIR_END_ERROR,		 /* something else; see status */
	WEIR_END_MOVED,		 /* no end: it goes on in another process */
	WEIR_END_COUNT,
};

/* "client_closed", "upstream_closed", "client_reset", ...: for logs and metrics. */
const char *weir_end_name(enum weir_end end);

/* From the client to the upstream, and back. */
enum weir_way { WEIR_UP, WEIR_DOWN };

/* What one direction has done; all paths count into it. */
struct weir_bridge_way {
	uint64_t bytes; /* delivered to the destination's socket */
	uint64_t bytes_path[WEIR_PATH_COUNT];
	bool ended; /* the source's end was seen */
	bool done;  /* and passed on to the destination */
};

/*
 * The kernel data plane. The offload room fills it; a bridge without one uses copy and splice.
 */
struct weir_offload_ops {
	/* Whether these two streams could be carried by the kernel at all; if not, *WHY (static
	 * memory). Asked once, before the first byte. */
	bool (*can)(struct weir_offload *offload, struct weir_bridge *bridge, const char **why);
	/* Takes both directions over, with nothing of them in userspace buffers, and parks until
	 * the flow ends or is handed back. Returns 0 when handed back: the bridge goes on reading
	 * the streams with copy or splice, and *WHY says why (static memory). 1 when all is
	 * done: both directions ended and were passed on, bridge->end is set. -errno when the
	 * flow broke (bridge->end is set), or, with bridge->end still WEIR_END_NONE, when the
	 * takeover was refused and nothing has changed. */
	int (*carry)(struct weir_offload *offload, struct weir_bridge *bridge, const char **why);
	/* The same for a flow that another process has handed to the kernel, from where it stands;
	 * the counts of before are added. Never refused: it breaks when it cannot be taken over. */
	int (*resume)(struct weir_offload *offload, struct weir_bridge *bridge, const char **why);
	/* Brings the bridge's counts up to date while carry() is parked: for operators. */
	void (*refresh)(struct weir_offload *offload, struct weir_bridge *bridge);
};

struct weir_offload {
	const struct weir_offload_ops *ops;
};

struct weir_bridge_conf {
	uint64_t idle_ms;			/* 0: no idle timeout */
	uint64_t lifetime_ms;			/* 0: unlimited */
	unsigned paths;				/* set of WEIR_PATH_BIT(); 0: copy and splice */
	bool adaptive;				/* false: the best allowed path at once, for good */
	struct weir_path_thresholds thresholds; /* complete: weir_path_thresholds_complete() */
	struct weir_offload *offload;		/* borrowed; NULL: none on this loop */
	/* Called for every piece that crosses, in order, before it is written; makes copy the
	 * only path. Must not park. Non-zero ends the bridge with that status. */
	int (*inspect)(void *ctx, enum weir_way way, const void *data, size_t size);
	/* Asked before each read of at most *BUDGET bytes: may lower the budget, or return a time
	 * (ns) before which nothing may be read in this direction (bandwidth limits). 0: go.
	 * Excludes sockmap. */
	uint64_t (*pace)(void *ctx, enum weir_way way, size_t *budget);
	/* What pace allowed and was really read. */
	void (*paced)(void *ctx, enum weir_way way, size_t bytes);
	void *ctx;
};

struct weir_bridge {
	const struct weir_bridge_conf *conf; /* borrowed */
	struct weir_stream *stream[2];	     /* [0] the client's, [1] the upstream's; borrowed */
	struct weir_bridge_way way[2]; /* indexed by enum weir_way; the source is stream[way] */
	enum weir_path path;	       /* now */
	const char *why;	       /* why not a better path; static memory */
	enum weir_end end;
	int status; /* 0, or what broke it */
	uint64_t started_ns;
	uint64_t active_ns; /* when a byte last moved */
	unsigned switches;  /* of the path */
	uint64_t spills;    /* times that a sender outran its receiver in the kernel */

	/* For the operator; filled by the caller before weir_bridge_run(), borrowed, may be 0. */
	uint64_t id;
	const char *listener;
	const char *upstream;
	const char *endpoint; /* its configured name */
	uint32_t rule;
	/* The connection that it carries, when another process could go on with that; NULL: none
	 * could. */
	const struct weir_conn *conn;
	struct weir_resumed *resumed; /* the kernel carries it already, since started_ns; until it
				       * is known whether it goes on here. NULL: it does not */
	/* Counts what copy and splice deliver, as it goes, by enum weir_way; borrowed, may be
	 * NULL. Cells of this worker. */
	struct weir_counter *moved[2];

	/* What an operator asked for: see weir_flow_set_path(), weir_flow_end(). The offload
	 * room hands back (returns 0) when asked_path is set, and ends when asked_end is. */
	int asked_path; /* -1: nothing; WEIR_PATH_COUNT: choose by behaviour; else the path */
	enum weir_end asked_end;

	/* What behaviour has been seen: for weir_path_decide(). Private. */
	unsigned allowed;	   /* paths that work for this flow */
	const char *forbidden;	   /* why a path that was configured does not; NULL: all do */
	int pinned;		   /* a path, or WEIR_PATH_COUNT: by behaviour */
	enum weir_way first_ended; /* whose source ended first */
	struct weir_path_sample sample;
	enum weir_way last_way; /* of the last message */
	uint64_t penalty_until_ns;
	uint64_t carried_ns; /* when the kernel last took over */
	unsigned penalties;

	struct weir_task *task;	    /* the task in weir_bridge_run(); offload parks it */
	struct weir_list flow_link; /* private */
	void *offload_data;	    /* the offload room's own */
};

void weir_bridge_init(struct weir_bridge *bridge, const struct weir_bridge_conf *conf,
		      struct weir_stream *client, struct weir_stream *upstream);

/* For the offload room: whether a resumed flow goes on here (0) or must be reset. */
void weir_bridge_is_resumed(struct weir_bridge *bridge, int status);

/* Carries until both directions are done or the bridge ends otherwise. Bytes that were read
 * from the client before (a ClientHello that was looked at) go first: write them to the
 * upstream yourself. After an orderly end both streams were shut down; after a reset of one
 * the other one is aborted; idle, lifetime, shutdown and admin abort both. The caller closes
 * the streams. Returns bridge->status; bridge->end is set. */
int weir_bridge_run(struct weir_bridge *bridge);

/* ------------------------------------------------------------------------------------------
 * Flows, for operators. On the loop's own thread.
 */

/* Counts are up to date, also those of flows that the kernel carries. */
void weir_flow_each(struct weir_loop *loop, void (*fn)(void *ctx, struct weir_bridge *flow),
		    void *ctx);
/* The flow with this id; NULL when it has ended. */
struct weir_bridge *weir_flow_find(struct weir_loop *loop, uint64_t id);
/* Moves a flow to PATH, or with WEIR_PATH_COUNT lets it choose by behaviour again. It moves
 * when its task next runs; a path that is not possible is refused: -EOPNOTSUPP. */
int weir_flow_set_path(struct weir_bridge *flow, enum weir_path path);
/* Ends it, both sides by a reset, with END as the reason: WEIR_END_ADMIN or WEIR_END_REMOVED. It
 * ends when its task next runs. */
void weir_flow_end(struct weir_bridge *flow, enum weir_end end);

#endif
