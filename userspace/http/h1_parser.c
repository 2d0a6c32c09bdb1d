/* SPDX-License-Identifier: MIT */
/*
 * Heads. A head is first scanned line by line as its bytes come (h1_scan.c): ends of lines,
 * control characters, the shape of the start line, limits. Once its empty line is there, llhttp
 * reads it in one piece, and each field that it reports must be exactly what its line says by
 * the grammar of RFC 9112: two readers that know nothing of each other have to agree. Then
 * h1_check.c decides what it means.
 *
 * So it makes no difference how a head was cut into reads, nothing but offsets is kept between
 * reads, and what llhttp lets through that the grammar does not have is refused whatever its
 * version.
 *
 *	START_LINE --> FIELDS --> START_LINE of the next message
 *	                     \--> CHUNK_SIZE ... (h1_chunked.c) --> START_LINE
 *	any --> BROKEN
 */

#include <assert.h>
#include <errno.h>

#include <llhttp.h>

#include <weir/error.h>

#include "http/h1_check.h"
#include "http/h1_scan.h"

#define PARSER_EMPTY_LINES_MAX 4 /* before a request line */

void weir_h1_parser_init(struct weir_h1_parser *parser, bool is_response,
			 const struct weir_h1_limits *limits)
{
	memset(parser, 0, sizeof(*parser));
	parser->is_response = is_response;
	if (limits)
		parser->limits = *limits;
	if (!parser->limits.line_bytes)
		parser->limits.line_bytes = 16384;
	if (!parser->limits.head_bytes)
		parser->limits.head_bytes = 32768;
	if (!parser->limits.fields)
		parser->limits.fields = 128;
	if (parser->limits.fields > WEIR_HEADERS_MAX)
		parser->limits.fields = WEIR_HEADERS_MAX;
	if (!parser->limits.body_bytes)
		parser->limits.body_bytes = UINT64_MAX;
}

/* ------------------------------------------------------------------------------------------
 * Scanning
 */

/* The next line that ends within the first BOUND bytes: 1 with *LINE, 0: more bytes are needed,
 * WEIR_EPROTO. What comes after the bound has no influence, so that a line that is too long is
 * refused alike however much of it is there. */
static int parser_next_line(struct weir_h1_parser *parser, const char *data, size_t size,
			    size_t start, size_t bound, struct weir_text *line)
{
	int rc = weir_h1_next_line(data, WEIR_MIN(size, bound), &parser->seen);

	*line = (struct weir_text){ data + start, rc > 0 ? parser->seen - start - 2 : 0 };
	if (rc < 0)
		return weir_h1_refuse(parser, 400, weir_h1_bad_byte(data[parser->seen]));
	return rc;
}

/* 1: the start line is there, whole. */
static int parser_scan_start(struct weir_h1_parser *parser, const char *data, size_t size,
			     struct weir_text *line)
{
	int rc;

	while (parser->phase == WEIR_H1_START_LINE) {
		size_t bound = parser->line + parser->limits.line_bytes + 2;

		rc = parser_next_line(parser, data, size, parser->line, bound, line);
		if (rc == 0 && size >= bound)
			return weir_h1_refuse(parser, 414,
					      "the start line is longer than the limit");
		if (rc <= 0)
			return rc;
		if (line->size > 0) {
			parser->first = parser->next = parser->seen;
			parser->phase = WEIR_H1_FIELDS;
			return 1;
		}
		if (parser->is_response || ++parser->n_empty > PARSER_EMPTY_LINES_MAX)
			return weir_h1_refuse(parser, 400, "an empty line before the start line");
		parser->line = parser->seen;
	}
	*line = (struct weir_text){ data + parser->line, parser->first - parser->line - 2 };
	return 1;
}

/* 1: the head is complete up to parser->seen. */
static int parser_scan_fields(struct weir_h1_parser *parser, const char *data, size_t size)
{
	size_t bound = parser->first + parser->limits.head_bytes + 2;
	struct weir_text line;

	for (;;) {
		int rc = parser_next_line(parser, data, size, parser->next, bound, &line);

		if (rc == 0 && size >= bound)
			return weir_h1_refuse(parser, 431, "the fields are longer than the limit");
		if (rc <= 0)
			return rc;
		parser->next = parser->seen;
		if (line.size == 0)
			return 1;
		if (line.data[0] == ' ' || line.data[0] == '\t')
			return weir_h1_refuse(parser, 400, "a field line that is folded");
		if (++parser->n_fields > parser->limits.fields)
			return weir_h1_refuse(parser, 431, "more fields than the limit");
	}
}

