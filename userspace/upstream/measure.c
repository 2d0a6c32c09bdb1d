/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <weir/error.h>

#include "upstream/measure.h"

static const double time_bounds[] = {
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
	0.05,	0.1,	 0.25,	 0.5,	1,	2.5,   5,    10,
};

const struct weir_metric_family weir_measure_active = {
	.name = "weir_upstream_connections_active",
	.help = "Places taken at an endpoint: connecting or connected.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "upstream", "endpoint" },
};

const struct weir_metric_family weir_measure_calls = {
	.name = "weir_upstream_calls_active",
	.help = "Calls that are at an endpoint.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "upstream", "endpoint" },
};

const struct weir_metric_family weir_measure_call_failures = {
	.name = "weir_upstream_call_failures_total",
	.help = "Calls to an endpoint without a good response, by reason.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "endpoint", "reason" },
};

const struct weir_metric_family weir_measure_connected = {
	.name = "weir_upstream_connections_total",
	.help = "Connections made to an endpoint.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "endpoint" },
};

const struct weir_metric_family weir_measure_failures = {
	.name = "weir_upstream_connect_failures_total",
	.help = "Connects to an endpoint that failed, by reason.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "endpoint", "reason" },
};

const struct weir_metric_family weir_measure_ejections = {
	.name = "weir_upstream_ejections_total",
	.help = "Times an endpoint was taken out because its traffic failed in a row.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "endpoint" },
};

const struct weir_metric_family weir_measure_checks = {
	.name = "weir_upstream_checks_total",
	.help = "Active health checks of an endpoint, by result.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "endpoint", "result" },
};

const struct weir_metric_family weir_measure_endpoints = {
	.name = "weir_upstream_endpoints",
	.help = "Addresses of a configured endpoint that are in a state.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "upstream", "endpoint", "state" },
};

const struct weir_metric_family weir_measure_connect_time = {
	.name = "weir_upstream_connect_seconds",
	.help = "Time that a successful connect took.",
	.type = WEIR_METRIC_HISTOGRAM,
	.labels = { "upstream" },
	.bounds = time_bounds,
	.n_bounds = WEIR_ARRAY_SIZE(time_bounds),
};

const struct weir_metric_family weir_measure_retries = {
	.name = "weir_upstream_retries_total",
	.help = "Connects tried on another endpoint after one had failed.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream" },
};

const struct weir_metric_family weir_measure_refused = {
	.name = "weir_upstream_refused_total",
	.help = "Connections that got no endpoint, by reason.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "reason" },
};

const struct weir_metric_family weir_measure_queue = {
	.name = "weir_upstream_queue_length",
	.help = "Connections that wait for a free place.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "upstream" },
};

const struct weir_metric_family weir_measure_queue_time = {
	.name = "weir_upstream_queue_seconds",
	.help = "Time that connections waited for a free place, with or without success.",
	.type = WEIR_METRIC_HISTOGRAM,
	.labels = { "upstream" },
	.bounds = time_bounds,
	.n_bounds = WEIR_ARRAY_SIZE(time_bounds),
};

bool weir_measure_is_local(int status)
{
	switch (status) {
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS:
	case -EADDRINUSE:
	case -EADDRNOTAVAIL:
		return true;
	default:
		return false;
	}
}

const char *weir_measure_reason(int status)
{
	if (weir_measure_is_local(status))
		return "local";
	switch (status) {
	case -ECONNREFUSED:
	case -ENOENT: /* of a Unix socket */
		return "refused";
	case -ETIMEDOUT:
		return "timeout";
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -ENETDOWN:
		return "unreachable";
	case -ECONNRESET:
	case -EPIPE:
		return "reset";
	case WEIR_EPROTO:
		return "protocol";
	default:
		return "other";
	}
}
