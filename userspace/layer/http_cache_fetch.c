/* SPDX-License-Identifier: MIT */
/*
 * How a cache asks the origin: with the validators of what it has in place of the client's, and with
 * what comes of it.
 */

#include "layer/http_cache_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "layer/http_answer.h"
#include "layer/http_cache_body.h"

#define PASS_S	   30 /* nobody waits for a fetch of what was found not to be storable */
#define REFRESH_MS 60000

int64_t http_cache_now(void)
{
	return time(NULL);
}

void http_cache_look_release(struct http_cache_look *look)
{
	if (look->leads)
		http_cache_fetch_end(look->layer->cache, &look->key);
	look->leads = false;
}

/* ---- the request ---- */

static int validator_set(struct weir_headers *headers, enum weir_header_id id,
			 struct weir_text value, struct weir_arena *arena)
{
	char *copy;

	weir_headers_del_id(headers, id);
	if (!value.data)
		return 0;
	copy = weir_arena_memdup(arena, value.data, value.size);
	if (!copy)
		return -ENOMEM;
	return weir_headers_set_id(headers, id, (struct weir_text){ copy, value.size });
}

/* The client's preconditions are answered here, so the origin is asked ours. */
static int conditions_set(const struct http_cache_look *look, struct weir_call *call)
{
	struct weir_headers *headers = &call->request.headers;
	struct weir_text etag = { 0 }, modified = { 0 };
	bool is_pass = look->object && look->object->pass;
	int status;

	/* Of what will not be stored the client's own conditions are the best ones. */
	if (is_pass || (!look->object && call->request.method != WEIR_METHOD_GET))
		return 0;
	if (look->object) {
		etag = http_cache_object_field(look->object, WEIR_HEADER_ETAG);
		modified = http_cache_object_field(look->object, WEIR_HEADER_LAST_MODIFIED);
	}
	status = validator_set(headers, WEIR_HEADER_IF_NONE_MATCH, etag, &call->arena);
	if (status)
		return status;
	return validator_set(headers, WEIR_HEADER_IF_MODIFIED_SINCE, modified, &call->arena);
}

/* ---- what comes of it ---- */

static bool is_failure(const struct weir_call *call, int status)
{
	unsigned code = call->response.status;

	if (status)
		return status != -ECANCELED;
	return code == 500 || code == 502 || code == 503 || code == 504;
}

static int use_old(struct http_cache_look *look, struct weir_call *call,
		   enum http_cache_result result)
{
	http_cache_look_release(look);
	look->result = result;
	return http_cache_answer(call, look->object);
}

/* 304 of what we have: it is good again. */
static int renew(struct http_cache_look *look, struct weir_call *call,
		 const struct weir_request *request, int64_t asked, int64_t now)
{
	struct weir_http_cache *cache = look->layer->cache;
	struct http_cache_object *object;
	struct weir_response merged;
	struct http_freshness freshness;
	bool may_store;

	/* Freshness is of old and new fields together, so the object is made first. */
	object = http_cache_object_renew(look->object, &request->headers, &call->response,
					 &look->object->freshness, http_cache_digest_key(cache),
					 &call->arena);
	if (!object)
		return -ENOMEM;
	weir_response_init(&merged, &call->arena);
	merged.status = object->status;
	for (size_t i = 0; i < object->n; i++)
		if (weir_headers_add(&merged.headers, object->fields[i].name,
				     object->fields[i].value)) {
			http_cache_object_put(object);
			return -ENOMEM;
		}
	may_store = http_cache_may_store(request, look->authorized, &merged, &look->layer->rules,
					 asked, now, &freshness);
	object->freshness = freshness;
	http_cache_object_put(look->object);
	look->object = http_cache_object_get(object);
	if (may_store)
		http_cache_add(cache, &look->key, object);
	else
		http_cache_object_put(object);
	look->stored = may_store;
	return use_old(look, call, HTTP_CACHE_VALIDATED);
}

/* A response that nobody may keep: what was there before it is over, and nobody is to wait for the
 * next one. Unless it is the request that is special: then it tells nothing of others. */
static void give_up(struct http_cache_look *look, const struct weir_request *request,
		    unsigned status, int64_t now)
{
	struct http_cache_object *pass;

	if (request->method != WEIR_METHOD_GET || status >= 500 || look->control.no_store ||
	    look->authorized)
		return;
	if (look->object)
		http_cache_del(look->layer->cache, &look->key);
	pass = http_cache_object_pass(now, PASS_S);
	if (pass)
		http_cache_add(look->layer->cache, &look->key, pass);
}

