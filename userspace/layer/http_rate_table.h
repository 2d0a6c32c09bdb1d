/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_RATE_TABLE_H
#define WEIR_LAYER_HTTP_RATE_TABLE_H

/*
 * Token buckets by key, shared by all workers: shards with a lock each. A key is remembered as two
 * keyed hashes, 128 bits that nobody can make collide, so an entry has one size however long
 * the keys are that strangers choose. Past the maximum the one unused for longest is forgotten, and
 * begins with a full bucket when it comes again.
 */

#include <weir/text.h>
#include <weir/token_bucket.h>

struct http_rate_table;

struct http_rate_table *http_rate_table_new(void) WEIR_MUST_CHECK;
/* Accepts NULL. */
void http_rate_table_free(struct http_rate_table *table);

/* Takes one token of KEY at the time NOW. 0; WEIR_ERATE with *WHEN there will be one; -ENOMEM. Any
 * thread. MAX keys are remembered, about. */
int http_rate_table_take(struct http_rate_table *table, struct weir_text key,
			 const struct weir_token_rate *rate, size_t max, uint64_t now,
			 uint64_t *when) WEIR_MUST_CHECK;

/* Keys remembered now. Any thread. */
size_t http_rate_table_size(struct http_rate_table *table);

#endif