/* ------------------------------------------------------------------------------------------
 * llhttp
 */

/* One run of llhttp over a whole head. */
struct parser_run {
	llhttp_t llhttp; /* its data points here */
	struct weir_headers *headers;
	const char *next; /* the line of the field that is due */
	struct weir_text target;
	struct weir_text name;
	struct weir_text value;
	const char *why; /* static memory; NULL: nothing was wrong */
	int status;	 /* -ENOMEM, WEIR_EPROTO, 0 */
};

static int run_stop(struct parser_run *run, int status, const char *why)
{
	run->status = status;
	run->why = why;
	return -1;
}

static int run_on_url(llhttp_t *llhttp, const char *at, size_t size)
{
	struct parser_run *run = llhttp->data;

	run->target = (struct weir_text){ at, size };
	return 0;
}

static int run_on_name(llhttp_t *llhttp, const char *at, size_t size)
{
	struct parser_run *run = llhttp->data;

	run->name = (struct weir_text){ at, size };
	run->value = (struct weir_text){ NULL, 0 };
	return 0;
}

static int run_on_value(llhttp_t *llhttp, const char *at, size_t size)
{
	struct parser_run *run = llhttp->data;

	run->value = (struct weir_text){ at, size };
	return 0;
}

/* The field that llhttp has read against what its line says. */
static int run_on_field(llhttp_t *llhttp)
{
	struct parser_run *run = llhttp->data;
	enum weir_header_id id = weir_header_id(run->name);

	run->next = weir_h1_match_field(run->next, id, run->name, &run->value);
	if (!run->next)
		return run_stop(run, WEIR_EPROTO,
				"a field line that is not a name, a colon and a value");
	if (weir_headers_add_as(run->headers, id, run->name, run->value))
		return run_stop(run, -ENOMEM, NULL);
	return 0;
}

static int run_on_head(llhttp_t *llhttp)
{
	(void)llhttp;
	return HPE_PAUSED;
}

static const llhttp_settings_t parser_settings = {
	.on_url = run_on_url,
	.on_header_field = run_on_name,
	.on_header_value = run_on_value,
	.on_header_value_complete = run_on_field,
	.on_headers_complete = run_on_head,
};

static void run_init(struct parser_run *run, struct weir_h1_parser *parser, const char *data,
		     struct weir_headers *headers)
{
	memset(run, 0, sizeof(*run));
	llhttp_init(&run->llhttp, parser->is_response ? HTTP_RESPONSE : HTTP_REQUEST,
		    &parser_settings);
	run->llhttp.data = run;
	run->headers = headers;
	run->next = data + parser->first;
}

/* llhttp knows a list of methods; what the others are called makes no difference to how a head
 * is read, so it is shown POST in their place. */
static int run_start(struct parser_run *run, enum weir_method method)
{
	static const char start[] = "POST ";

	if (method != WEIR_METHOD_OTHER)
		return HPE_OK;
	return (int)llhttp_execute(&run->llhttp, start, sizeof(start) - 1);
}

/* Runs llhttp over [FROM, the head's end): all of it must be used, and there must be as many
 * fields as lines, each being its line. */
