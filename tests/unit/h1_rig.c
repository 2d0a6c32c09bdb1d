/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/error.h>

#include "tests/unit/h1_rig.h"

static const char *const forms[] = {
	[WEIR_TARGET_ORIGIN] = "origin",
	[WEIR_TARGET_ABSOLUTE] = "absolute",
	[WEIR_TARGET_AUTHORITY] = "authority",
	[WEIR_TARGET_ASTERISK] = "asterisk",
};

static const char *const framings[] = {
	[WEIR_H1_NONE] = "none",
	[WEIR_H1_LENGTH] = "length",
	[WEIR_H1_CHUNKED] = "chunked",
	[WEIR_H1_CLOSE] = "close",
};

static void say(struct weir_buffer *out, const char *format, ...) WEIR_PRINTF(2, 3);

static void say(struct weir_buffer *out, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0 || weir_buffer_append(out, text, (size_t)n))
		abort();
	free(text);
}

static void say_text(struct weir_buffer *out, const char *before, struct weir_text text)
{
	say(out, "%s%.*s", before, WEIR_TEXT_ARGS(text));
	if (!text.data)
		say(out, "-");
}

/* Values of the fields that frame are said by the framing. */
static void say_headers(struct weir_buffer *out, const char *before,
			const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;

	while ((field = weir_headers_next(headers, field))) {
		bool frames = field->id == WEIR_HEADER_CONTENT_LENGTH ||
			      field->id == WEIR_HEADER_TRANSFER_ENCODING;

		assert(weir_header_is_valid(field->name, field->value));
		assert(field->id == weir_header_id(field->name));
		say_text(out, before, field->name);
		say_text(out, ": ", frames ? WEIR_TEXT("*") : field->value);
		say(out, "\n");
	}
}

static void say_request(struct weir_buffer *out, const struct weir_request *request,
			const struct weir_h1_parser *parser)
{
	say_text(out, "request ", request->method_text);
	say_text(out, " ", weir_text_of(forms[request->form]));
	say_text(out, " ", request->scheme);
	say_text(out, " ", request->authority);
	say_text(out, " ", request->path);
	say_text(out, " ?", request->query);
	say(out, " 1.%d%s%s%s", request->version == WEIR_HTTP_1_1,
	    request->keep_alive ? " keep-alive" : "", request->expects_continue ? " expects" : "",
	    request->accepts_trailers ? " trailers" : "");
	if (request->upgrade.data)
		say_text(out, " upgrade ", request->upgrade);
	say(out, "\n");
	say_headers(out, " ", &request->headers);
	say(out, "framing %s", framings[parser->framing]);
	if (parser->framing == WEIR_H1_LENGTH)
		say(out, " %llu", (unsigned long long)parser->length);
	say(out, "\n");
}

static void say_response(struct weir_buffer *out, const struct weir_response *response,
			 const struct weir_h1_parser *parser)
{
	say(out, "response %u %.*s 1.%d%s", response->status, WEIR_TEXT_ARGS(response->reason),
	    response->version == WEIR_HTTP_1_1, response->keep_alive ? " keep-alive" : "");
	if (response->announced != WEIR_BODY_UNKNOWN)
		say(out, " announced %llu", (unsigned long long)response->announced);
	if (response->upgrade.data)
		say_text(out, " upgrade ", response->upgrade);
	say(out, "\n");
	say_headers(out, " ", &response->headers);
	say(out, "framing %s", framings[parser->framing]);
	if (parser->framing == WEIR_H1_LENGTH)
		say(out, " %llu", (unsigned long long)parser->length);
	say(out, "\n");
}

/* ------------------------------------------------------------------------------------------
 * Written and read again
 */

static struct weir_h1_plan plan_of(const struct weir_h1_parser *parser, bool keep_alive,
				   struct weir_text upgrade)
{
	return (struct weir_h1_plan){
		.framing = parser->framing,
		.length = parser->length,
		.keep_alive = keep_alive,
		.trailers = true,
		.upgrade = upgrade,
	};
}

static void assert_same(struct weir_buffer *a, struct weir_buffer *b)
{
	struct weir_text x = { weir_buffer_head(a), weir_buffer_size(a) };
	struct weir_text y = { weir_buffer_head(b), weir_buffer_size(b) };

	if (!weir_text_is_equal(x, y)) {
		fprintf(stderr, "read:\n%.*s\nwritten and read again:\n%.*s\n", WEIR_TEXT_ARGS(x),
			WEIR_TEXT_ARGS(y));
		abort();
	}
	weir_buffer_fini(a);
	weir_buffer_fini(b);
}

/* A reader of the simplest kind, who knows of lines, names and colons and nothing else, must find
 * in what is written what framing it needs, and find it once. */
