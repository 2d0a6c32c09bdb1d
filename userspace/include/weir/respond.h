/* SPDX-License-Identifier: MIT */
#ifndef WEIR_RESPOND_H
#define WEIR_RESPOND_H

#include <weir/call.h>
#include <weir/error.h>

struct weir_respond_field {
	const char *name;
	const char *value;
};

/* A service with one answer for everybody. Copied. */
struct weir_respond_conf {
	unsigned status;  /* 200 to 599; 0: 200 */
	const char *type; /* NULL: text/plain; charset=utf-8, when there is a body */
	const char *body; /* NULL: none */
	const struct weir_respond_field *fields;
	size_t n_fields;
};

struct weir_http_service *weir_http_respond(const struct weir_respond_conf *conf,
					    struct weir_error *error) WEIR_MUST_CHECK;

#endif
