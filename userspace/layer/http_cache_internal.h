/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_CACHE_INTERNAL_H
#define WEIR_LAYER_HTTP_CACHE_INTERNAL_H

/* What the layer and its fetches know of each other. */

#include "layer/http_cache_store.h"

/* How a call was answered: for metrics and Cache-Status. */
enum http_cache_result {
	HTTP_CACHE_HIT,
	HTTP_CACHE_HIT_STALE,	/* while it is validated in the background */
	HTTP_CACHE_VALIDATED,	/* stale, and the origin says that it still holds */
	HTTP_CACHE_ERROR_STALE, /* stale, because the origin fails */
	HTTP_CACHE_MISS,
	HTTP_CACHE_EXPIRED, /* stale, and the origin had a new one */
	HTTP_CACHE_BYPASS,
	HTTP_CACHE_ABSENT, /* only-if-cached, and it was not */
	HTTP_CACHE_RESULTS,
};

struct http_cache_layer {
	struct weir_http_service svc;
	struct weir_arena arena;
	struct weir_http_cache *cache; /* counted */
	struct http_cache_rules rules;
	uint64_t lock_ns;
	const char *name;
	bool hide;
	struct weir_metrics *metrics;			  /* borrowed; may be NULL */
	struct weir_counter *results[HTTP_CACHE_RESULTS]; /* found in the first call */
};

/* One look-up. On the stack of the call's task while the inner service is asked. */
struct http_cache_look {
	struct http_cache_layer *layer;
	struct http_cache_key key;
	struct http_cache_control control; /* of the request */
	struct http_cache_object *object;  /* counted; NULL: none. What was found */
	bool leads;			   /* others wait for this call */
	/* The client has said who it is (section 3.5), by Authorization, or to a layer outside that has
	 * taken the field out. */
	bool authorized;
	bool collapsed; /* it has waited for another one */
	enum http_cache_result result;
	unsigned forwarded; /* the origin's status; 0: it was not asked */
	bool stored;
};

int64_t http_cache_now(void); /* seconds since 1970 */
/* Ends the fetch, if CALL leads one. */
void http_cache_look_release(struct http_cache_look *look);
/* Asks the inner service; stores, renews or falls back on what was found. As handle(). */
int http_cache_fetch(struct http_cache_look *look, struct weir_call *call) WEIR_MUST_CHECK;
/* Does the same in a task of its own, for nobody: LOOK is copied, and its fetch is the task's. */
void http_cache_refresh(struct http_cache_look *look, const struct weir_call *call);

#endif
