/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PATH_H
#define WEIR_PATH_H

/*
 * Paths: how a bridge moves bytes; and the pure decision which one suits a flow. Measured on
 * one kernel (see the README's table): sockmap wins interactive traffic and loses bulk to
 * splice, so the choice follows what the flow does and may change many times.
 */

#include <stdbool.h>

#include <weir/base.h>

enum weir_path {
	WEIR_PATH_COPY,	   /* read(2) and write(2) of up to 60 KiB */
	WEIR_PATH_SPLICE,  /* splice(2) through a 1 MiB pipe */
	WEIR_PATH_SOCKMAP, /* an sk_skb verdict program, from socket to socket */
	WEIR_PATH_COUNT,
};

#define WEIR_PATH_BIT(path) (1u << (path))

/* "copy", "splice", "sockmap". */
const char *weir_path_name(enum weir_path path);
/* 0 or -EINVAL. */
int weir_path_parse(const char *name, enum weir_path *path);

/* Zero means the default in parentheses. */
struct weir_path_thresholds {
	uint32_t message_bytes;	   /* a read of at most this is a message (16 KiB) */
	uint32_t messages;	   /* so many each way, one after the other, look interactive (8) */
	uint32_t interactive_ms;   /* and the flow has lived so long (20 ms) */
	uint32_t bulk_reads;	   /* so many full reads in a row look like bulk (4) */
	uint32_t bulk_quiet_reads; /* so many messages in a row end it (32) */
	uint32_t spills;	   /* so many spills in spill_ms send a flow back (3) */
	uint32_t spill_ms;	   /* (1000) */
	uint32_t penalty_ms;	   /* how long the kernel is not tried again, doubling up to 64
				   * times as long (500) */
};

/* Fills zeros with the defaults. */
void weir_path_thresholds_complete(struct weir_path_thresholds *thresholds);

/* The best of a set of WEIR_PATH_BIT(): sockmap, splice, copy. */
enum weir_path weir_path_best(unsigned allowed);

/* What is known of a flow when the question is asked. All counts since the last switch. */
struct weir_path_sample {
	enum weir_path now;
	unsigned allowed;	 /* set of WEIR_PATH_BIT() that work for this flow */
	uint64_t age_ms;	 /* of the flow */
	uint32_t turns;		 /* changes of direction between two reads that were messages */
	uint32_t full_reads[2];	 /* in a row, up and down */
	uint32_t small_reads[2]; /* in a row, up and down */
	uint32_t spills;	 /* within thresholds.spill_ms */
	uint64_t penalty_ms;	 /* left before the kernel may be tried again */
	bool ended[2];		 /* a source has ended: no more hand-overs */
};

/* The path the flow should be on, and in *WHY why not a better one (static memory; NULL when
 * there is no better one). THRESHOLDS are complete. Pure: the same sample, the same answer. */
enum weir_path weir_path_decide(const struct weir_path_sample *sample,
				const struct weir_path_thresholds *thresholds, const char **why);

#endif
