/* SPDX-License-Identifier: MIT */
/*
 * Each shard has a table of entries and a list of them in the order of their last use. A URI with
 * several variants has several entries in one chain, at most VARIANTS, so that nobody makes chains
 * long by sending many values of a field that Vary names.
 */

#include "layer/http_cache_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <weir/forwarded.h>
#include <weir/list.h>
#include <weir/wait_queue.h>

#define SHARDS	       16
#define BUCKETS_FIRST  256
#define MAX_BYTES      (64ull << 20)
#define MAX_OBJECT     (1ull << 20)
#define VARIANTS       32
#define ENTRY_OVERHEAD (sizeof(struct entry) + 64) /* and the allocator's */

struct entry {
	struct entry *chain;
	struct weir_list used; /* in shard->used, least recent first */
	struct http_digest digest;
	struct http_cache_object *object; /* counted */
};

struct fetch {
	struct weir_list link; /* in shard->fetches */
	struct http_digest digest;
	struct weir_wait_queue queue;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct entry **buckets;
	size_t n_buckets; /* a power of two; 0 at first */
	size_t n;
	uint64_t bytes, evicted;
	struct weir_list used, fetches;
};

struct weir_http_cache {
	struct http_digest_key key;
	atomic_uint references;
	unsigned n_shards;
	uint64_t shard_bytes, max_object;
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

static void shard_forget(struct shard *shard, struct entry *entry)
{
	struct entry **slot = shard_slot(shard, &entry->digest);

	while (*slot != entry)
		slot = &(*slot)->chain;
	*slot = entry->chain;
	weir_list_del(&entry->used);
	shard->n--;
	shard->bytes -= entry->object->bytes + ENTRY_OVERHEAD;
	http_cache_object_put(entry->object);
	free(entry);
}

static void shard_evict(struct shard *shard, uint64_t max_bytes)
{
	while (shard->bytes > max_bytes) {
		shard_forget(shard, weir_container_of(shard->used.next, struct entry, used));
		shard->evicted++;
	}
}

/* The first entry in the chain from ENTRY on with that digest. */
static struct entry *chain_find(struct entry *entry, const struct http_digest *digest)
{
	while (entry && !http_digest_is_equal(&entry->digest, digest))
		entry = entry->chain;
	return entry;
}

static struct entry *shard_find(struct shard *shard, const struct http_digest *digest)
{
	return shard->n_buckets ? chain_find(*shard_slot(shard, digest), digest) : NULL;
}

/* Makes room for a variant: forgets the one it replaces, one that says "pass", and the oldest of
 * too many. False when it is "pass" itself and there is something better. */
static bool shard_replace(struct shard *shard, const struct http_digest *digest,
			  const struct http_cache_object *object)
{
	struct entry *entry = shard_find(shard, digest), *next, *last = NULL;
	unsigned n = 0;

	for (; entry; entry = next) {
		const struct http_cache_object *had = entry->object;

		next = chain_find(entry->chain, digest);
		if (had->pass || (weir_text_is_equal(had->vary, object->vary) &&
				  http_digest_is_equal(&had->variant, &object->variant))) {
			shard_forget(shard, entry);
			continue;
		}
		last = entry;
		n++;
	}
	/* New ones are put in front, so the last one is the oldest. */
	if (n >= VARIANTS)
		shard_forget(shard, last);
	return !object->pass || n == 0;
}

static void shard_add(struct shard *shard, const struct http_digest *digest,
		      struct http_cache_object *object)
{
	struct entry *entry = malloc(sizeof(*entry));

	if (!entry || (shard->n >= shard->n_buckets && shard_grow(shard)) ||
	    !shard_replace(shard, digest, object)) {
		free(entry);
		http_cache_object_put(object);
		return;
	}
	entry->digest = *digest;
	entry->object = object;
	entry->chain = *shard_slot(shard, digest);
	*shard_slot(shard, digest) = entry;
	weir_list_add_tail(&shard->used, &entry->used);
	shard->n++;
	shard->bytes += object->bytes + ENTRY_OVERHEAD;
}

/* ---- the cache ---- */

struct weir_http_cache *weir_http_cache_new(const struct weir_http_cache_store_conf *conf)
{
	struct weir_http_cache *cache =
		aligned_alloc(_Alignof(struct weir_http_cache), sizeof(*cache));
	uint64_t max_bytes = conf && conf->max_bytes ? conf->max_bytes : MAX_BYTES;
	uint64_t max_object = conf && conf->max_object_bytes ? conf->max_object_bytes : MAX_OBJECT;

	if (!cache)
		return NULL;
	memset(cache, 0, sizeof(*cache));
	if (http_digest_key_init(&cache->key)) {
		free(cache);
		return NULL;
	}
	atomic_init(&cache->references, 1);
	cache->max_object = WEIR_MIN(max_object, max_bytes);
	/* Several objects of the largest size fit into a shard, or there is one shard. */
	cache->n_shards = max_bytes / SHARDS >= 2 * cache->max_object ? SHARDS : 1;
	cache->shard_bytes = max_bytes / cache->n_shards;
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&cache->shards[i].lock, NULL);
		weir_list_init(&cache->shards[i].used);
		weir_list_init(&cache->shards[i].fetches);
	}
	return cache;
}

struct weir_http_cache *weir_http_cache_get(struct weir_http_cache *cache)
{
	atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
	return cache;
}

void weir_http_cache_put(struct weir_http_cache *cache)
{
	if (!cache || atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		shard_evict(&cache->shards[i], 0);
		free(cache->shards[i].buckets);
		pthread_mutex_destroy(&cache->shards[i].lock);
	}
	free(cache);
}

