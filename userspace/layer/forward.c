/* SPDX-License-Identifier: MIT */
/*
 * forward: the innermost service of a TCP proxy. Connects through its connector and has a bridge
 * carry bytes both ways until both are done. What happened is in conn->result.
 *
 * forward_carry()'s frame is what an idle connection holds, beside the bridge's own: one struct
 * weir_bridge and little else. Everything before and after has frames of its own that are gone.
 */

#include <weir/layer.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer/bandwidth.h"
#include "layer/forward_metrics.h"

struct forward {
	struct weir_service svc;
	struct weir_connector *connector; /* owned */
	struct weir_target to;
	struct weir_bridge_conf bridge;
	struct forward_metrics metrics;
	char *upstream; /* owned; may be NULL */
};

/* ---- connecting ---- */

static void forward_note_connected(struct forward *forward, struct weir_conn *conn,
				   struct weir_stream *upstream, uint64_t began)
{
	uint64_t took = weir_loop_now(weir_loop_current()) - began;

	/* The loop's clock stands still within an iteration; 0 would say "not connected". */
	conn->result.connect_ns = WEIR_MAX(took, (uint64_t)1);
	if (conn->result.attempts == 0)
		conn->result.attempts = 1;
	if (conn->result.endpoint.size == 0)
		conn->result.endpoint = *weir_stream_peer(upstream);
	weir_counter_add(forward->metrics.connections, 1);
	weir_histogram_add(forward->metrics.connect_s, (double)took / 1e9);
}

static void forward_note_refused(struct forward *forward, struct weir_conn *conn, int status)
{
	conn->result.end = status == -ECANCELED ? WEIR_END_SHUTDOWN : WEIR_END_ERROR;
	forward_metrics_refuse(&forward->metrics, status);
}

static __attribute__((noinline)) int forward_connect(struct forward *forward,
						     struct weir_conn *conn,
						     struct weir_stream **upstream)
{
	uint64_t began = weir_loop_now(weir_loop_current());
	int status;

	if (!conn->result.upstream)
		conn->result.upstream = forward->upstream;
	status = weir_connect(forward->connector, conn, &forward->to, upstream);
	/* Only now: another listener's connection may have come while this one was parked. */
	forward_metrics_use(&forward->metrics, conn->listener);
	if (status)
		forward_note_refused(forward, conn, status);
	else
		forward_note_connected(forward, conn, *upstream, began);
	return status;
}

/* What another process has connected. NULL: nothing. */
static struct weir_stream *forward_resume(struct forward *forward, struct weir_conn *conn)
{
	struct weir_stream *upstream = weir_conn_take_upstream(conn);

	if (!upstream)
		return NULL;
	conn->result.upstream = forward->upstream;
	weir_connector_resume(forward->connector, conn, upstream);
	forward_metrics_use(&forward->metrics, conn->listener);
	return upstream;
}

/* ---- carrying ---- */

/* The service's own configuration, or a copy with the limits of this connection. */
static const struct weir_bridge_conf *forward_bridge_conf(const struct forward *forward,
							  struct weir_conn *conn)
{
	const struct bandwidth *limits = weir_extension_find(&conn->extensions, &bandwidth_key);
	struct weir_bridge_conf *own;

	if (!limits)
		return &forward->bridge;
	own = weir_arena_memdup(&conn->arena, &forward->bridge, sizeof(*own));
	if (!own)
		return NULL;
	own->pace = bandwidth_pace;
	own->paced = bandwidth_paced;
	own->ctx = (void *)(uintptr_t)limits;
	return own;
}

static void forward_begin(struct forward *forward, struct weir_conn *conn,
			  struct weir_bridge *bridge)
{
	bridge->id = conn->id;
	bridge->listener = conn->listener;
	bridge->upstream = conn->result.upstream;
	bridge->endpoint = conn->result.endpoint_name;
	bridge->conn = conn->is_resumable ? conn : NULL;
	if (conn->resumed) {
		bridge->resumed = conn->resumed;
		bridge->started_ns = conn->resumed->started_ns;
		bridge->rule = conn->resumed->rule;
		conn->resumed = NULL;
	}
	for (int way = 0; way < 2; way++)
		bridge->moved[way] = forward->metrics.bytes[way];
	weir_gauge_add(forward->metrics.active, 1);
}

