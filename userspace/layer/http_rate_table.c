/* SPDX-License-Identifier: MIT */

#include "layer/http_rate_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/list.h>

#include "layer/http_credentials.h"

#define SHARDS	      16   /* of a large table */
#define SHARDED_FROM  4096 /* keys; a smaller table has one shard, and so one exact order */
#define BUCKETS_FIRST 64

struct entry {
	struct entry *chain;
	struct weir_list used; /* in shard->used, least recent first */
	struct http_digest digest;
	struct weir_token_bucket bucket;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct entry **buckets;
	size_t n_buckets; /* a power of two; 0 at first */
	size_t n;
	struct weir_list used;
};

struct http_rate_table {
	struct http_digest_key key;
	struct shard shards[SHARDS];
};

/* ---- a shard, under its lock ---- */

static struct entry **shard_slot(struct shard *shard, const struct http_digest *digest)
{
	return &shard->buckets[digest->half[1] & (shard->n_buckets - 1)];
}

static int shard_grow(struct shard *shard)
{
	struct entry **old = shard->buckets;
	size_t n_old = shard->n_buckets;
	size_t n = n_old ? n_old * 2 : BUCKETS_FIRST;
	struct entry **buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return n_old ? 0 : -ENOMEM; /* longer chains then */
	shard->buckets = buckets;
	shard->n_buckets = n;
	for (size_t i = 0; i < n_old; i++) {
		while (old[i]) {
			struct entry *entry = old[i];
			struct entry **slot = shard_slot(shard, &entry->digest);

			old[i] = entry->chain;
			entry->chain = *slot;
			*slot = entry;
		}
	}
	free(old);
	return 0;
}

static void shard_unlink(struct shard *shard, struct entry *entry)
{
	struct entry **slot = shard_slot(shard, &entry->digest);

	while (*slot != entry)
		slot = &(*slot)->chain;
	*slot = entry->chain;
	weir_list_del(&entry->used);
	shard->n--;
}

static struct entry *shard_oldest(struct shard *shard)
{
	return weir_container_of(shard->used.next, struct entry, used);
}

/* Memory goes back after a flood: two that are old and full are forgotten for each new one. */
static void shard_age(struct shard *shard, const struct weir_token_rate *rate, uint64_t now)
{
	for (int i = 0; i < 2 && !weir_list_is_empty(&shard->used); i++) {
		struct entry *oldest = shard_oldest(shard);

		if (!weir_token_bucket_is_full(&oldest->bucket, rate, now))
			return;
		shard_unlink(shard, oldest);
		free(oldest);
	}
}

static struct entry *shard_find(struct shard *shard, const struct http_digest *digest)
{
	struct entry *entry;

	if (shard->n_buckets == 0)
		return NULL;
	for (entry = *shard_slot(shard, digest); entry; entry = entry->chain)
		if (http_digest_is_equal(&entry->digest, digest))
			return entry;
	return NULL;
}

static struct entry *shard_add(struct shard *shard, const struct http_digest *digest,
			       const struct weir_token_rate *rate, size_t max, uint64_t now)
{
	struct entry *entry = NULL;

	shard_age(shard, rate, now);
	while (shard->n >= max && shard->n > 0) {
		free(entry);
		entry = shard_oldest(shard);
		shard_unlink(shard, entry);
	}
	if (!entry)
		entry = malloc(sizeof(*entry));
	if (!entry || (shard->n >= shard->n_buckets && shard_grow(shard))) {
		free(entry);
		return NULL;
	}
	entry->digest = *digest;
	weir_token_bucket_init(&entry->bucket, rate, now);
	weir_list_init(&entry->used);
	entry->chain = *shard_slot(shard, digest);
	*shard_slot(shard, digest) = entry;
	shard->n++;
	return entry;
}

/* ---- the table ---- */

struct http_rate_table *http_rate_table_new(void)
{
	struct http_rate_table *table =
		aligned_alloc(_Alignof(struct http_rate_table), sizeof(*table));

	if (!table)
		return NULL;
	memset(table, 0, sizeof(*table));
	if (http_digest_key_init(&table->key)) {
		free(table);
		return NULL;
	}
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&table->shards[i].lock, NULL);
		weir_list_init(&table->shards[i].used);
	}
	return table;
}

static void shard_fini(struct shard *shard)
{
	while (!weir_list_is_empty(&shard->used)) {
		struct entry *entry = shard_oldest(shard);

		shard_unlink(shard, entry);
		free(entry);
	}
	free(shard->buckets);
	pthread_mutex_destroy(&shard->lock);
}

void http_rate_table_free(struct http_rate_table *table)
{
	for (size_t i = 0; table && i < SHARDS; i++)
		shard_fini(&table->shards[i]);
	free(table);
}

int http_rate_table_take(struct http_rate_table *table, struct weir_text key,
			 const struct weir_token_rate *rate, size_t max, uint64_t now,
			 uint64_t *when)
{
	struct http_digest digest = http_digest(&table->key, key.data, key.size);
	size_t shards = max < SHARDED_FROM ? 1 : SHARDS;
	struct shard *shard = &table->shards[digest.half[0] % shards];
	struct entry *entry;
	int status = -ENOMEM;

	pthread_mutex_lock(&shard->lock);
	entry = shard_find(shard, &digest);
	if (!entry)
		entry = shard_add(shard, &digest, rate, max / shards, now);
	if (entry) {
		weir_list_del(&entry->used);
		weir_list_add_tail(&shard->used, &entry->used);
		status = weir_token_bucket_take(&entry->bucket, rate, now, 1) ? 0 : WEIR_ERATE;
		*when = weir_token_bucket_when(&entry->bucket, rate, 1);
	}
	pthread_mutex_unlock(&shard->lock);
	return status;
}

size_t http_rate_table_size(struct http_rate_table *table)
{
	size_t size = 0;

	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_lock(&table->shards[i].lock);
		size += table->shards[i].n;
		pthread_mutex_unlock(&table->shards[i].lock);
	}
	return size;
}
