/* SPDX-License-Identifier: MIT */
#include "layer/forward_metrics.h"

#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/loop.h>

static const double seconds[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
				  0.1,	  0.25,	 0.5,	 1,	2.5,  5,     10 };
static const double long_seconds[] = { 0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 21600, 86400 };

static const struct weir_metric_family connections_family = {
	.name = "weir_forward_connections_total",
	.help = "Connections that were connected to an upstream.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "upstream" },
};

static const struct weir_metric_family active_family = {
	.name = "weir_forward_connections_active",
	.help = "Connections that are connected to an upstream now.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "listener", "upstream" },
};

static const struct weir_metric_family bytes_family = {
	.name = "weir_forward_bytes_total",
	.help = "Bytes delivered, up to the upstream and down to the client; counted as they go, "
		"those of the kernel's path when the connection ends.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "upstream", "direction" },
};

static const struct weir_metric_family connect_family = {
	.name = "weir_forward_connect_seconds",
	.help = "Time to connect to the upstream, waiting for an endpoint included.",
	.type = WEIR_METRIC_HISTOGRAM,
	.labels = { "listener", "upstream" },
	.bounds = seconds,
	.n_bounds = WEIR_ARRAY_SIZE(seconds),
};

static const struct weir_metric_family duration_family = {
	.name = "weir_forward_duration_seconds",
	.help = "Time from being connected to the end.",
	.type = WEIR_METRIC_HISTOGRAM,
	.labels = { "listener", "upstream" },
	.bounds = long_seconds,
	.n_bounds = WEIR_ARRAY_SIZE(long_seconds),
};

static const struct weir_metric_family ends_family = {
	.name = "weir_forward_ends_total",
	.help = "Connections that have ended, by reason.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "upstream", "reason" },
};

static const struct weir_metric_family refusals_family = {
	.name = "weir_forward_refusals_total",
	.help = "Connections that were not connected to an upstream, by cause.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "upstream", "cause" },
};

void forward_metrics_init(struct forward_metrics *metrics, struct weir_metrics *registry,
			  const char *upstream)
{
	*metrics = (struct forward_metrics){ .registry = registry, .upstream = upstream };
}

void forward_metrics_fini(struct forward_metrics *metrics)
{
	free(metrics->listener);
}

static struct weir_counter *cell_counter(const struct forward_metrics *metrics,
					 const struct weir_metric_family *family, const char *third)
{
	const char *values[] = { metrics->listener, metrics->upstream, third };

	return weir_metrics_counter(metrics->registry, metrics->worker, family, values);
}

void forward_metrics_use(struct forward_metrics *metrics, const char *listener)
{
	const char *values[] = { listener ? listener : "", metrics->upstream };
	struct weir_metrics *registry = metrics->registry;
	unsigned worker = weir_loop_index(weir_loop_current());

	if (metrics->listener && strcmp(metrics->listener, values[0]) == 0)
		return;
	/* Without memory for the name the cells are looked up each time. */
	free(metrics->listener);
	metrics->listener = strdup(values[0]);
	metrics->worker = worker;
	metrics->connections = cell_counter(metrics, &connections_family, NULL);
	metrics->active = weir_metrics_gauge(registry, worker, &active_family, values);
	metrics->bytes[WEIR_UP] = cell_counter(metrics, &bytes_family, "up");
	metrics->bytes[WEIR_DOWN] = cell_counter(metrics, &bytes_family, "down");
	metrics->connect_s = weir_metrics_histogram(registry, worker, &connect_family, values);
	metrics->duration_s = weir_metrics_histogram(registry, worker, &duration_family, values);
	for (int end = WEIR_END_NONE + 1; end < WEIR_END_COUNT; end++)
		metrics->ends[end] =
			cell_counter(metrics, &ends_family, weir_end_name((enum weir_end)end));
}

void forward_metrics_refuse(struct forward_metrics *metrics, int status)
{
	weir_counter_add(cell_counter(metrics, &refusals_family, weir_error_name(status)), 1);
}