static void assert_unambiguous(const struct weir_buffer *wire, bool is_request)
{
	struct weir_text rest = { weir_buffer_head(wire), weir_buffer_size(wire) }, line, tail;
	unsigned n_host = 0, n_length = 0, n_coding = 0;

	assert(rest.size >= 4 && !memcmp(rest.data + rest.size - 4, "\r\n\r\n", 4));
	while (weir_text_split(rest, '\n', &line, &tail) && line.size > 1) {
		struct weir_text name, value;

		assert(line.data[line.size - 1] == '\r');
		assert(line.data[0] != ' ' && line.data[0] != '\t');
		line.size--;
		assert(!memchr(line.data, '\r', line.size) && !memchr(line.data, '\0', line.size));
		weir_text_split(line, ':', &name, &value);
		n_host += weir_text_is_equal_nocase(name, WEIR_TEXT("host"));
		n_length += weir_text_is_equal_nocase(name, WEIR_TEXT("content-length"));
		n_coding += weir_text_is_equal_nocase(name, WEIR_TEXT("transfer-encoding"));
		rest = tail;
	}
	assert(tail.size == 0);
	assert(n_length + n_coding <= 1);
	assert(!is_request || n_host == 1);
}

/* What the writer makes the same of all: the form, the version, a missing Host, a Trailer field
 * that no trailers can follow. */
static void normalise_request(struct weir_request *request, enum weir_h1_framing framing)
{
	if (framing != WEIR_H1_CHUNKED)
		weir_headers_del_id(&request->headers, WEIR_HEADER_TRAILER);
	if (request->form == WEIR_TARGET_ABSOLUTE)
		request->form = weir_text_is_equal(request->path, WEIR_TEXT("*"))
					? WEIR_TARGET_ASTERISK
					: WEIR_TARGET_ORIGIN;
	request->scheme = weir_text_of(NULL);
	request->version = WEIR_HTTP_1_1;
	if (!request->authority.data)
		request->authority = WEIR_TEXT("none.test");
	if (!weir_headers_find_id(&request->headers, WEIR_HEADER_HOST, NULL) &&
	    weir_headers_add_id(&request->headers, WEIR_HEADER_HOST, request->authority))
		abort();
}

static void check_request(struct weir_request *request, const struct weir_h1_parser *parser)
{
	struct weir_h1_plan plan = plan_of(parser, request->keep_alive, request->upgrade);
	struct weir_buffer wire = { 0 }, before = { 0 }, after = { 0 };
	struct weir_h1_limits limits = { 1u << 20, 1u << 20, WEIR_HEADERS_MAX, 0 };
	struct weir_h1_parser again;
	struct weir_request copy;
	struct weir_arena arena;
	size_t head_size;
	int rc;

	normalise_request(request, parser->framing);
	say_request(&before, request, parser);
	rc = weir_h1_write_request(&wire, request, &plan);
	assert(rc == 0);
	assert_unambiguous(&wire, true);
	weir_arena_init(&arena, 0);
	weir_request_init(&copy, &arena);
	weir_h1_parser_init(&again, false, &limits);
	rc = weir_h1_parse_request(&again, weir_buffer_head(&wire), weir_buffer_size(&wire), &copy,
				   &head_size);
	if (rc != 1)
		fprintf(stderr, "%s:\n%.*s\n", again.why, (int)weir_buffer_size(&wire),
			weir_buffer_head(&wire));
	assert(rc == 1 && head_size == weir_buffer_size(&wire));
	say_request(&after, &copy, &again);
	assert_same(&before, &after);
	weir_buffer_fini(&wire);
	weir_arena_fini(&arena);
}

static void check_response(struct weir_response *response, const struct weir_h1_parser *parser,
			   enum weir_method method)
{
	struct weir_h1_plan plan = plan_of(parser, response->keep_alive, response->upgrade);
	struct weir_buffer wire = { 0 }, before = { 0 }, after = { 0 };
	struct weir_h1_limits limits = { 1u << 20, 1u << 20, WEIR_HEADERS_MAX, 0 };
	struct weir_h1_parser again;
	struct weir_response copy;
	struct weir_arena arena;
	size_t head_size;
	int rc;

	if (parser->framing != WEIR_H1_CHUNKED)
		weir_headers_del_id(&response->headers, WEIR_HEADER_TRAILER);
	response->version = WEIR_HTTP_1_1;
	if (!response->reason.data)
		response->reason = weir_status_reason(response->status);
	say_response(&before, response, parser);
	rc = weir_h1_write_response(&wire, response, &plan);
	assert(rc == 0);
	assert_unambiguous(&wire, false);
	weir_arena_init(&arena, 0);
	weir_response_init(&copy, &arena);
	weir_h1_parser_init(&again, true, &limits);
	rc = weir_h1_parse_response(&again, weir_buffer_head(&wire), weir_buffer_size(&wire),
				    method, &copy, &head_size);
	if (rc != 1)
		fprintf(stderr, "%s:\n%.*s\n", again.why, (int)weir_buffer_size(&wire),
			weir_buffer_head(&wire));
	assert(rc == 1 && head_size == weir_buffer_size(&wire));
	say_response(&after, &copy, &again);
	assert_same(&before, &after);
	weir_buffer_fini(&wire);
	weir_arena_fini(&arena);
}

/* ------------------------------------------------------------------------------------------
 * A connection
 */

