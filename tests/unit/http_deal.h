/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_HTTP_DEAL_H
#define WEIR_TESTS_HTTP_DEAL_H

/*
 * A client of its own in front of an origin that follows scripts, and deals: a call and what has come
 * of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include <weir/error.h>
#include <weir/http_client.h>
#include <weir/http_server.h>

#include "loopback.h"
#include "origin.h"

#define OK	 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define NONE	 "HTTP/1.1 204 No Content\r\n\r\n"
#define LEN10	 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
#define CUT_BODY LEN10 "abc"

struct deal_rig {
	struct origin origin;
	struct weir_http_client *client;
	struct weir_http_client_conf conf; /* the test's, before opening */
	struct weir_target to;
	unsigned informed; /* interim responses passed on */
	unsigned last_informed;
};

/* One at a time. */
void deal_rig_init(struct deal_rig *rig, enum stage_kind kind);
void deal_rig_open(struct deal_rig *rig);
void deal_rig_close(struct deal_rig *rig);

/* What a call is and what has come of it. */
struct deal {
	const char *method; /* GET */
	const char *body;   /* NULL: none */
	bool chunked;
	bool expects;
	const char *upgrade;
	/* Results. */
	int status;	 /* of the exchange */
	int body_status; /* of reading the response's body */
	unsigned code;
	unsigned attempts;
	bool sent;
	const char *why;
	char text[4096];
};

/* Fills CALL's request. */
void deal_ask(const struct deal *deal, struct weir_call *call);
/* Reads the response's body to its end. */
void deal_read(struct deal *deal, struct weir_call *call);
/* A call from its beginning to its end. */
void deal_run(struct deal_rig *rig, struct deal *deal);
/* A GET. */
struct deal deal_get(struct deal_rig *rig);

#endif
