/* SPDX-License-Identifier: MIT */
/*
 * A connection's loop: wait for a request, read its head, have it handled, write the response.
 *
 *	waiting --first byte--> call --> KEEP: waiting again
 *	   |                      |----> LINGER: shut down, read and drop for a while
 *	   |                      '----> CLOSE, BREAK
 *	   '--end, time, drain--> closed
 *
 * While it waits, a connection owns no memory but its task's stack: server_serve()'s frame and
 * below. A call has a frame of its own, which is gone by then.
 */

#include <weir/http_server.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/metrics.h>

#include "http/server.h"

#define NS_PER_MS	1000000ull
#define LINGER_BYTES	(64u << 20) /* an upload that is under way must not win against its answer */
/* When it drains, a connection that was busy until a moment ago is not cut off: its client's next
 * request may be on its way, and would be lost. It is answered, and told that it was the last. */
#define DRAIN_MS	1000
#define PIPELINED_SHARE 16 /* requests in a row before other tasks get their turn */

static uint64_t deadline_in(uint64_t ms)
{
	return weir_loop_now(weir_loop_current()) + ms * NS_PER_MS;
}

/* ------------------------------------------------------------------------------------------
 * Between requests
 */

/* 1 when a request comes, 0 when none will. */
static int server_wait(struct server_conn *sc)
{
	const struct weir_http_server_conf *conf = &sc->server->conf;
	uint64_t deadline = deadline_in(sc->served ? conf->keep_alive_ms : conf->head_ms);
	uint64_t drained = deadline_in(WEIR_MIN(DRAIN_MS, conf->keep_alive_ms));
	int status;

	weir_list_add_tail(&sc->server->idle, &sc->idle_link);
	do {
		status = h1_conn_wait(&sc->h1, sc->server->draining ? drained : deadline);
	} while (status == -EINTR);
	weir_list_del(&sc->idle_link);
	return status == 1;
}

/* Reads and drops what the client still sends, so that it reads the answer and no reset. */
static void server_linger(struct server_conn *sc)
{
	uint64_t deadline = deadline_in(sc->server->conf.linger_ms);
	struct weir_stream *stream = sc->conn->stream;
	uint64_t until = stream->bytes_read + LINGER_BYTES;
	int status = weir_stream_shutdown(stream);

	while (!status && stream->bytes_read < until) {
		struct iovec iov = { .iov_base = weir_loop_scratch(weir_loop_current()),
				     .iov_len = WEIR_SCRATCH_BYTES };
		ssize_t got = stream->ops->readv(stream, &iov, 1, false);

		if (got == -EAGAIN)
			status = weir_stream_wait_until(stream, WEIR_READABLE, deadline);
		else if (got <= 0)
			break;
	}
}

/* What nobody wanted of a request's body goes, up to a limit. Whether the next request was
 * found. */
static bool server_skip_rest(struct server_conn *sc)
{
	if (h1_conn_has_read_all(&sc->h1))
		return true;
	if (sc->h1.read == H1_READ_BROKEN)
		return false;
	return weir_body_skip(&sc->h1.body, sc->server->conf.discard_bytes) == 0 &&
	       h1_conn_has_read_all(&sc->h1);
}

/* ------------------------------------------------------------------------------------------
 * A call
 */

static const char *refusal_cause(unsigned status)
{
	switch (status) {
	case 408:
		return "timeout";
	case 413:
		return "body_too_large";
	case 414:
		return "line_too_long";
	case 431:
		return "head_too_large";
	case 501:
		return "not_implemented";
	case 505:
		return "version";
	default:
		return "malformed";
	}
}

/* A head that was not read: STATUS says why. */
static enum server_next call_refuse_head(struct server_call *c, int status)
{
	struct server_conn *sc = c->sc;
	unsigned answer = sc->h1.parser.status;

	c->must_close = true;
	if (status == -ETIMEDOUT && weir_task_check() == 0)
		answer = 408;
	else if (status != WEIR_EPROTO || answer == 0)
		return status == 0 ? SERVER_CLOSE : SERVER_BREAK;
	server_metrics_refuse(&sc->server->metrics, refusal_cause(answer));
	return server_refuse(c, answer, answer == 408 ? "head_timeout" : sc->h1.parser.why);
}

