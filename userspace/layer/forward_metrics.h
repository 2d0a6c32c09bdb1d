/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_FORWARD_METRICS_H
#define WEIR_LAYER_FORWARD_METRICS_H

/*
 * The numbers of the forward service, labelled by listener and upstream. Cells are looked up once
 * for each listener that a service serves (that is one, as a rule), not once a connection.
 */

#include <weir/bridge.h>
#include <weir/metrics.h>

struct forward_metrics {
	struct weir_metrics *registry; /* borrowed; may be NULL */
	char *listener;		       /* whose cells these are; owned; NULL: not looked up yet */
	const char *upstream;	       /* borrowed */
	unsigned worker;
	struct weir_counter *connections;
	struct weir_gauge *active;
	struct weir_counter *bytes[2];
	struct weir_histogram *connect_s;
	struct weir_histogram *duration_s;
	struct weir_counter *ends[WEIR_END_COUNT];
};

/* Borrows both. UPSTREAM may be NULL. */
void forward_metrics_init(struct forward_metrics *metrics, struct weir_metrics *registry,
			  const char *upstream);
void forward_metrics_fini(struct forward_metrics *metrics);
/* The cells are those of LISTENER (may be NULL) from now on. */
void forward_metrics_use(struct forward_metrics *metrics, const char *listener);
/* One that was not connected, for this cause. */
void forward_metrics_refuse(struct forward_metrics *metrics, int status);

#endif
