/* SPDX-License-Identifier: MIT */
/*
 * Connecting to addresses, and to names by happy eyeballs (RFC 8305): the next address is tried
 * when the one before has failed, or has not answered for the attempt delay; the first that
 * answers wins and the others are dropped. One address takes the short way, without tasks.
 */

#include <weir/connector.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/conn.h>
#include <weir/resolver.h>
#include <weir/scope.h>

#include "net/spare.h"

#define CONNECT_TIMEOUT_MS 5000
#define ATTEMPT_DELAY_MS   250
#define BACKLOG_RETRY_MS   5
#define NS_PER_MS	   1000000ull

struct tcp_connector {
	struct weir_connector connector;
	struct weir_tcp_connector_conf conf;
};

/* ------------------------------------------------------------------------------------------
 * One address
 */

/* The port is chosen when connecting, by the whole four-tuple, so that there are enough. An
 * address that the source cannot reach is not connected to from another one: somebody may rely
 * on the source. */
static int attempt_bind(int fd, int family, const struct weir_address *source)
{
	int one = 1;

	if (source->size == 0 || family == AF_UNIX)
		return 0;
	if (family != source->sa.sa_family)
		return -EAFNOSUPPORT;
	if (weir_address_port(source) == 0)
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, &source->sa, source->size) ? -errno : 0;
}

/* The descriptor that was put by is used up, or not needed any more. */
static int attempt_socket(struct weir_conn *conn, int family)
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	bool scarce = spare_lock();
	int fd = socket(family, type, 0);

	if (conn && spare_give(&conn->spare) && fd < 0)
		fd = socket(family, type, 0);
	fd = fd < 0 ? -errno : fd;
	spare_unlock(scarce);
	spare_note(fd);
	return fd;
}

static int attempt_open(const struct tcp_connector *tcp, struct weir_conn *conn,
			const struct weir_address *to)
{
	const struct weir_socket_conf *conf = &tcp->conf.socket;
	int family = to->sa.sa_family;
	int fd = attempt_socket(conn, family);
	int status;

	if (fd < 0)
		return fd;
	status = weir_socket_apply(fd, family, conf);
	if (!status)
		status = attempt_bind(fd, family, &conf->source);
	if (!status)
		return fd;
	close(fd);
	return status;
}

/* 0 at once, -EINPROGRESS, or why not. A Unix socket whose backlog is full is tried again. */
static int attempt_connect(int fd, const struct weir_address *to)
{
	int status;

	for (;;) {
		if (connect(fd, &to->sa, to->size) == 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || !weir_address_is_unix(to))
			return -errno;
		status = weir_task_sleep_ms(BACKLOG_RETRY_MS);
		if (status)
			return status;
	}
}

static int attempt_finish(struct weir_stream *stream)
{
	struct weir_watch *watch = weir_stream_watch(stream);
	socklen_t size = sizeof(int);
	int status = weir_watch_wait(watch, WEIR_WRITABLE);
	int failure = 0;

	if (status || !(watch->ready & (WEIR_ERROR | WEIR_HANGUP)))
		return status;
	if (getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &failure, &size))
		return -errno;
	return -failure;
}

