/* SPDX-License-Identifier: MIT */
/*
 * The connector to an upstream: an endpoint from the balancer, a connect through the inner
 * connector, and after a failure the same again with that endpoint left out.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <weir/balancer.h>
#include <weir/conn.h>
#include <weir/error.h>
#include <weir/task.h>

#include "upstream/measure.h"
#include "upstream/mix.h"
#include "upstream/view.h"

#define NS_PER_MS 1000000u

struct upstream_connector {
	struct weir_connector connector;
	struct weir_upstream *upstream; /* counted */
	struct weir_balancer *balancer;
	struct weir_metrics *metrics;
	struct weir_counter *retries; /* this worker's; NULL before the first one */
	uint64_t random;
};

static void count_retry(struct upstream_connector *up)
{
	const char *const labels[] = { weir_upstream_name(up->upstream) };

	if (!up->retries)
		up->retries = weir_metrics_counter(up->metrics,
						   weir_loop_index(weir_loop_current()),
						   &weir_measure_retries, labels);
	weir_counter_add(up->retries, 1);
}

/* It holds the place until it is closed. */
static void place_hand_on(struct weir_place *place, struct weir_conn *conn,
			  struct weir_stream *stream)
{
	assert(!stream->on_close);
	stream->on_close = weir_seat_give;
	stream->on_close_ctx = place->seat;
	if (conn)
		conn->result.endpoint_name = place->name;
}

static void connect_succeeded(struct weir_place *place, struct weir_conn *conn,
			      struct weir_stream *stream, uint64_t ns)
{
	weir_place_connected(place, ns);
	weir_place_report(place, WEIR_OUTCOME_SUCCESS, 0);
	place_hand_on(place, conn, stream);
	if (conn) {
		conn->result.endpoint = place->target->address;
		conn->result.endpoint_name = place->name;
		conn->result.connect_ns = ns;
	}
}

/* One connect. The place is the stream's when it succeeds, else it was given back. */
static int connect_once(struct upstream_connector *up, struct weir_place *place,
			struct weir_conn *conn, struct weir_stream **out)
{
	uint64_t start = weir_now();
	int status;

	if (conn)
		conn->result.attempts++;
	status = weir_connect(up->connector.inner, conn, place->target, out);
	if (!status) {
		connect_succeeded(place, conn, *out, weir_now() - start);
		return 0;
	}
	/* The end of our own scope says nothing about the endpoint. */
	if (!weir_task_check())
		weir_place_report(place, WEIR_OUTCOME_CONNECT, status);
	weir_place_give(place);
	return status;
}

static int search_run(struct upstream_connector *up, struct weir_search *search,
		      struct weir_conn *conn, struct weir_stream **out)
{
	const struct weir_upstream_conf *conf = &up->upstream->conf;
	uint64_t deadline = weir_now() + conf->limit.queue_ms * NS_PER_MS;
	int failure = 0;

	for (;;) {
		struct weir_place place;
		int status = weir_balancer_pick(up->balancer, search, deadline, &place);

		/* What is wrong with the last endpoint says more than that there is no other. */
		if (status)
			return failure && !weir_task_check() ? failure : status;
		if (failure)
			count_retry(up);
		failure = connect_once(up, &place, conn, out);
		if (!failure || weir_task_check() || search->n_tried >= conf->attempts)
			return failure;
	}
}

static int upstream_connect(struct weir_connector *connector, struct weir_conn *conn,
			    const struct weir_target *to, struct weir_stream **out)
{
	struct upstream_connector *up =
		weir_container_of(connector, struct upstream_connector, connector);
	struct weir_search search;
	int status;

	(void)to;
	weir_search_init(&search,
			 conn ? weir_search_key_of(&conn->peer) : weir_mix_next(&up->random));
	if (conn)
		conn->result.upstream = weir_upstream_name(up->upstream);
	status = search_run(up, &search, conn, out);
	weir_search_fini(&search);
	return status;
}

static void upstream_resume(struct weir_connector *connector, struct weir_conn *conn,
			    struct weir_stream *stream)
{
	struct upstream_connector *up =
		weir_container_of(connector, struct upstream_connector, connector);
	struct weir_place place;

	conn->result.upstream = weir_upstream_name(up->upstream);
	if (!weir_balancer_resume(up->balancer, weir_stream_peer(stream), &place))
		place_hand_on(&place, conn, stream);
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

static void upstream_connector_free(struct weir_connector *connector)
{
	struct upstream_connector *up =
		weir_container_of(connector, struct upstream_connector, connector);

	weir_balancer_free(up->balancer);
	weir_upstream_put(up->upstream);
	free(up);
}

static const struct weir_connector_ops upstream_connector_ops = {
	.name = "upstream",
	.connect = upstream_connect,
	.resume = upstream_resume,
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
	up->upstream = weir_upstream_get(upstream);
	up->metrics = metrics;
	up->random = weir_now() ^ weir_mix((uintptr_t)up);
	up->balancer = weir_balancer_new(upstream, WEIR_LOAD_CONNECTIONS, metrics, error);
	if (up->balancer)
		return &up->connector;
	weir_connector_free(&up->connector);
	return NULL;
}
