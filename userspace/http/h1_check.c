/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <weir/error.h>

#include "http/chars.h"
#include "http/h1_check.h"

#define CHECK_OPTIONS_MAX 32 /* in Connection */

int weir_h1_refuse(struct weir_h1_parser *parser, unsigned status, const char *why)
{
	parser->phase = WEIR_H1_BROKEN;
	parser->status = parser->is_response ? 502 : status;
	parser->why = why;
	return WEIR_EPROTO;
}

/* ------------------------------------------------------------------------------------------
 * Framing
 */

static bool check_has(const struct weir_headers *headers, enum weir_header_id id)
{
	return weir_headers_find_id(headers, id, NULL) != NULL;
}

/* One field with one number, which a signed 64-bit integer holds: peers count with those. Even
 * equal values twice are refused, for nobody who means well sends them. */
static int check_length(struct weir_h1_parser *parser, const struct weir_headers *headers)
{
	const struct weir_header *field =
		weir_headers_find_id(headers, WEIR_HEADER_CONTENT_LENGTH, NULL);

	if (weir_headers_find_id(headers, WEIR_HEADER_CONTENT_LENGTH, field))
		return weir_h1_refuse(parser, 400, "more than one Content-Length");
	if (weir_text_parse_u64(field->value, &parser->length) || parser->length > INT64_MAX)
		return weir_h1_refuse(parser, 400, "Content-Length is not a number");
	if (parser->length > parser->limits.body_bytes)
		return weir_h1_refuse(parser, 413, "the body is longer than the limit");
	parser->framing = WEIR_H1_LENGTH;
	return 0;
}

/* "chunked" and nothing else. Other codings before it are known to nobody here (501); anything
 * behind it, or without it, has no end that all agree on. */
static int check_coding(struct weir_h1_parser *parser, const struct weir_headers *headers)
{
	const struct weir_header *field =
		weir_headers_find_id(headers, WEIR_HEADER_TRANSFER_ENCODING, NULL);
	struct weir_text list = field->value, item, last = WEIR_TEXT("");
	unsigned n_chunked = 0;

	if (weir_headers_find_id(headers, WEIR_HEADER_TRANSFER_ENCODING, field))
		return weir_h1_refuse(parser, 400, "more than one Transfer-Encoding");
	if (weir_text_is_equal_nocase(field->value, WEIR_TEXT("chunked"))) {
		parser->framing = WEIR_H1_CHUNKED;
		parser->phase = WEIR_H1_CHUNK_SIZE;
		return 0;
	}
	while (weir_text_next_item(&list, &item)) {
		last = item;
		n_chunked += weir_text_is_equal_nocase(item, WEIR_TEXT("chunked"));
	}
	if (n_chunked == 1 && weir_text_is_equal_nocase(last, WEIR_TEXT("chunked")) &&
	    last.data != field->value.data && field->value.data[0] != ',')
		return weir_h1_refuse(parser, 501, "a transfer coding that is not known");
	return weir_h1_refuse(parser, 400, "Transfer-Encoding is not chunked");
}

/* Of messages that may have a body. */
static int check_framing(struct weir_h1_parser *parser, const struct weir_headers *headers,
			 enum weir_http_version version)
{
	bool coded = check_has(headers, WEIR_HEADER_TRANSFER_ENCODING);
	bool counted = check_has(headers, WEIR_HEADER_CONTENT_LENGTH);

	if (coded && counted)
		return weir_h1_refuse(parser, 400, "Content-Length and Transfer-Encoding");
	if (coded && version == WEIR_HTTP_1_0)
		return weir_h1_refuse(parser, 400, "Transfer-Encoding in HTTP/1.0");
	if (coded)
		return check_coding(parser, headers);
	if (counted)
		return check_length(parser, headers);
	parser->framing = parser->is_response ? WEIR_H1_CLOSE : WEIR_H1_NONE;
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Connection and the fields of one hop
 */

/* Fields that Connection cannot take away: they say how the message is read, where it goes and
 * whom it comes from, and who strips them would be believed to be somebody else. */
static bool check_is_kept(enum weir_header_id id)
{
	switch (id) {
	case WEIR_HEADER_HOST:
	case WEIR_HEADER_CONTENT_LENGTH:
	case WEIR_HEADER_TRANSFER_ENCODING:
	case WEIR_HEADER_CONTENT_TYPE:
	case WEIR_HEADER_CONTENT_ENCODING:
	case WEIR_HEADER_CONTENT_RANGE:
	case WEIR_HEADER_CACHE_CONTROL:
	case WEIR_HEADER_SET_COOKIE:
	case WEIR_HEADER_VIA:
	case WEIR_HEADER_FORWARDED:
	case WEIR_HEADER_X_FORWARDED_FOR:
	case WEIR_HEADER_X_FORWARDED_HOST:
	case WEIR_HEADER_X_FORWARDED_PROTO:
	case WEIR_HEADER_X_REQUEST_ID:
		return true;
	default:
		return false;
	}
}

/* What Connection's options say. */
struct check_options {
	bool close;
	bool keep_alive;
	bool upgrade;
};

static void check_option(struct weir_headers *headers, struct weir_text option,
			 struct check_options *options)
{
	if (weir_text_is_equal_nocase(option, WEIR_TEXT("close")))
		options->close = true;
	else if (weir_text_is_equal_nocase(option, WEIR_TEXT("keep-alive")))
		options->keep_alive = true;
	else if (weir_text_is_equal_nocase(option, WEIR_TEXT("upgrade")))
		options->upgrade = true;
	else if (weir_header_id(option) != WEIR_HEADER_TE && !check_is_kept(weir_header_id(option)))
		weir_headers_del(headers, option);
}

/* Reads the options and removes what they name. Each may be looked for in all fields, so there
 * is a bound. */
static int check_connection(struct weir_h1_parser *parser, struct weir_headers *headers,
			    struct check_options *options)
{
	const struct weir_header *field = NULL;
	unsigned n = 0;

