/* SPDX-License-Identifier: MIT */
/*
 * A listener: one task accepts, each connection is a task of its own.
 *
 * The listener's memory is counted: the owner, the accepting task and each connection hold it,
 * so closing it while connections go on is safe.
 */

#include <weir/listener.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/log.h>
#include <weir/usdt.h>

#include "net/pipe.h"
#include "net/socket.h"
#include "net/spare.h"

#define ACCEPT_BATCH	64	     /* before connections get their turn */
#define ACCEPT_PAUSE_NS 100000000ull /* after EMFILE and the like */
#define LOG_EVERY	100	     /* of the same error */

struct weir_listener {
	struct weir_listener_conf conf;
	struct weir_listener_stats stats;
	struct weir_scope *scope; /* borrowed */
	struct weir_watch watch;
	struct weir_task *task;	   /* the one that accepts; NULL once it has ended */
	struct weir_address local; /* size 0 when it is one of any */
	bool stopped;
	bool paused;
	bool is_unix;
	bool is_resumable;
	bool connects;	    /* each connection will want a descriptor for its upstream */
	unsigned spare;	    /* for the upstream of the next connection: net/spare.h */
	uint64_t shortages; /* connections that could not be served for want of something */
	unsigned kept;	    /* for itself: `keeps_one` */
	unsigned references;
	char name[];
};

/* From accept to the task that serves. */
struct accepted {
	struct weir_listener *listener;
	struct weir_stream *stream;
	struct weir_resumed *resumed; /* NULL: accepted here */
	unsigned spare;
};

static _Atomic uint64_t own_counter;
static _Atomic uint64_t *counter = &own_counter;

static void listener_put(struct weir_listener *listener)
{
	if (--listener->references > 0)
		return;
	spare_give(&listener->kept);
	free(listener);
}

/* Again, after it was used. */
static void listener_keep_one(struct weir_listener *listener)
{
	bool scarce;

	if (!listener->conf.keeps_one)
		return;
	scarce = spare_lock();
	(void)!spare_take(&listener->kept);
	spare_unlock(scarce);
}

/* ------------------------------------------------------------------------------------------
 * Connections
 */

/* This process has too much to do. */
static bool status_is_shortage(int status)
{
	return status == -EMFILE || status == -ENFILE || status == -ENOBUFS || status == -ENOMEM;
}

static bool status_is_refusal(int status)
{
	return status_is_shortage(status) || status == WEIR_ELIMIT || status == WEIR_ERATE ||
	       status == WEIR_EPOLICY || status == WEIR_EQUEUE || status == WEIR_ENOENDPOINT ||
	       status == WEIR_ESHUTDOWN;
}

static void conn_init(struct weir_conn *conn, struct weir_listener *listener,
		      struct weir_stream *stream)
{
	memset(conn, 0, sizeof(*conn));
	conn->id = atomic_fetch_add_explicit(counter, 1, memory_order_relaxed) + 1;
	conn->listener = listener->conf.name;
	conn->stream = stream;
	conn->peer = stream->peer;
	stream->local = listener->local;
	conn->local = listener->local;
	conn->started_ns = weir_loop_now(weir_loop_current());
	conn->is_resumable = listener->is_resumable;
	weir_arena_init(&conn->arena, 0);
	weir_extensions_init(&conn->extensions, NULL);
}

/* What its first process knew of it. */
static void conn_resume(struct weir_conn *conn, struct weir_resumed *resumed)
{
	conn->resumed = resumed;
	conn->id = resumed->id;
	if (resumed->peer.size)
		conn->peer = resumed->peer;
	if (resumed->local.size)
		conn->local = resumed->local;
	conn->started_ns = resumed->accepted_ns;
	conn->result.connect_ns = resumed->connect_ns;
	conn->result.attempts = resumed->attempts;
	conn->result.endpoint = *weir_stream_peer(resumed->stream);
}

