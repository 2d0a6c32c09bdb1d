/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_METRICS_H
#define WEIR_DAEMON_METRICS_H

/*
 * What the daemon counts for each listener; what a forward does is counted there. The cells belong to the registry and go on over a
 * reload; a set of pointers to them belongs to one worker.
 */

#include <weir/conn.h>
#include <weir/metrics.h>

enum refusal {
	REFUSAL_LIMIT, /* the three that layers count themselves */
	REFUSAL_SOURCE,
	REFUSAL_SOURCE_RATE,
	REFUSAL_POLICY, /* counted when the connection ends */
	REFUSAL_QUEUE,
	REFUSAL_NO_ENDPOINT,
	REFUSAL_COUNT,
};

struct listener_metrics {
	struct weir_counter *accepted;
	struct weir_gauge *active;
	struct weir_counter *refused[REFUSAL_COUNT];
	struct weir_counter *accept_errors;
};

/* NULL when memory is out. To be freed with free(). Any thread. */
struct listener_metrics *listener_metrics_new(struct weir_metrics *metrics, unsigned worker,
					      const char *listener) WEIR_MUST_CHECK;

void listener_metrics_begin(struct listener_metrics *metrics, const struct weir_conn *conn);
void listener_metrics_end(struct listener_metrics *metrics, const struct weir_conn *conn);

/* The sums over all workers. */
struct listener_totals {
	uint64_t accepted;
	int64_t active;
	uint64_t refused;
	uint64_t accept_errors;
};
/* Any thread. */
void listener_metrics_sum(struct weir_metrics *metrics, const char *listener,
			  struct listener_totals *totals);

#endif
