/* SPDX-License-Identifier: MIT */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

/*
 * Counters, gauges and histograms. Each worker writes cells of its own with plain stores;
 * whoever reads sums them up. A series is found by family and labels and exists once in a
 * registry, so numbers go on over a reload. The number of series of a family is bounded
 * (WEIR_METRICS_SERIES_MAX); one more is counted under overflow="true" labels.
 *
 * A cell is written by one worker only. Names follow Prometheus' conventions: weir_ prefix,
 * _total for counters, base units (seconds, bytes).
 */

#include <stdatomic.h>
#include <stdbool.h>

#include <weir/base.h>
#include <weir/buffer.h>

#define WEIR_METRICS_SERIES_MAX 1024

struct weir_metrics;

enum weir_metric_type { WEIR_METRIC_COUNTER, WEIR_METRIC_GAUGE, WEIR_METRIC_HISTOGRAM };

/* Static memory. */
struct weir_metric_family {
	const char *name; /* "weir_connections_total" */
	const char *help;
	enum weir_metric_type type;
	const char *labels[6]; /* names, NULL after the last */
	const double *bounds;  /* of a histogram: upper bounds, ascending */
	size_t n_bounds;
};

struct weir_counter {
	_Atomic uint64_t value;
};

struct weir_gauge {
	_Atomic int64_t value;
};

struct weir_histogram;

/* WORKERS: how many write; each passes its index below. NULL when memory is out. */
struct weir_metrics *weir_metrics_new(unsigned workers) WEIR_MUST_CHECK;
void weir_metrics_free(struct weir_metrics *metrics);

/* The cell of WORKER of the series with these label values (as many as the family has names;
 * NULL counts as ""). The same arguments give the same cell. Never NULL: with METRICS NULL or
 * memory out it is a cell that nobody reads. Lives as long as the registry. Takes a lock. */
struct weir_counter *weir_metrics_counter(struct weir_metrics *metrics, unsigned worker,
					  const struct weir_metric_family *family,
					  const char *const *values);
struct weir_gauge *weir_metrics_gauge(struct weir_metrics *metrics, unsigned worker,
				      const struct weir_metric_family *family,
				      const char *const *values);
struct weir_histogram *weir_metrics_histogram(struct weir_metrics *metrics, unsigned worker,
					      const struct weir_metric_family *family,
					      const char *const *values);

/* The owner's worker only: a relaxed load and store, no locked instruction. */
static inline void weir_counter_add(struct weir_counter *counter, uint64_t n)
{
	uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);

	atomic_store_explicit(&counter->value, value + n, memory_order_relaxed);
}

static inline void weir_gauge_add(struct weir_gauge *gauge, int64_t n)
{
	int64_t value = atomic_load_explicit(&gauge->value, memory_order_relaxed);

	atomic_store_explicit(&gauge->value, value + n, memory_order_relaxed);
}

static inline void weir_gauge_set(struct weir_gauge *gauge, int64_t value)
{
	atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

/* Counts VALUE (in the unit of the family's name). */
void weir_histogram_add(struct weir_histogram *histogram, double value);

/* Appends everything in Prometheus' text format 0.0.4, summed over workers. Any thread.
 * 0 or -ENOMEM. */
int weir_metrics_format(struct weir_metrics *metrics, struct weir_buffer *out) WEIR_MUST_CHECK;

/* The sum over workers of one counter or gauge series; 0 when there is none. Any thread. */
int64_t weir_metrics_sum(struct weir_metrics *metrics, const struct weir_metric_family *family,
			 const char *const *values);

#endif
