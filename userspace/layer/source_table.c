/* SPDX-License-Identifier: MIT */
/*
 *	 (unknown) ---begin---> ACTIVE <---begin--- IDLE ---oldest, or old and full---> (forgotten)
 *	                          |                  ^
 *	                          +---last end-------+
 *
 * Idle sources are in their shard's list, least recent first. Each begin forgets up to two of
 * those that have been idle for long and whose bucket is full again, so that memory goes back
 * after a flood without a timer.
 */

#include "layer/source_table.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <weir/error.h>
#include <weir/list.h>

#define SHARDS	      16   /* of a large table */
#define SHARDED_FROM  4096 /* sources; a smaller table has one shard, and so one exact order */
#define BUCKETS_FIRST 64
#define IDLE_NS	      60000000000ull

enum source_kind { SOURCE_UNIX, SOURCE_IPV4, SOURCE_IPV6 };

struct source_key {
	unsigned char bytes[16];
	unsigned char kind;
};

struct source {
	struct source *chain;
	struct weir_list idle_link; /* in shard->idle while there is no connection */
	uint64_t hash;
	uint64_t active;
	uint64_t idle_since_ns;
	struct weir_token_bucket bucket;
	struct source_key key;
	unsigned char shard;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct source **buckets;
	size_t n_buckets; /* a power of two; 0 at first */
	size_t n_sources;
	struct weir_list idle;
};

struct source_table {
	uint64_t seed;
	struct shard shards[SHARDS];
};

/* ---- keys ---- */

static void bytes_mask(unsigned char *bytes, size_t size, unsigned bits)
{
	for (size_t i = 0; i < size; i++) {
		unsigned here = WEIR_MIN(bits, 8u);

		bytes[i] &= (unsigned char)(0xff00u >> here);
		bits -= here;
	}
}

static void key_make(struct source_key *key, const struct weir_address *peer,
		     const struct source_rules *rules)
{
	memset(key, 0, sizeof(*key));
	if (peer->size > 0 && peer->sa.sa_family == AF_INET) {
		key->kind = SOURCE_IPV4;
		memcpy(key->bytes, &peer->in.sin_addr, 4);
	} else if (peer->size > 0 && peer->sa.sa_family == AF_INET6 &&
		   IN6_IS_ADDR_V4MAPPED(&peer->in6.sin6_addr)) {
		key->kind = SOURCE_IPV4;
		memcpy(key->bytes, &peer->in6.sin6_addr.s6_addr[12], 4);
	} else if (peer->size > 0 && peer->sa.sa_family == AF_INET6) {
		key->kind = SOURCE_IPV6;
		memcpy(key->bytes, &peer->in6.sin6_addr, 16);
	}
	if (key->kind == SOURCE_IPV4)
		bytes_mask(key->bytes, 4, rules->prefix4);
	else
		bytes_mask(key->bytes, 16, rules->prefix6);
}

/* The hash of the key, by way of the address that it stands for. */
static uint64_t key_hash(const struct source_key *key, uint64_t seed)
{
	struct weir_address address = { .size = 0 };

	if (key->kind == SOURCE_IPV4) {
		address.size = sizeof(address.in);
		address.in.sin_family = AF_INET;
		memcpy(&address.in.sin_addr, key->bytes, 4);
	} else if (key->kind == SOURCE_IPV6) {
		address.size = sizeof(address.in6);
		address.in6.sin6_family = AF_INET6;
		memcpy(&address.in6.sin6_addr, key->bytes, 16);
	}
	return weir_address_hash_host(&address, seed);
}

/* ---- a shard, under its lock ---- */

static struct source **shard_slot(struct shard *shard, uint64_t hash)
{
	return &shard->buckets[(hash >> 8) & (shard->n_buckets - 1)];
}

static int shard_grow(struct shard *shard)
{
	struct source **old = shard->buckets;
	size_t n_old = shard->n_buckets;
	size_t n = n_old ? n_old * 2 : BUCKETS_FIRST;
	struct source **buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return n_old ? 0 : -ENOMEM; /* longer chains then */
	shard->buckets = buckets;
	shard->n_buckets = n;
	for (size_t i = 0; i < n_old; i++) {
		while (old[i]) {
			struct source *source = old[i];
			struct source **slot = shard_slot(shard, source->hash);

			old[i] = source->chain;
			source->chain = *slot;
			*slot = source;
		}
	}
	free(old);
	return 0;
}

static struct source *shard_find(struct shard *shard, const struct source_key *key, uint64_t hash)
{
	struct source *source;

	if (shard->n_buckets == 0)
		return NULL;
	for (source = *shard_slot(shard, hash); source; source = source->chain)
		if (source->hash == hash && memcmp(&source->key, key, sizeof(*key)) == 0)
			return source;
	return NULL;
}

static struct source *shard_oldest(struct shard *shard)
{
	if (weir_list_is_empty(&shard->idle))
		return NULL;
	return weir_container_of(shard->idle.next, struct source, idle_link);
}

