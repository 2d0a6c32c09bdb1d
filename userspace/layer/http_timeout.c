/* SPDX-License-Identifier: MIT */
/*
 * timeout of calls. Until the response's head is there the deadline is a scope that the call's
 * task enters: what is parked inside returns -ETIMEDOUT, and the client gets 504. Then only a limit
 * for the whole call is left: the response's body asks its inner one under that deadline, and
 * tasks that help (one that sends the request's body) have it through the call's scope.
 */

#include <weir/http_limit.h>

#include <errno.h>
#include <stdlib.h>

#include <weir/loop.h>

#include "layer/http_answer.h"
#include "layer/http_wrap.h"

#define MS_MOST (UINT64_MAX / 4000000)

struct timeout {
	struct weir_http_service svc;
	uint64_t response_ms, total_ms;
	struct weir_counter *refused;
};

struct late_body {
	struct http_wrap wrap;
	uint64_t deadline;
	struct weir_counter *refused;
	bool counted;
};

/* ---- the response's body ---- */

static int late_body_wait(struct late_body *late, struct iovec *piece)
{
	struct weir_scope scope;
	int status;

	weir_scope_init(&scope, NULL);
	weir_scope_set_deadline(&scope, late->deadline);
	weir_scope_enter(&scope);
	status = http_wrap_next(&late->wrap, piece, true);
	weir_scope_leave(&scope);
	if (status < 0 && weir_scope_check(&scope) == -ETIMEDOUT)
		status = -ETIMEDOUT;
	weir_scope_fini(&scope);
	return status;
}

static int late_body_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct late_body *late = weir_container_of(body, struct late_body, wrap.body);
	int status = -ETIMEDOUT;

	if (weir_loop_now(weir_loop_current()) < late->deadline)
		status = wait ? late_body_wait(late, piece)
			      : http_wrap_next(&late->wrap, piece, false);
	if (status == -ETIMEDOUT && !late->counted) {
		late->counted = true;
		http_count(late->refused, 1);
	}
	return status;
}

static const struct weir_body_ops late_body_ops = {
	.name = "timeout",
	.next = late_body_next,
	.free = http_wrap_free,
};

static int late_body_wrap(const struct timeout *timeout, struct weir_call *call, uint64_t deadline)
{
	struct late_body *late;

	if (!call->response.body)
		return 0;
	late = weir_arena_zalloc(&call->arena, sizeof(*late));
	if (!late)
		return -ENOMEM;
	http_wrap_init(&late->wrap, &late_body_ops, call->response.body);
	late->deadline = deadline;
	late->refused = timeout->refused;
	call->response.body = &late->wrap.body;
	return 0;
}

/* ---- the layer ---- */

/* The inner service's answer, or 504 when it was too late. */
static int timeout_ask(struct timeout *timeout, struct weir_call *call, uint64_t deadline)
{
	struct weir_scope scope;
	bool late;
	int status;

	weir_scope_init(&scope, NULL);
	weir_scope_set_deadline(&scope, deadline);
	weir_scope_enter(&scope);
	status = weir_handle(timeout->svc.inner, call);
	weir_scope_leave(&scope);
	late = weir_scope_check(&scope) == -ETIMEDOUT;
	weir_scope_fini(&scope);
	/* Being interrupted has many names; what was over in time is over. */
	if (!late || (!status && call->response.status != 504))
		return status;
	http_count(timeout->refused, 1);
	/* The time of somebody around this layer is over: it answers. */
	if (weir_task_check())
		return -ETIMEDOUT;
	return weir_call_refuse(call, 504, "timeout");
}

static int timeout_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct timeout *timeout = weir_container_of(svc, struct timeout, svc);
	uint64_t now = weir_loop_now(weir_loop_current());
	uint64_t total = WEIR_NEVER, head = WEIR_NEVER;
	int status;

	if (timeout->total_ms) {
		total = now + timeout->total_ms * 1000000;
		if (total < call->scope.deadline)
			weir_scope_set_deadline(&call->scope, total);
	}
	if (timeout->response_ms)
		head = now + timeout->response_ms * 1000000;
	status = timeout_ask(timeout, call, WEIR_MIN(head, total));
	if (status || total == WEIR_NEVER)
		return status;
	return late_body_wrap(timeout, call, total);
}

static void timeout_free(struct weir_http_service *svc)
{
	free(weir_container_of(svc, struct timeout, svc));
}

static const struct weir_http_ops timeout_ops = {
	.name = "timeout",
	.handle = timeout_handle,
	.free = timeout_free,
};

static int timeout_configure(struct timeout *timeout, const struct weir_http_timeout_conf *conf,
			     struct weir_error *error)
{
	if (!conf->response_ms && !conf->total_ms)
		return http_layer_refuse(error,
					 "say a time for the response, or for the whole call",
					 "a timeout without a time");
	if (conf->response_ms > MS_MOST || conf->total_ms > MS_MOST)
		return http_layer_refuse(error, "leave it out for an unlimited time",
					 "a timeout of centuries is no limit");
	timeout->response_ms = conf->response_ms;
	timeout->total_ms = conf->total_ms;
	timeout->refused = conf->refused;
	return 0;
}

struct weir_http_service *weir_http_timeout_layer(struct weir_http_service *inner,
						  const struct weir_http_timeout_conf *conf,
						  struct weir_error *error)
{
	struct timeout *timeout = http_layer_new(sizeof(*timeout), &timeout_ops, inner, error);

	if (!timeout)
		return NULL;
	return http_layer_done(&timeout->svc, timeout_configure(timeout, conf, error));
}
