/* SPDX-License-Identifier: MIT */
#ifndef WEIR_RESOLVER_H
#define WEIR_RESOLVER_H

/*
 * Names to addresses: A, AAAA and SRV through c-ares, with a cache that keeps answers for
 * their TTL. One per loop. Concurrent questions for the same name share one query.
 */

#include <weir/address.h>
#include <weir/error.h>

struct weir_loop;
struct weir_resolver;

struct weir_resolver_conf {
	const char *servers;	 /* "127.0.0.1:53,[::1]:5353"; NULL: /etc/resolv.conf */
	unsigned timeout_ms;	 /* of one try; 0: 2000 */
	unsigned attempts;	 /* 0: 2 */
	unsigned max_ttl_s;	 /* answers are kept no longer; 0: 3600 */
	unsigned min_ttl_s;	 /* and no shorter; 0: 1 */
	unsigned negative_ttl_s; /* "does not exist" is kept so long; 0: 5 */
	unsigned cache_entries;	 /* 0: 4096 */
};

struct weir_resolver *weir_resolver_new(struct weir_loop *loop,
					const struct weir_resolver_conf *conf,
					struct weir_error *error) WEIR_MUST_CHECK;
/* No question is open. Accepts NULL. Before the loop is freed, outside of weir_loop_run() or
 * in a task; pending libuv closes are run by the loop. */
void weir_resolver_free(struct weir_resolver *resolver);

struct weir_resolved {
	struct weir_target *targets; /* heap; addresses with ports, in the resolver's order */
	unsigned *weights;	     /* of SRV answers, else all 1; same memory as targets */
	unsigned *priorities;	     /* of SRV answers (lower is better), else all 0 */
	size_t n;
	unsigned ttl_s; /* until it should be asked again */
};

/* All addresses of TARGET (a numeric one resolves to itself). IPv6 and IPv4 answers are
 * interleaved as RFC 8305 section 4 asks. Parks. 0 with RESOLVED to be freed;
 * WEIR_ERESOLVE: there is no such name or address; WEIR_ETRYAGAIN: no answer; -ENOMEM;
 * -ECANCELED, -ETIMEDOUT of the scope. */
int weir_resolve(struct weir_resolver *resolver, const struct weir_target *target,
		 struct weir_resolved *resolved) WEIR_MUST_CHECK;
void weir_resolved_fini(struct weir_resolved *resolved);

/* Literal addresses and /etc/hosts count as well; both families are asked at once. */

struct weir_resolver_stats {
	uint64_t queries, hits, failures;
	size_t entries;
};
void weir_resolver_stats(const struct weir_resolver *resolver, struct weir_resolver_stats *stats);

#endif
