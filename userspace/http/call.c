/* SPDX-License-Identifier: MIT */
/*
 * A call's life, and the answers that services give most often.
 */

#include <weir/call.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/http_server.h>

#define CALL_ARENA_BYTES 4096
#define CALL_ID_BLOCK	 1024 /* ids that a worker takes at once */

static uint64_t call_next_id(void)
{
	static atomic_uint_fast64_t shared = 1;
	static _Thread_local uint64_t next, end;

	if (next == end) {
		next = atomic_fetch_add_explicit(&shared, CALL_ID_BLOCK, memory_order_relaxed);
		end = next + CALL_ID_BLOCK;
	}
	return next++;
}

void weir_call_init(struct weir_call *call, struct weir_conn *conn)
{
	*call = (struct weir_call){
		.id = call_next_id(),
		.conn = conn,
		.started_ns = weir_loop_now(weir_loop_current()),
	};
	weir_arena_init(&call->arena, CALL_ARENA_BYTES);
	weir_extensions_init(&call->extensions, conn ? &conn->extensions : NULL);
	weir_scope_init(&call->scope, NULL);
	weir_request_init(&call->request, &call->arena);
	weir_response_init(&call->response, &call->arena);
}

static void call_run_deferred(struct weir_call *call)
{
	while (call->deferred) {
		struct weir_deferred *deferred = call->deferred;

		call->deferred = deferred->next;
		deferred->fn(call, deferred->ctx);
	}
}

static void call_close_tunnel(struct weir_call *call)
{
	if (call->tunnel)
		call->tunnel->close(call->tunnel);
	call->tunnel = NULL;
}

static void call_free_body(struct weir_body **body)
{
	weir_body_free(*body);
	*body = NULL;
}

/* Helping tasks go first: one of them may be reading a body. */
void weir_call_fini(struct weir_call *call)
{
	weir_scope_cancel(&call->scope);
	weir_scope_join(&call->scope);
	call_free_body(&call->response.body);
	call_free_body(&call->request.body);
	call_close_tunnel(call);
	call_run_deferred(call);
	weir_scope_fini(&call->scope);
	weir_arena_fini(&call->arena);
}

static int call_insert_deferred(struct weir_call *call, struct weir_deferred **at,
				void (*fn)(struct weir_call *call, void *ctx), void *ctx)
{
	struct weir_deferred *deferred = weir_arena_alloc(&call->arena, sizeof(*deferred));

	if (!deferred)
		return -ENOMEM;
	*deferred = (struct weir_deferred){ .next = *at, .fn = fn, .ctx = ctx };
	*at = deferred;
	return 0;
}

int weir_call_defer(struct weir_call *call, void (*fn)(struct weir_call *call, void *ctx),
		    void *ctx)
{
	return call_insert_deferred(call, &call->deferred, fn, ctx);
}

int weir_call_defer_last(struct weir_call *call, void (*fn)(struct weir_call *call, void *ctx),
			 void *ctx)
{
	struct weir_deferred **at = &call->deferred;

	while (*at)
		at = &(*at)->next;
	return call_insert_deferred(call, at, fn, ctx);
}

int weir_call_inform(struct weir_call *call, unsigned status, const struct weir_headers *headers)
{
	return call->inform ? call->inform(call, status, headers) : 0;
}

/* ------------------------------------------------------------------------------------------
 * Responses
 */

void weir_call_reset_response(struct weir_call *call)
{
	call_free_body(&call->response.body);
	call_close_tunnel(call);
	weir_headers_clear(&call->response.headers);
	call->response.status = 0;
	call->response.reason = (struct weir_text){ 0 };
	call->response.upgrade = (struct weir_text){ 0 };
	call->response.announced = WEIR_BODY_UNKNOWN;
	call->response.version = WEIR_HTTP_1_1;
	call->response.keep_alive = false;
}

