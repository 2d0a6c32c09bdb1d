/* SPDX-License-Identifier: MIT */
/*
 * Tokens are doubles: a rate of one in a minute and one of 10 GiB a second both keep their
 * fractions between two looks, however short.
 */

#include <weir/token_bucket.h>

#include <math.h>

#define NS_PER_S 1e9

/* Rounding must not make somebody wait for the last billionth of a token. */
#define TOKEN_SLACK 1e-6

void weir_token_bucket_init(struct weir_token_bucket *bucket, const struct weir_token_rate *rate,
			    uint64_t now)
{
	bucket->tokens = rate->burst;
	bucket->filled_ns = now;
}

static double bucket_tokens(const struct weir_token_bucket *bucket,
			    const struct weir_token_rate *rate, uint64_t now)
{
	double tokens = bucket->tokens;

	if (now > bucket->filled_ns)
		tokens += (double)(now - bucket->filled_ns) / NS_PER_S * rate->per_second;
	return fmin(tokens, rate->burst);
}

double weir_token_bucket_fill(struct weir_token_bucket *bucket, const struct weir_token_rate *rate,
			      uint64_t now)
{
	bucket->tokens = bucket_tokens(bucket, rate, now);
	bucket->filled_ns = WEIR_MAX(bucket->filled_ns, now);
	return bucket->tokens;
}

bool weir_token_bucket_take(struct weir_token_bucket *bucket, const struct weir_token_rate *rate,
			    uint64_t now, double n)
{
	if (weir_token_bucket_fill(bucket, rate, now) + TOKEN_SLACK < n)
		return false;
	bucket->tokens -= n;
	return true;
}

void weir_token_bucket_charge(struct weir_token_bucket *bucket, double n)
{
	bucket->tokens -= n;
}

uint64_t weir_token_bucket_when(const struct weir_token_bucket *bucket,
				const struct weir_token_rate *rate, double n)
{
	double missing = n - bucket->tokens;

	if (missing <= 0)
		return bucket->filled_ns;
	return bucket->filled_ns + (uint64_t)ceil(missing / rate->per_second * NS_PER_S);
}

bool weir_token_bucket_is_full(const struct weir_token_bucket *bucket,
			       const struct weir_token_rate *rate, uint64_t now)
{
	return bucket_tokens(bucket, rate, now) + TOKEN_SLACK >= rate->burst;
}
