/* SPDX-License-Identifier: MIT */
/*
 * body_limit: how much a request may bring. An announced length is refused before a byte of it is
 * read (and before 100 Continue); of one that was not announced the bytes are counted, and whoever
 * reads one too many gets WEIR_ELIMIT.
 */

#include <weir/http_limit.h>

#include <errno.h>
#include <stdlib.h>

#include "layer/http_answer.h"
#include "layer/http_wrap.h"

struct body_limit {
	struct weir_http_service svc;
	uint64_t max_bytes;
	struct weir_counter *refused;
};

struct counted_body {
	struct http_wrap wrap;
	uint64_t left;
	bool exceeded;
};

static int counted_body_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct counted_body *counted = weir_container_of(body, struct counted_body, wrap.body);
	int status;

	if (counted->exceeded)
		return WEIR_ELIMIT;
	status = http_wrap_next(&counted->wrap, piece, wait);
	if (status <= 0)
		return status;
	counted->exceeded = piece->iov_len > counted->left;
	if (counted->exceeded)
		return WEIR_ELIMIT;
	counted->left -= piece->iov_len;
	return status;
}

static const struct weir_body_ops counted_body_ops = {
	.name = "body_limit",
	.next = counted_body_next,
	.free = http_wrap_free,
};

static int body_limit_refuse(const struct body_limit *limit, struct weir_call *call)
{
	http_count(limit->refused, 1);
	return weir_call_refuse(call, 413, "body_limit");
}

static int body_limit_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct body_limit *limit = weir_container_of(svc, struct body_limit, svc);
	struct weir_body *body = call->request.body;
	struct counted_body *counted;
	int status;

	if (body && body->size != WEIR_BODY_UNKNOWN && body->size > limit->max_bytes)
		return body_limit_refuse(limit, call);
	if (!body || body->size != WEIR_BODY_UNKNOWN)
		return weir_handle(svc->inner, call);
	counted = weir_arena_zalloc(&call->arena, sizeof(*counted));
	if (!counted)
		return -ENOMEM;
	http_wrap_init(&counted->wrap, &counted_body_ops, body);
	counted->left = limit->max_bytes;
	call->request.body = &counted->wrap.body;
	status = weir_handle(svc->inner, call);
	/* An answer that was made without the rest stands; a failure for lack of it is ours. */
	if (counted->exceeded && (status < 0 || call->response.status >= 500))
		return body_limit_refuse(limit, call);
	return status;
}

static void body_limit_free(struct weir_http_service *svc)
{
	free(weir_container_of(svc, struct body_limit, svc));
}

static const struct weir_http_ops body_limit_ops = {
	.name = "body_limit",
	.handle = body_limit_handle,
	.free = body_limit_free,
};

struct weir_http_service *weir_http_body_limit_layer(struct weir_http_service *inner,
						     const struct weir_http_body_limit_conf *conf,
						     struct weir_error *error)
{
	struct body_limit *limit = http_layer_new(sizeof(*limit), &body_limit_ops, inner, error);

	if (!limit)
		return NULL;
	limit->max_bytes = conf->max_bytes;
	limit->refused = conf->refused;
	return &limit->svc;
}
