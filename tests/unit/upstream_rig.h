/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_UPSTREAM_RIG_H
#define TESTS_UNIT_UPSTREAM_RIG_H

/*
 * An upstream on real loopback sockets. A server is a listening socket that nobody accepts on:
 * the kernel completes the handshakes, and closing it refuses.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/conn.h>
#include <weir/error.h>
#include <weir/listener.h>
#include <weir/metrics.h>
#include <weir/resolver.h>
#include <weir/scope.h>
#include <weir/upstream.h>

#include "loopback.h"

#define SERVERS 3

struct rig {
	struct weir_upstream_conf conf;
	struct weir_endpoint_conf endpoints[SERVERS];
	uint16_t ports[SERVERS];
	int fds[SERVERS];
	size_t n;
	struct weir_upstream *upstream;
	struct weir_connector *connector;
	struct weir_metrics *metrics;
};

static inline int server_open(const char *host, uint16_t port)
{
	struct weir_address address;
	char text[64];
	int fd;

	snprintf(text, sizeof(text), "%s:%u", host, port);
	assert_int_equal(weir_address_parse(&address, text), 0);
	fd = weir_listen(&address, 0, false, NULL);
	assert_true(fd >= 0);
	return fd;
}

static inline void rig_close_server(struct rig *rig, size_t i)
{
	close(rig->fds[i]);
	rig->fds[i] = -1;
}

static inline void rig_open_server(struct rig *rig, size_t i)
{
	rig->fds[i] = server_open("127.0.0.1", rig->ports[i]);
}

static inline struct weir_connector *tcp_new(void)
{
	struct weir_tcp_connector_conf conf = { .timeout_ms = 5000 };

	return weir_tcp_connector(&conf, NULL);
}

/* N servers that listen; the rest of rig->conf is the test's. */
static inline void rig_servers(struct rig *rig, size_t n)
{
	memset(rig, 0, sizeof(*rig));
	rig->n = n;
	for (size_t i = 0; i < n; i++) {
		rig->ports[i] = loopback_port();
		rig->endpoints[i].target.address = loopback_address(rig->ports[i]);
		rig_open_server(rig, i);
	}
	rig->conf.name = "db";
	rig->conf.endpoints = rig->endpoints;
	rig->conf.n_endpoints = n;
}

static inline void rig_upstream(struct rig *rig)
{
	rig->metrics = weir_metrics_new(2);
	rig->upstream = weir_upstream_new(&rig->conf, NULL);
	assert_non_null(rig->upstream);
	rig->connector = weir_upstream_connector(rig->upstream, tcp_new(), rig->metrics, NULL);
	assert_non_null(rig->connector);
}

static inline void rig_fini(struct rig *rig)
{
	weir_connector_free(rig->connector);
	weir_upstream_put(rig->upstream);
	weir_metrics_free(rig->metrics);
	for (size_t i = 0; i < rig->n; i++)
		if (rig->fds[i] >= 0)
			close(rig->fds[i]);
}

static inline int rig_connect(struct rig *rig, struct weir_conn *conn, struct weir_stream **stream)
{
	memset(conn, 0, sizeof(*conn));
	conn->peer = loopback_address(1);
	return weir_connect(rig->connector, conn, NULL, stream);
}

/* Connects, closes, and returns the port that was connected to, or the status. */
static inline int rig_visit(struct rig *rig)
{
	struct weir_stream *stream;
	struct weir_conn conn;
	int status = rig_connect(rig, &conn, &stream);

	if (status)
		return status;
	weir_stream_close(stream);
	return weir_address_port(&conn.result.endpoint);
}

struct wanted {
	uint16_t port;
	const char *host; /* NULL: any */
	size_t n;
	struct weir_endpoint_info info;
};

static inline void wanted_on_info(void *ctx, const struct weir_endpoint_info *info)
{
	struct wanted *wanted = ctx;
	char host[WEIR_ADDRESS_TEXT];

	weir_address_format_host(&info->address, host);
	if (weir_address_port(&info->address) != wanted->port ||
	    (wanted->host && strcmp(host, wanted->host) != 0))
		return;
	wanted->info = *info;
	wanted->n++;
}

static inline struct weir_endpoint_info rig_info(struct rig *rig, size_t i)
{
	struct wanted wanted = { .port = rig->ports[i] };

	weir_upstream_each(rig->upstream, wanted_on_info, &wanted);
	assert_int_equal(wanted.n, 1);
	return wanted.info;
}

/* Waits until the endpoint is in STATE; generous, for slow machines. */
static inline void rig_await(struct rig *rig, size_t i, enum weir_endpoint_state state)
{
	for (unsigned k = 0; k < 1000 && rig_info(rig, i).state != state; k++)
		assert_int_equal(weir_task_sleep_ms(10), 0);
	assert_int_equal(rig_info(rig, i).state, state);
}

#endif
