/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOOL_SEND_H
#define WEIR_TOOL_SEND_H

/*
 * weir send: its arguments (send.c) and what is done with them (send_run.c), on which way
 * (send_way.c).
 */

#include <stdbool.h>
#include <weir/arena.h>
#include <weir/buffer.h>
#include <weir/error.h>
#include <weir/text.h>

#define SEND_HEADERS_MAX 64

/* All texts live as long as the program. */
struct send_arguments {
	const char *url;
	const char *method; /* NULL: GET, or POST with data */
	struct send_header {
		struct weir_text name;
		struct weir_text value; /* empty: the field is left out */
	} headers[SEND_HEADERS_MAX];
	size_t n_headers;
	struct weir_buffer data;
	bool has_data;
	const char *output; /* NULL: standard output */
	const char *proxy;
	const char *ca_file;   /* NULL: whom the system trusts */
	const char *cert_file; /* NULL: none is shown */
	const char *key_file;  /* NULL: it is in cert_file */
	bool include, verbose, follow, insecure;
};

/* Sends the request, follows redirections, and writes what comes. 0; else ERROR says why not. */
int send_run(const struct send_arguments *arguments, struct weir_error *error) WEIR_MUST_CHECK;

#endif