static int attempt(const struct tcp_connector *tcp, struct weir_conn *conn,
		   const struct weir_address *to, struct weir_stream **out)
{
	int fd = attempt_open(tcp, conn, to);
	struct weir_stream *stream;
	int status;

	if (fd < 0)
		return fd;
	status = attempt_connect(fd, to);
	if (status && status != -EINPROGRESS) {
		close(fd);
		return status;
	}
	stream = weir_socket_stream_new(fd, weir_address_is_unix(to));
	if (!stream)
		return -ENOMEM;
	stream->peer = *to;
	if (status)
		status = attempt_finish(stream);
	if (status) {
		weir_stream_close(stream);
		return status;
	}
	*out = stream;
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * A race between several addresses
 */

struct race {
	const struct tcp_connector *tcp;
	struct weir_conn *conn; /* on whose behalf; NULL */
	const struct weir_resolved *resolved;
	struct weir_scope scope; /* of the attempts */
	struct weir_task *referee;
	struct weir_stream *winner;
	size_t next; /* address to try next */
	unsigned running;
	unsigned failed;
	int status; /* of the last attempt that failed */
};

static int race_attempt(void *arg)
{
	struct race *race = arg;
	const struct weir_address *to = &race->resolved->targets[race->next++].address;
	struct weir_stream *stream = NULL;
	int status = attempt(race->tcp, race->conn, to, &stream);

	race->running--;
	if (status) {
		race->status = status;
		race->failed++;
	} else if (race->winner) {
		weir_stream_close(stream);
	} else {
		race->winner = stream;
	}
	weir_task_wake(race->referee);
	return 0;
}

/* Starts one more and waits until one has won or failed, or its delay is over. */
static int race_step(struct race *race, uint64_t delay_ms)
{
	bool last = race->next + 1 >= race->resolved->n;
	uint64_t until = last ? WEIR_NEVER : weir_now() + delay_ms * NS_PER_MS;
	unsigned failed = race->failed;
	int status = weir_scope_spawn(&race->scope, "connect", race_attempt, race, NULL);

	if (status)
		return status;
	race->running++;
	do {
		status = weir_task_park("race", until);
	} while (!status && !race->winner && race->failed == failed);
	return status == -ETIMEDOUT ? weir_task_check() : status;
}

static int race_run(struct race *race, uint64_t delay_ms)
{
	int status = 0;

	while (!status && !race->winner && race->next < race->resolved->n)
		status = race_step(race, delay_ms);
	while (!status && !race->winner && race->running > 0)
		status = weir_task_park("race", WEIR_NEVER);
	if (!status && !race->winner)
		status = race->status;
	return status;
}

static int race(const struct tcp_connector *tcp, struct weir_conn *conn,
		const struct weir_resolved *resolved, struct weir_stream **out)
{
	struct race race = {
		.tcp = tcp,
		.conn = conn,
		.resolved = resolved,
		.referee = weir_task_current(),
	};
	uint64_t delay_ms = tcp->conf.attempt_delay_ms;
	int status;

	weir_scope_init(&race.scope, NULL);
	status = race_run(&race, delay_ms ? delay_ms : ATTEMPT_DELAY_MS);
	weir_scope_cancel(&race.scope);
	weir_scope_join(&race.scope);
	weir_scope_fini(&race.scope);
	if (status) {
		weir_stream_close(race.winner);
		return status;
	}
	*out = race.winner;
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * The connector
 */

static int tcp_connect_name(struct tcp_connector *tcp, struct weir_conn *conn,
			    const struct weir_target *to, struct weir_stream **out)
{
	struct weir_resolved resolved;
	int status;

	if (!tcp->conf.resolver)
		return WEIR_ERESOLVE;
	status = weir_resolve(tcp->conf.resolver, to, &resolved);
	if (status)
		return status;
	if (resolved.n == 1)
		status = attempt(tcp, conn, &resolved.targets[0].address, out);
	else
		status = race(tcp, conn, &resolved, out);
	weir_resolved_fini(&resolved);
	return status;
}

static int tcp_connect(struct weir_connector *connector, struct weir_conn *conn,
		       const struct weir_target *to, struct weir_stream **out)
{
	struct tcp_connector *tcp = weir_container_of(connector, struct tcp_connector, connector);
	struct weir_scope scope;
	int status;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, tcp->conf.timeout_ms);
	weir_scope_enter(&scope);
	if (to->address.size > 0)
		status = attempt(tcp, conn, &to->address, out);
	else
		status = tcp_connect_name(tcp, conn, to, out);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return status;
}

static void tcp_free(struct weir_connector *connector)
{
	struct tcp_connector *tcp = weir_container_of(connector, struct tcp_connector, connector);

	free((void *)(uintptr_t)tcp->conf.socket.interface);
	free(tcp);
}

static const struct weir_connector_ops tcp_ops = {
	.name = "tcp",
	.connect = tcp_connect,
	.free = tcp_free,
};

struct weir_connector *weir_tcp_connector(const struct weir_tcp_connector_conf *conf,
					  struct weir_error *error)
{
	struct tcp_connector *tcp = calloc(1, sizeof(*tcp));

	if (!tcp)
		goto err;
	tcp->connector.ops = &tcp_ops;
	tcp->conf = *conf;
	if (conf->timeout_ms == 0)
		tcp->conf.timeout_ms = CONNECT_TIMEOUT_MS;
	if (conf->socket.interface) {
		tcp->conf.socket.interface = strdup(conf->socket.interface);
		if (!tcp->conf.socket.interface)
			goto err;
	}
	return &tcp->connector;
err:
	free(tcp);
	weir_error_set(error, -ENOMEM, "out of memory");
	return NULL;
}