static void shard_forget(struct shard *shard, struct source *source)
{
	struct source **slot = shard_slot(shard, source->hash);

	while (*slot != source)
		slot = &(*slot)->chain;
	*slot = source->chain;
	weir_list_del(&source->idle_link);
	shard->n_sources--;
	free(source);
}

static void shard_age(struct shard *shard, const struct source_rules *rules, uint64_t now)
{
	for (int i = 0; i < 2; i++) {
		struct source *source = shard_oldest(shard);

		if (!source || now < source->idle_since_ns + IDLE_NS)
			return;
		if (rules->rate.per_second > 0 &&
		    !weir_token_bucket_is_full(&source->bucket, &rules->rate, now))
			return;
		shard_forget(shard, source);
	}
}

static struct source *shard_add(struct shard *shard, const struct source_key *key, uint64_t hash,
				const struct source_rules *rules, size_t max, uint64_t now)
{
	struct source *source;

	while (shard->n_sources >= max && (source = shard_oldest(shard)))
		shard_forget(shard, source);
	if (shard->n_sources >= shard->n_buckets && shard_grow(shard))
		return NULL;
	source = calloc(1, sizeof(*source));
	if (!source)
		return NULL;
	source->key = *key;
	source->hash = hash;
	weir_token_bucket_init(&source->bucket, &rules->rate, now);
	source->idle_since_ns = now;
	weir_list_add_tail(&shard->idle, &source->idle_link);
	source->chain = *shard_slot(shard, hash);
	*shard_slot(shard, hash) = source;
	shard->n_sources++;
	return source;
}

/* The number of connections is asked first: one that is refused for it costs no token. */
static int source_take(struct source *source, const struct source_rules *rules, uint64_t now)
{
	if (rules->max && source->active >= rules->max)
		return WEIR_ELIMIT;
	if (rules->rate.per_second > 0 &&
	    !weir_token_bucket_take(&source->bucket, &rules->rate, now, 1))
		return WEIR_ERATE;
	source->active++;
	weir_list_del(&source->idle_link);
	return 0;
}

/* Refused while idle: recent again, or a flood of others would soon make it a stranger. */
static void shard_touch(struct shard *shard, struct source *source, uint64_t now)
{
	if (source->active > 0)
		return;
	source->idle_since_ns = now;
	weir_list_del(&source->idle_link);
	weir_list_add_tail(&shard->idle, &source->idle_link);
}

/* ---- the table ---- */

struct source_table *source_table_new(void)
{
	struct source_table *table = aligned_alloc(_Alignof(struct source_table), sizeof(*table));

	if (!table)
		return NULL;
	memset(table, 0, sizeof(*table));
	if (getrandom(&table->seed, sizeof(table->seed), 0) != sizeof(table->seed)) {
		free(table);
		return NULL;
	}
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&table->shards[i].lock, NULL);
		weir_list_init(&table->shards[i].idle);
	}
	return table;
}

static void shard_fini(struct shard *shard)
{
	struct source *source;

	while ((source = shard_oldest(shard)))
		shard_forget(shard, source);
	assert(shard->n_sources == 0);
	free(shard->buckets);
	pthread_mutex_destroy(&shard->lock);
}

void source_table_free(struct source_table *table)
{
	for (size_t i = 0; table && i < SHARDS; i++)
		shard_fini(&table->shards[i]);
	free(table);
}

int source_table_begin(struct source_table *table, const struct weir_address *peer,
		       const struct source_rules *rules, uint64_t now, struct source **out)
{
	size_t shards = rules->max_sources < SHARDED_FROM ? 1 : SHARDS;
	struct source_key key;
	struct source *source;
	struct shard *shard;
	uint64_t hash;
	int status = -ENOMEM;

	key_make(&key, peer, rules);
	hash = key_hash(&key, table->seed);
	shard = &table->shards[hash % shards];
	pthread_mutex_lock(&shard->lock);
	source = shard_find(shard, &key, hash);
	if (!source) {
		shard_age(shard, rules, now);
		source = shard_add(shard, &key, hash, rules, rules->max_sources / shards, now);
		/* Written once: source_table_end() reads it to know which lock to take. */
		if (source)
			source->shard = (unsigned char)(hash % shards);
	}
	if (source) {
		status = source_take(source, rules, now);
		if (status)
			shard_touch(shard, source, now);
	}
	pthread_mutex_unlock(&shard->lock);
	*out = status ? NULL : source;
	return status;
}

void source_table_end(struct source_table *table, struct source *source, uint64_t now)
{
	struct shard *shard = &table->shards[source->shard];

	pthread_mutex_lock(&shard->lock);
	assert(source->active > 0);
	if (--source->active == 0) {
		source->idle_since_ns = now;
		weir_list_add_tail(&shard->idle, &source->idle_link);
	}
	pthread_mutex_unlock(&shard->lock);
}

size_t source_table_size(struct source_table *table)
{
	size_t size = 0;

	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_lock(&table->shards[i].lock);
		size += table->shards[i].n_sources;
		pthread_mutex_unlock(&table->shards[i].lock);
	}
	return size;
}