struct weir_stream *weir_conn_take_upstream(struct weir_conn *conn)
{
	struct weir_stream *stream = NULL;

	if (conn->resumed) {
		stream = conn->resumed->stream;
		conn->resumed->stream = NULL;
	}
	return stream;
}

/* Nobody took its upstream: it was refused after all. */
static void conn_end_resumed(struct weir_conn *conn)
{
	struct weir_stream *stream = weir_conn_take_upstream(conn);

	if (!stream)
		return;
	weir_stream_abort(stream);
	weir_stream_close(stream);
	weir_stream_abort(conn->stream);
	conn->resumed->done(conn->resumed, -ECANCELED);
}

static void conn_fini(struct weir_conn *conn)
{
	spare_give(&conn->spare);
	if (conn->result.status < 0)
		weir_stream_abort(conn->stream);
	weir_stream_close(conn->stream);
	weir_arena_fini(&conn->arena);
}

/* It was accepted and cannot be served. */
static void listener_note_refused(struct weir_listener *listener, int status)
{
	listener->stats.refused++;
	if (status_is_shortage(status) && listener->shortages++ % LOG_EVERY == 0)
		weir_log(WEIR_LOG_WARN, listener->conf.name, "cannot serve a connection",
			 WEIR_LOG_STATUS(status), WEIR_LOG_UINT("errors", listener->shortages));
}

static int conn_main(void *arg)
{
	struct accepted *accepted = arg;
	struct weir_listener *listener = accepted->listener;
	struct weir_conn conn;

	conn_init(&conn, listener, accepted->stream);
	conn.spare = accepted->spare;
	if (accepted->resumed)
		conn_resume(&conn, accepted->resumed);
	free(accepted);
	weir_usdt_conn_begin(conn.id, conn.listener, &conn.peer.sa);
	if (listener->conf.on_begin)
		listener->conf.on_begin(listener->conf.ctx, &conn);
	conn.result.status = weir_serve(listener->conf.service, &conn);
	conn_end_resumed(&conn);
	if (status_is_refusal(conn.result.status))
		listener_note_refused(listener, conn.result.status);
	weir_usdt_conn_end(conn.id, conn.result.status, conn.result.bytes_up,
			   conn.result.bytes_down);
	if (listener->conf.on_end)
		listener->conf.on_end(listener->conf.ctx, &conn);
	conn_fini(&conn);
	listener->stats.active--;
	listener_keep_one(listener);
	/* There may be a descriptor now. */
	if (listener->paused)
		weir_task_wake(listener->task);
	listener_put(listener);
	return 0;
}

static int listener_spawn(struct weir_listener *listener, struct weir_stream *stream,
			  struct weir_resumed *resumed)
{
	struct accepted *accepted = malloc(sizeof(*accepted));
	int status = -ENOMEM;

