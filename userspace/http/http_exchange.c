/* SPDX-License-Identifier: MIT */
/*
 * In the ordinary case, a request whose body is there as a whole, one write and one read happen, in
 * the caller's task.
 */

#include <assert.h>
#include <errno.h>

#include <weir/error.h>
#include <weir/extension.h>

#include "http/http_exchange.h"

#define NS_PER_MS   1000000u
#define INTERIM_MAX 32 /* 1xx responses to one request */

static const struct weir_extension_key exchange_key = { "http_exchange" };

static void exchange_release(struct http_exchange *ex);

/* ------------------------------------------------------------------------------------------
 * The request's body
 */

static struct http_fed *fed_of(struct weir_body *body)
{
	return weir_container_of(body, struct http_fed, body);
}

/* Whether FIRST is all there is. */
static bool fed_is_whole(const struct http_fed *fed)
{
	return fed->inner->ended || fed->first.size == fed->body.size;
}

static void fed_note_end(struct http_fed *fed)
{
	fed->body.ended = fed->inner->ended;
	fed->body.trailers = fed->inner->trailers;
}

static int fed_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct http_fed *fed = fed_of(body);
	int status;

	if (fed->first.size > 0 && !fed->given) {
		fed->given = true;
		*piece = (struct iovec){ (char *)(uintptr_t)fed->first.data, fed->first.size };
		fed_note_end(fed);
		return 1;
	}
	fed->touched = true;
	status = weir_body_next(fed->inner, piece, wait);
	if (status >= 0)
		fed_note_end(fed);
	return status;
}

static int fed_source(struct weir_body *body, struct weir_body_source *source)
{
	struct http_fed *fed = fed_of(body);

	if (fed->first.size > 0 && !fed->given)
		return -EAGAIN;
	return weir_body_source(fed->inner, source);
}

static void fed_moved(struct weir_body *body, uint64_t size, int status)
{
	struct http_fed *fed = fed_of(body);

	fed->touched = true;
	fed->inner->ops->moved(fed->inner, size, status);
}

/* The body itself is the call's. */
static void fed_free(struct weir_body *body)
{
	(void)body;
}

static const struct weir_body_ops fed_ops = {
	.name = "request",
	.next = fed_next,
	.source = fed_source,
	.moved = fed_moved,
	.free = fed_free,
};

int http_fed_new(struct weir_call *call, struct http_fed **out)
{
	struct weir_body *inner = call->request.body;
	struct http_fed *fed;

	*out = NULL;
	if (!inner)
		return 0;
	fed = weir_arena_zalloc(&call->arena, sizeof(*fed));
	if (!fed)
		return -ENOMEM;
	fed->body.ops = &fed_ops;
	fed->body.size = inner->size;
	fed->inner = inner;
	*out = fed;
	return 0;
}

/* Takes what is there, if that may be all of it. Whether it is. */
static bool fed_take_whole(struct http_fed *fed)
{
	struct iovec piece = { 0 };

	if (fed->touched || fed->body.size == 0)
		return fed_is_whole(fed);
	if (fed->body.size != WEIR_BODY_UNKNOWN && fed->body.size > WEIR_COPY_BYTES)
		return false;
	fed->touched = true;
	if (weir_body_next(fed->inner, &piece, false) == 1)
		fed->first = (struct weir_text){ piece.iov_base, piece.iov_len };
	return fed_is_whole(fed);
}

/* So that it stays when the task parks. */
static int fed_copy(struct http_fed *fed, struct weir_arena *arena)
{
	if (fed->copied || fed->first.size == 0)
		return 0;
	fed->first.data = weir_arena_memdup(arena, fed->first.data, fed->first.size);
	fed->copied = fed->first.data != NULL;
	return fed->copied ? 0 : -ENOMEM;
}

static bool fed_may_repeat(const struct http_fed *fed)
{
	return !fed || !fed->touched || (fed->copied && fed_is_whole(fed));
}

/* ------------------------------------------------------------------------------------------
 * Ends
 */

static bool exchange_may_keep(struct http_exchange *ex)
{
	return ex->keep && ex->conn.read == H1_READ_DONE && ex->upload == HTTP_UPLOAD_DONE &&
	       h1_conn_take_rest(&ex->conn).size == 0;
}

