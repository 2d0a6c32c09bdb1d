/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_CONDITIONS_H
#define WEIR_PROXY_CONDITIONS_H

/*
 * Conditional and range requests for something that has an entity tag, a date and a size (RFC
 * 9110 sections 13 and 14). Pure.
 */

#include <weir/message.h>

struct validators {
	struct weir_text etag; /* with its quotes, perhaps W/ before them */
	int64_t modified;      /* seconds since 1970 */
	int64_t now;
};

/* 0: go on; 304; 412. */
unsigned conditions_check(const struct weir_request *request, const struct validators *validators);

enum range_result {
	RANGE_ALL,	     /* none was asked for that we serve: the whole, 200 */
	RANGE_PARTS,	     /* 206 */
	RANGE_UNSATISFIABLE, /* 416 */
};

struct range {
	uint64_t first;
	uint64_t size; /* at least 1 */
};

#define RANGES_MAX 16

struct ranges {
	struct range part[RANGES_MAX]; /* in the order in which they were asked for */
	size_t n;
};

/* What parts of SIZE bytes are asked for. Those that overlap or touch are one. Who asks for more than
 * RANGES_MAX gets the whole, which section 14.2 lets a server do. */
enum range_result conditions_ranges(const struct weir_request *request,
				    const struct validators *validators, uint64_t size,
				    struct ranges *ranges);

/* The weight in thousandths that Accept-Encoding gives to CODING: 0 to 1000; 0 when it was not
 * named and there is no "*" (section 12.5.3). */
unsigned conditions_accepts(const struct weir_headers *headers, struct weir_text coding);

#endif
