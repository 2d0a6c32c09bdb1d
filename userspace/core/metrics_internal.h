/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CORE_METRICS_INTERNAL_H
#define WEIR_CORE_METRICS_INTERNAL_H

/*
 * The registry as metrics.c keeps it and metrics_format.c writes it. Everything here but the
 * values in the cells is under the registry's lock.
 */

#include <pthread.h>

#include <weir/list.h>
#include <weir/metrics.h>

#define METRICS_CACHE_LINE 64
#define METRICS_HASH	   64
#define METRICS_LABELS	   6

/* Of one worker. All of it lies in that worker's own cache lines. */
struct weir_histogram {
	const double *bounds; /* NULL: nobody reads it */
	size_t n_bounds;
	_Atomic double sum;
	_Atomic uint64_t buckets[]; /* not cumulative; n_bounds + 1, the last one is +Inf */
};

union metrics_cell {
	void *any;
	struct weir_counter *counter;
	struct weir_gauge *gauge;
	struct weir_histogram *histogram;
};

struct metrics_series {
	struct weir_list link;		    /* in family->series, in order of registration */
	struct metrics_series *chain;	    /* in family->hash */
	const char *values[METRICS_LABELS]; /* owned, one allocation with the series */
	union metrics_cell cells[];	    /* one a worker; NULL until it asks */
};

struct metrics_family {
	struct weir_list link; /* in metrics->families, in order of registration */
	const struct weir_metric_family *family;
	unsigned n_labels;
	size_t n_series; /* without the overflow one */
	struct weir_list series;
	struct metrics_series *overflow; /* NULL until it is needed; owned */
	struct metrics_series *hash[METRICS_HASH];
};

/* Memory for the cells of one worker: what one worker writes together lies together, and no
 * other worker writes the same cache line. */
struct metrics_slab {
	struct weir_list chunks;
	char *next;
	char *end;
};

struct weir_metrics {
	pthread_mutex_t lock;
	struct weir_list families;
	unsigned workers;
	struct metrics_slab slabs[]; /* one a worker */
};

#endif