/* When nobody uses the connection any more, it goes back. */
static void exchange_release(struct http_exchange *ex)
{
	struct http_pooled *pooled = ex->pooled;

	if (!pooled || ex->reading || ex->upload == HTTP_UPLOAD_PUMPED)
		return;
	ex->sent = pooled->stream->bytes_written != ex->written_before;
	ex->answered = pooled->stream->bytes_read != ex->read_before;
	ex->pooled = NULL;
	http_pool_put(pooled, exchange_may_keep(ex));
}

/* Nothing more of the response is wanted. A request that is still being sent is not, either. */
static void exchange_stop(struct http_exchange *ex)
{
	if (!ex->reading)
		return;
	ex->reading = false;
	if (ex->pump_scope)
		weir_scope_cancel(ex->pump_scope);
	exchange_release(ex);
}

static void exchange_on_body_free(struct h1_conn *conn)
{
	struct http_exchange *ex = weir_container_of(conn, struct http_exchange, conn);

	if (conn->read == H1_READ_BROKEN)
		ex->body_status = conn->read_status;
	exchange_stop(ex);
}

static void exchange_on_call_end(struct weir_call *call, void *ctx)
{
	struct http_exchange *ex = ctx;

	(void)call;
	exchange_stop(ex);
	assert(!ex->pooled);
	weir_buffer_fini(&ex->head);
	h1_conn_fini(&ex->conn);
}

struct http_exchange *http_exchange_find(const struct weir_call *call)
{
	return (struct http_exchange *)(uintptr_t)weir_extension_find(&call->extensions,
								      &exchange_key);
}

struct http_exchange *http_exchange_new(struct weir_call *call, const struct http_rules *rules,
					struct http_fed *fed)
{
	struct http_exchange *ex = weir_arena_zalloc(&call->arena, sizeof(*ex));

	if (!ex || weir_extension_add(&call->extensions, &call->arena, &exchange_key, ex) ||
	    weir_call_defer_last(call, exchange_on_call_end, ex))
		return NULL;
	ex->call = call;
	ex->rules = rules;
	ex->fed = fed;
	if (fed)
		fed->given = false;
	return ex;
}

/* ------------------------------------------------------------------------------------------
 * The pump
 */

static void pump_end(struct http_exchange *ex, int status)
{
	ex->upload = status ? HTTP_UPLOAD_FAILED : HTTP_UPLOAD_DONE;
	ex->upload_status = status;
	ex->broke_source = ex->conn.broke_source;
	if (ex->waiter)
		weir_task_wake(ex->waiter);
	/* A response that goes on without its request: the peer learns that none will come. */
	if (ex->reading && status)
		(void)!ex->conn.stream->ops->shutdown(ex->conn.stream);
	exchange_release(ex);
}

static int pump_run(void *arg)
{
	struct http_exchange *ex = arg;
	struct weir_scope scope;
	int status = -ECANCELED;

	weir_scope_init(&scope, NULL);
	weir_scope_enter(&scope);
	ex->pump_scope = &scope;
	if (ex->reading)
		status = h1_conn_send(&ex->conn, &ex->head, &ex->fed->body, &ex->plan);
	ex->pump_scope = NULL;
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	pump_end(ex, status);
	return 0;
}

static int pump_start(struct http_exchange *ex)
{
	int status = fed_copy(ex->fed, &ex->call->arena);

	if (!status)
		status = weir_scope_spawn(&ex->call->scope, "request body", pump_run, ex, NULL);
	if (!status)
		ex->upload = HTTP_UPLOAD_PUMPED;
	return status;
}

void http_exchange_await_pump(struct http_exchange *ex)
{
	ex->waiter = weir_task_current();
	while (ex->upload == HTTP_UPLOAD_PUMPED)
		(void)!weir_task_park_firmly("the request's body", WEIR_NEVER);
	ex->waiter = NULL;
}

/* ------------------------------------------------------------------------------------------
 * Sending
 */

static void exchange_plan(struct http_exchange *ex)
{
	const struct weir_request *request = &ex->call->request;
	struct weir_h1_plan *plan = &ex->plan;

	plan->keep_alive = http_pool_may_keep(ex->pooled);
	plan->upgrade = request->upgrade;
	plan->absolute = ex->rules->absolute;
	if (ex->fed && ex->fed->body.size == WEIR_BODY_UNKNOWN) {
		plan->framing = WEIR_H1_CHUNKED;
		plan->trailers = true;
	} else if (ex->fed) {
		plan->framing = WEIR_H1_LENGTH;
		plan->length = ex->fed->body.size;
	} else if (request->method == WEIR_METHOD_POST || request->method == WEIR_METHOD_PUT ||
		   request->method == WEIR_METHOD_PATCH) {
		plan->framing = WEIR_H1_LENGTH; /* of 0: RFC 9110 section 8.6 */
	}
}

