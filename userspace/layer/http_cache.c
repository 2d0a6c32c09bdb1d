/* SPDX-License-Identifier: MIT */
/*
 * cache: what was answered before is answered again, as RFC 9111 allows a shared cache to do it. Here
 * is what a call goes through; what the rules say is http_cache_policy, where responses are
 * http_cache_store, how the origin is asked http_cache_fetch.
 *
 *	eligible? --no--> origin (bypass); an unsafe method that went well forgets its URI
 *	   |
 *	found? fresh ----------> answer
 *	       stale, allowed -> answer, and validate in the background
 *	       else -----------> first of those who ask? --> origin; the others wait, and look again
 */

#include <weir/http_cache.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/forwarded.h>
#include <weir/http_layer.h>
#include <weir/loop.h>

#include "layer/http_answer.h"
#include "layer/http_cache_body.h"
#include "layer/http_cache_internal.h"

#define LOCK_MS 5000

static const struct {
	const char *label;  /* of the metric */
	const char *status; /* Cache-Status (RFC 9211 section 2) */
} results[HTTP_CACHE_RESULTS] = {
	[HTTP_CACHE_HIT] = { "hit", "hit" },
	[HTTP_CACHE_HIT_STALE] = { "stale", "hit" },
	[HTTP_CACHE_VALIDATED] = { "validated", "fwd=stale" },
	[HTTP_CACHE_ERROR_STALE] = { "error_stale", "fwd=stale" },
	[HTTP_CACHE_MISS] = { "miss", "fwd=uri-miss" },
	[HTTP_CACHE_EXPIRED] = { "expired", "fwd=stale" },
	[HTTP_CACHE_BYPASS] = { "bypass", "fwd=bypass" },
	[HTTP_CACHE_ABSENT] = { "absent", "detail=only-if-cached" },
};

static const struct weir_metric_family results_family = {
	.name = "weir_http_cache_requests_total",
	.help = "Calls to a cache, by what became of them",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "cache", "result" },
};

/* ---- what is told ---- */

static void layer_count(struct http_cache_layer *layer, enum http_cache_result result)
{
	if (!layer->results[result])
		layer->results[result] = weir_metrics_counter(
			layer->metrics, weir_loop_index(weir_loop_current()), &results_family,
			(const char *const[]){ layer->name, results[result].label });
	weir_counter_add(layer->results[result], 1);
}

static int age_set(const struct http_cache_look *look, struct weir_call *call, int64_t now)
{
	struct weir_text age;

	if (look->result > HTTP_CACHE_ERROR_STALE)
		return 0;
	age = http_text(call, "%lld", (long long)http_cache_age(&look->object->freshness, now));
	if (!age.data)
		return -ENOMEM;
	return weir_headers_set_id(&call->response.headers, WEIR_HEADER_AGE, age);
}

/* One member of the list, after those of caches nearer to the origin. */
static int cache_status_add(const struct http_cache_look *look, struct weir_call *call, int64_t now)
{
	char ttl[40] = "", forwarded[24] = "";
	struct weir_text value;

	if (look->layer->hide)
		return 0;
	if (look->result <= HTTP_CACHE_ERROR_STALE)
		snprintf(ttl, sizeof(ttl), "; ttl=%lld",
			 (long long)(look->object->freshness.lifetime -
				     http_cache_age(&look->object->freshness, now)));
	if (look->forwarded)
		snprintf(forwarded, sizeof(forwarded), "; fwd-status=%u", look->forwarded);
	value = http_text(call, "%s; %s%s%s%s%s", look->layer->name, results[look->result].status,
			  forwarded, ttl, look->stored ? "; stored" : "",
			  look->collapsed ? "; collapsed" : "");
	if (!value.data)
		return -ENOMEM;
	return weir_headers_add(&call->response.headers, WEIR_TEXT("Cache-Status"), value);
}

/* ---- answers ---- */

/* The client has it already (RFC 9110 section 15.4.5): only what a cache there needs is said. */
static void make_not_modified(struct weir_call *call)
{
	static const enum weir_header_id dropped[] = {
		WEIR_HEADER_CONTENT_ENCODING,  WEIR_HEADER_CONTENT_LENGTH,
		WEIR_HEADER_CONTENT_RANGE,     WEIR_HEADER_CONTENT_TYPE,
		WEIR_HEADER_TRANSFER_ENCODING,
	};
	struct weir_response *response = &call->response;

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(dropped); i++)
		weir_headers_del_id(&response->headers, dropped[i]);
	weir_body_free(response->body);
	response->body = NULL;
	response->status = 304;
	response->reason = (struct weir_text){ 0 };
	response->announced = WEIR_BODY_UNKNOWN;
}