/* A body that was refused while a service read it is the client's fault, not the service's. */
static unsigned call_failure_status(const struct server_call *c, int status)
{
	const struct h1_conn *h1 = &c->sc->h1;

	if (h1->read != H1_READ_BROKEN || h1->read_status != status)
		return weir_http_status(status);
	if (status == WEIR_EPROTO || status == WEIR_ELIMIT)
		return h1->parser.status ? h1->parser.status : 400;
	return status == -ETIMEDOUT ? 408 : weir_http_status(status);
}

static enum server_next call_answer_failure(struct server_call *c, int status)
{
	unsigned answer = call_failure_status(c, status);

	if (c->sc->h1.read == H1_READ_BROKEN) {
		c->must_close = true;
		server_metrics_refuse(&c->sc->server->metrics, refusal_cause(answer));
	}
	return server_refuse(c, answer, weir_error_name(status));
}

static enum server_next call_handle(struct server_call *c)
{
	struct weir_call *call = &c->call;
	enum server_next next;
	int status;

	c->state = SERVER_HANDLING;
	call->inform = server_inform;
	server_hangup_start(c);
	weir_scope_enter(&call->scope);
	status = weir_handle(c->sc->server->conf.service, call);
	next = status ? call_answer_failure(c, status) : server_answer(c);
	weir_scope_leave(&call->scope);
	server_hangup_stop(c);
	call->result.request_bytes += c->sc->h1.body_read;
	return next;
}

static void call_begin(struct server_call *c, struct server_conn *sc)
{
	*c = (struct server_call){ .sc = sc };
	weir_call_init(&c->call, sc->conn);
	sc->served++;
	sc->h1.ctx = c;
	sc->h1.body_sent = 0;
	sc->h1.begun = false;
	sc->h1.body_read = 0;
}

/* The call ends, its memory does not: half a trailer of the request may lie there. */
static void call_fini(struct server_call *c, struct weir_arena *memory)
{
	*memory = c->call.arena;
	weir_arena_init(&c->call.arena, 0);
	c->sc->h1.trailers.arena = memory;
	weir_call_fini(&c->call);
	c->sc->h1.ctx = NULL;
}

static enum server_next call_end(struct server_call *c, enum server_next next)
{
	struct server_conn *sc = c->sc;
	struct weir_arena memory;

	if (next == SERVER_BREAK && c->call.result.status == 0)
		c->call.result.status = c->gone ? -ECONNRESET : -ECANCELED;
	if (c->call.response.status || c->call.result.status)
		server_metrics_count(&sc->server->metrics, &c->call);
	call_fini(c, &memory);
	if (next == SERVER_KEEP && !server_skip_rest(sc))
		next = SERVER_LINGER;
	weir_arena_fini(&memory);
	return next;
}

/* One request and its response. Its frame is not to be a part of the loop's. */
static __attribute__((noinline)) enum server_next server_exchange(struct server_conn *sc)
{
	struct server_call c;
	enum server_next next;
	int status;

	call_begin(&c, sc);
	status = h1_conn_read_request(&sc->h1, &c.call.request,
				      deadline_in(sc->server->conf.head_ms));
	/* How it came, not what an absolute form says of it: what is inside relies on that. */
	c.call.request.scheme = WEIR_TEXT("http");
	next = status == 1 ? call_handle(&c) : call_refuse_head(&c, status);
	return call_end(&c, next);
}

/* Whether the connection is ready for one more. */
static bool server_go_on(struct server_conn *sc, enum server_next *next)
{
	if (*next != SERVER_KEEP)
		return false;
	if (h1_conn_next(&sc->h1)) {
		*next = SERVER_BREAK;
		return false;
	}
	if (h1_conn_has_more(&sc->h1) && sc->served % PIPELINED_SHARE == 0 && weir_task_yield()) {
		*next = SERVER_CLOSE;
		return false;
	}
	return true;
}

static enum server_next server_run(struct server_conn *sc)
{
	enum server_next next = SERVER_CLOSE;

	while (server_wait(sc)) {
		next = server_exchange(sc);
		if (!server_go_on(sc, &next))
			return next;
		next = SERVER_CLOSE;
	}
	return next;
}

/* ------------------------------------------------------------------------------------------
 * The service
 */