static int take_new(struct http_cache_look *look, struct weir_call *call,
		    const struct weir_request *request, int64_t asked, int64_t now)
{
	struct http_cache_storing storing = {
		.cache = look->layer->cache,
		.key = look->key,
		.request = &request->headers,
		.leads = look->leads,
	};
	const struct weir_body *body = call->response.body;
	bool fits = !body || body->size == WEIR_BODY_UNKNOWN ||
		    body->size <= http_cache_max_object(look->layer->cache);
	int status;

	if (look->object && !look->object->pass)
		look->result = HTTP_CACHE_EXPIRED;
	if (!http_cache_may_store(request, look->authorized, &call->response, &look->layer->rules,
				  asked, now, &storing.freshness) ||
	    !fits || call->tunnel) {
		give_up(look, request, call->response.status, now);
		http_cache_look_release(look);
		return 0;
	}
	status = http_cache_store_on_the_way(call, &storing);
	if (status)
		return status;
	/* The fetch ends with the body. */
	look->leads = false;
	look->stored = true;
	return 0;
}

/* The request as it is now: layers inside change it, and what may be stored for whom is decided by
 * what the client said. NULL when memory is out. */
static const struct weir_request *request_keep(struct weir_call *call)
{
	struct weir_request *request =
		weir_arena_memdup(&call->arena, &call->request, sizeof(*request));

	if (!request)
		return NULL;
	weir_headers_init(&request->headers, &call->arena);
	return weir_headers_copy(&request->headers, &call->request.headers) ? NULL : request;
}

int http_cache_fetch(struct http_cache_look *look, struct weir_call *call)
{
	int64_t asked = http_cache_now(), now;
	const struct weir_request *request;
	int status;

	status = conditions_set(look, call);
	if (status)
		return status;
	request = request_keep(call);
	if (!request)
		return -ENOMEM;
	status = weir_handle(look->layer->svc.inner, call);
	now = http_cache_now();
	look->forwarded = status ? weir_http_status(status) : call->response.status;
	if (look->object && !look->object->pass) {
		if (is_failure(call, status) &&
		    http_cache_may_use_on_error(&look->object->freshness, now))
			return use_old(look, call, HTTP_CACHE_ERROR_STALE);
		if (!status && call->response.status == 304)
			return renew(look, call, request, asked, now);
	}
	look->result = HTTP_CACHE_MISS;
	return status ? status : take_new(look, call, request, asked, now);
}

/* ---- in the background ---- */

/* Whatever the call has is copied: it will be over first. */
struct refresh {
	struct http_cache_look look;
	struct weir_arena arena;
	struct weir_request request; /* text and fields in arena */
	struct weir_call call;
};

static int request_copy(struct weir_request *to, const struct weir_request *from,
			struct weir_arena *arena)
{
	struct weir_text *const texts[] = { &to->method_text, &to->scheme, &to->authority,
					    &to->path, &to->query };

	*to = *from;
	to->body = NULL;
	to->upgrade = (struct weir_text){ 0 };
	to->expects_continue = false;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(texts); i++) {
		if (!texts[i]->data)
			continue;
		texts[i]->data = weir_arena_memdup(arena, texts[i]->data, texts[i]->size);
		if (!texts[i]->data)
			return -ENOMEM;
	}
	weir_headers_init(&to->headers, arena);
	return weir_headers_copy(&to->headers, &from->headers);
}

static void refresh_free(struct refresh *refresh)
{
	http_cache_look_release(&refresh->look);
	http_cache_object_put(refresh->look.object);
	weir_arena_fini(&refresh->arena);
	free(refresh);
}

static void refresh_run(struct refresh *refresh)
{
	struct weir_call *call = &refresh->call;
	int status;

	weir_call_init(call, NULL);
	call->request = refresh->request;
	call->request.method = WEIR_METHOD_GET;
	call->request.method_text = WEIR_TEXT("GET");
	weir_headers_init(&call->request.headers, &call->arena);
	status = weir_headers_copy(&call->request.headers, &refresh->request.headers);
	if (!status)
		status = http_cache_fetch(&refresh->look, call);
	if (!status && call->response.body)
		status = weir_body_skip(call->response.body,
					http_cache_max_object(refresh->look.layer->cache));
	call->result.status = status;
	weir_call_fini(call);
}

static int refresh_main(void *arg)
{
	struct refresh *refresh = arg;
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, REFRESH_MS);
	weir_scope_enter(&scope);
	refresh_run(refresh);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	refresh_free(refresh);
	return 0;
}

void http_cache_refresh(struct http_cache_look *look, const struct weir_call *call)
{
	struct refresh *refresh = calloc(1, sizeof(*refresh));

	if (!refresh)
		return;
	/* Only one at a time; whoever comes meanwhile gets what is there. */
	if (http_cache_fetch_begin(look->layer->cache, &look->key, 0) != 1) {
		free(refresh);
		return;
	}
	refresh->look = *look;
	refresh->look.leads = true;
	http_cache_object_get(look->object);
	weir_arena_init(&refresh->arena, 0);
	if (request_copy(&refresh->request, &call->request, &refresh->arena) ||
	    weir_scope_spawn(weir_task_home(), "cache refresh", refresh_main, refresh, NULL))
		refresh_free(refresh);
}
