/* SPDX-License-Identifier: MIT */
/*
 * What comes after a 101, or a 2xx to CONNECT. The bytes that the client has sent early were kept
 * by the connection and go now, once; those of the other side went with the head.
 */

#include <errno.h>

#include <weir/metrics.h>

#include "http/server.h"

bool server_is_tunnel(const struct server_call *c)
{
	unsigned status = c->call.response.status;

	if (status == 101)
		return true;
	return c->call.request.method == WEIR_METHOD_CONNECT && status >= 200 && status < 300;
}

/* The client's early bytes. Whoever does not take them for too long is given up. */
static int tunnel_send_early(struct server_call *c, uint64_t *bytes)
{
	struct weir_text rest = h1_conn_take_rest(&c->sc->h1);
	struct weir_scope scope;
	int status;

	if (rest.size == 0)
		return 0;
	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, c->sc->server->conf.body_idle_ms);
	weir_scope_enter(&scope);
	status = weir_stream_write(c->call.tunnel->stream, rest.data, rest.size);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	*bytes = status ? 0 : rest.size;
	return status;
}

static int tunnel_carry(struct server_call *c, struct weir_bridge *bridge)
{
	struct server *server = c->sc->server;
	struct weir_conn *conn = c->sc->conn;
	int status;

	weir_bridge_init(bridge, &server->conf.tunnel, conn->stream, c->call.tunnel->stream);
	bridge->id = conn->id;
	bridge->listener = conn->listener;
	bridge->upstream = c->call.result.upstream;
	bridge->endpoint = conn->result.endpoint_name;
	weir_gauge_add(server->metrics.tunnels, 1);
	status = weir_bridge_run(bridge);
	weir_gauge_add(server->metrics.tunnels, -1);
	return status;
}

enum server_next server_tunnel(struct server_call *c)
{
	struct weir_conn *conn = c->sc->conn;
	struct weir_bridge bridge;
	uint64_t early = 0;
	int status = tunnel_send_early(c, &early);

	c->call.result.request_bytes += early;
	if (status)
		return SERVER_BREAK;
	status = tunnel_carry(c, &bridge);
	c->call.result.request_bytes += bridge.way[WEIR_UP].bytes;
	c->call.result.response_bytes += bridge.way[WEIR_DOWN].bytes;
	/* The streams count what crosses them, but for what the kernel redirects. */
	conn->stream->bytes_read += bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SOCKMAP];
	conn->stream->bytes_written += bridge.way[WEIR_DOWN].bytes_path[WEIR_PATH_SOCKMAP];
	conn->result.path = bridge.path;
	conn->result.why = bridge.why;
	conn->result.end = bridge.end;
	return status ? SERVER_BREAK : SERVER_CLOSE;
}
