/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_SERVER_H
#define WEIR_HTTP_SERVER_H

/*
 * The service that makes calls of a connection: reads requests, has them handled one after the
 * other, writes responses. HTTP/1.1 and 1.0. Drained (weir_service_drain()), it ends connections
 * that have been without a request for a second, and all others with their next response.
 */

#include <weir/bridge.h>
#include <weir/call.h>
#include <weir/h1.h>
#include <weir/service.h>

struct weir_metrics;

/* Zero means the default in parentheses. */
struct weir_http_server_conf {
	struct weir_http_service *service; /* taken over in every case */
	struct weir_h1_limits limits;
	uint64_t head_ms;	/* from a head's first byte to its last (10 s): 408; so long, too, a
				 * new connection may be silent */
	uint64_t body_idle_ms;	/* between two pieces of a request's body, and while the client
				     * takes none of the response (60 s): 408, or the end */
	uint64_t keep_alive_ms; /* waiting for the next request (60 s) */
	uint32_t max_requests;	/* on one connection (1000) */
	uint64_t kernel_bytes;	/* bodies with at least so much left are moved by splice(2)
				     * when both ends are sockets or files (64 KiB) */
	uint64_t discard_bytes; /* of a request's body that nobody read, to save the
				     * connection; beyond it is closed (256 KiB) */
	uint64_t hangup_ms;	/* a client that has sent its end may be waiting for the answer,
				 * or be gone: when it could not be written to for so long, its
				 * call is cancelled (1 s). One that resets is gone at once */
	uint64_t linger_ms;	/* what a client still sends after the last answer is read and
				 * dropped for at most so long, so that it reads the answer
				 * instead of a reset (2 s) */
	const char *server;	/* Server of responses that have none; copied; NULL: none */
	const char *via;	/* appended to Via of responses ("1.1 edge"); copied; NULL: none */
	struct weir_bridge_conf tunnel; /* what carries bytes after a 101; its hooks are unused */
	struct weir_metrics *metrics;	/* borrowed; may be NULL */
};

struct weir_service *weir_http_server_service(const struct weir_http_server_conf *conf,
					      struct weir_error *error) WEIR_MUST_CHECK;

/* What the server connects the client with after a 101 (or a 2xx to CONNECT), whoever made it. */
struct weir_tunnel {
	struct weir_stream *stream; /* owned by the tunnel */
	struct weir_text early;	    /* bytes that came from it already; go to the client first */
	void (*close)(struct weir_tunnel *tunnel); /* closes the stream, frees what is to be freed */
};

#endif
