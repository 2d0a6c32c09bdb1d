/* SPDX-License-Identifier: MIT */
/*
 * A site is what the pool knows of one target: its idle connections, how many are open (connecting
 * ones included), and who waits. It lives as long as any of these.
 *
 * A place is the right to have a connection open. Who waits is handed a connection or a place,
 * directly, so that nobody overtakes.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/scope.h>

#include "http/http_pool.h"

#define NS_PER_MS   1000000u
#define SITES_FIRST 16 /* buckets; a power of two */
#define SITES_SEED  0x706f6f6cu

struct http_site {
	struct http_site *next; /* in its bucket */
	struct http_pool *pool;
	struct weir_target target;
	uint64_t hash;
	struct weir_list idle; /* struct http_pooled, last used first */
	uint32_t n_idle;
	uint32_t open; /* places taken */
	struct weir_list waiters;
	uint32_t n_waiting;
};

/* On the stack of the task that waits. */
struct waiter {
	struct weir_list link;
	struct weir_task *task;
	struct http_pooled *pooled; /* NULL: a place */
	bool granted;
};

enum closed { CLOSED_IDLE, CLOSED_PEER, CLOSED_USED, CLOSED_ROOM, CLOSED_COUNT };

struct http_pool {
	struct weir_connector *connector; /* owned */
	uint32_t max_connections;
	uint32_t max_idle;
	uint32_t max_requests;
	uint32_t queue;
	uint64_t idle_ns;
	uint64_t queue_ns;
	struct weir_metrics *metrics;
	char *name;
	struct weir_upkeep upkeep;
	struct http_site **buckets;
	size_t n_buckets; /* a power of two */
	size_t n_sites;
	size_t n_idle;

	/* This worker's cells; the worker is known when the first task of it comes by. */
	bool measured;
	struct weir_counter *made;
	struct weir_counter *reused;
	struct weir_counter *failed;
	struct weir_counter *refused;
	struct weir_counter *closed[CLOSED_COUNT];
	struct weir_gauge *idle;
	struct weir_gauge *busy;
	struct weir_gauge *waiting;
};

/* ------------------------------------------------------------------------------------------
 * Metrics
 */

static const struct weir_metric_family connections_family = {
	.name = "weir_http_client_connections",
	.help = "Connections of HTTP clients to their targets, by state.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "upstream", "state" },
};

static const struct weir_metric_family lent_family = {
	.name = "weir_http_client_connections_total",
	.help = "Connections that calls asked of the pool, by result.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "result" },
};

static const struct weir_metric_family closed_family = {
	.name = "weir_http_client_closed_total",
	.help = "Connections that the pool closed, by reason.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "reason" },
};

static const struct weir_metric_family waiting_family = {
	.name = "weir_http_client_queue_length",
	.help = "Calls that wait for a connection.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "upstream" },
};

static struct weir_counter *pool_counter(struct http_pool *pool,
					 const struct weir_metric_family *family, const char *label)
{
	const char *const labels[] = { pool->name, label };

	return weir_metrics_counter(pool->metrics, weir_loop_index(weir_loop_current()), family,
				    labels);
}

static struct weir_gauge *pool_gauge(struct http_pool *pool,
				     const struct weir_metric_family *family, const char *label)
{
	const char *const labels[] = { pool->name, label };

	return weir_metrics_gauge(pool->metrics, weir_loop_index(weir_loop_current()), family,
				  labels);
}

