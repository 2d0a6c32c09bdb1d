/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_ADMIN_HTTP_H
#define WEIR_DAEMON_ADMIN_HTTP_H

/*
 * As much of HTTP/1.1 (RFC 9112) as the admin API needs: one request a connection, GET and
 * POST, no request body that is looked at, everything bounded. Strict: what is not plainly
 * right is refused.
 */

#include <stdbool.h>

#include <weir/base.h>
#include <weir/buffer.h>

struct weir_stream;

#define ADMIN_HEAD_MAX	 8192
#define ADMIN_BODY_MAX	 4096
#define ADMIN_SEGMENTS	 8
#define ADMIN_PARAMETERS 4
#define ADMIN_TEXT_MAX	 320

struct admin_request {
	bool is_post;
	bool is_head; /* HEAD: as GET without the body */
	size_t n_segments;
	char segments[ADMIN_SEGMENTS][ADMIN_TEXT_MAX]; /* of the path, percent-decoded */
	size_t n_parameters;
	struct {
		char name[32];
		char value[ADMIN_TEXT_MAX];
	} parameters[ADMIN_PARAMETERS];
	size_t body_bytes; /* announced; at most ADMIN_BODY_MAX */
};

struct admin_response {
	int status;	  /* of HTTP; 200 unless it is set */
	const char *type; /* static memory */
	struct weir_buffer body;
};

/* Parses a head, the empty line included. 0, or the HTTP status to refuse it with. Pure. */
int admin_http_parse(struct admin_request *request, const char *head, size_t size) WEIR_MUST_CHECK;

/* The value of a parameter; NULL when it was not given. */
const char *admin_parameter(const struct admin_request *request, const char *name);
/* Whether the path is these segments; "*" matches any one. */
bool admin_path_is(const struct admin_request *request, const char *pattern);

typedef void admin_answer_fn(void *ctx, const struct admin_request *request,
			     struct admin_response *response);

/* Reads one request, asks ANSWER and writes what it says. 0 or a negative status. Parks. */
int admin_http_serve(struct weir_stream *stream, admin_answer_fn *answer, void *ctx);

#endif