/* CLIENT: the request's fields as they came. */
static int look_finish(const struct http_cache_look *look, struct weir_call *call,
		       const struct weir_headers *client)
{
	struct weir_headers *headers = &call->response.headers;
	int64_t now = http_cache_now();
	bool from_store = look->result <= HTTP_CACHE_ERROR_STALE;
	int status;

	layer_count(look->layer, look->result);
	/* A body on its way into the store is for the client, too: it gets all of it. */
	if (from_store && call->response.status == 200 &&
	    http_cache_is_not_modified(client, weir_headers_value(headers, WEIR_HEADER_ETAG),
				       weir_headers_value(headers, WEIR_HEADER_LAST_MODIFIED), now))
		make_not_modified(call);
	status = age_set(look, call, now);
	return status ? status : cache_status_add(look, call, now);
}

/* ---- looking ---- */

/* Finds what is stored; says whether it answers the call now. */
static bool look_up(struct http_cache_look *look, const struct weir_call *call)
{
	const struct weir_headers *headers = &call->request.headers;
	int64_t now = http_cache_now();
	struct http_cache_object *object;

	http_cache_object_put(look->object);
	look->object = object = http_cache_find(look->layer->cache, &look->key, headers);
	if (!object)
		return false;
	/* What came without credentials is not for those who have some, unless it says so. */
	if ((object->pass &&
	     http_cache_age(&object->freshness, now) >= object->freshness.lifetime) ||
	    (!object->pass && !object->freshness.for_anybody && look->authorized)) {
		http_cache_object_put(object);
		look->object = NULL;
		return false;
	}
	if (object->pass)
		return false;
	switch (http_cache_use(&object->freshness, &look->control, &look->layer->rules, now)) {
	case HTTP_CACHE_FRESH:
		look->result = HTTP_CACHE_HIT;
		return true;
	case HTTP_CACHE_STALE:
		look->result = HTTP_CACHE_HIT_STALE;
		return true;
	default:
		return false;
	}
}

/* Becomes the one who asks, or waits for that one. True: the store has the answer now. */
static bool look_wait(struct http_cache_look *look, const struct weir_call *call, int *status)
{
	uint64_t deadline = weir_loop_now(weir_loop_current()) + look->layer->lock_ns;
	bool is_pass = look->object && look->object->pass;

	*status = 0;
	/* These fetch nothing that others could use. */
	if (is_pass || call->request.method != WEIR_METHOD_GET || look->control.no_store ||
	    look->authorized)
		return false;
	*status = http_cache_fetch_begin(look->layer->cache, &look->key, deadline);
	if (*status == 1) {
		*status = 0;
		look->leads = true;
		/* The one before may have ended between our look and now. */
		return look_up(look, call);
	}
	look->collapsed = *status == 0;
	/* It takes too long: everybody for himself. */
	if (*status == -ETIMEDOUT && !weir_task_check())
		*status = 0;
	return *status == 0 && look->collapsed && look_up(look, call);
}

static int look_answer(struct http_cache_look *look, struct weir_call *call)
{
	http_cache_look_release(look);
	if (look->result == HTTP_CACHE_HIT_STALE)
		http_cache_refresh(look, call);
	return http_cache_answer(call, look->object);
}

static int look_run(struct http_cache_look *look, struct weir_call *call)
{
	int status;

	if (look_up(look, call))
		return look_answer(look, call);
	if (look->control.only_if_cached) {
		look->result = HTTP_CACHE_ABSENT;
		return weir_call_refuse(call, 504, "only_if_cached");
	}
	if (look_wait(look, call, &status))
		return look_answer(look, call);
	return status ? status : http_cache_fetch(look, call);
}

/* ---- the layer ---- */

static void forget_path(struct http_cache_layer *layer, struct weir_call *call,
			struct weir_text reference)
{
	struct weir_text origin = http_text(call, "%.*s://%.*s",
					    WEIR_TEXT_ARGS(weir_client_scheme(call)),
					    WEIR_TEXT_ARGS(call->request.authority));
	struct http_cache_key key;

	if (origin.data && weir_text_has_prefix(reference, origin))
		reference = (struct weir_text){ reference.data + origin.size,
						reference.size - origin.size };
	if (reference.size == 0 || reference.data[0] != '/')
		return;
	if (!http_cache_key_of_path(layer->cache, call, reference, &key))
		http_cache_del(layer->cache, &key);
}