static void pool_measure(struct http_pool *pool)
{
	static const char *const reasons[] = {
		[CLOSED_IDLE] = "idle_timeout",
		[CLOSED_PEER] = "peer",
		[CLOSED_USED] = "not_kept",
		[CLOSED_ROOM] = "no_room",
	};

	pool->measured = true;
	pool->made = pool_counter(pool, &lent_family, "new");
	pool->reused = pool_counter(pool, &lent_family, "reused");
	pool->failed = pool_counter(pool, &lent_family, "failed");
	pool->refused = pool_counter(pool, &lent_family, "refused");
	for (unsigned i = 0; i < CLOSED_COUNT; i++)
		pool->closed[i] = pool_counter(pool, &closed_family, reasons[i]);
	pool->idle = pool_gauge(pool, &connections_family, "idle");
	pool->busy = pool_gauge(pool, &connections_family, "active");
	pool->waiting = pool_gauge(pool, &waiting_family, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Sites
 */

static uint64_t target_hash(const struct weir_target *target)
{
	uint64_t hash = 0xcbf29ce484222325u ^ target->port;

	if (target->address.size)
		return weir_address_hash_host(&target->address, SITES_SEED) ^
		       (uint64_t)weir_address_port(&target->address) * 0x9e3779b97f4a7c15u;
	for (const char *c = target->host; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
	return hash ^ hash >> 32;
}

static bool target_is_equal(const struct weir_target *a, const struct weir_target *b)
{
	if (a->address.size || b->address.size)
		return weir_address_is_equal(&a->address, &b->address) &&
		       strcmp(a->host, b->host) == 0;
	return a->port == b->port && a->is_service == b->is_service &&
	       strcmp(a->host, b->host) == 0;
}

static void pool_rehash(struct http_pool *pool, struct http_site **buckets, size_t n)
{
	for (size_t i = 0; i < pool->n_buckets; i++) {
		struct http_site *site;

		while ((site = pool->buckets[i])) {
			pool->buckets[i] = site->next;
			site->next = buckets[site->hash & (n - 1)];
			buckets[site->hash & (n - 1)] = site;
		}
	}
	free(pool->buckets);
	pool->buckets = buckets;
	pool->n_buckets = n;
}

static struct http_site *site_new(struct http_pool *pool, const struct weir_target *target,
				  uint64_t hash)
{
	struct http_site *site = malloc(sizeof(*site));

	if (!site)
		return NULL;
	if (pool->n_sites >= pool->n_buckets) {
		size_t n = pool->n_buckets * 2;
		struct http_site **buckets = calloc(n, sizeof(struct http_site *));

		if (buckets)
			pool_rehash(pool, buckets, n);
	}
	*site = (struct http_site){ .pool = pool, .target = *target, .hash = hash };
	weir_list_init(&site->idle);
	weir_list_init(&site->waiters);
	site->next = pool->buckets[hash & (pool->n_buckets - 1)];
	pool->buckets[hash & (pool->n_buckets - 1)] = site;
	pool->n_sites++;
	return site;
}

static struct http_site *pool_site(struct http_pool *pool, const struct weir_target *target)
{
	uint64_t hash = target_hash(target);
	struct http_site *site = pool->buckets[hash & (pool->n_buckets - 1)];

	while (site && !(site->hash == hash && target_is_equal(&site->target, target)))
		site = site->next;
	return site ? site : site_new(pool, target, hash);
}

/* Nothing is left to know. */
static void site_settle(struct http_site *site)
{
	struct http_pool *pool = site->pool;
	struct http_site **at = &pool->buckets[site->hash & (pool->n_buckets - 1)];

	if (site->open || site->n_waiting)
		return;
	while (*at != site)
		at = &(*at)->next;
	*at = site->next;
	pool->n_sites--;
	free(site);
}

/* ------------------------------------------------------------------------------------------
 * Places
 */

static void site_grant(struct http_site *site, struct http_pooled *pooled)
{
	struct weir_list *link = weir_list_pop(&site->waiters);
	struct waiter *waiter = weir_container_of(link, struct waiter, link);

	waiter->pooled = pooled;
	waiter->granted = true;
	weir_task_wake(waiter->task);
}

/* Gives a place back, which may end the site. */
static void site_give_place(struct http_site *site)
{
	if (!weir_list_is_empty(&site->waiters)) {
		site_grant(site, NULL);
		return;
	}
	site->open--;
	site_settle(site);
}

static void pooled_close(struct http_pooled *pooled)
{
	struct http_site *site = pooled->site;

	weir_stream_close(pooled->stream);
	free(pooled);
	site_give_place(site);
}

/* An idle one leaves the list. */
static void idle_del(struct http_pooled *pooled)
{
	struct http_pool *pool = pooled->site->pool;

	weir_list_del(&pooled->link);
	pooled->site->n_idle--;
	weir_gauge_add(pool->idle, -1);
	if (--pool->n_idle == 0)
		weir_upkeep_del(&pool->upkeep);
}

static void idle_close(struct http_pooled *pooled, enum closed why)
{
	weir_counter_add(pooled->site->pool->closed[why], 1);
	idle_del(pooled);
	pooled_close(pooled);
}

static void idle_add(struct http_pooled *pooled)
{
	struct http_site *site = pooled->site;
	struct http_pool *pool = site->pool;

	pooled->idle_since_ns = weir_loop_now(weir_loop_current());
	weir_list_add_head(&site->idle, &pooled->link);
	site->n_idle++;
	weir_gauge_add(pool->idle, 1);
	if (pool->n_idle++ == 0)
		weir_upkeep_add(&pool->upkeep, weir_loop_current());
}

/* Between two responses a server says nothing. Costs a system call only after an edge. */
static bool stream_is_quiet(struct weir_stream *stream)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };

	return stream->ops->readv(stream, &iov, 1, true) == -EAGAIN;
}

/* Ends what is too old or has been ended by its peer; the site itself may go with the last. */
static void site_sweep(struct http_site *site, uint64_t now)
{
	uint64_t idle_ns = site->pool->idle_ns;
	struct weir_list *link = site->idle.next;
	uint32_t left = site->n_idle;

	while (left-- > 0) {
		struct http_pooled *pooled = weir_container_of(link, struct http_pooled, link);

		link = link->next;
		if (now >= pooled->idle_since_ns + idle_ns)
			idle_close(pooled, CLOSED_IDLE);
		else if (!stream_is_quiet(pooled->stream))
			idle_close(pooled, CLOSED_PEER);
	}
}

static void pool_on_upkeep(struct weir_upkeep *upkeep, uint64_t now)
{
	struct http_pool *pool = weir_container_of(upkeep, struct http_pool, upkeep);

	for (size_t i = 0; i < pool->n_buckets; i++) {
		struct http_site *site = pool->buckets[i];

		while (site) {
			struct http_site *next = site->next;

			site_sweep(site, now);
			site = next;
		}
	}
}

/* ------------------------------------------------------------------------------------------
 * Lending
 */

/* The place is kept over the closing of what proves dead. */
static struct http_pooled *site_take_idle(struct http_site *site)
{
	while (!weir_list_is_empty(&site->idle)) {
		struct http_pooled *pooled =
			weir_container_of(site->idle.next, struct http_pooled, link);

		if (stream_is_quiet(pooled->stream)) {
			idle_del(pooled);
			return pooled;
		}
		site->open++;
		idle_close(pooled, CLOSED_PEER);
		site->open--;
	}
	return NULL;
}

static int site_wait(struct http_site *site, struct http_pooled **pooled)
{
	struct http_pool *pool = site->pool;
	struct waiter waiter = { .task = weir_task_current() };
	uint64_t deadline = weir_now() + pool->queue_ns;
	int status = 0;

	if (site->n_waiting >= pool->queue)
		return WEIR_EQUEUE;
	site->n_waiting++;
	weir_gauge_add(pool->waiting, 1);
	weir_list_add_tail(&site->waiters, &waiter.link);
	while (!waiter.granted && !status)
		status = weir_task_park("a connection", deadline);
	weir_list_del(&waiter.link);
	weir_gauge_add(pool->waiting, -1);
	site->n_waiting--;
	*pooled = waiter.pooled;
	if (waiter.granted)
		return 0;
	return weir_task_check() ? weir_task_check() : WEIR_EQUEUE;
}

/* A place to connect in, or with *POOLED a connection that came back meanwhile. */
static int site_take_place(struct http_site *site, struct http_pooled **pooled)
{
	uint32_t max = site->pool->max_connections;

	*pooled = NULL;
	if (max && site->open >= max && !weir_list_is_empty(&site->idle)) {
		site->open++; /* ours, from now on */
		idle_close(weir_container_of(site->idle.prev, struct http_pooled, link),
			   CLOSED_ROOM);
		return 0;
	}
	if (max && site->open >= max)
		return site_wait(site, pooled);
	site->open++;
	return 0;
}

static int site_connect(struct http_site *site, struct weir_conn *conn, struct http_pooled **out)
{
	struct http_pool *pool = site->pool;
	struct http_pooled *pooled = calloc(1, sizeof(*pooled));
	uint64_t start = weir_now();
	int status = -ENOMEM;

	if (pooled)
		status = weir_connect(pool->connector, conn, &site->target, &pooled->stream);
	if (status) {
		weir_counter_add(pool->failed, 1);
		free(pooled);
		site_give_place(site);
		return status;
	}
	weir_counter_add(pool->made, 1);
	weir_list_init(&pooled->link);
	pooled->site = site;
	pooled->connect_ns = WEIR_MAX(weir_now() - start, 1);
	*out = pooled;
	return 0;
}

/* What was handed over is not wanted, but its place is. */
static void pooled_swap(struct http_pooled *pooled)
{
	weir_counter_add(pooled->site->pool->closed[CLOSED_ROOM], 1);
	weir_stream_close(pooled->stream);
	free(pooled);
}

static int site_get(struct http_site *site, struct weir_conn *conn, bool fresh,
		    struct http_pooled **out)
{
	int status;

	*out = fresh ? NULL : site_take_idle(site);
	if (!*out) {
		status = site_take_place(site, out);
		if (status) {
			weir_counter_add(site->pool->refused, status == WEIR_EQUEUE);
			site_settle(site);
			return status;
		}
	}
	if (*out && fresh) {
		pooled_swap(*out);
		*out = NULL;
	}
	if (!*out)
		return site_connect(site, conn, out);
	weir_counter_add(site->pool->reused, 1);
	(*out)->connect_ns = 0;
	return 0;
}

int http_pool_get(struct http_pool *pool, struct weir_conn *conn, const struct weir_target *to,
		  bool fresh, struct http_pooled **out)
{
	struct http_site *site;
	int status;

	if (!pool->measured)
		pool_measure(pool);
	site = pool_site(pool, to);
	if (!site)
		return -ENOMEM;
	status = site_get(site, conn, fresh, out);
	if (status)
		return status;
	weir_gauge_add(pool->busy, 1);
	(*out)->requests++;
	return 0;
}

bool http_pool_may_keep(const struct http_pooled *pooled)
{
	uint32_t max = pooled->site->pool->max_requests;

	return !max || pooled->requests < max;
}

void http_pool_put(struct http_pooled *pooled, bool keep)
{
	struct http_site *site = pooled->site;
	struct http_pool *pool = site->pool;

	weir_gauge_add(pool->busy, -1);
	if (!keep || !http_pool_may_keep(pooled)) {
		weir_counter_add(pool->closed[CLOSED_USED], 1);
		pooled_close(pooled);
	} else if (!weir_list_is_empty(&site->waiters)) {
		site_grant(site, pooled);
	} else if (site->n_idle >= pool->max_idle) {
		weir_counter_add(pool->closed[CLOSED_ROOM], 1);
		pooled_close(pooled);
	} else {
		idle_add(pooled);
	}
}

size_t http_pool_idle(const struct http_pool *pool)
{
	return pool->n_idle;
}

size_t http_pool_sites(const struct http_pool *pool)
{
	return pool->n_sites;
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

struct http_pool *http_pool_new(const struct http_pool_conf *conf)
{
	struct http_pool *pool = calloc(1, sizeof(*pool));

	if (!pool) {
		weir_connector_free(conf->connector);
		return NULL;
	}
	*pool = (struct http_pool){
		.connector = conf->connector,
		.max_connections = conf->max_connections,
		.max_idle = conf->max_idle,
		.max_requests = conf->max_requests,
		.queue = conf->queue,
		.idle_ns = conf->idle_ms * NS_PER_MS,
		.queue_ns = conf->queue_ms * NS_PER_MS,
		.metrics = conf->metrics,
		.name = strdup(conf->name ? conf->name : ""),
		.buckets = calloc(SITES_FIRST, sizeof(struct http_site *)),
		.n_buckets = SITES_FIRST,
	};
	weir_upkeep_init(&pool->upkeep, pool_on_upkeep);
	if (pool->name && pool->buckets)
		return pool;
	http_pool_free(pool);
	return NULL;
}

void http_pool_free(struct http_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; pool->buckets && i < pool->n_buckets; i++) {
		struct http_site *site;

		/* Each round ends at least one site: what is known of it is idle connections. */
		while ((site = pool->buckets[i])) {
			assert(site->n_idle && site->n_idle == site->open && !site->n_waiting);
			for (uint32_t left = site->n_idle; left > 0; left--)
				idle_close(weir_container_of(site->idle.next, struct http_pooled,
							     link),
					   CLOSED_USED);
		}
	}
	weir_upkeep_del(&pool->upkeep);
	weir_connector_free(pool->connector);
	free(pool->buckets);
	free(pool->name);
	free(pool);
}