static void server_conn_init(struct server_conn *sc, struct server *server, struct weir_conn *conn)
{
	*sc = (struct server_conn){
		.server = server,
		.conn = conn,
		.task = weir_task_current(),
	};
	h1_conn_init(&sc->h1, conn->stream, false, &server->conf.limits);
	sc->h1.idle_ms = server->conf.body_idle_ms;
	sc->h1.kernel_bytes = server->conf.kernel_bytes;
	sc->h1.before_body = server_before_body;
	weir_list_init(&sc->idle_link);
}

static int server_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct server *server = weir_container_of(svc, struct server, svc);
	struct server_conn sc;
	enum server_next next;

	server_conn_init(&sc, server, conn);
	server_metrics_use(&server->metrics, conn->listener);
	weir_gauge_add(server->metrics.connections, 1);
	next = server_run(&sc);
	if (next == SERVER_LINGER)
		server_linger(&sc);
	h1_conn_fini(&sc.h1);
	server_metrics_use(&server->metrics, conn->listener);
	weir_gauge_add(server->metrics.connections, -1);
	conn->result.bytes_up = conn->stream->bytes_read;
	conn->result.bytes_down = conn->stream->bytes_written;
	return next == SERVER_BREAK ? -ECONNRESET : 0;
}

static void server_free(struct weir_service *svc)
{
	struct server *server = weir_container_of(svc, struct server, svc);

	weir_http_service_free(server->conf.service);
	free((char *)(uintptr_t)server->conf.server);
	free((char *)(uintptr_t)server->conf.via);
	free(server);
}

static void server_drain(struct weir_service *svc)
{
	struct server *server = weir_container_of(svc, struct server, svc);

	server->draining = true;
	for (struct weir_list *link = server->idle.next; link != &server->idle; link = link->next)
		weir_task_wake(weir_container_of(link, struct server_conn, idle_link)->task);
}

static const struct weir_service_ops server_ops = {
	.name = "http",
	.needs = WEIR_NEEDS_ALL_BYTES,
	.serve = server_serve,
	.drain = server_drain,
	.free = server_free,
};

static void conf_complete(struct weir_http_server_conf *conf)
{
	static const struct weir_http_server_conf defaults = {
		.head_ms = 10000,
		.body_idle_ms = 60000,
		.keep_alive_ms = 60000,
		.max_requests = 1000,
		.kernel_bytes = 65536,
		.discard_bytes = 262144,
		.hangup_ms = 1000,
		.linger_ms = 2000,
	};

	conf->head_ms = conf->head_ms ? conf->head_ms : defaults.head_ms;
	conf->body_idle_ms = conf->body_idle_ms ? conf->body_idle_ms : defaults.body_idle_ms;
	conf->keep_alive_ms = conf->keep_alive_ms ? conf->keep_alive_ms : defaults.keep_alive_ms;
	conf->max_requests = conf->max_requests ? conf->max_requests : defaults.max_requests;
	conf->kernel_bytes = conf->kernel_bytes ? conf->kernel_bytes : defaults.kernel_bytes;
	conf->discard_bytes = conf->discard_bytes ? conf->discard_bytes : defaults.discard_bytes;
	conf->hangup_ms = conf->hangup_ms ? conf->hangup_ms : defaults.hangup_ms;
	conf->linger_ms = conf->linger_ms ? conf->linger_ms : defaults.linger_ms;
	weir_path_thresholds_complete(&conf->tunnel.thresholds);
}

/* False when memory is out. */
static bool text_copy(const char **text)
{
	if (!*text)
		return true;
	*text = strdup(*text);
	return *text != NULL;
}

static bool server_init(struct server *server, const struct weir_http_server_conf *conf)
{
	server->svc.ops = &server_ops;
	server->conf = *conf;
	server->conf.via = NULL;
	weir_list_init(&server->idle);
	server->metrics.registry = conf->metrics;
	conf_complete(&server->conf);
	if (!text_copy(&server->conf.server))
		return false;
	server->conf.via = conf->via;
	return text_copy(&server->conf.via);
}

struct weir_service *weir_http_server_service(const struct weir_http_server_conf *conf,
					      struct weir_error *error)
{
	struct server *server;

	if (!conf->service)
		return NULL;
	server = calloc(1, sizeof(*server));
	if (server && server_init(server, conf))
		return &server->svc;
	weir_error_set(error, -ENOMEM, "out of memory");
	if (server)
		server_free(&server->svc);
	else
		weir_http_service_free(conf->service);
	return NULL;
}
