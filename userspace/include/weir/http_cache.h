/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_CACHE_H
#define WEIR_HTTP_CACHE_H

/*
 * A shared cache in memory (RFC 9111). The store is one for the process: workers share it, and
 * configurations too, if the caller keeps it over a reload. Sixteen shards with a lock each, the
 * least recently used entry goes first.
 */

#include <weir/call.h>
#include <weir/metrics.h>

struct weir_http_cache;

struct weir_http_cache_store_conf {
	uint64_t max_bytes;	   /* heads, bodies and bookkeeping (64 MiB) */
	uint64_t max_object_bytes; /* a larger response is not stored (1 MiB) */
};

/* Any thread. NULL when memory is out. CONF may be NULL. */
struct weir_http_cache *weir_http_cache_new(const struct weir_http_cache_store_conf *conf)
	WEIR_MUST_CHECK;
struct weir_http_cache *weir_http_cache_get(struct weir_http_cache *cache);
void weir_http_cache_put(struct weir_http_cache *cache);

struct weir_http_cache_usage {
	uint64_t bytes;
	uint64_t entries;
	uint64_t evicted; /* since the start */
};
void weir_http_cache_usage(struct weir_http_cache *cache, struct weir_http_cache_usage *usage);
/* Forgets everything. Any thread. */
void weir_http_cache_purge(struct weir_http_cache *cache);

/* Zero means the default in parentheses. */
struct weir_http_cache_conf {
	struct weir_http_cache *cache; /* gets a reference (one of this layer alone) */
	struct weir_metrics *metrics;  /* borrowed; may be NULL */
	const char *name; /* of this cache in Cache-Status, and of its metrics ("weir") */
	/* For how long a 200 is fresh that does not say so: a tenth of the time since its
	 * Last-Modified, at most this; without Last-Modified this. (0: not stored) */
	uint64_t default_s;
	uint64_t stale_while_revalidate_s; /* where the response does not say (0) */
	uint64_t stale_if_error_s;	   /* where the response does not say (0) */
	uint64_t lock_ms; /* calls for the same key wait so long for the first one's (5 s) */
	bool obey_reload; /* requests may say no-cache, max-age, min-fresh; else they are not
			   * allowed to make the origin work */
	bool hide;	  /* no Cache-Status in responses */
};

/* Answers GET and HEAD from the store where RFC 9111 allows it, validates what is stale, stores
 * what may be stored. Responses carry Age and Cache-Status (RFC 9211). */
struct weir_http_service *weir_http_cache_layer(struct weir_http_service *inner,
						const struct weir_http_cache_conf *conf,
						struct weir_error *error) WEIR_MUST_CHECK;

#endif
