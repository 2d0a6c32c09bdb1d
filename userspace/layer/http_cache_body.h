/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_CACHE_BODY_H
#define WEIR_LAYER_HTTP_CACHE_BODY_H

/* The two bodies of a cache: one that is read from it, one that is written to it on its way. */

#include "layer/http_cache_store.h"

/* Answers CALL with OBJECT, of which it gets a reference: status, fields, body. 0 or -ENOMEM. */
int http_cache_answer(struct weir_call *call, struct http_cache_object *object) WEIR_MUST_CHECK;

/* What is known of a response when its body begins. */
struct http_cache_storing {
	struct weir_http_cache *cache; /* borrowed: the layer has it */
	struct http_cache_key key;
	struct http_freshness freshness;
	const struct weir_headers *request; /* as it was when the cache was asked; of the call */
	bool leads;			    /* others wait: http_cache_fetch_end() at the end */
};

/* Wraps CALL's response's body, to store all of it when it has ended well and is not too large.
 * Without a body the response is stored now. 0; -ENOMEM, and the fetch has not been ended. */
int http_cache_store_on_the_way(struct weir_call *call, const struct http_cache_storing *storing)
	WEIR_MUST_CHECK;

#endif