void weir_http_cache_purge(struct weir_http_cache *cache)
{
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *shard = &cache->shards[i];
		uint64_t evicted;

		pthread_mutex_lock(&shard->lock);
		evicted = shard->evicted;
		shard_evict(shard, 0);
		shard->evicted = evicted;
		pthread_mutex_unlock(&shard->lock);
	}
}

void weir_http_cache_usage(struct weir_http_cache *cache, struct weir_http_cache_usage *usage)
{
	*usage = (struct weir_http_cache_usage){ 0 };
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *shard = &cache->shards[i];

		pthread_mutex_lock(&shard->lock);
		usage->bytes += shard->bytes;
		usage->entries += shard->n;
		usage->evicted += shard->evicted;
		pthread_mutex_unlock(&shard->lock);
	}
}

const struct http_digest_key *http_cache_digest_key(const struct weir_http_cache *cache)
{
	return &cache->key;
}

uint64_t http_cache_max_object(const struct weir_http_cache *cache)
{
	return cache->max_object;
}

static struct shard *cache_shard(struct weir_http_cache *cache, const struct http_cache_key *key)
{
	return &cache->shards[key->digest.half[0] % cache->n_shards];
}

/* ---- keys ---- */

int http_cache_key_of_path(const struct weir_http_cache *cache, struct weir_call *call,
			   struct weir_text path, struct http_cache_key *key)
{
	char *text = weir_arena_printf(&call->arena, "%.*s://%.*s\n%.*s",
				       WEIR_TEXT_ARGS(weir_client_scheme(call)),
				       WEIR_TEXT_ARGS(call->request.authority),
				       WEIR_TEXT_ARGS(path));

	if (!text)
		return -ENOMEM;
	for (char *p = text; *p && *p != '\n'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	key->digest = http_digest(&cache->key, text, strlen(text));
	return 0;
}

int http_cache_key_of(const struct weir_http_cache *cache, struct weir_call *call,
		      struct http_cache_key *key)
{
	const struct weir_request *request = &call->request;
	char *path = weir_arena_printf(&call->arena, "%.*s%s%.*s", WEIR_TEXT_ARGS(request->path),
				       request->query.data ? "?" : "",
				       WEIR_TEXT_ARGS(request->query));

	if (!path)
		return -ENOMEM;
	return http_cache_key_of_path(cache, call, weir_text_of(path), key);
}

/* ---- objects ---- */

struct http_cache_object *http_cache_find(struct weir_http_cache *cache,
					  const struct http_cache_key *key,
					  const struct weir_headers *request)
{
	struct shard *shard = cache_shard(cache, key);
	struct http_cache_object *object = NULL;
	struct entry *entry;

	pthread_mutex_lock(&shard->lock);
	entry = shard_find(shard, &key->digest);
	while (entry && !http_cache_object_matches(entry->object, request, &cache->key))
		entry = chain_find(entry->chain, &key->digest);
	if (entry) {
		object = http_cache_object_get(entry->object);
		weir_list_del(&entry->used);
		weir_list_add_tail(&shard->used, &entry->used);
	}
	pthread_mutex_unlock(&shard->lock);
	return object;
}

void http_cache_add(struct weir_http_cache *cache, const struct http_cache_key *key,
		    struct http_cache_object *object)
{
	struct shard *shard = cache_shard(cache, key);

	pthread_mutex_lock(&shard->lock);
	shard_add(shard, &key->digest, object);
	shard_evict(shard, cache->shard_bytes);
	pthread_mutex_unlock(&shard->lock);
}

void http_cache_del(struct weir_http_cache *cache, const struct http_cache_key *key)
{
	struct shard *shard = cache_shard(cache, key);
	struct entry *entry;

	pthread_mutex_lock(&shard->lock);
	while ((entry = shard_find(shard, &key->digest)))
		shard_forget(shard, entry);
	pthread_mutex_unlock(&shard->lock);
}

/* ---- fetches ---- */

static struct fetch *fetch_find(struct shard *shard, const struct http_digest *digest)
{
	struct weir_list *link;

	for (link = shard->fetches.next; link != &shard->fetches; link = link->next) {
		struct fetch *fetch = weir_container_of(link, struct fetch, link);

		if (http_digest_is_equal(&fetch->digest, digest))
			return fetch;
	}
	return NULL;
}

static int fetch_start(struct shard *shard, const struct http_digest *digest)
{
	struct fetch *fetch = malloc(sizeof(*fetch));

	if (!fetch)
		return -ENOMEM;
	fetch->digest = *digest;
	weir_wait_queue_init(&fetch->queue);
	weir_list_add_tail(&shard->fetches, &fetch->link);
	return 1;
}

int http_cache_fetch_begin(struct weir_http_cache *cache, const struct http_cache_key *key,
			   uint64_t deadline)
{
	struct shard *shard = cache_shard(cache, key);
	struct fetch *fetch;
	int status = -ETIMEDOUT;

	pthread_mutex_lock(&shard->lock);
	fetch = fetch_find(shard, &key->digest);
	if (fetch && deadline)
		return weir_wait_queue_wait(&fetch->queue, &shard->lock, "cache fetch", deadline);
	if (!fetch)
		status = fetch_start(shard, &key->digest);
	pthread_mutex_unlock(&shard->lock);
	return status;
}

void http_cache_fetch_end(struct weir_http_cache *cache, const struct http_cache_key *key)
{
	struct shard *shard = cache_shard(cache, key);
	struct fetch *fetch;

	pthread_mutex_lock(&shard->lock);
	fetch = fetch_find(shard, &key->digest);
	if (fetch) {
		weir_list_del(&fetch->link);
		weir_wait_queue_wake_all(&fetch->queue);
		free(fetch);
	}
	pthread_mutex_unlock(&shard->lock);
}