	while ((field = weir_headers_find_id(headers, WEIR_HEADER_CONNECTION, field))) {
		struct weir_text list = field->value, option;

		while (weir_text_next_item(&list, &option)) {
			if (n++ == CHECK_OPTIONS_MAX)
				return weir_h1_refuse(parser, 400, "too many connection options");
			check_option(headers, option, options);
		}
	}
	weir_headers_del_id(headers, WEIR_HEADER_CONNECTION);
	weir_headers_del_id(headers, WEIR_HEADER_KEEP_ALIVE);
	weir_headers_del_id(headers, WEIR_HEADER_PROXY_CONNECTION);
	return 0;
}

static bool check_keeps_alive(const struct check_options *options, enum weir_http_version version)
{
	if (options->close)
		return false;
	return version == WEIR_HTTP_1_1 || options->keep_alive;
}

/* Room for all elements in the values of the fields of a name, a comma and a space behind each. */
static char *check_alloc_values(struct weir_headers *headers, enum weir_header_id id)
{
	const struct weir_header *field = NULL;
	size_t size = 0;

	while ((field = weir_headers_find_id(headers, id, field)))
		size += 2 * field->value.size + 2;
	return weir_arena_alloc(headers->arena, size);
}

static char *check_append_item(char *to, struct weir_text item, bool is_first)
{
	if (!is_first) {
		*to++ = ',';
		*to++ = ' ';
	}
	memcpy(to, item.data, item.size);
	return to + item.size;
}

/* Protocols are tokens (RFC 9110 section 7.8): one in quotes is none, though a reader who knows no
 * quotes may find some in it. h2c is obsolete (RFC 9113 section 3.1) and a way around whoever believes
 * that it sees all requests. */
static bool check_protocol_is_good(struct weir_text protocol)
{
	struct weir_text name, version;
	bool has_version = weir_text_split(protocol, '/', &name, &version);

	return name.size > 0 && weir_chars_are(name.data, name.size, WEIR_CHAR_TOKEN) &&
	       (!has_version || (version.size > 0 &&
				 weir_chars_are(version.data, version.size, WEIR_CHAR_TOKEN))) &&
	       !weir_text_is_equal_nocase(name, WEIR_TEXT("h2c"));
}

/* The good protocols that Upgrade names. Text without data: there are none. */
static int check_protocols(struct weir_headers *headers, struct weir_text *protocols)
{
	const struct weir_header *field = NULL;
	char *text = check_alloc_values(headers, WEIR_HEADER_UPGRADE), *end = text;

	if (!text)
		return -ENOMEM;
	while ((field = weir_headers_find_id(headers, WEIR_HEADER_UPGRADE, field))) {
		struct weir_text list = field->value, item;

		while (weir_text_next_item(&list, &item)) {
			if (check_protocol_is_good(item))
				end = check_append_item(end, item, end == text);
		}
	}
	*protocols = (struct weir_text){ end > text ? text : NULL, (size_t)(end - text) };
	return 0;
}

/* Upgrade is asked for where Connection says so, and HTTP/1.0 has none (RFC 9110 section 7.8). */
static int check_upgrade(struct weir_headers *headers, bool is_asked, struct weir_text *upgrade)
{
	int rc = 0;

	if (!check_has(headers, WEIR_HEADER_UPGRADE))
		return 0;
	if (is_asked)
		rc = check_protocols(headers, upgrade);
	weir_headers_del_id(headers, WEIR_HEADER_UPGRADE);
	weir_headers_del(headers, WEIR_TEXT("HTTP2-Settings"));
	return rc;
}

/* ------------------------------------------------------------------------------------------
 * Requests
 */

/* One Host in HTTP/1.1, at most one in HTTP/1.0, and valid; the target's authority goes before
 * it, and is then what is forwarded as Host (RFC 9112 section 3.2). */
static int check_host(struct weir_h1_parser *parser, struct weir_request *request)
{
	struct weir_header *field = weir_headers_find_id(&request->headers, WEIR_HEADER_HOST, NULL);
	struct weir_text host;
	uint16_t port;

	if (!field)
		return request->version == WEIR_HTTP_1_0 ? 0
							 : weir_h1_refuse(parser, 400, "no Host");
	if (weir_headers_find_id(&request->headers, WEIR_HEADER_HOST, field))
		return weir_h1_refuse(parser, 400, "more than one Host");
	if (weir_authority_parse(field->value, &host, &port))
		return weir_h1_refuse(parser, 400, "Host is not a host and port");
	if (request->authority.data)
		field->value = request->authority;
	else
		request->authority = field->value;
	return 0;
}

/* Whether NAME is that of a known field with an underscore in the place of a hyphen. */
static bool check_is_alias(struct weir_text name)
{
	char hyphens[64];

	if (name.size > sizeof(hyphens) || !memchr(name.data, '_', name.size))
		return false;
	for (size_t i = 0; i < name.size; i++)
		hyphens[i] = name.data[i] == '_' ? '-' : name.data[i];
	return weir_header_id((struct weir_text){ hyphens, name.size }) != WEIR_HEADER_OTHER;
}

/* Origins that hand fields on in variables (RFC 3875 section 4.1.18) cannot tell X_Forwarded_For
 * from X-Forwarded-For, so that a client could say what only a proxy may. */
static void check_aliases(struct weir_headers *headers)
{
	struct weir_header *field = NULL;

	while ((field = weir_headers_next(headers, field))) {
		if (field->id == WEIR_HEADER_OTHER && check_is_alias(field->name))
			weir_headers_del_field(headers, field);
	}
}

static int check_expect(struct weir_h1_parser *parser, struct weir_request *request)
{
	const struct weir_header *field = NULL;

	if (request->version == WEIR_HTTP_1_0) {
		/* RFC 9110 section 10.1.1: to be ignored, also by those behind us. */
		weir_headers_del_id(&request->headers, WEIR_HEADER_EXPECT);
		return 0;
	}
	while ((field = weir_headers_find_id(&request->headers, WEIR_HEADER_EXPECT, field))) {
		struct weir_text list = field->value, item;

		while (weir_text_next_item(&list, &item)) {
			if (!weir_text_is_equal_nocase(item, WEIR_TEXT("100-continue")))
				return weir_h1_refuse(parser, 417,
						      "an expectation that is not known");
			request->expects_continue = parser->framing != WEIR_H1_NONE;
		}
	}
	return 0;
}

/* Requests whose method has no content say so (RFC 9110 sections 9.3.6 and 9.3.8). */
static bool check_forbids_content(enum weir_method method)
{
	return method == WEIR_METHOD_CONNECT || method == WEIR_METHOD_TRACE;
}

int weir_h1_check_request(struct weir_h1_parser *parser, struct weir_request *request)
{
	struct weir_headers *headers = &request->headers;
	struct check_options options = { false };
	int rc = check_host(parser, request);

	if (!rc)
		rc = check_framing(parser, headers, request->version);
	if (rc)
		return rc;
	if (check_forbids_content(request->method) && parser->framing != WEIR_H1_NONE)
		return weir_h1_refuse(parser, 400, "content where the method has none");
	rc = check_expect(parser, request);
	if (!rc)
		rc = check_connection(parser, headers, &options);
	if (rc)
		return rc;
	check_aliases(headers);
	request->keep_alive = check_keeps_alive(&options, request->version);
	request->accepts_trailers =
		weir_headers_has_item(headers, WEIR_HEADER_TE, WEIR_TEXT("trailers"));
	weir_headers_del_id(headers, WEIR_HEADER_TE);
	return check_upgrade(headers, options.upgrade && request->version == WEIR_HTTP_1_1,
			     &request->upgrade);
}

/* ------------------------------------------------------------------------------------------
 * Responses
 */

/* RFC 9112 section 6.3, rules 1 and 2. Such a response has no body, whatever its fields say; what
 * they say must still be sound, for a response to HEAD and a 304 it tells the length that there
 * would be. Content with a 1xx or 204 is a mistake that somebody would read as the next response. */
static int check_bodiless(struct weir_h1_parser *parser, struct weir_response *response,
			  enum weir_method method)
{
	struct weir_headers *headers = &response->headers;
	bool is_told = method == WEIR_METHOD_HEAD || response->status == 304;
	int rc = 0;

