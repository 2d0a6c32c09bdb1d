/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LISTENER_H
#define WEIR_LISTENER_H

/*
 * A listener accepts connections on one worker and serves each in a task of its own. Workers
 * share an address by SO_REUSEPORT (Unix sockets: by sharing the descriptor).
 *
 * Stopping is two-step: weir_listener_stop() accepts no more; connections go on until they
 * end, or until the scope they run in is cancelled.
 */

#include <weir/address.h>
#include <weir/connector.h>
#include <weir/service.h>

struct weir_listener;
struct weir_resumed;

/* Opens a listening socket, non-blocking. BACKLOG 0: 4096. REUSE_PORT for more workers than
 * one. A stale Unix socket (nobody accepts on it) is replaced; one in use is -EADDRINUSE.
 * The descriptor, or -errno with ERROR filled. */
int weir_listen(const struct weir_address *address, int backlog, bool reuse_port,
		struct weir_error *error) WEIR_MUST_CHECK;

struct weir_listener_stats {
	uint64_t accepted;	/* since the start */
	uint64_t refused;	/* reset because serving returned a refusal */
	uint64_t accept_errors; /* EMFILE, ENOBUFS, ... */
	unsigned active;	/* connections now */
};

struct weir_listener_conf {
	const char *name;		/* copied */
	int fd;				/* listening; the caller's, outlives the listener; made
					 * non-blocking */
	struct weir_service *service;	/* borrowed; of this worker */
	struct weir_socket_conf socket; /* for accepted sockets */
	bool keeps_one;			/* descriptor, so that when they are out it can accept one
					 * connection at a time: for operators, who come then */
	/* Called when a connection has ended, before its memory goes; may be NULL. */
	void (*on_end)(void *ctx, struct weir_conn *conn);
	/* Called after accept, before the service; may be NULL. */
	void (*on_begin)(void *ctx, struct weir_conn *conn);
	void *ctx;
};

/* Starts accepting in a task of SCOPE; connections are tasks of SCOPE too. NULL with ERROR. */
struct weir_listener *weir_listener_open(struct weir_scope *scope,
					 const struct weir_listener_conf *conf,
					 struct weir_error *error) WEIR_MUST_CHECK;
/* Serves a connection that another process has accepted, in a task of its own, and takes RESUMED
 * over until done(), its descriptors in every case. 0; -EOPNOTSUPP when a service of the stack cannot
 * resume; -ENOMEM. When it fails both sockets are reset, and done() was not called. */
int weir_listener_resume(struct weir_listener *listener, struct weir_resumed *resumed)
	WEIR_MUST_CHECK;
/* Connections are numbered by counting COUNTER up, so that several processes can share one; NULL:
 * by a counter of this process. Before the first one. */
void weir_listener_set_counter(_Atomic uint64_t *counter);
/* Accepts no more. What the kernel has queued stays in the socket's backlog for whoever
 * listens on it next. Returns at once. Twice is harmless. */
void weir_listener_stop(struct weir_listener *listener);
/* Drops the owner's hold; it is freed when its last connection has ended. Stops it. */
void weir_listener_close(struct weir_listener *listener);
const struct weir_listener_stats *weir_listener_stats(const struct weir_listener *listener);
const char *weir_listener_name(const struct weir_listener *listener);

#endif