static int run_finish(struct parser_run *run, struct weir_h1_parser *parser, const char *from,
		      const char *data)
{
	const char *end = data + parser->seen;
	llhttp_errno_t error = llhttp_execute(&run->llhttp, from, (size_t)(end - from));

	if (run->status == WEIR_EPROTO)
		return weir_h1_refuse(parser, 400, run->why);
	if (run->status)
		return run->status;
	if (error != HPE_PAUSED)
		return weir_h1_refuse(parser, 400,
				      error ? llhttp_get_error_reason(&run->llhttp)
					    : "a head that does not end at its empty line");
	if (llhttp_get_error_pos(&run->llhttp) != end || run->next + 2 != end ||
	    run->headers->n != parser->n_fields)
		return weir_h1_refuse(parser, 400, "a head that ends before its empty line");
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Messages
 */

/* A head was complete: the next call begins a message, or a chunked body. */
static void parser_end_head(struct weir_h1_parser *parser, size_t *head_size)
{
	*head_size = parser->seen;
	if (parser->framing != WEIR_H1_CHUNKED)
		parser->phase = WEIR_H1_START_LINE;
	parser->seen = parser->line = parser->first = parser->next = 0;
	parser->n_empty = parser->n_fields = 0;
	parser->chunk = parser->body_seen = 0;
	parser->line_bytes = parser->trailer_size = parser->trailer_room = 0;
	parser->trailer = NULL;
}

static void parser_begin_head(struct weir_h1_parser *parser)
{
	parser->framing = WEIR_H1_NONE;
	parser->length = 0;
}

static int parser_read_request(struct weir_h1_parser *parser, const char *data,
			       const struct weir_h1_request_line *line,
			       struct weir_request *request)
{
	const char *from = line->method.data;
	struct parser_run run;
	int rc = weir_headers_reserve(&request->headers, parser->n_fields);

	if (rc)
		return rc;
	request->method_text = line->method;
	run_init(&run, parser, data, &request->headers);
	if (run_start(&run, request->method))
		return weir_h1_refuse(parser, 400, llhttp_get_error_reason(&run.llhttp));
	if (request->method == WEIR_METHOD_OTHER)
		from = line->target.data;
	rc = run_finish(&run, parser, from, data);
	if (rc)
		return rc;
	if (run.target.data != line->target.data || run.target.size != line->target.size)
		return weir_h1_refuse(parser, 400, "a target that can be read in two ways");
	if (weir_request_set_target(request, line->target))
		return weir_h1_refuse(parser, 400, "the request target is not valid");
	return weir_h1_check_request(parser, request);
}

int weir_h1_parse_request(struct weir_h1_parser *parser, const char *data, size_t size,
			  struct weir_request *request, size_t *head_size)
{
	struct weir_h1_request_line parts;
	struct weir_text line;
	const char *why;
	unsigned status;
	int rc;

	if (parser->phase == WEIR_H1_BROKEN)
		return WEIR_EPROTO;
	assert(parser->phase == WEIR_H1_START_LINE || parser->phase == WEIR_H1_FIELDS);
	rc = parser_scan_start(parser, data, size, &line);
	if (rc <= 0)
		return rc;
	status = weir_h1_split_request_line(line, &parts, &why);
	if (status)
		return weir_h1_refuse(parser, status, why);
	/* Whoever answers a head that is refused further down knows these. */
	request->method = weir_method_parse(parts.method);
	request->version = parts.version;
	rc = parser_scan_fields(parser, data, size);
	if (rc <= 0)
		return rc;
	parser_begin_head(parser);
	rc = parser_read_request(parser, data, &parts, request);
	if (rc)
		return rc;
	parser_end_head(parser, head_size);
	return 1;
}

static int parser_read_response(struct weir_h1_parser *parser, const char *data,
				const struct weir_h1_status_line *line, enum weir_method method,
				struct weir_response *response)
{
	struct parser_run run;
	int rc = weir_headers_reserve(&response->headers, parser->n_fields);

	if (rc)
		return rc;
	response->status = line->status;
	response->reason = line->reason;
	response->version = line->version;
	run_init(&run, parser, data, &response->headers);
	rc = run_finish(&run, parser, data + parser->line, data);
	if (rc)
		return rc;
	return weir_h1_check_response(parser, response, method);
}

int weir_h1_parse_response(struct weir_h1_parser *parser, const char *data, size_t size,
			   enum weir_method method, struct weir_response *response,
			   size_t *head_size)
{
	struct weir_h1_status_line parts;
	struct weir_text line;
	const char *why;
	int rc;

	if (parser->phase == WEIR_H1_BROKEN)
		return WEIR_EPROTO;
	assert(parser->phase == WEIR_H1_START_LINE || parser->phase == WEIR_H1_FIELDS);
	rc = parser_scan_start(parser, data, size, &line);
	if (rc <= 0)
		return rc;
	why = weir_h1_split_status_line(line, &parts);
	if (why)
		return weir_h1_refuse(parser, 502, why);
	rc = parser_scan_fields(parser, data, size);
	if (rc <= 0)
		return rc;
	parser_begin_head(parser);
	rc = parser_read_response(parser, data, &parts, method, response);
	if (rc)
		return rc;
	parser_end_head(parser, head_size);
	return 1;
}
