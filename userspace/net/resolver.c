/* SPDX-License-Identifier: MIT */
/*
 * Names to lists of addresses. Both families are asked at once and kept apart, each with its own
 * TTL: when one has answered and the other one is late, its addresses are used without the
 * other's (RFC 8305 section 3, resolution delay), which still reach the cache when they come.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>
#include <weir/resolver.h>

#include "net/name_cache.h"

#define RESOLUTION_DELAY_NS 50000000ull
#define RETRY_S		    5
#define NS_PER_S	    1000000000ull

struct weir_resolver {
	struct name_cache cache;
};

/* The two lookups of a host's addresses, [0] of IPv6, [1] of IPv4. */
struct host {
	struct lookup_reader readers[2];
	const char *name;
	uint16_t port;
	unsigned weight;
	unsigned priority;
};

/* ------------------------------------------------------------------------------------------
 * One host
 */

static int host_open(struct weir_resolver *resolver, struct host *host)
{
	int status = lookup_open(&resolver->cache, host->name, DNS_AAAA, &host->readers[0]);

	if (status)
		return status;
	status = lookup_open(&resolver->cache, host->name, DNS_A, &host->readers[1]);
	if (status)
		lookup_close(&host->readers[0]);
	return status;
}

static void host_close(struct host *host)
{
	lookup_close(&host->readers[1]);
	lookup_close(&host->readers[0]);
}

static bool lookup_has_records(const struct lookup *lookup)
{
	return lookup->answered && lookup->answer.n > 0;
}

/* Until when to wait: 0 when there is enough. */
static uint64_t host_wait_until(const struct host *host)
{
	const struct lookup *first = host->readers[0].lookup, *late = host->readers[1].lookup;
	uint64_t until;

	if (!first->answered) {
		first = host->readers[1].lookup;
		late = host->readers[0].lookup;
	}
	if (first->answered && late->answered)
		return 0;
	if (!lookup_has_records(first))
		return WEIR_NEVER;
	until = WEIR_MAX(first->answered_ns, late->asked_ns) + RESOLUTION_DELAY_NS;
	return until > weir_now() ? until : 0;
}

static int host_wait(const struct host *host)
{
	uint64_t until;
	int status = 0;

	while (!status && (until = host_wait_until(host)) > 0) {
		status = weir_task_park("resolve", until);
		if (status == -ETIMEDOUT)
			status = weir_task_check();
	}
	return status;
}

static size_t host_records(const struct host *host)
{
	size_t n = 0;

	for (int i = 0; i < 2; i++)
		if (host->readers[i].lookup->answered)
			n += host->readers[i].lookup->answer.n;
	return n;
}

/* Why there are no records: a server that did not answer may have had some. */
static int host_status(const struct host *host)
{
	int status = host->readers[0].lookup->answer.status;

	return status == WEIR_ERESOLVE ? host->readers[1].lookup->answer.status : status;
}

/* ------------------------------------------------------------------------------------------
 * The result
 */

static int resolved_init(struct weir_resolved *resolved, size_t n)
{
	*resolved = (struct weir_resolved){ .ttl_s = UINT32_MAX };
	resolved->targets = calloc(n, sizeof(*resolved->targets) + 2 * sizeof(unsigned));
	if (!resolved->targets)
		return -ENOMEM;
	resolved->weights = (unsigned *)(void *)(resolved->targets + n);
	resolved->priorities = resolved->weights + n;
	return 0;
}

void weir_resolved_fini(struct weir_resolved *resolved)
{
	free(resolved->targets);
	memset(resolved, 0, sizeof(*resolved));
}

static void resolved_add(struct weir_resolved *resolved, const struct host *host,
			 const struct weir_address *address)
{
	struct weir_target *target = &resolved->targets[resolved->n];

	target->address = *address;
	weir_address_set_port(&target->address, host->port);
	strcpy(target->host, host->name);
	target->port = host->port;
	resolved->weights[resolved->n] = host->weight;
	resolved->priorities[resolved->n] = host->priority;
	resolved->n++;
}

/* A family that is known to have no addresses is asked for again with the other one; one whose
 * answer is late or lost may have some. */
static void resolved_limit_ttl(struct weir_resolved *resolved, const struct lookup *lookup)
{
	uint64_t now = weir_now();
	unsigned ttl_s = RETRY_S;

	if (lookup_has_records(lookup))
		ttl_s = lookup->expires_ns > now
				? (unsigned)((lookup->expires_ns - now) / NS_PER_S + 1)
				: 1;
	else if (lookup->answered && lookup->answer.status == WEIR_ERESOLVE)
		return;
	resolved->ttl_s = WEIR_MIN(resolved->ttl_s, ttl_s);
}