	if (method == WEIR_METHOD_CONNECT && response->status / 100 == 2) {
		weir_headers_del_id(headers, WEIR_HEADER_CONTENT_LENGTH);
		weir_headers_del_id(headers, WEIR_HEADER_TRANSFER_ENCODING);
		return 0;
	}
	rc = check_framing(parser, headers, response->version);
	if (rc)
		return rc;
	if (!is_told && (parser->framing == WEIR_H1_CHUNKED || parser->length > 0))
		return weir_h1_refuse(parser, 502, "content where the status has none");
	if (is_told && parser->framing == WEIR_H1_LENGTH)
		response->announced = parser->length;
	else
		weir_headers_del_id(headers, WEIR_HEADER_CONTENT_LENGTH);
	weir_headers_del_id(headers, WEIR_HEADER_TRANSFER_ENCODING);
	parser->framing = WEIR_H1_NONE;
	parser->length = 0;
	parser->phase = WEIR_H1_START_LINE;
	return 0;
}

static bool check_has_body(const struct weir_response *response, enum weir_method method)
{
	return !weir_status_is_bodiless(response->status) && method != WEIR_METHOD_HEAD &&
	       !(method == WEIR_METHOD_CONNECT && response->status / 100 == 2);
}

int weir_h1_check_response(struct weir_h1_parser *parser, struct weir_response *response,
			   enum weir_method method)
{
	struct weir_headers *headers = &response->headers;
	struct check_options options = { false };
	int rc;

