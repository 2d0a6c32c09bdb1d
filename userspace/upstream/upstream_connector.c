/* SPDX-License-Identifier: MIT */
/*
 * The connector to an upstream: a seat by the balance or from the queue, a connect through the
 * inner connector, and after a failure the same again with that endpoint left out.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <weir/conn.h>
#include <weir/error.h>
#include <weir/task.h>

#include "upstream/measure.h"
#include "upstream/mix.h"
#include "upstream/view.h"

#define NS_PER_MS   1000000u
#define NS_PER_S    1e9
#define HASH_SEED   0x77656972u /* the same everywhere: all proxies agree on who serves whom */
#define WAITERS_MAX 1024	/* for the first answer about a name */

struct upstream_connector {
	struct weir_connector connector;
	struct weir_view view;
	bool measured; /* the cells below are this worker's */
	unsigned waiting;
	struct weir_histogram *connect_time;
	struct weir_histogram *queue_time;
	struct weir_counter *retries;
	struct weir_gauge *queue;
};

/* What is remembered while one connection looks for its endpoint. */
struct search {
	uint64_t key;
	struct weir_seat *tried[WEIR_ATTEMPTS_MAX];	    /* counted */
	struct weir_endpoint *endpoints[WEIR_ATTEMPTS_MAX]; /* of the same */
	unsigned n_tried;
};

/* The worker is known only when the first task of it comes by. */
static void connector_measure(struct upstream_connector *up)
{
	const char *const labels[] = { weir_upstream_name(up->view.upstream) };
	struct weir_metrics *metrics = up->view.metrics;
	unsigned worker = weir_loop_index(weir_loop_current());

	up->measured = true;
	up->view.worker = worker;
	up->connect_time =
		weir_metrics_histogram(metrics, worker, &weir_measure_connect_time, labels);
	up->queue_time = weir_metrics_histogram(metrics, worker, &weir_measure_queue_time, labels);
	up->retries = weir_metrics_counter(metrics, worker, &weir_measure_retries, labels);
	up->queue = weir_metrics_gauge(metrics, worker, &weir_measure_queue, labels);
}

/* Failures and refusals are rare: their cells are looked up when they happen. */
static void count_failure(const struct weir_seat *seat, const struct weir_view *view, int status)
{
	const char *const labels[] = { weir_upstream_name(seat->upstream), seat->endpoint->name,
				       weir_measure_reason(status) };

	weir_counter_add(weir_metrics_counter(view->metrics, view->worker, &weir_measure_failures,
					      labels),
			 1);
}

static void count_ejection(const struct weir_seat *seat, const struct weir_view *view)
{
	const char *const labels[] = { weir_upstream_name(seat->upstream), seat->endpoint->name };

	weir_counter_add(weir_metrics_counter(view->metrics, view->worker, &weir_measure_ejections,
					      labels),
			 1);
}

static void count_refusal(const struct weir_view *view, int status)
{
	const char *const labels[] = { weir_upstream_name(view->upstream),
				       weir_error_name(status) };

	weir_counter_add(weir_metrics_counter(view->metrics, view->worker, &weir_measure_refused,
					      labels),
			 1);
}

/* ------------------------------------------------------------------------------------------
 * Places
 */

static void seat_take(struct weir_seat *seat)
{
	weir_seat_get(seat);
	weir_gauge_add(seat->active, 1);
}

/* Also the streams' on_close. */
static void seat_give(void *ctx)
{
	struct weir_seat *seat = ctx;

	weir_gauge_add(seat->active, -1);
	weir_queue_give(seat->upstream, seat->endpoint);
	weir_seat_put(seat);
}

/* The picture may have changed while the task waited. */
static int connector_seat_of(struct upstream_connector *up, struct weir_endpoint *endpoint,
			     struct weir_seat **seat)
{
	int status = weir_view_refresh(&up->view, weir_now());

	*seat = status ? NULL : weir_view_seat(&up->view, endpoint);
	if (*seat)
		seat_take(*seat);
	else
		weir_queue_give(up->view.upstream, endpoint);
	weir_endpoint_put(endpoint);
	return status ? status : *seat ? 0 : -EAGAIN;
}

/* Parks in the queue. -EAGAIN: endpoints have changed, pick again. */
static int connector_wait(struct upstream_connector *up, const struct search *search,
			  unsigned max_waiting, uint64_t deadline, struct weir_seat **seat)
{
	struct weir_upstream *upstream = up->view.upstream;
	struct weir_endpoint *endpoint;
	uint64_t start = weir_now();
	int status;

	if (!max_waiting)
		return WEIR_ELIMIT;
	if (up->waiting >= max_waiting)
		return WEIR_EQUEUE;
	up->waiting++;
	weir_gauge_add(up->queue, 1);
	status = weir_queue_wait(upstream, search->endpoints, search->n_tried, deadline, &endpoint);
	weir_gauge_add(up->queue, -1);
	up->waiting--;
	weir_histogram_add(up->queue_time, (double)(weir_now() - start) / NS_PER_S);
	if (status == WEIR_ENOENDPOINT)
		return -EAGAIN;
	return status ? status : connector_seat_of(up, endpoint, seat);
}

static bool is_unanswered(struct weir_upstream *upstream)
{
	bool unanswered;

	pthread_mutex_lock(&upstream->lock);
	unanswered = upstream->unanswered > 0;
	pthread_mutex_unlock(&upstream->lock);
	return unanswered;
}

