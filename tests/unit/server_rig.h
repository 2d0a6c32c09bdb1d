/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_SERVER_RIG_H
#define WEIR_TESTS_SERVER_RIG_H

/*
 * An HTTP server on one connection, and a client that sends bytes as they are and keeps what
 * comes back.
 */

#include <weir/buffer.h>
#include <weir/http_server.h>

#include "stage.h"

struct server_rig {
	enum stage_kind kind;
	struct weir_http_server_conf conf; /* of the server; its service is FN */
	int (*fn)(struct weir_call *call, void *ctx);
	void *ctx;

	struct weir_text request; /* what the client sends */
	size_t split; /* it sends this much, and the rest when all others had their turn */
	bool stay;    /* it does not send its end */

	struct weir_buffer response; /* what it got, with a terminator behind */
	int client_status;	     /* of reading: 0 at the end, -ECONNRESET */
	int status;		     /* the service's */
};

/* Serves one connection in a loop of its own. */
void server_rig_run(struct server_rig *rig);
/* Frees the response. */
void server_rig_fini(struct server_rig *rig);
/* The response without Date lines. */
const char *server_rig_text(struct server_rig *rig);

/* A body of SIZE bytes of the payload (bridge_rig.h), of unknown size when it is not SAYS. In
 * the call's arena; PIECE bytes at a time, after each of which it lets others go first. */
struct weir_body *payload_body(struct weir_arena *arena, uint64_t size, size_t piece, bool says);

/* ------------------------------------------------------------------------------------------
 * A site: a service with a path for everything
 */

struct site {
	struct weir_event event; /* what /wait waits for */
	int waited;		 /* what /wait was ended by; 1: nothing yet */
	int calls;
	uint64_t request_bytes; /* of the last call, when it had ended */
	uint64_t response_bytes;
	int status;
	struct weir_stream *origin; /* far end of a tunnel */
	char early[64];		    /* what the origin got */
};

/* CTX is a struct site. */
int site_handle(struct weir_call *call, void *ctx);

/* One connection to a site. */
struct visit {
	struct site site;
	struct server_rig rig;
};

void visit_open(struct visit *visit, enum stage_kind kind, const char *request);
const char *visit_run(struct visit *visit);
void visit_close(struct visit *visit);

/* The site answers so, without a reset, over sockets and over memory. */
void assert_answer(const char *request, const char *answer);

#define GET(path)      "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK(size, body) "HTTP/1.1 200 OK\r\nContent-Length: " #size "\r\n\r\n" body
#define HELLO	       "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

#endif
