/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_CACHE_POLICY_H
#define WEIR_LAYER_HTTP_CACHE_POLICY_H

/* What RFC 9111 lets a shared cache do, without a cache: all of it is computed from the messages and
 * the time. Times are seconds since 1970. */

#include <weir/call.h>

#include "layer/http_cache_control.h"

/* What is remembered of a response to know its age and for how long it is good. */
struct http_freshness {
	int64_t received;		    /* when its head came */
	int64_t initial_age;		    /* and how old it was then (section 4.2.3) */
	int64_t lifetime;		    /* it is fresh while it is younger than that */
	int64_t while_revalidate, if_error; /* after that */
	bool must_revalidate;		    /* never stale */
	bool always_validate;		    /* no-cache */
	bool for_anybody;		    /* also for requests with Authorization (section 3.5) */
};

struct http_cache_rules {
	int64_t default_s, while_revalidate_s, if_error_s;
	bool obey_reload;
};

/* Whether REQUEST may be answered from a cache at all, or its answer be stored: GET or HEAD, no part,
 * no precondition but If-None-Match and If-Modified-Since. */
bool http_cache_is_eligible(const struct weir_request *request);

/* Whether RESPONSE to REQUEST may be stored (section 3); AUTHORIZED: the client had to say who it
 * is. ASKED and RECEIVED bound the exchange. Fills FRESHNESS in any case. */
bool http_cache_may_store(const struct weir_request *request, bool authorized,
			  const struct weir_response *response,
			  const struct http_cache_rules *rules, int64_t asked, int64_t received,
			  struct http_freshness *freshness);

int64_t http_cache_age(const struct http_freshness *freshness, int64_t now);

enum http_cache_use {
	HTTP_CACHE_FRESH,    /* answer with it */
	HTTP_CACHE_STALE,    /* answer with it, and validate it in the background */
	HTTP_CACHE_VALIDATE, /* ask first */
};

/* What a stored response is good for now, when REQUEST says CONTROL. */
enum http_cache_use http_cache_use(const struct http_freshness *freshness,
				   const struct http_cache_control *control,
				   const struct http_cache_rules *rules, int64_t now);
/* Whether it may be used because the origin fails (RFC 5861 section 4). */
bool http_cache_may_use_on_error(const struct http_freshness *freshness, int64_t now);

/* Whether what the client has, by If-None-Match or else If-Modified-Since, is the response with these
 * validators (RFC 9110 section 13.2.2); each may have no data. NOW completes short years. */
bool http_cache_is_not_modified(const struct weir_headers *request, struct weir_text etag,
				struct weir_text last_modified, int64_t now);

#endif