static int connector_pick(struct upstream_connector *up, const struct search *search,
			  uint64_t deadline, struct weir_seat **seat)
{
	struct weir_upstream *upstream = up->view.upstream;
	bool queued = upstream->conf.limit.queue && atomic_load(&upstream->waiting) > 0;
	int status = weir_view_refresh(&up->view, weir_loop_now(weir_loop_current()));

	if (status)
		return status;
	switch (weir_view_pick(&up->view, search->key, search->tried, search->n_tried, queued,
			       seat)) {
	case WEIR_PICK_DONE:
		seat_take(*seat);
		return 0;
	case WEIR_PICK_FULL:
		return connector_wait(up, search, upstream->conf.limit.queue, deadline, seat);
	case WEIR_PICK_NONE:
		break;
	}
	/* At the start, names get the time to be answered. */
	if (is_unanswered(upstream))
		return connector_wait(up, search, WAITERS_MAX, deadline, seat);
	return up->view.set->n_tiers ? WEIR_ENOENDPOINT : WEIR_ERESOLVE;
}

/* ------------------------------------------------------------------------------------------
 * Connecting
 */

static void connect_failed(struct upstream_connector *up, struct weir_seat *seat, int status)
{
	count_failure(seat, &up->view, status);
	if (weir_measure_is_local(status))
		return;
	if (weir_upstream_failed(seat->upstream, seat->endpoint, status))
		count_ejection(seat, &up->view);
}

static void connect_succeeded(struct upstream_connector *up, struct weir_seat *seat,
			      struct weir_conn *conn, struct weir_stream *stream, uint64_t ns)
{
	weir_endpoint_connected(seat->endpoint);
	weir_counter_add(seat->connected, 1);
	weir_histogram_add(up->connect_time, (double)ns / NS_PER_S);
	assert(!stream->on_close);
	stream->on_close = seat_give;
	stream->on_close_ctx = seat;
	if (conn) {
		conn->result.endpoint = seat->endpoint->target.address;
		conn->result.endpoint_name = seat->endpoint->name;
		conn->result.connect_ns = ns;
	}
}

/* One connect. The seat is the stream's when it succeeds, else it was given back. */
static int connect_once(struct upstream_connector *up, struct weir_seat *seat,
			struct weir_conn *conn, struct weir_stream **out)
{
	uint64_t start = weir_now();
	int status;

	if (conn)
		conn->result.attempts++;
	status = weir_connect(up->connector.inner, conn, &seat->endpoint->target, out);
	if (!status) {
		connect_succeeded(up, seat, conn, *out, weir_now() - start);
		return 0;
	}
	/* The end of our own scope says nothing about the endpoint. */
	if (!weir_task_check())
		connect_failed(up, seat, status);
	seat_give(seat);
	return status;
}

static int search_run(struct upstream_connector *up, struct search *search, struct weir_conn *conn,
		      struct weir_stream **out)
{
	const struct weir_upstream_conf *conf = &up->view.upstream->conf;
	uint64_t deadline = weir_now() + conf->limit.queue_ms * NS_PER_MS;
	int failure = 0;

	for (;;) {
		struct weir_seat *seat;
		int status = connector_pick(up, search, deadline, &seat);

		if (status == -EAGAIN)
			continue;
		/* What is wrong with the last endpoint says more than that there is no other. */
		if (status)
			return failure && !weir_task_check() ? failure : status;
		if (failure)
			weir_counter_add(up->retries, 1);
		search->tried[search->n_tried] = weir_seat_get(seat);
		search->endpoints[search->n_tried++] = seat->endpoint;
		failure = connect_once(up, seat, conn, out);
		if (!failure || weir_task_check() || search->n_tried >= conf->attempts)
			return failure;
	}
}

static int upstream_connect(struct weir_connector *connector, struct weir_conn *conn,
			    const struct weir_target *to, struct weir_stream **out)
{
	struct upstream_connector *up =
		weir_container_of(connector, struct upstream_connector, connector);
	struct search search = { .n_tried = 0 };
	int status;

	(void)to;
	if (!up->measured)
		connector_measure(up);
	search.key = conn ? weir_address_hash_host(&conn->peer, HASH_SEED)
			  : weir_mix_next(&up->view.random);
	if (conn)
		conn->result.upstream = weir_upstream_name(up->view.upstream);
	status = search_run(up, &search, conn, out);
	if (status && !search.n_tried)
		count_refusal(&up->view, status);
	while (search.n_tried > 0)
		weir_seat_put(search.tried[--search.n_tried]);
	return status;
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

static void upstream_connector_free(struct weir_connector *connector)
{
	struct upstream_connector *up =
		weir_container_of(connector, struct upstream_connector, connector);

	weir_view_fini(&up->view);
	free(up);
}

static const struct weir_connector_ops upstream_connector_ops = {
	.name = "upstream",
	.connect = upstream_connect,
	.free = upstream_connector_free,
};

struct weir_connector *weir_upstream_connector(struct weir_upstream *upstream,
					       struct weir_connector *inner,
					       struct weir_metrics *metrics,
					       struct weir_error *error)
{
	struct upstream_connector *up;

	if (!inner)
		return NULL;
	up = calloc(1, sizeof(*up));
	if (!up) {
		weir_error_set(error, -ENOMEM, "out of memory");
		weir_connector_free(inner);
		return NULL;
	}
	up->connector.ops = &upstream_connector_ops;
	up->connector.inner = inner;
	weir_view_init(&up->view, upstream, metrics);
	return &up->connector;
}