/* One of each family in turn, IPv6 first (RFC 8305 section 4) unless it has no route. */
static void resolved_add_host(struct weir_resolved *resolved, const struct host *host)
{
	const struct lookup *v6 = host->readers[0].lookup, *v4 = host->readers[1].lookup;
	const struct lookup *turn[2] = { v6->routed ? v6 : v4, v6->routed ? v4 : v6 };

	for (size_t i = 0; i < WEIR_MAX(v6->answer.n, v4->answer.n); i++)
		for (int j = 0; j < 2; j++)
			if (i < turn[j]->answer.n)
				resolved_add(resolved, host, &turn[j]->answer.records[i].address);
	resolved_limit_ttl(resolved, v6);
	resolved_limit_ttl(resolved, v4);
}

/* ------------------------------------------------------------------------------------------
 * The three kinds of targets
 */

static int resolve_address(const struct weir_target *target, struct weir_resolved *resolved)
{
	int status = resolved_init(resolved, 1);

	if (status)
		return status;
	resolved->targets[0] = *target;
	resolved->weights[0] = 1;
	resolved->n = 1;
	return 0;
}

static int resolve_hosts(struct host *hosts, size_t n, struct weir_resolved *resolved)
{
	size_t records = 0;
	int status = 0;

	for (size_t i = 0; i < n && !status; i++)
		status = host_wait(&hosts[i]);
	/* Not before all waiting is over: late answers count as well. */
	for (size_t i = 0; i < n; i++)
		records += host_records(&hosts[i]);
	if (!status && !records)
		status = host_status(&hosts[0]);
	if (!status)
		status = resolved_init(resolved, records);
	for (size_t i = 0; i < n && !status; i++)
		resolved_add_host(resolved, &hosts[i]);
	return status;
}

static int resolve_name(struct weir_resolver *resolver, const struct weir_target *target,
			struct weir_resolved *resolved)
{
	struct host host = { .name = target->host, .port = target->port, .weight = 1 };
	int status = host_open(resolver, &host);

	if (status)
		return status;
	status = resolve_hosts(&host, 1, resolved);
	host_close(&host);
	return status;
}

/* The hosts that the SRV records name, all asked at once. */
static int resolve_records(struct weir_resolver *resolver, const struct lookup *srv,
			   struct weir_resolved *resolved)
{
	struct host *hosts = calloc(srv->answer.n, sizeof(*hosts));
	int status = hosts ? 0 : -ENOMEM;
	size_t open = 0;

	while (!status && open < srv->answer.n) {
		const struct dns_record *record = &srv->answer.records[open];

		hosts[open] = (struct host){ .name = record->host,
					     .port = record->port,
					     .weight = record->weight,
					     .priority = record->priority };
		status = host_open(resolver, &hosts[open]);
		open += !status;
	}
	if (!status)
		status = resolve_hosts(hosts, open, resolved);
	if (!status)
		resolved_limit_ttl(resolved, srv);
	while (open)
		host_close(&hosts[--open]);
	free(hosts);
	return status;
}

static int resolve_service(struct weir_resolver *resolver, const struct weir_target *target,
			   struct weir_resolved *resolved)
{
	struct lookup_reader srv;
	int status = lookup_open(&resolver->cache, target->host, DNS_SRV, &srv);

	if (status)
		return status;
	while (!status && !srv.lookup->answered)
		status = weir_task_park("resolve", WEIR_NEVER);
	if (!status)
		status = srv.lookup->answer.status;
	if (!status)
		status = resolve_records(resolver, srv.lookup, resolved);
	lookup_close(&srv);
	return status;
}

int weir_resolve(struct weir_resolver *resolver, const struct weir_target *target,
		 struct weir_resolved *resolved)
{
	memset(resolved, 0, sizeof(*resolved));
	if (target->address.size)
		return resolve_address(target, resolved);
	if (target->is_service)
		return resolve_service(resolver, target, resolved);
	return resolve_name(resolver, target, resolved);
}

/* ------------------------------------------------------------------------------------------
 * Life
 */

struct weir_resolver *weir_resolver_new(struct weir_loop *loop,
					const struct weir_resolver_conf *conf,
					struct weir_error *error)
{
	struct weir_resolver *resolver = calloc(1, sizeof(*resolver));
	struct dns *dns = resolver ? dns_new(loop, conf, error) : NULL;

	if (dns && name_cache_init(&resolver->cache, conf, dns) == 0)
		return resolver;
	if (dns || !resolver)
		weir_error_set(error, -ENOMEM, "out of memory");
	dns_free(dns);
	free(resolver);
	return NULL;
}

void weir_resolver_free(struct weir_resolver *resolver)
{
	if (!resolver)
		return;
	name_cache_fini(&resolver->cache);
	free(resolver);
}

void weir_resolver_stats(const struct weir_resolver *resolver, struct weir_resolver_stats *stats)
{
	stats->queries = resolver->cache.queries;
	stats->hits = resolver->cache.hits;
	stats->failures = resolver->cache.failures;
	stats->entries = resolver->cache.entries;
}
