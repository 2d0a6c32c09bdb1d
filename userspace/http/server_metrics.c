/* SPDX-License-Identifier: MIT */
#include <weir/metrics.h>

#include "http/server.h"

static const double seconds[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
				  0.1,	  0.25,	 0.5,	 1,	2.5,  5,     10 };

static const struct weir_metric_family requests_family = {
	.name = "weir_http_requests_total",
	.help = "Requests that were answered, by class of the status.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "class" },
};

static const struct weir_metric_family aborted_family = {
	.name = "weir_http_aborted_total",
	.help = "Requests whose client went away, or whose response broke off.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener" },
};

static const struct weir_metric_family refused_family = {
	.name = "weir_http_refused_total",
	.help = "Requests that were refused before any service saw them, by cause.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "cause" },
};

static const struct weir_metric_family connections_family = {
	.name = "weir_http_connections_active",
	.help = "Connections of HTTP clients now, idle ones included.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "listener" },
};

static const struct weir_metric_family tunnels_family = {
	.name = "weir_http_tunnels_active",
	.help = "Connections that were upgraded, or connected by CONNECT, now.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "listener" },
};

static const struct weir_metric_family duration_family = {
	.name = "weir_http_request_duration_seconds",
	.help = "Time from a request's head to the last byte of its response.",
	.type = WEIR_METRIC_HISTOGRAM,
	.labels = { "listener" },
	.bounds = seconds,
	.n_bounds = WEIR_ARRAY_SIZE(seconds),
};

static unsigned metrics_worker(void)
{
	return weir_loop_index(weir_loop_current());
}

void server_metrics_use(struct server_metrics *metrics, const char *listener)
{
	static const char *const classes[] = { "other", "1xx", "2xx", "3xx", "4xx", "5xx" };
	const char *values[] = { listener, NULL };
	struct weir_metrics *registry = metrics->registry;
	unsigned worker = metrics_worker();

	if (metrics->duration_s && metrics->listener == listener)
		return;
	metrics->listener = listener;
	metrics->aborted = weir_metrics_counter(registry, worker, &aborted_family, values);
	metrics->connections = weir_metrics_gauge(registry, worker, &connections_family, values);
	metrics->tunnels = weir_metrics_gauge(registry, worker, &tunnels_family, values);
	metrics->duration_s = weir_metrics_histogram(registry, worker, &duration_family, values);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(classes); i++) {
		values[1] = classes[i];
		metrics->requests[i] =
			weir_metrics_counter(registry, worker, &requests_family, values);
	}
}

void server_metrics_count(struct server_metrics *metrics, const struct weir_call *call)
{
	unsigned class = call->response.status / 100;
	uint64_t took = weir_loop_now(weir_loop_current()) - call->started_ns;

	if (call->result.status < 0) {
		weir_counter_add(metrics->aborted, 1);
		return;
	}
	if (class >= WEIR_ARRAY_SIZE(metrics->requests))
		class = 0;
	weir_counter_add(metrics->requests[class], 1);
	weir_histogram_add(metrics->duration_s, (double)took / 1e9);
}

void server_metrics_refuse(struct server_metrics *metrics, const char *cause)
{
	const char *values[] = { metrics->listener, cause };

	weir_counter_add(weir_metrics_counter(metrics->registry, metrics_worker(), &refused_family,
					      values),
			 1);
}
