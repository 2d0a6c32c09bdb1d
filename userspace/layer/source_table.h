/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_SOURCE_TABLE_H
#define WEIR_LAYER_SOURCE_TABLE_H

/*
 * Sources (addresses, or networks of them) and what they do at present: how many connections,
 * and a token bucket for new ones. Shared by all workers: shards with a lock each, found by a
 * keyed hash, so that nobody can choose addresses that meet in one chain.
 *
 * Memory is bounded by max_sources: past it the source that has been idle for longest is
 * forgotten. A source with a connection is never forgotten, so there are more of them than that
 * only while so many really are connected. The time is an argument.
 */

#include <weir/address.h>
#include <weir/token_bucket.h>

struct source;
struct source_table;

struct source_rules {
	uint64_t max;		     /* connections at one time; 0: unlimited */
	struct weir_token_rate rate; /* of new ones; per_second 0: unlimited */
	unsigned prefix4;	     /* at most 32 */
	unsigned prefix6;	     /* at most 128 */
	size_t max_sources;	     /* at least 1 */
};

struct source_table *source_table_new(void) WEIR_MUST_CHECK;
/* No source has a connection. Accepts NULL. */
void source_table_free(struct source_table *table);

/* Counts a connection from PEER. 0 with *SOURCE to give back; WEIR_ELIMIT or WEIR_ERATE and
 * nothing counted; -ENOMEM. Any thread. */
int source_table_begin(struct source_table *table, const struct weir_address *peer,
		       const struct source_rules *rules, uint64_t now, struct source **source)
	WEIR_MUST_CHECK;
void source_table_end(struct source_table *table, struct source *source, uint64_t now);

/* Sources remembered now. Any thread. */
size_t source_table_size(struct source_table *table);

#endif
