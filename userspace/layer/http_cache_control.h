/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_CACHE_CONTROL_H
#define WEIR_LAYER_HTTP_CACHE_CONTROL_H

/* Cache-Control (RFC 9111 section 5.2, RFC 5861) of a request or a response. */

#include <weir/headers.h>

#define HTTP_SECONDS_MAX 2147483648 /* what a larger number means (RFC 9111 section 1.2.2) */

struct http_cache_control {
	bool no_store, no_cache, is_private, is_public, must_revalidate, only_if_cached;
	/* Seconds; -1: not said. Of max_stale HTTP_SECONDS_MAX: any. */
	int64_t max_age, s_maxage, min_fresh, max_stale, stale_while_revalidate, stale_if_error;
};

/* All fields of HEADERS together; Pragma: no-cache counts where there is no Cache-Control. Of what
 * is said twice the stricter one counts; a number that is none is 0. proxy-revalidate is
 * must-revalidate to a shared cache; no-cache and private with names of fields are taken as if
 * they had none. */
void http_cache_control_read(struct http_cache_control *control,
			     const struct weir_headers *headers);

#endif
