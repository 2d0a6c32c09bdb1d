/* SPDX-License-Identifier: MIT */
/*
 * The registry of metrics: families hold series, a series holds one cell for each worker. Cells
 * come from slabs of one worker, so that two workers never write to one cache line, and cells
 * that a worker writes together lie together. Values are relaxed atomics with one writer each;
 * everything else is under one lock, which is taken to find a cell and to read all of them, never
 * to count.
 *
 * A registry only grows: stacks of services come and go with the configuration, their numbers
 * stay. What bounds it is the number of series of a family.
 */

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/metrics_internal.h"

#define SLAB_BYTES 4096

struct chunk {
	_Alignas(METRICS_CACHE_LINE) struct weir_list link;
	_Alignas(METRICS_CACHE_LINE) char bytes[];
};

/* ---- memory of cells ---- */

static int slab_grow(struct metrics_slab *slab, size_t size)
{
	size_t bytes = WEIR_MAX(size, (size_t)SLAB_BYTES - sizeof(struct chunk));
	struct chunk *chunk;

	bytes = (bytes + METRICS_CACHE_LINE - 1) & ~(size_t)(METRICS_CACHE_LINE - 1);
	chunk = aligned_alloc(METRICS_CACHE_LINE, sizeof(*chunk) + bytes);
	if (!chunk)
		return -1;
	memset(chunk->bytes, 0, bytes);
	weir_list_add_tail(&slab->chunks, &chunk->link);
	slab->next = chunk->bytes;
	slab->end = chunk->bytes + bytes;
	return 0;
}

/* Cleared, aligned for a uint64_t. */
static void *slab_alloc(struct metrics_slab *slab, size_t size)
{
	char *p;

	size = (size + 7) & ~(size_t)7;
	if ((size_t)(slab->end - slab->next) < size && slab_grow(slab, size) < 0)
		return NULL;
	p = slab->next;
	slab->next += size;
	return p;
}

static void slab_fini(struct metrics_slab *slab)
{
	struct weir_list *link;

	while ((link = weir_list_pop(&slab->chunks)))
		free(weir_container_of(link, struct chunk, link));
}

/* ---- families and series ---- */

static const char *value_or_empty(const char *value)
{
	return value ? value : "";
}

static unsigned values_hash(const char *const *values, unsigned n)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

	for (unsigned i = 0; i < n; i++) {
		const char *p = value_or_empty(values[i]);

		/* The terminator too: it divides the values. */
		do
			hash = (hash ^ (unsigned char)*p) * 0x100000001b3u;
		while (*p++);
	}
	return (unsigned)(hash >> 32) % METRICS_HASH;
}

static bool series_has(const struct metrics_series *series, const char *const *values, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(series->values[i], value_or_empty(values[i])) != 0)
			return false;
	return true;
}

/* VALUES of NULL: the overflow series, which has none. */
static struct metrics_series *series_new(const struct weir_metrics *metrics,
					 const char *const *values, unsigned n)
{
	size_t head = sizeof(struct metrics_series) + metrics->workers * sizeof(union metrics_cell);
	struct metrics_series *series;
	size_t text = 0;
	char *p;

	for (unsigned i = 0; values && i < n; i++)
		text += strlen(value_or_empty(values[i])) + 1;
	series = calloc(1, head + text);
	if (!series)
		return NULL;
	p = (char *)series + head;
	for (unsigned i = 0; values && i < n; i++) {
		size_t size = strlen(value_or_empty(values[i])) + 1;

		series->values[i] = memcpy(p, value_or_empty(values[i]), size);
		p += size;
	}
	weir_list_init(&series->link);
	return series;
}

/* Families are the same when their names are: two files may have a table each. */
static struct metrics_family *family_find(struct weir_metrics *metrics,
					  const struct weir_metric_family *wanted)
{
	struct weir_list *link;

	for (link = metrics->families.next; link != &metrics->families; link = link->next) {
		struct metrics_family *family =
			weir_container_of(link, struct metrics_family, link);

		if (family->family != wanted && strcmp(family->family->name, wanted->name) != 0)
			continue;
		assert(family->family->type == wanted->type);
		assert(family->family->n_bounds == wanted->n_bounds);
		return family;
	}
	return NULL;
}

static struct metrics_family *family_add(struct weir_metrics *metrics,
					 const struct weir_metric_family *wanted)
{
	struct metrics_family *family = calloc(1, sizeof(*family));

	if (!family)
		return NULL;
	family->family = wanted;
	while (family->n_labels < METRICS_LABELS && wanted->labels[family->n_labels])
		family->n_labels++;
	weir_list_init(&family->series);
	weir_list_add_tail(&metrics->families, &family->link);
	return family;
}

static struct metrics_series *family_find_series(const struct metrics_family *family,
						 const char *const *values)
{
	struct metrics_series *series = family->hash[values_hash(values, family->n_labels)];

	while (series && !series_has(series, values, family->n_labels))
		series = series->chain;
	return series;
}

static struct metrics_series *family_add_series(const struct weir_metrics *metrics,
						struct metrics_family *family,
						const char *const *values)
{
	struct metrics_series *series, **hash;

	if (family->n_series == WEIR_METRICS_SERIES_MAX) {
		if (!family->overflow)
			family->overflow = series_new(metrics, NULL, 0);
		return family->overflow;
	}
	series = series_new(metrics, values, family->n_labels);
	if (!series)
		return NULL;
	hash = &family->hash[values_hash(values, family->n_labels)];
	series->chain = *hash;
	*hash = series;
	weir_list_add_tail(&family->series, &series->link);
	family->n_series++;
	return series;
}

static void family_free(struct metrics_family *family)
{
	struct weir_list *link;

	while ((link = weir_list_pop(&family->series)))
		free(weir_container_of(link, struct metrics_series, link));
	free(family->overflow);
	free(family);
}

