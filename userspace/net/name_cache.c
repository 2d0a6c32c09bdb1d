/* SPDX-License-Identifier: MIT */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <weir/hash.h>
#include <weir/loop.h>

#include "net/name_cache.h"

#define CACHE_ENTRIES	   4096
#define CACHE_MAX_TTL_S	   3600
#define CACHE_MIN_TTL_S	   1
#define CACHE_NEGATIVE_S   5
#define CACHE_ENTRIES_MOST (1u << 20)
#define NS_PER_S	   1000000000ull

/* ------------------------------------------------------------------------------------------
 * The table
 */

static struct weir_list *cache_bucket(struct name_cache *cache, const char *name,
				      enum dns_type type)
{
	const uint64_t key[2] = { cache->seed + (uint64_t)type, 0 };
	uint64_t hash = weir_hash(name, strlen(name), key);

	return &cache->buckets[hash & cache->mask];
}

static void lookup_put(struct lookup *lookup)
{
	if (--lookup->references)
		return;
	dns_answer_fini(&lookup->answer);
	free(lookup);
}

static void cache_remove(struct lookup *lookup)
{
	weir_list_del(&lookup->link);
	weir_list_del(&lookup->use_link);
	lookup->cache->entries--;
	lookup_put(lookup);
}

/* The one that is in the table, also when it is too old; NULL. */
static struct lookup *cache_find(struct name_cache *cache, const char *name, enum dns_type type)
{
	struct weir_list *bucket = cache_bucket(cache, name, type);

	for (struct weir_list *link = bucket->next; link != bucket; link = link->next) {
		struct lookup *lookup = weir_container_of(link, struct lookup, link);

		if (lookup->question.type == type && !strcmp(lookup->name, name))
			return lookup;
	}
	return NULL;
}

/* False when nothing may go: all are open questions. */
static bool cache_make_room(struct name_cache *cache)
{
	if (cache->entries < cache->max_entries)
		return true;
	for (struct weir_list *link = cache->by_use.next; link != &cache->by_use;
	     link = link->next) {
		struct lookup *lookup = weir_container_of(link, struct lookup, use_link);

		if (lookup->answered) {
			cache_remove(lookup);
			return true;
		}
	}
	return false;
}

/* ------------------------------------------------------------------------------------------
 * Answers
 */

/* Whether packets to the address have a way; asks the routing table, sends nothing. */
static bool address_has_route(const struct weir_address *address)
{
	struct weir_address to = *address;
	int fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool has;

	if (fd < 0)
		return false;
	weir_address_set_port(&to, 53); /* any */
	has = connect(fd, &to.sa, to.size) == 0;
	close(fd);
	return has;
}

static unsigned lookup_ttl(const struct lookup *lookup)
{
	const struct name_cache *cache = lookup->cache;

	if (lookup->answer.status == WEIR_ERESOLVE)
		return cache->negative_ttl_s;
	/* No answer: a short rest, so that a dead server is not asked by every connection. */
	if (lookup->answer.status)
		return cache->min_ttl_s;
	return WEIR_MIN(WEIR_MAX(lookup->answer.ttl_s, cache->min_ttl_s), cache->max_ttl_s);
}

static void lookup_on_answer(struct dns_question *question, const struct dns_answer *answer)
{
	struct lookup *lookup = weir_container_of(question, struct lookup, question);

	lookup->answer = *answer;
	lookup->answered = true;
	lookup->answered_ns = weir_now();
	lookup->expires_ns = lookup->answered_ns + lookup_ttl(lookup) * NS_PER_S;
	if (answer->status)
		lookup->cache->failures++;
	else if (question->type == DNS_AAAA)
		lookup->routed = address_has_route(&answer->records[0].address);
	for (struct weir_list *link = lookup->readers.next; link != &lookup->readers;
	     link = link->next)
		weir_task_wake(weir_container_of(link, struct lookup_reader, link)->task);
	lookup_put(lookup);
}

