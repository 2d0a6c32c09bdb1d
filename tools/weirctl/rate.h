/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_RATE_H
#define WEIRCTL_RATE_H

/*
 * Bytes a second of each flow, from two samples of the list of flows.
 */

#include <jansson.h>
#include <weir/base.h>

struct rate {
	uint64_t id;
	uint64_t up_bytes;
	uint64_t down_bytes;
	double up; /* bytes a second since the sample before */
	double down;
	const json_t *flow; /* borrowed from the answer */
};

struct rates {
	struct rate *list; /* by id */
	size_t n;
	double at; /* seconds of a steady clock */
};

/* Reads ANSWER, which was taken at AT. PREVIOUS may be empty. A flow that is new counts from
 * nothing over its age. 0 or -ENOMEM. */
int rates_take(struct rates *rates, const struct rates *previous, const json_t *answer, double at)
	WEIR_MUST_CHECK;
void rates_fini(struct rates *rates);

/* From the fastest to the slowest; equal ones by id. Not to be PREVIOUS any more afterwards:
 * returns a list of its own to free(), NULL when memory is out. */
struct rate *rates_sorted(const struct rates *rates);

#endif
