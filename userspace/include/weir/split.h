/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SPLIT_H
#define WEIR_SPLIT_H

/*
 * A service that hands each call to one of several, by weight: to try a new version with a
 * part of the traffic. By random, or by a hash of what a user sends each time, so that the
 * same user always meets the same version, on every worker and after a restart.
 */

#include <weir/call.h>
#include <weir/error.h>

enum weir_split_key {
	WEIR_SPLIT_RANDOM,
	WEIR_SPLIT_CLIENT, /* address (weir/forwarded.h) */
	WEIR_SPLIT_HEADER, /* first field of a name */
	WEIR_SPLIT_COOKIE,
};

struct weir_split_part {
	struct weir_http_service *service; /* taken over in every case */
	unsigned weight;		   /* 0: gets nothing; at most 1000000 */
};

struct weir_split_conf {
	const struct weir_split_part *parts; /* at least one with a weight */
	size_t n;
	enum weir_split_key key;
	const char *name; /* of header or cookie; copied. Who sends none is split by random */
};

struct weir_http_service *weir_http_split(const struct weir_split_conf *conf,
					  struct weir_error *error) WEIR_MUST_CHECK;

/* The value of cookie NAME (RFC 6265 section 4.2.1); no data when there is none. */
struct weir_text weir_cookie_value(const struct weir_headers *headers, struct weir_text name);

#endif
