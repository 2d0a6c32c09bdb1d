/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_NAME_CACHE_H
#define WEIR_NET_NAME_CACHE_H

/*
 * Lookups: questions with their answers, found by name and type. A lookup is asked once and its
 * answer never changes; when it is too old, a new lookup takes its place. So whoever holds one
 * can go on reading it. Bounded: the answered lookup that was used least recently goes first.
 */

#include <weir/list.h>
#include <weir/task.h>

#include "net/dns.h"

struct name_cache {
	struct weir_list *buckets;
	size_t mask;
	size_t entries;
	size_t max_entries;
	uint64_t seed;
	struct weir_list by_use; /* least recent first */
	struct dns *dns;
	unsigned min_ttl_s, max_ttl_s, negative_ttl_s;
	uint64_t queries, hits, failures;
};

struct lookup {
	struct weir_list link; /* in its bucket */
	struct weir_list use_link;
	struct weir_list readers; /* struct lookup_reader */
	struct name_cache *cache;
	struct dns_question question;
	unsigned references; /* of the cache, the open question, the readers */
	bool answered;
	struct dns_answer answer;
	bool routed; /* of AAAA: the kernel has a way to the first address */
	uint64_t asked_ns, answered_ns, expires_ns;
	char name[]; /* in small letters */
};

/* A task that uses a lookup, and is woken when it is answered. On the task's stack. */
struct lookup_reader {
	struct weir_list link;
	struct lookup *lookup;
	struct weir_task *task;
};

/* 0 or -ENOMEM. DNS is taken over. */
int name_cache_init(struct name_cache *cache, const struct weir_resolver_conf *conf,
		    struct dns *dns) WEIR_MUST_CHECK;
/* No reader is left. */
void name_cache_fini(struct name_cache *cache);

/* The running task reads the answer to this question, which is asked when there is none.
 * 0; WEIR_ETRYAGAIN when too many are open; -ENOMEM. Then READER need not be closed. */
int lookup_open(struct name_cache *cache, const char *name, enum dns_type type,
		struct lookup_reader *reader) WEIR_MUST_CHECK;
void lookup_close(struct lookup_reader *reader);

#endif