/* ---- the registry ---- */

struct weir_metrics *weir_metrics_new(unsigned workers)
{
	struct weir_metrics *metrics;

	workers = WEIR_MAX(workers, 1u);
	metrics = calloc(1, sizeof(*metrics) + workers * sizeof(metrics->slabs[0]));
	if (!metrics)
		return NULL;
	pthread_mutex_init(&metrics->lock, NULL);
	weir_list_init(&metrics->families);
	metrics->workers = workers;
	for (unsigned i = 0; i < workers; i++)
		weir_list_init(&metrics->slabs[i].chunks);
	return metrics;
}

void weir_metrics_free(struct weir_metrics *metrics)
{
	struct weir_list *link;

	if (!metrics)
		return;
	while ((link = weir_list_pop(&metrics->families)))
		family_free(weir_container_of(link, struct metrics_family, link));
	for (unsigned i = 0; i < metrics->workers; i++)
		slab_fini(&metrics->slabs[i]);
	pthread_mutex_destroy(&metrics->lock);
	free(metrics);
}

/* Cells that nobody reads, apart enough for workers not to meet in them. */
static union {
	_Alignas(METRICS_CACHE_LINE) struct weir_counter counter;
	struct weir_gauge gauge;
	struct weir_histogram histogram;
} nobodys[64];

static void *cell_nobodys(unsigned worker)
{
	return &nobodys[worker % WEIR_ARRAY_SIZE(nobodys)];
}

static void *cell_new(struct metrics_slab *slab, const struct weir_metric_family *family)
{
	static const double no_bounds[1];
	struct weir_histogram *histogram;

	if (family->type != WEIR_METRIC_HISTOGRAM)
		return slab_alloc(slab, sizeof(struct weir_counter));
	histogram = slab_alloc(slab, sizeof(*histogram) + (family->n_bounds + 1) *
								  sizeof(histogram->buckets[0]));
	if (!histogram)
		return NULL;
	histogram->bounds = family->bounds ? family->bounds : no_bounds;
	histogram->n_bounds = family->n_bounds;
	return histogram;
}

static void *cell_find(struct weir_metrics *metrics, unsigned worker,
		       const struct weir_metric_family *wanted, const char *const *values)
{
	struct metrics_family *family;
	struct metrics_series *series;

	family = family_find(metrics, wanted);
	if (!family)
		family = family_add(metrics, wanted);
	if (!family)
		return NULL;
	series = family_find_series(family, values);
	if (!series)
		series = family_add_series(metrics, family, values);
	if (!series)
		return NULL;
	if (!series->cells[worker].any)
		series->cells[worker].any = cell_new(&metrics->slabs[worker], family->family);
	return series->cells[worker].any;
}

static void *cell_get(struct weir_metrics *metrics, unsigned worker,
		      const struct weir_metric_family *family, const char *const *values)
{
	void *cell;

	if (!metrics)
		return cell_nobodys(worker);
	assert(worker < metrics->workers);
	pthread_mutex_lock(&metrics->lock);
	cell = cell_find(metrics, worker, family, values);
	pthread_mutex_unlock(&metrics->lock);
	return cell ? cell : cell_nobodys(worker);
}

struct weir_counter *weir_metrics_counter(struct weir_metrics *metrics, unsigned worker,
					  const struct weir_metric_family *family,
					  const char *const *values)
{
	assert(family->type == WEIR_METRIC_COUNTER);
	return cell_get(metrics, worker, family, values);
}

struct weir_gauge *weir_metrics_gauge(struct weir_metrics *metrics, unsigned worker,
				      const struct weir_metric_family *family,
				      const char *const *values)
{
	assert(family->type == WEIR_METRIC_GAUGE);
	return cell_get(metrics, worker, family, values);
}

struct weir_histogram *weir_metrics_histogram(struct weir_metrics *metrics, unsigned worker,
					      const struct weir_metric_family *family,
					      const char *const *values)
{
	assert(family->type == WEIR_METRIC_HISTOGRAM);
	return cell_get(metrics, worker, family, values);
}

void weir_histogram_add(struct weir_histogram *histogram, double value)
{
	size_t i = 0;
	uint64_t n;
	double sum;

	if (!histogram->bounds || isnan(value))
		return;
	while (i < histogram->n_bounds && value > histogram->bounds[i])
		i++;
	n = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
	atomic_store_explicit(&histogram->buckets[i], n + 1, memory_order_relaxed);
	sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
	atomic_store_explicit(&histogram->sum, sum + value, memory_order_relaxed);
}

static int64_t series_sum(const struct weir_metrics *metrics, const struct metrics_series *series,
			  enum weir_metric_type type)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < metrics->workers; i++) {
		const union metrics_cell *cell = &series->cells[i];

		if (!cell->any)
			continue;
		if (type == WEIR_METRIC_COUNTER)
			sum += atomic_load_explicit(&cell->counter->value, memory_order_relaxed);
		else
			sum += (uint64_t)atomic_load_explicit(&cell->gauge->value,
							      memory_order_relaxed);
	}
	return (int64_t)sum;
}

int64_t weir_metrics_sum(struct weir_metrics *metrics, const struct weir_metric_family *wanted,
			 const char *const *values)
{
	const struct metrics_family *family;
	const struct metrics_series *series;
	int64_t sum = 0;

	if (!metrics || wanted->type == WEIR_METRIC_HISTOGRAM)
		return 0;
	pthread_mutex_lock(&metrics->lock);
	family = family_find(metrics, wanted);
	series = family ? family_find_series(family, values) : NULL;
	if (series)
		sum = series_sum(metrics, series, wanted->type);
	pthread_mutex_unlock(&metrics->lock);
	return sum;
}
