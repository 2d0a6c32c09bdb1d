/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_H1_CHECK_H
#define WEIR_HTTP_H1_CHECK_H

/*
 * What the fields of a head mean for its connection and its body (RFC 9112 sections 3.2, 6.3
 * and 9, RFC 9110 section 7.6.1): decided here, once.
 */

#include <weir/h1.h>

/* The parser is broken from now on: STATUS (502 of a response) and WHY. Returns WEIR_EPROTO. */
int weir_h1_refuse(struct weir_h1_parser *parser, unsigned status, const char *why);

/* Of a head whose start line and fields are filled in. Sets the parser's framing and length and
 * the message's members, removes hop-by-hop fields. 0, WEIR_EPROTO, -ENOMEM. */
int weir_h1_check_request(struct weir_h1_parser *parser, struct weir_request *request);
int weir_h1_check_response(struct weir_h1_parser *parser, struct weir_response *response,
			   enum weir_method method);

/* Whether a field must not be in a trailer section (RFC 9110 section 6.5.1). */
bool weir_h1_trailer_is_forbidden(enum weir_header_id id);

#endif