/* A failed write does not say whether the peer has answered before: an early response is read. */
static int send_inline(struct http_exchange *ex)
{
	struct weir_body *body = ex->fed ? &ex->fed->body : NULL;
	int status = h1_conn_send(&ex->conn, &ex->head, body, &ex->plan);

	ex->upload = status ? HTTP_UPLOAD_FAILED : HTTP_UPLOAD_DONE;
	ex->upload_status = status;
	ex->broke_source = ex->conn.broke_source;
	if (ex->broke_source || (status != -EPIPE && status != -ECONNRESET))
		return status;
	return 0;
}

/* The rest of the request, with or without its head. */
static int exchange_send(struct http_exchange *ex)
{
	int status = 0;

	if (!ex->fed)
		return send_inline(ex);
	if (!fed_take_whole(ex->fed))
		return pump_start(ex);
	/* A connection that has died asks for it again. */
	if (ex->reused)
		status = fed_copy(ex->fed, &ex->call->arena);
	return status ? status : send_inline(ex);
}

/* ------------------------------------------------------------------------------------------
 * Receiving
 */

/* While the request is being sent, only the pump's own idle timeout runs. */
static int receive_wait(struct http_exchange *ex)
{
	int status = 1;

	ex->waiter = weir_task_current();
	while (ex->upload == HTTP_UPLOAD_PUMPED) {
		status = h1_conn_wait(&ex->conn, WEIR_NEVER);
		if (status != -EINTR)
			break;
		status = 1;
	}
	ex->waiter = NULL;
	if (status < 0 || ex->upload != HTTP_UPLOAD_FAILED)
		return status < 0 ? status : 0;
	if (ex->broke_source || ex->upload_status == -ETIMEDOUT)
		return ex->upload_status;
	return 0;
}

/* One head, interim or final. */
static int receive_head(struct http_exchange *ex)
{
	struct weir_call *call = ex->call;
	uint64_t deadline;
	int status = receive_wait(ex);

	if (status)
		return status;
	deadline = weir_loop_now(weir_loop_current()) + ex->rules->first_byte_ns;
	status = h1_conn_read_response(&ex->conn, call->request.method, &call->response, deadline);
	if (status == WEIR_EPROTO)
		call->result.why = ex->conn.parser.why;
	return status == 0 ? -ECONNRESET : status < 0 ? status : 0;
}

static bool response_is_final(const struct weir_response *response)
{
	return response->status >= 200 || response->status == 101;
}

/* Passes an interim response on. 100 is for us: whoever asks for the body's first piece makes the
 * server send one to the client. */
static int receive_interim(struct http_exchange *ex)
{
	struct weir_call *call = ex->call;
	int status = 0;

	if (call->response.status != 100)
		status = weir_call_inform(call, call->response.status, &call->response.headers);
	if (!status)
		status = h1_conn_next(&ex->conn);
	weir_response_init(&call->response, &call->arena);
	return status;
}

/* Up to the final response; or with UNTIL_100, until that. 1: final; 0: 100. */
static int receive_response(struct http_exchange *ex, bool until_100)
{
	for (unsigned n = 0; n < INTERIM_MAX; n++) {
		bool is_100;
		int status = receive_head(ex);

		if (status)
			return status;
		if (response_is_final(&ex->call->response))
			return 1;
		is_100 = ex->call->response.status == 100;
		status = receive_interim(ex);
		if (status || (is_100 && until_100))
			return status;
	}
	ex->call->result.why = "too many interim responses";
	return WEIR_EPROTO;
}

/* RFC 9110 section 10.1.1. 1: the final response is there; 0: the body goes now. */
static int exchange_await_continue(struct http_exchange *ex)
{
	uint64_t deadline = weir_now() + ex->rules->continue_ns;
	int status = h1_conn_send(&ex->conn, &ex->head, NULL, &ex->plan);

	if (status)
		return status == -EPIPE ? -ECONNRESET : status;
	do {
		status = h1_conn_wait(&ex->conn, deadline);
	} while (status == -EINTR);
	if (status == -ETIMEDOUT && !weir_task_check())
		return 0; /* a server may know nothing of it */
	if (status < 0)
		return status;
	return receive_response(ex, true);
}

