/* SPDX-License-Identifier: MIT */
#include <weir/loop.h>

#include "proxy/reverse_internal.h"

static const double seconds_bounds[] = {
	0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
};

static const struct weir_metric_family active_family = {
	.name = "weir_http_upstream_calls_active",
	.help = "Calls to an upstream that are under way.",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "upstream" },
};

static const struct weir_metric_family requests_family = {
	.name = "weir_http_upstream_requests_total",
	.help = "Calls to an upstream, by the class of the status it answered with.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "code" },
};

static const struct weir_metric_family latency_family = {
	.name = "weir_http_upstream_response_seconds",
	.help = "Time to the head of an upstream's response, retries included.",
	.type = WEIR_METRIC_HISTOGRAM,
	.labels = { "upstream" },
	.bounds = seconds_bounds,
	.n_bounds = WEIR_ARRAY_SIZE(seconds_bounds),
};

static const struct weir_metric_family duration_family = {
	.name = "weir_http_upstream_duration_seconds",
	.help = "Time to the end of an upstream's response.",
	.type = WEIR_METRIC_HISTOGRAM,
	.labels = { "upstream" },
	.bounds = seconds_bounds,
	.n_bounds = WEIR_ARRAY_SIZE(seconds_bounds),
};

static const struct weir_metric_family refused_family = {
	.name = "weir_http_upstream_refused_total",
	.help = "Calls and retries that the circuit breaker refused, by limit.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "limit" },
};

static const struct weir_metric_family retries_family = {
	.name = "weir_http_upstream_retries_total",
	.help = "Attempts but the first ones, by why they were made.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "reason" },
};

static const struct weir_metric_family hedges_family = {
	.name = "weir_http_upstream_hedges_total",
	.help = "Second attempts at the same time, by whether they were first.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream", "result" },
};

static const struct weir_metric_family broken_family = {
	.name = "weir_http_upstream_broken_bodies_total",
	.help = "Responses that broke off amid their body.",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "upstream" },
};

void reverse_metrics_prepare(struct reverse_metrics *m)
{
	static const char *const classes[] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };

	if (m->known)
		return;
	m->known = true;
	m->worker = weir_loop_index(weir_loop_current());
	m->active = weir_metrics_gauge(m->metrics, m->worker, &active_family, &m->upstream);
	m->latency = weir_metrics_histogram(m->metrics, m->worker, &latency_family, &m->upstream);
	m->duration = weir_metrics_histogram(m->metrics, m->worker, &duration_family, &m->upstream);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(classes); i++) {
		const char *const labels[] = { m->upstream, classes[i] };

		m->requests[i] =
			weir_metrics_counter(m->metrics, m->worker, &requests_family, labels);
	}
}

void reverse_metrics_count(struct reverse_metrics *m, unsigned status)
{
	unsigned class = status / 100;

	weir_counter_add(m->requests[class < WEIR_ARRAY_SIZE(m->requests) ? class : 0], 1);
}

/* Rare ones: the cell is looked up when it happens. */
static void count(struct reverse_metrics *m, const struct weir_metric_family *family,
		  const char *label)
{
	const char *const labels[] = { m->upstream, label };

	weir_counter_add(weir_metrics_counter(m->metrics, m->worker, family, labels), 1);
}

void reverse_metrics_count_refusal(struct reverse_metrics *m, enum weir_breaker_verdict verdict)
{
	count(m, &refused_family, weir_breaker_verdict_name(verdict));
}

void reverse_metrics_count_retry(struct reverse_metrics *m, const char *reason)
{
	count(m, &retries_family, reason);
}

void reverse_metrics_count_hedge(struct reverse_metrics *m, bool won)
{
	count(m, &hedges_family, won ? "won" : "lost");
}

void reverse_metrics_count_broken_body(struct reverse_metrics *m)
{
	count(m, &broken_family, NULL);
}