struct reading {
	const struct h1_rig *rig;
	struct weir_buffer *out;
	struct weir_h1_parser parser;
	struct weir_arena arena;
	struct weir_request request;
	struct weir_response response;
	struct weir_headers trailers;
	struct weir_buffer body;
	bool in_body, ended;
	uint64_t rest;
};

static void begin_message(struct reading *r)
{
	weir_arena_fini(&r->arena);
	weir_arena_init(&r->arena, 0);
	weir_request_init(&r->request, &r->arena);
	weir_response_init(&r->response, &r->arena);
	weir_headers_init(&r->trailers, &r->arena);
	weir_buffer_clear(&r->body);
	r->in_body = false;
}

static void refuse(struct reading *r)
{
	if (r->in_body)
		say(r->out, "body %.*s\n", (int)weir_buffer_size(&r->body),
		    weir_buffer_head(&r->body));
	say(r->out, "refused %u %s\n", r->parser.status, r->parser.why);
	r->ended = true;
}

static void end_message(struct reading *r)
{
	if (weir_buffer_size(&r->body))
		say(r->out, "body %.*s\n", (int)weir_buffer_size(&r->body),
		    weir_buffer_head(&r->body));
	say_headers(r->out, "trailer ", &r->trailers);
	say(r->out, "end\n");
	r->ended = r->rig->one;
	begin_message(r);
}

/* How many bytes were used; 0: more are needed. */
static size_t read_head(struct reading *r, const char *data, size_t size)
{
	size_t head_size = 0;
	int rc;

	if (r->rig->is_response)
		rc = weir_h1_parse_response(&r->parser, data, size, r->rig->method, &r->response,
					    &head_size);
	else
		rc = weir_h1_parse_request(&r->parser, data, size, &r->request, &head_size);
	assert(rc == 0 || rc == 1 || rc == WEIR_EPROTO);
	if (rc < 0)
		refuse(r);
	if (rc <= 0)
		return 0;
	if (r->rig->is_response) {
		say_response(r->out, &r->response, &r->parser);
		check_response(&r->response, &r->parser, r->rig->method);
	} else {
		say_request(r->out, &r->request, &r->parser);
		check_request(&r->request, &r->parser);
	}
	r->in_body = true;
	r->rest = r->parser.framing == WEIR_H1_CLOSE ? UINT64_MAX : r->parser.length;
	if (r->parser.framing != WEIR_H1_CHUNKED && r->rest == 0)
		end_message(r);
	return head_size;
}

static void keep(struct reading *r, const void *data, size_t size)
{
	if (weir_buffer_append(&r->body, data, size))
		abort();
}

static size_t read_body(struct reading *r, const char *data, size_t size)
{
	struct iovec piece = { NULL, 0 };
	size_t used = WEIR_MIN(r->rest, size);
	int rc;

	if (r->parser.framing != WEIR_H1_CHUNKED) {
		keep(r, data, used);
		r->rest -= used;
		if (r->rest == 0)
			end_message(r);
		return used;
	}
	rc = weir_h1_decode_chunked(&r->parser, data, size, &piece, &used, &r->trailers);
	if (rc == WEIR_EPROTO) {
		refuse(r);
		return 0;
	}
	assert(rc == WEIR_H1_MORE || rc == WEIR_H1_PIECE || rc == WEIR_H1_END);
	if (rc == WEIR_H1_PIECE) {
		assert(piece.iov_len > 0 && (char *)piece.iov_base >= data &&
		       (char *)piece.iov_base + piece.iov_len == data + used);
		keep(r, piece.iov_base, piece.iov_len);
	}
	assert(rc != WEIR_H1_MORE || used == size);
	if (rc == WEIR_H1_END)
		end_message(r);
	return used;
}

/* Takes what can be taken of SIZE bytes at DATA. */
static size_t read_some(struct reading *r, const char *data, size_t size)
{
	size_t taken = 0;

	while (taken < size && !r->ended) {
		size_t n = r->in_body ? read_body(r, data + taken, size - taken)
				      : read_head(r, data + taken, size - taken);

		if (n == 0)
			break;
		taken += n;
	}
	return taken;
}

void h1_rig_read(const struct h1_rig *rig, const char *data, size_t size, struct weir_buffer *out)
{
	struct reading r = { .rig = rig, .out = out };
	size_t from = 0, to = rig->first ? rig->first : rig->step;

	begin_message(&r);
	weir_h1_parser_init(&r.parser, rig->is_response, &rig->limits);
	while (!r.ended) {
		char *copy;

		to = to && to < size ? to : size;
		copy = malloc(WEIR_MAX(to - from, 1u));
		if (!copy)
			abort();
		memcpy(copy, data + from, to - from);
		from += read_some(&r, copy, to - from);
		free(copy);
		if (to == size)
			break;
		to = rig->step ? to + rig->step : size;
	}
	if (!r.ended && (r.in_body || from < size)) {
		say(out, "body %.*s\nmore\n", (int)weir_buffer_size(&r.body),
		    r.body.data ? weir_buffer_head(&r.body) : "");
	}
	weir_buffer_fini(&r.body);
	weir_arena_fini(&r.arena);
}