/* ------------------------------------------------------------------------------------------
 * The whole
 */

static void tunnel_close(struct weir_tunnel *tunnel)
{
	struct http_exchange *ex = weir_container_of(tunnel, struct http_exchange, tunnel);

	http_pool_put(ex->tunnel_pooled, false);
}

static bool response_begins_tunnel(const struct weir_call *call)
{
	return call->response.status == 101 ||
	       (call->request.method == WEIR_METHOD_CONNECT && call->response.status / 100 == 2);
}

static int exchange_begin_tunnel(struct http_exchange *ex)
{
	struct weir_call *call = ex->call;

	if (call->response.status == 101 && !call->request.upgrade.data) {
		call->result.why = "an upgrade that nobody asked for";
		return WEIR_EPROTO;
	}
	if (ex->upload != HTTP_UPLOAD_DONE) {
		call->result.why = "an upgrade amid a request";
		return WEIR_EPROTO;
	}
	ex->tunnel = (struct weir_tunnel){
		.stream = ex->pooled->stream,
		.early = h1_conn_take_rest(&ex->conn),
		.close = tunnel_close,
	};
	ex->tunnel_pooled = ex->pooled;
	ex->pooled = NULL;
	ex->reading = false;
	ex->sent = true;
	call->tunnel = &ex->tunnel;
	return 0;
}

/* A response has begun. */
static int exchange_accept(struct http_exchange *ex)
{
	struct weir_call *call = ex->call;

	call->result.first_byte_ns = WEIR_MAX(weir_now() - call->started_ns, 1);
	if (response_begins_tunnel(call))
		return exchange_begin_tunnel(ex);
	ex->keep = ex->plan.keep_alive && call->response.keep_alive;
	if (!call->response.body)
		exchange_stop(ex);
	return 0;
}

static int exchange_talk(struct http_exchange *ex)
{
	const struct weir_request *request = &ex->call->request;
	int status = weir_h1_write_request(&ex->head, request, &ex->plan);
	bool final = false;

	if (!status && ex->fed && request->expects_continue && ex->fed->body.size > 0) {
		status = exchange_await_continue(ex);
		final = status == 1;
		/* The body was promised and does not go. */
		if (final)
			ex->upload = HTTP_UPLOAD_FAILED;
	}
	if (!status && !final)
		status = exchange_send(ex);
	if (!status && !final)
		status = receive_response(ex, false);
	return status < 0 ? status : exchange_accept(ex);
}

/* What a failed write was about says more than the end that was read after it. */
static int exchange_fail(struct http_exchange *ex, int status)
{
	if (status == -ECONNRESET && ex->upload == HTTP_UPLOAD_FAILED && ex->upload_status)
		status = ex->upload_status;
	ex->keep = false;
	exchange_stop(ex);
	http_exchange_await_pump(ex);
	return status;
}

int http_exchange_run(struct http_exchange *ex, struct http_pooled *pooled)
{
	const struct http_rules *rules = ex->rules;
	int status;

	ex->pooled = pooled;
	ex->reused = pooled->requests > 1;
	ex->written_before = pooled->stream->bytes_written;
	ex->read_before = pooled->stream->bytes_read;
	ex->reading = true;
	h1_conn_init(&ex->conn, pooled->stream, true, &rules->limits);
	ex->conn.idle_ms = rules->body_idle_ms;
	ex->conn.kernel_bytes = rules->kernel_bytes;
	ex->conn.on_body_free = exchange_on_body_free;
	exchange_plan(ex);
	status = exchange_talk(ex);
	return status ? exchange_fail(ex, status) : 0;
}

bool http_exchange_may_repeat(const struct http_exchange *ex, int status)
{
	if (status != -ECONNRESET && status != -EPIPE && status != WEIR_ETRUNCATED)
		return false;
	if (!ex->reused || ex->broke_source || ex->answered)
		return false;
	if (ex->sent && !weir_method_is_idempotent(ex->call->request.method))
		return false;
	return fed_may_repeat(ex->fed);
}