/* RFC 9111 section 4.4. KEY is of the URI that the client named. */
static void layer_invalidate(struct http_cache_layer *layer, struct weir_call *call,
			     const struct http_cache_key *key)
{
	const struct weir_headers *headers = &call->response.headers;
	const struct weir_header *content =
		weir_headers_find(headers, WEIR_TEXT("Content-Location"), NULL);

	http_cache_del(layer->cache, key);
	forget_path(layer, call, weir_headers_value(headers, WEIR_HEADER_LOCATION));
	if (content)
		forget_path(layer, call, content->value);
}

static int layer_bypass(struct http_cache_layer *layer, struct weir_call *call,
			struct http_cache_look *look)
{
	bool unsafe = !weir_method_is_safe(call->request.method);
	int status = weir_handle(layer->svc.inner, call);

	if (status)
		return status;
	if (unsafe && call->response.status < 400)
		layer_invalidate(layer, call, &look->key);
	look->result = HTTP_CACHE_BYPASS;
	look->forwarded = call->response.status;
	return look_finish(look, call, &call->request.headers);
}

static int layer_cached(struct weir_call *call, struct http_cache_look *look)
{
	struct weir_headers client;
	int status;

	http_cache_control_read(&look->control, &call->request.headers);
	look->authorized =
		weir_headers_find_id(&call->request.headers, WEIR_HEADER_AUTHORIZATION, NULL) ||
		weir_extension_find(&call->extensions, &weir_http_user_key);
	weir_headers_init(&client, &call->arena);
	status = weir_headers_copy(&client, &call->request.headers);
	if (!status)
		status = look_run(look, call);
	if (!status)
		status = look_finish(look, call, &client);
	http_cache_look_release(look);
	http_cache_object_put(look->object);
	return status;
}

static int layer_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct http_cache_layer *layer = weir_container_of(svc, struct http_cache_layer, svc);
	struct http_cache_look look = { .layer = layer };
	int status = http_cache_key_of(layer->cache, call, &look.key);

	if (status)
		return status;
	if (!http_cache_is_eligible(&call->request))
		return layer_bypass(layer, call, &look);
	return layer_cached(call, &look);
}

static void layer_free(struct weir_http_service *svc)
{
	struct http_cache_layer *layer = weir_container_of(svc, struct http_cache_layer, svc);

	weir_http_cache_put(layer->cache);
	weir_arena_fini(&layer->arena);
	free(layer);
}

static const struct weir_http_ops layer_ops = {
	.name = "cache",
	.handle = layer_handle,
	.free = layer_free,
};

static int layer_configure(struct http_cache_layer *layer, const struct weir_http_cache_conf *conf,
			   struct weir_error *error)
{
	weir_arena_init(&layer->arena, 0);
	layer->rules = (struct http_cache_rules){
		.default_s = (int64_t)WEIR_MIN(conf->default_s, (uint64_t)HTTP_SECONDS_MAX),
		.while_revalidate_s = (int64_t)WEIR_MIN(conf->stale_while_revalidate_s,
							(uint64_t)HTTP_SECONDS_MAX),
		.if_error_s = (int64_t)WEIR_MIN(conf->stale_if_error_s, (uint64_t)HTTP_SECONDS_MAX),
		.obey_reload = conf->obey_reload,
	};
	layer->lock_ns = (conf->lock_ms ? conf->lock_ms : LOCK_MS) * 1000000;
	layer->hide = conf->hide;
	layer->metrics = conf->metrics;
	layer->name = http_string_copy(&layer->arena, conf->name, "weir");
	if (!layer->name)
		return http_layer_memory(error);
	if (!weir_header_is_valid(weir_text_of(layer->name), WEIR_TEXT("")))
		return http_layer_refuse(error, "say a word", "\"%s\" is no name of a cache",
					 layer->name);
	layer->cache = conf->cache ? weir_http_cache_get(conf->cache) : weir_http_cache_new(NULL);
	return layer->cache ? 0 : http_layer_memory(error);
}

struct weir_http_service *weir_http_cache_layer(struct weir_http_service *inner,
						const struct weir_http_cache_conf *conf,
						struct weir_error *error)
{
	struct http_cache_layer *layer = http_layer_new(sizeof(*layer), &layer_ops, inner, error);

	if (!layer)
		return NULL;
	return http_layer_done(&layer->svc, layer_configure(layer, conf, error));
}