static int call_set_type(struct weir_call *call, const char *type)
{
	char *copy;

	if (!type)
		return 0;
	copy = weir_arena_strdup(&call->arena, type);
	if (!copy)
		return -ENOMEM;
	return weir_headers_set_id(&call->response.headers, WEIR_HEADER_CONTENT_TYPE,
				   weir_text_of(copy));
}

/* A HEAD is told how large the body would be (RFC 9110 section 9.3.2). */
static int call_set_body(struct weir_call *call, unsigned status, struct weir_text text)
{
	struct weir_text copy = { .size = text.size };
	bool is_head = call->request.method == WEIR_METHOD_HEAD;

	if (is_head && !weir_status_is_bodiless(status))
		call->response.announced = text.size;
	if (is_head || text.size == 0)
		return 0;
	copy.data = weir_arena_memdup(&call->arena, text.data, text.size);
	if (!copy.data)
		return -ENOMEM;
	call->response.body = weir_text_body(&call->arena, copy);
	return call->response.body ? 0 : -ENOMEM;
}

int weir_call_respond(struct weir_call *call, unsigned status, const char *type,
		      struct weir_text body)
{
	int err;

	weir_call_reset_response(call);
	err = call_set_type(call, type);
	if (!err)
		err = call_set_body(call, status, body);
	if (!err)
		call->response.status = status;
	return err;
}

int weir_call_refuse(struct weir_call *call, unsigned status, const char *why)
{
	struct weir_text reason = weir_status_reason(status);
	char *text = weir_arena_printf(&call->arena, "%u %.*s\n", status, WEIR_TEXT_ARGS(reason));

	call->result.why = why;
	if (!text)
		return -ENOMEM;
	return weir_call_respond(call, status, "text/plain; charset=utf-8", weir_text_of(text));
}

unsigned weir_http_status(int status)
{
	switch (status) {
	case WEIR_ERATE:
		return 429;
	case WEIR_EPOLICY:
		return 403;
	case WEIR_ELIMIT:
	case WEIR_EQUEUE:
	case WEIR_ENOENDPOINT:
	case WEIR_ESHUTDOWN:
	case WEIR_EADMIN:
	case -ECANCELED:
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
		return 503;
	case -ETIMEDOUT:
	case WEIR_EIDLE:
	case WEIR_ELIFETIME:
		return 504;
	case WEIR_EPROTO:
	case WEIR_ERESOLVE:
	case WEIR_ETRYAGAIN:
	case WEIR_ETLS:
	case WEIR_ECERTIFICATE:
	case WEIR_ETRUNCATED:
	case WEIR_EPROXY:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -EPIPE:
	case -ENODATA:
	case -ENOENT: /* of a Unix socket's path */
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -ENETDOWN:
	case -EADDRNOTAVAIL:
		return 502;
	default:
		return 500;
	}
}

/* ------------------------------------------------------------------------------------------
 * Services
 */

void weir_http_service_free(struct weir_http_service *svc)
{
	while (svc) {
		struct weir_http_service *inner = svc->inner;

		svc->ops->free(svc);
		svc = inner;
	}
}

struct function {
	struct weir_http_service svc;
	int (*fn)(struct weir_call *call, void *ctx);
	void *ctx; /* borrowed */
};

static int function_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct function *function = weir_container_of(svc, struct function, svc);

	return function->fn(call, function->ctx);
}

static void function_free(struct weir_http_service *svc)
{
	free(weir_container_of(svc, struct function, svc));
}

static const struct weir_http_ops function_ops = {
	.name = "function",
	.handle = function_handle,
	.free = function_free,
};

struct weir_http_service *weir_http_function(int (*fn)(struct weir_call *call, void *ctx),
					     void *ctx, struct weir_error *error)
{
	struct function *function = calloc(1, sizeof(*function));

	if (!function) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	function->svc.ops = &function_ops;
	function->fn = fn;
	function->ctx = ctx;
	return &function->svc;
}
