/* SPDX-License-Identifier: MIT */
/*
 * metrics of calls by route. A route is known only when the router has chosen it, so a call is
 * counted where it ends; what is active is counted for the listener. Cells of the registry are
 * found once for each route, method and class, and remembered: a call takes no lock.
 */

#include <weir/http_layer.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/list.h>
#include <weir/loop.h>

#include "layer/http_answer.h"

#define CLASSES 6 /* "other", 1xx to 5xx */

static const double seconds[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
				  0.25,	 0.5,	 1,	2.5,  5,     10,   30 };

static const struct weir_metric_family requests_family = {
	.name = "weir_http_route_requests_total",
	.help = "Calls that ended",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "route", "method", "class" },
};
static const struct weir_metric_family duration_family = {
	.name = "weir_http_route_duration_seconds",
	.help = "From a call's head to its last byte",
	.type = WEIR_METRIC_HISTOGRAM,
	.labels = { "listener", "route" },
	.bounds = seconds,
	.n_bounds = WEIR_ARRAY_SIZE(seconds),
};
static const struct weir_metric_family request_bytes_family = {
	.name = "weir_http_route_request_bytes_total",
	.help = "Content of requests",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "route" },
};
static const struct weir_metric_family response_bytes_family = {
	.name = "weir_http_route_response_bytes_total",
	.help = "Content of responses",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "route" },
};
static const struct weir_metric_family active_family = {
	.name = "weir_http_route_active",
	.help = "Calls that have begun and not ended",
	.type = WEIR_METRIC_GAUGE,
	.labels = { "listener" },
};

/* What is counted for one route. */
struct route {
	struct weir_list link; /* in metrics->routes, those used last first */
	struct weir_counter *requests[WEIR_METHOD_COUNT][CLASSES]; /* found when first needed */
	struct weir_histogram *duration;
	struct weir_counter *request_bytes, *response_bytes;
	char name[];
};

struct metrics {
	struct weir_http_service svc;
	struct weir_metrics *registry; /* borrowed; may be NULL */
	char *listener;
	unsigned worker;
	struct weir_gauge *active; /* found in the first call: before, there is no worker */
	struct weir_list routes;
};

static struct route *route_new(struct metrics *metrics, const char *name)
{
	const char *const values[] = { metrics->listener, name };
	size_t size = strlen(name) + 1;
	struct route *route = calloc(1, sizeof(*route) + size);

	if (!route)
		return NULL;
	memcpy(route->name, name, size);
	route->duration = weir_metrics_histogram(metrics->registry, metrics->worker,
						 &duration_family, values);
	route->request_bytes = weir_metrics_counter(metrics->registry, metrics->worker,
						    &request_bytes_family, values);
	route->response_bytes = weir_metrics_counter(metrics->registry, metrics->worker,
						     &response_bytes_family, values);
	weir_list_add_head(&metrics->routes, &route->link);
	return route;
}

static struct route *route_find(struct metrics *metrics, const char *name)
{
	struct weir_list *link;

	for (link = metrics->routes.next; link != &metrics->routes; link = link->next) {
		struct route *route = weir_container_of(link, struct route, link);

		if (strcmp(route->name, name) != 0)
			continue;
		weir_list_del(link);
		weir_list_add_head(&metrics->routes, link);
		return route;
	}
	return route_new(metrics, name);
}

static struct weir_counter *route_requests(struct metrics *metrics, struct route *route,
					   const struct weir_call *call)
{
	static const char *const classes[CLASSES] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };
	enum weir_method method = call->request.method;
	unsigned class = call->response.status / 100;
	struct weir_counter **cell;
	const char *name = weir_method_text(method).data;

	if (class >= CLASSES)
		class = 0;
	cell = &route->requests[method][class];
	if (!*cell)
		*cell = weir_metrics_counter(metrics->registry, metrics->worker, &requests_family,
					     (const char *const[]){ metrics->listener, route->name,
								    name ? name : "other",
								    classes[class] });
	return *cell;
}

static void metrics_on_end(struct weir_call *call, void *ctx)
{
	struct metrics *metrics = ctx;
	struct route *route;

	weir_gauge_add(metrics->active, -1);
	route = route_find(metrics, call->result.route ? call->result.route : "");
	if (!route)
		return;
	weir_counter_add(route_requests(metrics, route, call), 1);
	weir_histogram_add(route->duration, (double)(weir_now() - call->started_ns) / 1e9);
	weir_counter_add(route->request_bytes, call->result.request_bytes);
	weir_counter_add(route->response_bytes, call->result.response_bytes);
}

static int metrics_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct metrics *metrics = weir_container_of(svc, struct metrics, svc);

	if (!metrics->active) {
		metrics->worker = weir_loop_index(weir_loop_current());
		metrics->active = weir_metrics_gauge(metrics->registry, metrics->worker,
						     &active_family,
						     (const char *const[]){ metrics->listener });
	}
	if (weir_call_defer(call, metrics_on_end, metrics))
		return -ENOMEM;
	weir_gauge_add(metrics->active, 1);
	return weir_handle(svc->inner, call);
}

static void metrics_free(struct weir_http_service *svc)
{
	struct metrics *metrics = weir_container_of(svc, struct metrics, svc);
	struct weir_list *link;

	while ((link = weir_list_pop(&metrics->routes)))
		free(weir_container_of(link, struct route, link));
	free(metrics->listener);
	free(metrics);
}

static const struct weir_http_ops metrics_ops = {
	.name = "metrics",
	.handle = metrics_handle,
	.free = metrics_free,
};

struct weir_http_service *weir_http_metrics_layer(struct weir_http_service *inner,
						  const struct weir_http_metrics_conf *conf,
						  struct weir_error *error)
{
	struct metrics *metrics = http_layer_new(sizeof(*metrics), &metrics_ops, inner, error);

	if (!metrics)
		return NULL;
	weir_list_init(&metrics->routes);
	metrics->registry = conf->metrics;
	metrics->listener = strdup(conf->listener ? conf->listener : "");
	return http_layer_done(&metrics->svc, metrics->listener ? 0 : http_layer_memory(error));
}
