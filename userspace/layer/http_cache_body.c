/* SPDX-License-Identifier: MIT */

#include "layer/http_cache_body.h"

#include <errno.h>
#include <string.h>

#include <weir/buffer.h>

#include "layer/http_wrap.h"

#define PIECE_BYTES 65536

/* ---- from the cache ---- */

struct stored_body {
	struct weir_body body;
	struct http_cache_object *object; /* counted */
	size_t at;
};

static int stored_body_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct stored_body *stored = weir_container_of(body, struct stored_body, body);
	struct http_cache_blob *blob = stored->object->blob;

	(void)wait;
	if (stored->at == blob->size)
		return 0;
	piece->iov_base = blob->data + stored->at;
	piece->iov_len = WEIR_MIN(blob->size - stored->at, (size_t)PIECE_BYTES);
	stored->at += piece->iov_len;
	return 1;
}

static void stored_body_free(struct weir_body *body)
{
	struct stored_body *stored = weir_container_of(body, struct stored_body, body);

	http_cache_object_put(stored->object);
	stored->object = NULL;
}

static const struct weir_body_ops stored_body_ops = {
	.name = "cache",
	.next = stored_body_next,
	.free = stored_body_free,
};

static int answer_fields(struct weir_call *call, const struct http_cache_object *object)
{
	struct weir_headers *headers = &call->response.headers;
	int status = 0;

	/* The object may be gone before the call. */
	for (size_t i = 0; i < object->n && !status; i++) {
		struct weir_text name = object->fields[i].name, value = object->fields[i].value;
		char *copy = weir_arena_alloc(&call->arena, name.size + value.size + 1);

		if (!copy)
			return -ENOMEM;
		memcpy(copy, name.data, name.size);
		memcpy(copy + name.size, value.data, value.size);
		status = weir_headers_add(headers, (struct weir_text){ copy, name.size },
					  (struct weir_text){ copy + name.size, value.size });
	}
	return status;
}

static int answer_body(struct weir_call *call, struct http_cache_object *object)
{
	struct stored_body *stored;

	call->response.announced = object->blob ? object->blob->size : 0;
	if (!object->blob || call->request.method == WEIR_METHOD_HEAD)
		return 0;
	stored = weir_arena_zalloc(&call->arena, sizeof(*stored));
	if (!stored)
		return -ENOMEM;
	stored->body = (struct weir_body){ .ops = &stored_body_ops, .size = object->blob->size };
	stored->object = http_cache_object_get(object);
	call->response.body = &stored->body;
	return 0;
}

int http_cache_answer(struct weir_call *call, struct http_cache_object *object)
{
	int status;

	weir_call_reset_response(call);
	call->response.status = object->status;
	status = answer_fields(call, object);
	return status ? status : answer_body(call, object);
}

/* ---- to the cache ---- */

struct storing_body {
	struct http_wrap wrap;
	struct http_cache_storing storing;
	struct weir_response head; /* as it came: layers outside dress what goes on */
	struct weir_buffer bytes;
	bool over; /* stored, or given up */
};

static void storing_publish(const struct http_cache_storing *storing,
			    const struct weir_response *head, const void *data, size_t size)
{
	const struct http_digest_key *key = http_cache_digest_key(storing->cache);
	struct http_cache_blob *blob = NULL;
	struct http_cache_object *object;

	if (size > 0) {
		blob = http_cache_blob_new(data, size);
		if (!blob)
			return;
	}
	object = http_cache_object_new(storing->request, head, &storing->freshness, blob, key);
	if (object)
		http_cache_add(storing->cache, &storing->key, object);
}

static void storing_end(struct storing_body *body, bool whole)
{
	if (body->over)
		return;
	body->over = true;
	if (whole)
		storing_publish(&body->storing, &body->head, weir_buffer_head(&body->bytes),
				weir_buffer_size(&body->bytes));
	weir_buffer_fini(&body->bytes);
	if (body->storing.leads)
		http_cache_fetch_end(body->storing.cache, &body->storing.key);
}

static int storing_body_next(struct weir_body *base, struct iovec *piece, bool wait)
{
	struct storing_body *body = weir_container_of(base, struct storing_body, wrap.body);
	int status = http_wrap_next(&body->wrap, piece, wait);

	if (status == -EAGAIN || body->over)
		return status;
	if (status <= 0) {
		/* Trailers cannot be stored with it, and are not needed to use it. */
		storing_end(body, status == 0);
		return status;
	}
	if (weir_buffer_size(&body->bytes) + piece->iov_len >
		    http_cache_max_object(body->storing.cache) ||
	    weir_buffer_append(&body->bytes, piece->iov_base, piece->iov_len))
		storing_end(body, false);
	return status;
}

static void storing_body_free(struct weir_body *base)
{
	struct storing_body *body = weir_container_of(base, struct storing_body, wrap.body);

	/* All bytes of a known length have gone by: whole, though nobody asked for the end. */
	storing_end(body, body->wrap.inner->size != WEIR_BODY_UNKNOWN &&
				  weir_buffer_size(&body->bytes) == body->wrap.inner->size);
	http_wrap_free(base);
}

static const struct weir_body_ops storing_body_ops = {
	.name = "cache_store",
	.next = storing_body_next,
	.free = storing_body_free,
};

int http_cache_store_on_the_way(struct weir_call *call, const struct http_cache_storing *storing)
{
	struct weir_body *inner = call->response.body;
	struct storing_body *body;

	if (!inner) {
		storing_publish(storing, &call->response, NULL, 0);
		if (storing->leads)
			http_cache_fetch_end(storing->cache, &storing->key);
		return 0;
	}
	body = weir_arena_zalloc(&call->arena, sizeof(*body));
	if (!body)
		return -ENOMEM;
	weir_response_init(&body->head, &call->arena);
	body->head.status = call->response.status;
	if (weir_headers_copy(&body->head.headers, &call->response.headers))
		return -ENOMEM;
	body->storing = *storing;
	http_wrap_init(&body->wrap, &storing_body_ops, inner);
	call->response.body = &body->wrap.body;
	return 0;
}
