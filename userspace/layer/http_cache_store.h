/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_CACHE_STORE_H
#define WEIR_LAYER_HTTP_CACHE_STORE_H

/*
 * Where stored responses are: shards with a lock each, found by a keyed digest of the URI, least
 * recently used first out. Beside them the fetches under way: of the calls that want the same, one
 * asks the origin and the others wait for it, on whatever worker they are.
 */

#include <weir/http_cache.h>

#include "layer/http_cache_object.h"

/* A URI. */
struct http_cache_key {
	struct http_digest digest;
};

const struct http_digest_key *http_cache_digest_key(const struct weir_http_cache *cache);
uint64_t http_cache_max_object(const struct weir_http_cache *cache);

/* Of what CALL asks for: the client's scheme, authority in lower case, path, query. 0 or -ENOMEM. */
int http_cache_key_of(const struct weir_http_cache *cache, struct weir_call *call,
		      struct http_cache_key *key) WEIR_MUST_CHECK;
/* The same for another PATH (with its query) of the same origin. */
int http_cache_key_of_path(const struct weir_http_cache *cache, struct weir_call *call,
			   struct weir_text path, struct http_cache_key *key) WEIR_MUST_CHECK;

/* A reference to the variant that REQUEST selects; NULL when there is none. */
struct http_cache_object *http_cache_find(struct weir_http_cache *cache,
					  const struct http_cache_key *key,
					  const struct weir_headers *request);
/* Stores OBJECT (taken over), in place of the same variant. */
void http_cache_add(struct weir_http_cache *cache, const struct http_cache_key *key,
		    struct http_cache_object *object);
/* Forgets all variants. */
void http_cache_del(struct weir_http_cache *cache, const struct http_cache_key *key);

/* 1: the caller is the one who fetches, and calls http_cache_fetch_end(); 0: somebody else has done
 * so meanwhile; -ETIMEDOUT after DEADLINE (0: at once, without waiting), -ECANCELED, -ENOMEM. Parks. */
int http_cache_fetch_begin(struct weir_http_cache *cache, const struct http_cache_key *key,
			   uint64_t deadline) WEIR_MUST_CHECK;
void http_cache_fetch_end(struct weir_http_cache *cache, const struct http_cache_key *key);

#endif