static struct lookup *lookup_new(struct name_cache *cache, const char *name, enum dns_type type)
{
	size_t size = strlen(name) + 1;
	struct lookup *lookup = calloc(1, sizeof(*lookup) + size);

	if (!lookup)
		return NULL;
	memcpy(lookup->name, name, size);
	weir_list_init(&lookup->readers);
	lookup->cache = cache;
	lookup->references = 2; /* the cache's and the question's */
	lookup->asked_ns = weir_now();
	lookup->question.type = type;
	lookup->question.name = lookup->name;
	lookup->question.done = lookup_on_answer;
	weir_list_add_tail(cache_bucket(cache, name, type), &lookup->link);
	weir_list_add_tail(&cache->by_use, &lookup->use_link);
	cache->entries++;
	cache->queries++;
	dns_ask(cache->dns, &lookup->question);
	return lookup;
}

/* ------------------------------------------------------------------------------------------
 * From outside
 */

/* DNS compares without regard to case (RFC 4343), by ASCII's letters whatever the locale is. */
static void name_fold(char *to, const char *name)
{
	size_t i;

	for (i = 0; i < WEIR_HOST_MAX && name[i]; i++)
		to[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
	to[i] = '\0';
}

int lookup_open(struct name_cache *cache, const char *name, enum dns_type type,
		struct lookup_reader *reader)
{
	char folded[WEIR_HOST_MAX + 1];
	struct lookup *lookup;

	name_fold(folded, name);
	lookup = cache_find(cache, folded, type);
	if (lookup && lookup->answered && weir_now() >= lookup->expires_ns) {
		cache_remove(lookup);
		lookup = NULL;
	}
	if (lookup) {
		cache->hits += lookup->answered;
		weir_list_del(&lookup->use_link);
		weir_list_add_tail(&cache->by_use, &lookup->use_link);
	} else {
		if (!cache_make_room(cache))
			return WEIR_ETRYAGAIN;
		lookup = lookup_new(cache, folded, type);
		if (!lookup)
			return -ENOMEM;
	}
	lookup->references++;
	reader->lookup = lookup;
	reader->task = weir_task_current();
	weir_list_add_tail(&lookup->readers, &reader->link);
	dns_hold(cache->dns);
	return 0;
}

void lookup_close(struct lookup_reader *reader)
{
	dns_release(reader->lookup->cache->dns);
	weir_list_del(&reader->link);
	lookup_put(reader->lookup);
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

int name_cache_init(struct name_cache *cache, const struct weir_resolver_conf *conf,
		    struct dns *dns)
{
	size_t n = 16;

	*cache = (struct name_cache){
		.max_entries = WEIR_MIN(or_default(conf->cache_entries, CACHE_ENTRIES),
					CACHE_ENTRIES_MOST),
		.min_ttl_s = or_default(conf->min_ttl_s, CACHE_MIN_TTL_S),
		.max_ttl_s = or_default(conf->max_ttl_s, CACHE_MAX_TTL_S),
		.negative_ttl_s = or_default(conf->negative_ttl_s, CACHE_NEGATIVE_S),
		.dns = dns,
	};
	weir_list_init(&cache->by_use);
	while (n < cache->max_entries)
		n *= 2;
	cache->mask = n - 1;
	cache->buckets = malloc(n * sizeof(*cache->buckets));
	if (!cache->buckets)
		return -ENOMEM;
	while (n--)
		weir_list_init(&cache->buckets[n]);
	if (getrandom(&cache->seed, sizeof(cache->seed), 0) < 0)
		cache->seed = weir_now();
	return 0;
}

void name_cache_fini(struct name_cache *cache)
{
	dns_free(cache->dns); /* answers the open questions */
	while (!weir_list_is_empty(&cache->by_use))
		cache_remove(weir_container_of(cache->by_use.next, struct lookup, use_link));
	free(cache->buckets);
}
