/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CONNECTOR_H
#define WEIR_CONNECTOR_H

/*
 * A connector makes a stream to a target. Like services, connectors wrap each other: TCP
 * inside, PROXY header, TLS, HTTP CONNECT or SOCKS5 around it. Constructors take over the
 * inner one as in weir/service.h.
 */

#include <weir/address.h>
#include <weir/error.h>
#include <weir/stream.h>

struct weir_conn;
struct weir_connector;
struct weir_resolver;

struct weir_connector_ops {
	const char *name;
	/* Connects; parks. CONN is the connection on whose behalf (NULL: nobody's, a health
	 * check). 0 with *OUT owned by the caller; -ECONNREFUSED, -ETIMEDOUT, WEIR_ERESOLVE... */
	int (*connect)(struct weir_connector *connector, struct weir_conn *conn,
		       const struct weir_target *to, struct weir_stream **out);
	/* Counts UPSTREAM, which another process has connected, as a connection of its own; its
	 * peer's address says to which endpoint. NULL: there is nothing to count. Never parks. */
	void (*resume)(struct weir_connector *connector, struct weir_conn *conn,
		       struct weir_stream *upstream);
	void (*free)(struct weir_connector *connector);
};

struct weir_connector { /* embed as the first member */
	const struct weir_connector_ops *ops;
	struct weir_connector *inner; /* owned; NULL of the innermost */
};

static inline int weir_connect(struct weir_connector *connector, struct weir_conn *conn,
			       const struct weir_target *to, struct weir_stream **out)
{
	return connector->ops->connect(connector, conn, to, out);
}

/* Tells all connectors of the stack. */
static inline void weir_connector_resume(struct weir_connector *connector, struct weir_conn *conn,
					 struct weir_stream *upstream)
{
	for (; connector; connector = connector->inner) {
		if (connector->ops->resume)
			connector->ops->resume(connector, conn, upstream);
	}
}

/* Frees the stack of connectors. Accepts NULL. */
void weir_connector_free(struct weir_connector *connector);

/* Options of TCP and Unix sockets; zero is the default. */
struct weir_socket_conf {
	struct weir_address source; /* bind to it before connecting; size 0: the kernel's choice */
	unsigned keepalive_s;	    /* idle time before probes; 0: no keepalive */
	unsigned user_timeout_ms;   /* TCP_USER_TIMEOUT; 0: the kernel's */
	bool delay;		    /* leave Nagle's algorithm on */
	uint32_t mark;		    /* SO_MARK; 0: none. Needs CAP_NET_ADMIN */
	const char *interface;	    /* SO_BINDTODEVICE; NULL: any. Connectors copy it */
	unsigned send_buffer_bytes; /* 0: automatic */
	unsigned receive_buffer_bytes; /* 0: automatic */
};

/* Sets the options that fit the socket's family. 0 or -errno. */
int weir_socket_apply(int fd, int family, const struct weir_socket_conf *conf) WEIR_MUST_CHECK;

struct weir_tcp_connector_conf {
	uint64_t timeout_ms;	   /* of a whole connect, resolving included; 0: 5000 */
	uint64_t attempt_delay_ms; /* RFC 8305 connection attempt delay; 0: 250 */
	struct weir_socket_conf socket;
	struct weir_resolver *resolver; /* borrowed; NULL: names are refused */
};

/* Connects to addresses and Unix sockets, and to names by happy eyeballs (RFC 8305). */
struct weir_connector *weir_tcp_connector(const struct weir_tcp_connector_conf *conf,
					  struct weir_error *error) WEIR_MUST_CHECK;

#endif
