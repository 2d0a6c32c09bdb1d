/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CONN_H
#define WEIR_CONN_H

/*
 * One accepted connection on its way through a stack of services. It lives as long as its
 * task; its arena's memory with it.
 */

#include <weir/arena.h>
#include <weir/bridge.h>
#include <weir/extension.h>
#include <weir/scope.h>
#include <weir/stream.h>

/*
 * A connection that another process has accepted and connected to an upstream, and that the kernel
 * carries: see weir_listener_resume(). It goes through the stack like any other, but that nobody
 * refuses it and that whoever would connect takes this upstream.
 */
struct weir_resumed {
	int fds[2]; /* the client's socket and the upstream's; taken over */
	uint64_t id;
	struct weir_address peer;  /* as the members of weir_conn; size 0: ask the socket */
	struct weir_address local; /* likewise */
	uint64_t accepted_ns;
	uint64_t started_ns; /* of the bridge */
	uint64_t connect_ns;
	unsigned attempts;
	uint32_t rule;
	/* Called once, by whoever knows first: 0 when the connection goes on here; a negative
	 * status when it was reset. On the listener's loop. Must not park. */
	void (*done)(struct weir_resumed *resumed, int status);

	struct weir_stream *stream; /* private: the upstream's, until somebody takes it */
};

struct weir_conn {
	uint64_t id;		    /* unique in this process; never 0 */
	const char *listener;	    /* its name; borrowed */
	struct weir_stream *stream; /* the client's; a layer may replace it (TLS) */
	struct weir_address peer;   /* the client, as the PROXY header says if there was one */
	struct weir_address local;  /* where it connected to; size 0 while nobody has asked, on a
				     * listener of any address: see weir_conn_local() */
	struct weir_arena arena;
	struct weir_extensions extensions;
	uint64_t started_ns;
	bool is_resumable;	      /* all of its stack can resume: see weir_service_ops */
	struct weir_resumed *resumed; /* until somebody takes it; NULL: accepted here, as most */
	unsigned spare; /* private: put by for the upstream's socket, see net/spare.h; 0: none */

	/* What happened, for the access log and metrics; filled as it becomes known. */
	struct {
		const char *upstream;	      /* name of the group; NULL: none was chosen */
		struct weir_address endpoint; /* connected to; size 0: none */
		const char *endpoint_name;    /* as configured; lives as long as the stream to
					       * it; NULL: not of an upstream */
		enum weir_path path;	      /* the last one */
		const char *why;	      /* why not a better one; static memory */
		uint64_t bytes_up;
		uint64_t bytes_down;
		uint64_t connect_ns; /* time to connect to the upstream, 0: not connected */
		unsigned attempts;   /* connects tried */
		enum weir_end end;
		int status; /* what the stack returned */
	} result;
};

/* Where the client connected to; asks the kernel when that is not known yet. */
const struct weir_address *weir_conn_local(struct weir_conn *conn);

/* Takes over the stream to the upstream of a resumed connection; NULL: there is none, connect.
 * Whoever takes it gives conn->resumed to the bridge, which calls done(). */
struct weir_stream *weir_conn_take_upstream(struct weir_conn *conn);

/* Resets the client's connection: for refusals. */
void weir_conn_abort(struct weir_conn *conn);

#endif
