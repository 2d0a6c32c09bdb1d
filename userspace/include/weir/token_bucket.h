/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOKEN_BUCKET_H
#define WEIR_TOKEN_BUCKET_H

/*
 * A token bucket: so many tokens a second flow in, up to a burst; what happens takes tokens out.
 * Pure: the time is an argument (ns of any monotonic clock; one that is a little behind, as
 * another worker's may be, adds nothing and takes nothing away). Caller's memory, no lock.
 */

#include <stdbool.h>

#include <weir/base.h>

/* Shared by many buckets. */
struct weir_token_rate {
	double per_second; /* over 0 */
	double burst;	   /* at least what is ever taken at once */
};

struct weir_token_bucket {
	double tokens;	    /* at filled_ns; below 0: a debt */
	uint64_t filled_ns; /* private */
};

/* Full. */
void weir_token_bucket_init(struct weir_token_bucket *bucket, const struct weir_token_rate *rate,
			    uint64_t now);
/* Lets flow in what is due; returns the tokens that there are. */
double weir_token_bucket_fill(struct weir_token_bucket *bucket, const struct weir_token_rate *rate,
			      uint64_t now);
/* Takes N if they are there; else takes nothing and returns false. */
bool weir_token_bucket_take(struct weir_token_bucket *bucket, const struct weir_token_rate *rate,
			    uint64_t now, double n);
/* Takes N whether they are there or not. */
void weir_token_bucket_charge(struct weir_token_bucket *bucket, double n);
/* When N (at most the burst) will be there; NOW or before if they are. */
uint64_t weir_token_bucket_when(const struct weir_token_bucket *bucket,
				const struct weir_token_rate *rate, double n);
/* Nothing is missing: it remembers nothing that a new one would not know. */
bool weir_token_bucket_is_full(const struct weir_token_bucket *bucket,
			       const struct weir_token_rate *rate, uint64_t now);

#endif