static void forward_end(struct forward *forward, struct weir_conn *conn,
			const struct weir_bridge *bridge)
{
	uint64_t now = weir_loop_now(weir_loop_current());

	conn->result.path = bridge->path;
	conn->result.why = bridge->why;
	conn->result.bytes_up = bridge->way[WEIR_UP].bytes;
	conn->result.bytes_down = bridge->way[WEIR_DOWN].bytes;
	conn->result.end = bridge->end;
	weir_gauge_add(forward->metrics.active, -1);
	if (bridge->end == WEIR_END_MOVED)
		return;
	/* The others were counted as they went. */
	for (int way = 0; way < 2; way++)
		weir_counter_add(forward->metrics.bytes[way],
				 bridge->way[way].bytes_path[WEIR_PATH_SOCKMAP]);
	weir_histogram_add(forward->metrics.duration_s, (double)(now - bridge->started_ns) / 1e9);
	weir_counter_add(forward->metrics.ends[bridge->end], 1);
}

static __attribute__((noinline)) int forward_carry(struct forward *forward, struct weir_conn *conn,
						   struct weir_stream *upstream)
{
	const struct weir_bridge_conf *conf = forward_bridge_conf(forward, conn);
	struct weir_bridge bridge;
	int status;

	if (!conf)
		return -ENOMEM;
	weir_bridge_init(&bridge, conf, conn->stream, upstream);
	forward_begin(forward, conn, &bridge);
	status = weir_bridge_run(&bridge);
	forward_metrics_use(&forward->metrics, conn->listener);
	forward_end(forward, conn, &bridge);
	return status;
}

static int forward_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct forward *forward = weir_container_of(svc, struct forward, svc);
	struct weir_stream *upstream = forward_resume(forward, conn);
	int status = 0;

	if (!upstream)
		status = forward_connect(forward, conn, &upstream);
	if (!status)
		status = forward_carry(forward, conn, upstream);
	conn->result.endpoint_name = NULL;
	weir_stream_close(upstream);
	return status;
}

/* ---- life ---- */

static void forward_free(struct weir_service *svc)
{
	struct forward *forward = weir_container_of(svc, struct forward, svc);

	weir_connector_free(forward->connector);
	forward_metrics_fini(&forward->metrics);
	free(forward->upstream);
	free(forward);
}

static const struct weir_service_ops forward_ops = {
	.name = "forward",
	.needs = WEIR_NEEDS_NOTHING,
	.resumes = true,
	.connects = true,
	.serve = forward_serve,
	.free = forward_free,
};

static int forward_configure(struct forward *forward, const struct weir_forward_conf *conf)
{
	if (conf->upstream) {
		forward->upstream = strdup(conf->upstream);
		if (!forward->upstream)
			return -ENOMEM;
	}
	forward->svc.ops = &forward_ops;
	forward->connector = conf->connector;
	forward->to = conf->to;
	forward->bridge = conf->bridge;
	forward->bridge.inspect = NULL;
	forward->bridge.pace = NULL;
	forward->bridge.paced = NULL;
	forward->bridge.ctx = NULL;
	weir_path_thresholds_complete(&forward->bridge.thresholds);
	forward_metrics_init(&forward->metrics, conf->metrics, forward->upstream);
	return 0;
}

struct weir_service *weir_forward_service(const struct weir_forward_conf *conf,
					  struct weir_error *error)
{
	struct forward *forward = NULL;

	if (!conf->connector)
		return NULL;
	forward = calloc(1, sizeof(*forward));
	if (forward && forward_configure(forward, conf) == 0)
		return &forward->svc;
	weir_error_set(error, -ENOMEM, "out of memory");
	free(forward);
	weir_connector_free(conf->connector);
	return NULL;
}