	if (check_has_body(response, method))
		rc = check_framing(parser, headers, response->version);
	else
		rc = check_bodiless(parser, response, method);
	if (!rc)
		rc = check_connection(parser, headers, &options);
	if (rc)
		return rc;
	response->keep_alive = check_keeps_alive(&options, response->version) &&
			       parser->framing != WEIR_H1_CLOSE;
	weir_headers_del_id(headers, WEIR_HEADER_TE);
	return check_upgrade(headers, options.upgrade && response->status == 101,
			     &response->upgrade);
}

bool weir_h1_trailer_is_forbidden(enum weir_header_id id)
{
	static const bool forbidden[WEIR_HEADER_COUNT] = {
		/* Framing, routing, the connection. */
		[WEIR_HEADER_CONTENT_LENGTH] = true,
		[WEIR_HEADER_TRANSFER_ENCODING] = true,
		[WEIR_HEADER_TRAILER] = true,
		[WEIR_HEADER_HOST] = true,
		[WEIR_HEADER_CONNECTION] = true,
		[WEIR_HEADER_KEEP_ALIVE] = true,
		[WEIR_HEADER_PROXY_CONNECTION] = true,
		[WEIR_HEADER_TE] = true,
		[WEIR_HEADER_UPGRADE] = true,
		[WEIR_HEADER_VIA] = true,
		[WEIR_HEADER_FORWARDED] = true,
		[WEIR_HEADER_X_FORWARDED_FOR] = true,
		[WEIR_HEADER_X_FORWARDED_HOST] = true,
		[WEIR_HEADER_X_FORWARDED_PROTO] = true,
		[WEIR_HEADER_X_REQUEST_ID] = true,
		/* Modifiers of the request. */
		[WEIR_HEADER_EXPECT] = true,
		[WEIR_HEADER_RANGE] = true,
		[WEIR_HEADER_PRAGMA] = true,
		[WEIR_HEADER_IF_MATCH] = true,
		[WEIR_HEADER_IF_NONE_MATCH] = true,
		[WEIR_HEADER_IF_MODIFIED_SINCE] = true,
		[WEIR_HEADER_IF_UNMODIFIED_SINCE] = true,
		[WEIR_HEADER_IF_RANGE] = true,
		/* Authentication and state. */
		[WEIR_HEADER_AUTHORIZATION] = true,
		[WEIR_HEADER_WWW_AUTHENTICATE] = true,
		[WEIR_HEADER_PROXY_AUTHENTICATE] = true,
		[WEIR_HEADER_PROXY_AUTHORIZATION] = true,
		[WEIR_HEADER_COOKIE] = true,
		[WEIR_HEADER_SET_COOKIE] = true,
		/* How the content and the response are to be understood. */
		[WEIR_HEADER_CONTENT_ENCODING] = true,
		[WEIR_HEADER_CONTENT_TYPE] = true,
		[WEIR_HEADER_CONTENT_RANGE] = true,
		[WEIR_HEADER_AGE] = true,
		[WEIR_HEADER_CACHE_CONTROL] = true,
		[WEIR_HEADER_EXPIRES] = true,
		[WEIR_HEADER_DATE] = true,
		[WEIR_HEADER_LOCATION] = true,
		[WEIR_HEADER_RETRY_AFTER] = true,
		[WEIR_HEADER_VARY] = true,
		[WEIR_HEADER_WARNING] = true,
	};

	return forbidden[id];
}
