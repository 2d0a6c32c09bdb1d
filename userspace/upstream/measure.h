/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_MEASURE_H
#define WEIR_UPSTREAM_MEASURE_H

/*
 * The metrics of upstreams. Labelled by upstream and by configured endpoint, never by resolved
 * address, so the number of series is bounded by the configuration: addresses of one name count
 * together.
 */

#include <stdbool.h>

#include <weir/metrics.h>

extern const struct weir_metric_family weir_measure_active;	   /* upstream, endpoint */
extern const struct weir_metric_family weir_measure_calls;	   /* upstream, endpoint */
extern const struct weir_metric_family weir_measure_call_failures; /* ..., reason */
extern const struct weir_metric_family weir_measure_connected;	   /* upstream, endpoint */
extern const struct weir_metric_family weir_measure_failures;	   /* ..., reason */
extern const struct weir_metric_family weir_measure_ejections;	   /* upstream, endpoint */
extern const struct weir_metric_family weir_measure_checks;	   /* ..., result */
extern const struct weir_metric_family weir_measure_endpoints;	   /* ..., state */
extern const struct weir_metric_family weir_measure_connect_time;  /* upstream */
extern const struct weir_metric_family weir_measure_retries;	   /* upstream */
extern const struct weir_metric_family weir_measure_refused;	   /* upstream, reason */
extern const struct weir_metric_family weir_measure_queue;	   /* upstream */
extern const struct weir_metric_family weir_measure_queue_time;	   /* upstream */

/* Why a connect failed, in few words: "refused", "timeout", "unreachable", "reset", "protocol",
 * "local", "other". Static memory. */
const char *weir_measure_reason(int status);
/* Whether STATUS says something about this host (no descriptors, no memory, no ports), so that
 * the endpoint is not to blame. */
bool weir_measure_is_local(int status);

#endif
