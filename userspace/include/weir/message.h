/* SPDX-License-Identifier: MIT */
#ifndef WEIR_MESSAGE_H
#define WEIR_MESSAGE_H

/*
 * The heads of HTTP requests and responses, whatever version carries them. Text is borrowed
 * from the call's arena or from the connection's input, which stays in place for the call.
 *
 * Hop-by-hop fields (RFC 9110 section 7.6.1), and those that Connection names, are not in
 * headers: what they said is in the members here. Content-Length and Transfer-Encoding stay in
 * headers to keep their place; what counts is the body, and the writer gives them the values that
 * are true.
 */

#include <weir/body.h>
#include <weir/headers.h>

enum weir_method {
	WEIR_METHOD_OTHER, /* a token that the text member says */
	WEIR_METHOD_GET,
	WEIR_METHOD_HEAD,
	WEIR_METHOD_POST,
	WEIR_METHOD_PUT,
	WEIR_METHOD_DELETE,
	WEIR_METHOD_CONNECT,
	WEIR_METHOD_OPTIONS,
	WEIR_METHOD_TRACE,
	WEIR_METHOD_PATCH,
	WEIR_METHOD_COUNT,
};

enum weir_method weir_method_parse(struct weir_text text);
/* "GET"; no data for WEIR_METHOD_OTHER. */
struct weir_text weir_method_text(enum weir_method method);
bool weir_method_is_safe(enum weir_method method);	 /* RFC 9110 section 9.2.1 */
bool weir_method_is_idempotent(enum weir_method method); /* section 9.2.2 */

enum weir_http_version {
	WEIR_HTTP_1_1,
	WEIR_HTTP_1_0,
	WEIR_HTTP_2,
};

/* RFC 9112 section 3.2. */
enum weir_target_form {
	WEIR_TARGET_ORIGIN,    /* /path?query */
	WEIR_TARGET_ABSOLUTE,  /* http://host/path */
	WEIR_TARGET_AUTHORITY, /* host:port, CONNECT alone */
	WEIR_TARGET_ASTERISK,  /* *, OPTIONS alone */
};

struct weir_request {
	enum weir_method method;
	struct weir_text method_text;
	enum weir_http_version version;
	enum weir_target_form form;
	struct weir_text scheme;    /* "http"; of the absolute form or of the connection */
	struct weir_text authority; /* host[:port] of the absolute form, else of Host */
	struct weir_text path;	    /* starts with "/"; "*" of the asterisk form; still encoded */
	struct weir_text query;	    /* after "?", still encoded; no data: no "?" */
	struct weir_headers headers;
	struct weir_body *body;	  /* NULL: none was announced */
	struct weir_text upgrade; /* Upgrade's value when Connection asks for it; else no data */
	bool keep_alive;	  /* the sender lets the connection live on */
	bool expects_continue;	  /* Expect: 100-continue (stays in headers, too) */
	bool accepts_trailers;	  /* TE: trailers */
};

struct weir_response {
	unsigned status;	 /* 100 to 999; 0: not filled */
	struct weir_text reason; /* no data: the standard one */
	enum weir_http_version version;
	struct weir_headers headers;
	struct weir_body *body;	  /* NULL: none. Of a HEAD request it is NULL in every case */
	uint64_t announced;	  /* Content-Length of a response without body (to HEAD, 304);
				 * WEIR_BODY_UNKNOWN when it was not said */
	struct weir_text upgrade; /* of a 101 */
	bool keep_alive;
};

/* Empty ones, ready for headers. */
void weir_request_init(struct weir_request *request, struct weir_arena *arena);
void weir_response_init(struct weir_response *response, struct weir_arena *arena);

/* "Not Found"; no data when there is no standard one. RFC 9110 section 15 and others. */
struct weir_text weir_status_reason(unsigned status);
/* Responses with this status never have a body: 1xx, 204, 304 (RFC 9112 section 6.3). */
bool weir_status_is_bodiless(unsigned status);

/* Splits a request target into form, scheme, authority, path and query. Characters that RFC
 * 3986 does not allow, a fragment, user information, an empty host and a wrong port are
 * -EINVAL. The method decides about authority and asterisk forms. */
int weir_request_set_target(struct weir_request *request, struct weir_text target) WEIR_MUST_CHECK;
/* host[:port] of RFC 3986 without user information. PORT is 0 when none was said. -EINVAL. */
int weir_authority_parse(struct weir_text authority, struct weir_text *host, uint16_t *port)
	WEIR_MUST_CHECK;

#endif
