/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_ADMIN_REQUEST_H
#define WEIR_DAEMON_ADMIN_REQUEST_H

/*
 * A call as the admin API sees it: the decoded segments of its path and its parameters; and the
 * answer, which is text.
 */

#include <weir/buffer.h>
#include <weir/call.h>

#define ADMIN_SEGMENTS	 8
#define ADMIN_PARAMETERS 4

struct admin_request {
	bool is_post;
	size_t n_segments;
	const char *segments[ADMIN_SEGMENTS]; /* of the path; in the call's arena */
	size_t n_parameters;
	struct {
		const char *name;
		const char *value;
	} parameters[ADMIN_PARAMETERS];
};

struct admin_response {
	int status;	  /* of HTTP; 200 unless it is set */
	const char *type; /* static memory */
	struct weir_buffer body;
};

/* The value of a parameter; NULL when it was not given. */
const char *admin_parameter(const struct admin_request *request, const char *name);
/* Whether the path is these segments; "*" matches any one. */
bool admin_path_is(const struct admin_request *request, const char *pattern);

typedef void admin_answer_fn(void *ctx, const struct admin_request *request,
			     struct admin_response *response);

/* Asks ANSWER and fills the call's response. 0 or -ENOMEM. May park. */
int admin_request_answer(struct weir_call *call, admin_answer_fn *answer, void *ctx)
	WEIR_MUST_CHECK;

#endif
