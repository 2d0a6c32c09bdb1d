/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loopback.h"
#include "stage.h"

void stage_open(struct stage *stage)
{
	struct weir_loop_conf conf = { 0 };

	stage->loop = weir_loop_new(&conf, NULL);
	assert_non_null(stage->loop);
	weir_scope_init_root(&stage->root, stage->loop);
}

void stage_close(struct stage *stage)
{
	weir_scope_fini(&stage->root);
	weir_loop_free(stage->loop);
}

void stage_run(struct stage *stage, weir_task_fn *fn, void *arg)
{
	assert_int_equal(weir_scope_spawn(&stage->root, "test", fn, arg, NULL), 0);
	assert_int_equal(weir_loop_run(stage->loop), 0);
}

static void tcp_pair(int fds[2])
{
	struct weir_address address = loopback_address(loopback_port());
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	assert_int_equal(bind(listener, &address.sa, address.size), 0);
	assert_int_equal(listen(listener, 1), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], &address.sa, address.size), 0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fds[1] >= 0);
	close(listener);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void stage_pair(struct weir_stream *ends[2], enum stage_kind kind)
{
	int fds[2];

	if (kind == STAGE_MEMORY) {
		assert_int_equal(weir_memory_stream_pair(ends, 0), 0);
		return;
	}
	tcp_pair(fds);
	for (int i = 0; i < 2; i++) {
		ends[i] = weir_socket_stream_new(fds[i], false);
		assert_non_null(ends[i]);
	}
}

static int stage_serve(void *arg)
{
	struct stage_conn *c = arg;

	c->status = weir_serve(c->svc, &c->conn);
	c->conn.result.status = c->status;
	if (c->status)
		weir_conn_abort(&c->conn);
	weir_stream_close(c->conn.stream);
	weir_arena_fini(&c->conn.arena);
	c->ended = true;
	return 0;
}

void stage_connect(struct stage_conn *c, struct weir_service *svc, enum stage_kind kind,
		   const char *client)
{
	static uint64_t last_id;
	struct weir_stream *ends[2];

	memset(c, 0, sizeof(*c));
	stage_pair(ends, kind);
	c->peer = ends[0];
	c->svc = svc;
	c->conn.id = ++last_id;
	c->conn.listener = "stage";
	c->conn.stream = ends[1];
	if (client)
		assert_int_equal(weir_address_parse(&c->conn.peer, client), 0);
	else
		c->conn.peer = *weir_stream_peer(ends[1]);
	c->conn.started_ns = weir_loop_now(weir_loop_current());
	weir_arena_init(&c->conn.arena, 0);
	weir_extensions_init(&c->conn.extensions, NULL);
	weir_scope_init(&c->scope, NULL);
	assert_int_equal(weir_scope_spawn(&c->scope, "conn", stage_serve, c, NULL), 0);
}

int stage_finish(struct stage_conn *c)
{
	weir_scope_join(&c->scope);
	weir_scope_fini(&c->scope);
	weir_stream_close(c->peer);
	return c->status;
}

bool stage_is_over(struct stage_conn *c)
{
	for (int i = 0; i < 3 && !c->ended; i++)
		assert_int_equal(weir_task_yield(), 0);
	return c->ended;
}

/* ---- services and connectors of tests ---- */

static int gate_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct gate *gate = weir_container_of(svc, struct gate, svc);
	int status;

	(void)conn;
	gate->inside++;
	gate->served++;
	status = weir_event_wait(&gate->open, "gate", WEIR_NEVER);
	gate->inside--;
	return status ? status : gate->status;
}

static void gate_free(struct weir_service *svc)
{
	weir_container_of(svc, struct gate, svc)->freed++;
}

static const struct weir_service_ops gate_ops = {
	.name = "gate",
	.serve = gate_serve,
	.free = gate_free,
};

struct weir_service *gate_init(struct gate *gate)
{
	memset(gate, 0, sizeof(*gate));
	gate->svc.ops = &gate_ops;
	weir_event_init(&gate->open);
	return &gate->svc;
}

static int pair_connect(struct weir_connector *connector, struct weir_conn *conn,
			const struct weir_target *to, struct weir_stream **out)
{
	struct pair_connector *pair =
		weir_container_of(connector, struct pair_connector, connector);
	struct weir_stream *ends[2];

	(void)conn;
	(void)to;
	if (pair->status)
		return pair->status;
	stage_pair(ends, pair->kind);
	pair->origin = ends[1];
	*out = ends[0];
	return 0;
}

static void pair_free(struct weir_connector *connector)
{
	weir_container_of(connector, struct pair_connector, connector)->freed++;
}

static const struct weir_connector_ops pair_ops = {
	.name = "pair",
	.connect = pair_connect,
	.free = pair_free,
};

struct weir_connector *pair_connector_init(struct pair_connector *pair, enum stage_kind kind)
{
	memset(pair, 0, sizeof(*pair));
	pair->connector.ops = &pair_ops;
	pair->kind = kind;
	return &pair->connector;
}
