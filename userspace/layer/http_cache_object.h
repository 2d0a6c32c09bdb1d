/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_CACHE_OBJECT_H
#define WEIR_LAYER_HTTP_CACHE_OBJECT_H

/* A stored response. Never changes once it is made, so workers read it without a lock; counted. */

#include <stdatomic.h>

#include <weir/call.h>

#include "layer/http_cache_policy.h"
#include "layer/http_credentials.h"

/* The bytes of a body, which a response keeps when it is validated. */
struct http_cache_blob {
	atomic_uint references;
	size_t size;
	char data[];
};

struct http_cache_field {
	struct weir_text name, value;
	enum weir_header_id id;
};

struct http_cache_object {
	atomic_uint references;
	size_t bytes; /* all of it, the blob's too */
	/* Nothing is stored: this resource cannot be, so nobody waits for another one's fetch. The
	 * members below, but freshness, mean nothing then. */
	bool pass;
	struct http_freshness freshness;
	unsigned status;
	struct http_digest variant;   /* of the request's fields that Vary names */
	struct weir_text vary;	      /* all of Vary, joined by commas; no data: none */
	struct http_cache_blob *blob; /* counted; may be NULL: no content */
	size_t n;
	struct http_cache_field fields[];
};

/* Of RESPONSE to REQUEST, with BLOB (taken over in every case). NULL when memory is out. */
struct http_cache_object *http_cache_object_new(const struct weir_headers *request,
						const struct weir_response *response,
						const struct http_freshness *freshness,
						struct http_cache_blob *blob,
						const struct http_digest_key *key) WEIR_MUST_CHECK;
/* OLD as the 304 RESPONSE makes it (RFC 9111 section 3.2). */
struct http_cache_object *http_cache_object_renew(const struct http_cache_object *old,
						  const struct weir_headers *request,
						  const struct weir_response *response,
						  const struct http_freshness *freshness,
						  const struct http_digest_key *key,
						  struct weir_arena *arena) WEIR_MUST_CHECK;
struct http_cache_object *http_cache_object_pass(int64_t now, int64_t lifetime) WEIR_MUST_CHECK;
struct http_cache_object *http_cache_object_get(struct http_cache_object *object);
/* Accepts NULL. */
void http_cache_object_put(struct http_cache_object *object);

struct http_cache_blob *http_cache_blob_new(const void *data, size_t size) WEIR_MUST_CHECK;
void http_cache_blob_put(struct http_cache_blob *blob);

/* The value of the first field with ID; no data when there is none. */
struct weir_text http_cache_object_field(const struct http_cache_object *object,
					 enum weir_header_id id);
/* Whether REQUEST selects this variant (section 4.1). */
bool http_cache_object_matches(const struct http_cache_object *object,
			       const struct weir_headers *request,
			       const struct http_digest_key *key);

#endif
