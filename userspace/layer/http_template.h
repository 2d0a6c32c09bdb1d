/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_TEMPLATE_H
#define WEIR_LAYER_HTTP_TEMPLATE_H

/* Text with named fields of a call: see weir/http_layer.h. */

#include <weir/call.h>
#include <weir/error.h>

struct http_template;

/* How the values of fields are written; the text around them is as it was given. */
enum http_escape {
	HTTP_ESCAPE_FIELD, /* in a header field: no control characters */
	HTTP_ESCAPE_LOG,   /* in a line between quotes: nobody can forge one; unknown is "-" */
	HTTP_ESCAPE_HTML,
};

/* What the client asked for, before routers and rewrites changed it. */
struct http_asked {
	struct weir_text method, path, query, authority;
};
void http_asked_set(struct http_asked *asked, const struct weir_request *request);

/* WHAT names the place in messages ("the rate limit's key"). NULL with ERROR. */
struct http_template *http_template_new(const char *text, const char *what,
					struct weir_error *error) WEIR_MUST_CHECK;
void http_template_free(struct http_template *template);

/* Writes at most SIZE bytes, without a terminator; returns how many. ASKED may be NULL: what the
 * request says now. */
size_t http_template_write(const struct http_template *template, const struct weir_call *call,
			   const struct http_asked *asked, enum http_escape escape, char *text,
			   size_t size);
/* The same in CALL's arena, cut to 8 KiB. No data when memory is out. */
struct weir_text http_template_text(const struct http_template *template, struct weir_call *call,
				    enum http_escape escape);

/* The client's address, as a trusted proxy says it; NULL when the call has none. */
const struct weir_address *http_client(const struct weir_call *call);

#endif