	if (accepted) {
		accepted->listener = listener;
		accepted->stream = stream;
		accepted->resumed = resumed;
		accepted->spare = 0;
		status = weir_scope_spawn(listener->scope, "conn", conn_main, accepted, NULL);
	}
	if (status) {
		free(accepted);
		weir_stream_abort(stream);
		weir_stream_close(stream);
		return status;
	}
	listener->references++;
	listener->stats.active++;
	if (!resumed) {
		accepted->spare = listener->spare;
		listener->spare = 0;
		listener->stats.accepted++;
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Accepting
 */

static bool socket_is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

/* A descriptor or -errno; -EMFILE also when there would be none for its upstream. */
static int listener_take(struct weir_listener *listener, bool scarce, struct sockaddr *peer,
			 socklen_t *size)
{
	int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd, status = 0;

	if (scarce && listener->connects)
		status = spare_take(&listener->spare);
	if (status)
		return status;
	fd = accept4(listener->conf.fd, peer, size, flags);
	if (fd < 0 && errno == EMFILE && spare_give(&listener->kept))
		fd = accept4(listener->conf.fd, peer, size, flags);
	return fd < 0 ? -errno : fd;
}

static int listener_take_turn(struct weir_listener *listener, struct sockaddr *peer,
			      socklen_t *size)
{
	bool scarce = spare_lock();
	int fd = listener_take(listener, scarce, peer, size);

	spare_unlock(scarce);
	spare_note(fd);
	/* That is no error while nobody waits. */
	return fd == -EMFILE && !socket_is_readable(listener->conf.fd) ? -EAGAIN : fd;
}

/* 0; -EAGAIN when the backlog is empty; another -errno. */
static int listener_accept(struct weir_listener *listener)
{
	struct weir_address peer = { 0 };
	struct weir_stream *stream;
	socklen_t size = sizeof(peer.un);
	int fd = listener_take_turn(listener, &peer.sa, &size);

	if (fd < 0)
		return fd;
	stream = weir_socket_stream_new(fd, listener->is_unix);
	if (!stream)
		return -ENOMEM;
	peer.size = WEIR_MIN(size, (socklen_t)sizeof(peer.un));
	stream->peer = peer;
	return listener_spawn(listener, stream, NULL);
}

/* A connection that was gone before it was accepted is no error of ours (accept(2)). */
static bool accept_may_go_on(int status)
{
	switch (status) {
	case 0:
	case -ECONNABORTED:
	case -EINTR:
	case -EPROTO:
	case -ENETDOWN:
	case -ENOPROTOOPT:
	case -EHOSTDOWN:
	case -ENONET:
	case -EHOSTUNREACH:
	case -EOPNOTSUPP:
	case -ENETUNREACH:
		return true;
	default:
		return false;
	}
}

/* Descriptors or memory are out: connections wait in the backlog until one of ours ends, or
 * something else has given them back. */
static int listener_pause(struct weir_listener *listener, int status)
{
	if (listener->stats.accept_errors++ % LOG_EVERY == 0)
		weir_log(WEIR_LOG_WARN, listener->conf.name, "cannot accept",
			 WEIR_LOG_STATUS(status),
			 WEIR_LOG_UINT("errors", listener->stats.accept_errors));
	pipe_trim(weir_loop_current());
	listener->paused = true;
	status = weir_task_park("accept pause", weir_now() + ACCEPT_PAUSE_NS);
	listener->paused = false;
	return status == -ETIMEDOUT ? weir_task_check() : status;
}

static int listener_accept_batch(struct weir_listener *listener)
{
	int status = 0;

	for (int i = 0; i < ACCEPT_BATCH && !listener->stopped; i++) {
		status = listener_accept(listener);
		if (!accept_may_go_on(status))
			break;
		status = 0;
	}
	/* Nobody's while nobody comes. */
	if (status)
		spare_give(&listener->spare);
	return status;
}

static int listener_main(void *arg)
{
	struct weir_listener *listener = arg;
	int status = 0;

	while (!status && !listener->stopped) {
		status = listener_accept_batch(listener);
		if (listener->stopped)
			break;
		if (status == 0)
			status = weir_task_yield();
		else if (status == -EAGAIN || status == -EWOULDBLOCK) {
			weir_watch_clear(&listener->watch, WEIR_READABLE);
			status = weir_watch_wait(&listener->watch, WEIR_READABLE);
		} else if (!weir_task_check())
			status = listener_pause(listener, status);
	}
	spare_give(&listener->spare);
	weir_watch_del(&listener->watch);
	listener->task = NULL;
	listener_put(listener);
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * From outside
 */

static bool address_is_any(const struct weir_address *address)
{
	return address->sa.sa_family == AF_INET
		       ? address->in.sin_addr.s_addr == htonl(INADDR_ANY)
		       : address->sa.sa_family == AF_INET6 &&
				 IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

static int listener_prepare(struct weir_listener *listener)
{
	struct weir_address local = { 0 };
	socklen_t size = sizeof(local.un);
	int flags = fcntl(listener->conf.fd, F_GETFL);
	int status;

	/* Service managers hand over blocking sockets; accept4() on one would hold up the worker. */
	if (flags < 0 || fcntl(listener->conf.fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    getsockname(listener->conf.fd, &local.sa, &size) < 0)
		return -errno;
	local.size = WEIR_MIN(size, (socklen_t)sizeof(local.un));
	listener->is_unix = weir_address_is_unix(&local);
	listener->is_resumable = weir_service_resumes(listener->conf.service);
	listener->connects = weir_service_connects(listener->conf.service);
	spare_measure();
	if (!address_is_any(&local))
		listener->local = local;
	/* Another listener may have had the socket before, with other options. */
	if (!listener->is_unix)
		socket_reset(listener->conf.fd);
	status = weir_socket_apply(listener->conf.fd, local.sa.sa_family, &listener->conf.socket);
	return status ? status : weir_watch_add(&listener->watch, listener->conf.fd);
}

struct weir_listener *weir_listener_open(struct weir_scope *scope,
					 const struct weir_listener_conf *conf,
					 struct weir_error *error)
{
	size_t size = strlen(conf->name) + 1;
	struct weir_listener *listener = calloc(1, sizeof(*listener) + size);
	int status = -ENOMEM;

	if (!listener)
		goto err;
	memcpy(listener->name, conf->name, size);
	listener->conf = *conf;
	listener->conf.name = listener->name;
	listener->scope = scope;
	listener->references = 2;
	status = listener_prepare(listener);
	if (status)
		goto err;
	status = weir_scope_spawn(scope, "accept", listener_main, listener, &listener->task);
	if (!status) {
		listener_keep_one(listener);
		return listener;
	}
	weir_watch_del(&listener->watch);
err:
	weir_error_set(error, status, "listener %s cannot start: %s", conf->name,
		       weir_strerror(status));
	free(listener);
	return NULL;
}

void weir_listener_set_counter(_Atomic uint64_t *shared)
{
	counter = shared ? shared : &own_counter;
}

static void socket_reset_close(int fd)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

int weir_listener_resume(struct weir_listener *listener, struct weir_resumed *resumed)
{
	struct weir_stream *client;

	if (!listener->is_resumable) {
		socket_reset_close(resumed->fds[0]);
		socket_reset_close(resumed->fds[1]);
		return -EOPNOTSUPP;
	}
	client = weir_socket_stream_new(resumed->fds[0], listener->is_unix);
	resumed->stream = weir_socket_stream_new(resumed->fds[1], false);
	if (client && resumed->stream) {
		weir_stream_watch(client)->duplicated = true;
		weir_stream_watch(resumed->stream)->duplicated = true;
		client->peer = *weir_stream_peer(client);
		/* It closes CLIENT when it fails. */
		if (listener_spawn(listener, client, resumed) == 0)
			return 0;
		client = NULL;
	}
	if (client)
		weir_stream_abort(client);
	weir_stream_close(client);
	if (resumed->stream)
		weir_stream_abort(resumed->stream);
	weir_stream_close(resumed->stream);
	return -ENOMEM;
}

/* The watch goes at once, so that another listener may have the socket in the same loop. */
void weir_listener_stop(struct weir_listener *listener)
{
	listener->stopped = true;
	weir_watch_del(&listener->watch);
	weir_watch_raise(&listener->watch, WEIR_READABLE);
	if (listener->paused)
		weir_task_wake(listener->task);
}

void weir_listener_close(struct weir_listener *listener)
{
	if (!listener)
		return;
	weir_listener_stop(listener);
	listener_put(listener);
}

const struct weir_listener_stats *weir_listener_stats(const struct weir_listener *listener)
{
	return &listener->stats;
}

const char *weir_listener_name(const struct weir_listener *listener)
{
	return listener->name;
}
