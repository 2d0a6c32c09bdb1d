/* SPDX-License-Identifier: MIT */

#include "daemon/metrics.h"

#include <stdlib.h>

#include <weir/error.h>

static const struct weir_metric_family accepted_family = {
	.name = "weir_connections_total",
	.help = "Connections accepted",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener" },
};
static const struct weir_metric_family active_family = {
	.name = "weir_connections_active",
	.help = "Connections open now",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "listener" },
};
static const struct weir_metric_family refused_family = {
	.name = "weir_refusals_total",
	.help = "Connections refused, by cause",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "cause" },
};
static const struct weir_metric_family errors_family = {
	.name = "weir_accept_errors_total",
	.help = "Times that accepting failed, for want of descriptors or memory",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener" },
};
static const char *const causes[REFUSAL_COUNT] = {
	[REFUSAL_LIMIT] = "limit",
	[REFUSAL_SOURCE] = "source_limit",
	[REFUSAL_SOURCE_RATE] = "source_rate",
	[REFUSAL_POLICY] = "policy",
	[REFUSAL_QUEUE] = "queue",
	[REFUSAL_NO_ENDPOINT] = "no_endpoint",
};

struct listener_metrics *listener_metrics_new(struct weir_metrics *metrics, unsigned worker,
					      const char *listener)
{
	struct listener_metrics *own = calloc(1, sizeof(*own));
	const char *values[] = { listener, NULL };
	int i;

	if (own == NULL)
		return NULL;
	own->accepted = weir_metrics_counter(metrics, worker, &accepted_family, values);
	own->active = weir_metrics_gauge(metrics, worker, &active_family, values);
	own->accept_errors = weir_metrics_counter(metrics, worker, &errors_family, values);
	for (i = 0; i < REFUSAL_COUNT; i++) {
		values[1] = causes[i];
		own->refused[i] = weir_metrics_counter(metrics, worker, &refused_family, values);
	}
	return own;
}

void listener_metrics_begin(struct listener_metrics *metrics, const struct weir_conn *conn)
{
	weir_counter_add(metrics->accepted, conn->resumed == NULL ? 1 : 0);
	weir_gauge_add(metrics->active, 1);
}

static void count_refusal(struct listener_metrics *metrics, int status)
{
	switch (status) {
	case WEIR_EPOLICY:
		weir_counter_add(metrics->refused[REFUSAL_POLICY], 1);
		break;
	case WEIR_EQUEUE:
		weir_counter_add(metrics->refused[REFUSAL_QUEUE], 1);
		break;
	case WEIR_ENOENDPOINT:
		weir_counter_add(metrics->refused[REFUSAL_NO_ENDPOINT], 1);
		break;
	default:
		break;
	}
}

void listener_metrics_end(struct listener_metrics *metrics, const struct weir_conn *conn)
{
	weir_gauge_add(metrics->active, -1);
	count_refusal(metrics, conn->result.status);
}

void listener_metrics_sum(struct weir_metrics *metrics, const char *listener,
			  struct listener_totals *totals)
{
	const char *values[] = { listener, NULL };
	int i;

	*totals = (struct listener_totals){
		.accepted = (uint64_t)weir_metrics_sum(metrics, &accepted_family, values),
		.active = weir_metrics_sum(metrics, &active_family, values),
		.accept_errors = (uint64_t)weir_metrics_sum(metrics, &errors_family, values),
	};
	for (i = 0; i < REFUSAL_COUNT; i++) {
		values[1] = causes[i];
		totals->refused += (uint64_t)weir_metrics_sum(metrics, &refused_family, values);
	}
}
