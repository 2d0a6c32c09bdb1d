/* SPDX-License-Identifier: MIT */
/*
 * A template is a list of pieces: a piece of text, or a field. Values are written straight into
 * the caller's memory, escaped on the way, so nothing is allocated for a line of a log.
 */

#include "layer/http_template.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/forwarded.h>
#include <weir/http_layer.h>
#include <weir/loop.h>

#define TEXT_MAX 8192

/* Where a value goes. */
struct writer {
	char *at, *end;
	enum http_escape escape;
};

struct source {
	const struct weir_call *call;
	const struct http_asked *asked;
};

struct field {
	const char *name;
	void (*write)(struct writer *writer, const struct source *source);
};

struct piece {
	const struct field *field; /* NULL: text alone */
	struct weir_text text;	   /* or the name of a header field */
	bool response;		   /* whose header field; of the two below */
	bool header;
};

struct http_template {
	size_t n;
	char *text; /* the copy that pieces point into */
	struct piece pieces[];
};

/* ---- values ---- */

static void write_raw(struct writer *writer, const char *data, size_t size)
{
	size_t n = WEIR_MIN(size, (size_t)(writer->end - writer->at));

	memcpy(writer->at, data, n);
	writer->at += n;
}

static void write_log_char(struct writer *writer, unsigned char c)
{
	char hex[5];

	if (c == '"' || c == '\\') {
		hex[0] = '\\';
		hex[1] = (char)c;
		write_raw(writer, hex, 2);
	} else if (c < ' ' || c >= 0x7f) {
		snprintf(hex, sizeof(hex), "\\x%02x", c);
		write_raw(writer, hex, 4);
	} else {
		*writer->at++ = (char)c;
	}
}

static void write_html_char(struct writer *writer, char c)
{
	static const struct {
		char c;
		const char *entity;
	} entities[] = { { '<', "&lt;" },
			 { '>', "&gt;" },
			 { '&', "&amp;" },
			 { '"', "&quot;" },
			 { '\'', "&#39;" } };

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(entities); i++) {
		if (entities[i].c == c) {
			write_raw(writer, entities[i].entity, strlen(entities[i].entity));
			return;
		}
	}
	*writer->at++ = c;
}

static void write_text(struct writer *writer, struct weir_text text)
{
	if (text.size == 0 && writer->escape == HTTP_ESCAPE_LOG)
		write_raw(writer, "-", 1);
	for (size_t i = 0; i < text.size && writer->at < writer->end; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (writer->escape == HTTP_ESCAPE_LOG)
			write_log_char(writer, c);
		else if (writer->escape == HTTP_ESCAPE_HTML)
			write_html_char(writer, (char)c);
		else
			*writer->at++ = (c < ' ' && c != '\t') || c == 0x7f ? '?' : (char)c;
	}
}

static void write_string(struct writer *writer, const char *string)
{
	write_text(writer, weir_text_of(string));
}

static void write_number(struct writer *writer, uint64_t number)
{
	char text[20];
	char *at = text + sizeof(text);

	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	write_raw(writer, at, (size_t)(text + sizeof(text) - at));
}

/* With three decimals. */
static void write_ms(struct writer *writer, uint64_t ns)
{
	uint64_t us = ns / 1000;
	char decimals[4] = { '.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
			     (char)('0' + us % 10) };

	write_number(writer, us / 1000);
	write_raw(writer, decimals, sizeof(decimals));
}

/* The text of this second, in UTC, as strftime(3) makes it of FORMAT. Each thread remembers the last
 * one: many calls end within a second. */
struct clock {
	const char *format;
	time_t second; /* 0: nothing yet */
	size_t size;
	char text[64];
};

static void write_time(struct writer *writer, struct clock *clock)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now != clock->second) {
		gmtime_r(&now, &tm);
		clock->size = strftime(clock->text, sizeof(clock->text), clock->format, &tm);
		clock->second = now;
	}
	write_raw(writer, clock->text, clock->size);
}

/* ---- fields ---- */

const struct weir_address *http_client(const struct weir_call *call)
{
	const struct weir_address *client = weir_client_address(call);

	return client && client->size > 0 ? client : NULL;
}

static void write_id(struct writer *writer, const struct source *source)
{
	write_number(writer, source->call->id);
}

static void write_request_id(struct writer *writer, const struct source *source)
{
	write_string(writer,
		     weir_extension_find(&source->call->extensions, &weir_http_request_id_key));
}

static void write_user(struct writer *writer, const struct source *source)
{
	write_string(writer, weir_extension_find(&source->call->extensions, &weir_http_user_key));
}

static void write_listener(struct writer *writer, const struct source *source)
{
	write_string(writer, source->call->conn ? source->call->conn->listener : NULL);
}

static void write_route(struct writer *writer, const struct source *source)
{
	write_string(writer, source->call->result.route);
}

static void write_upstream(struct writer *writer, const struct source *source)
{
	write_string(writer, source->call->result.upstream);
}

static void write_endpoint(struct writer *writer, const struct source *source)
{
	const struct weir_address *endpoint = &source->call->result.endpoint;
	char text[WEIR_ADDRESS_TEXT];

	write_string(writer, endpoint->size > 0 ? weir_address_format(endpoint, text) : NULL);
}

static void write_attempts(struct writer *writer, const struct source *source)
{
	write_number(writer, source->call->result.attempts);
}

static void write_why(struct writer *writer, const struct source *source)
{
	write_string(writer, source->call->result.why);
}

static void write_client(struct writer *writer, const struct source *source)
{
	const struct weir_address *client = http_client(source->call);
	char text[WEIR_ADDRESS_TEXT];

	write_string(writer, client ? weir_address_format_host(client, text) : NULL);
}

/* An IPv6 host has a /64 to choose addresses from. */
static void write_network(struct writer *writer, const struct source *source)
{
	const struct weir_address *client = http_client(source->call);
	char text[WEIR_ADDRESS_TEXT];
	struct weir_address network;

	if (client && client->sa.sa_family == AF_INET6 &&
	    !IN6_IS_ADDR_V4MAPPED(&client->in6.sin6_addr)) {
		network = *client;
		memset(&network.in6.sin6_addr.s6_addr[8], 0, 8);
		client = &network;
	}
	write_string(writer, client ? weir_address_format_host(client, text) : NULL);
}

static void write_scheme(struct writer *writer, const struct source *source)
{
	write_text(writer, weir_client_scheme(source->call));
}

static void write_host(struct writer *writer, const struct source *source)
{
	struct weir_text host;
	uint16_t port;

	if (weir_authority_parse(source->asked->authority, &host, &port))
		host = source->asked->authority;
	write_text(writer, host);
}

static void write_authority(struct writer *writer, const struct source *source)
{
	write_text(writer, source->asked->authority);
}

static void write_method(struct writer *writer, const struct source *source)
{
	write_text(writer, source->asked->method);
}

static void write_path(struct writer *writer, const struct source *source)
{
	write_text(writer, source->asked->path);
}

static void write_query(struct writer *writer, const struct source *source)
{
	write_text(writer, source->asked->query);
}

static void write_target(struct writer *writer, const struct source *source)
{
	write_text(writer, source->asked->path);
	if (!source->asked->query.data)
		return;
	write_raw(writer, "?", 1);
	if (source->asked->query.size > 0)
		write_text(writer, source->asked->query);
}

static void write_protocol(struct writer *writer, const struct source *source)
{
	static const char *const names[] = {
		[WEIR_HTTP_1_1] = "HTTP/1.1",
		[WEIR_HTTP_1_0] = "HTTP/1.0",
		[WEIR_HTTP_2] = "HTTP/2",
	};

	write_string(writer, names[source->call->request.version]);
}

static void write_status(struct writer *writer, const struct source *source)
{
	write_number(writer, source->call->response.status);
}

static void write_reason(struct writer *writer, const struct source *source)
{
	struct weir_text reason = source->call->response.reason;

	write_text(writer,
		   reason.data ? reason : weir_status_reason(source->call->response.status));
}

static void write_bytes(struct writer *writer, const struct source *source)
{
	write_number(writer, source->call->result.response_bytes);
}

static void write_request_bytes(struct writer *writer, const struct source *source)
{
	write_number(writer, source->call->result.request_bytes);
}

static void write_duration(struct writer *writer, const struct source *source)
{
	write_ms(writer, weir_now() - source->call->started_ns);
}

static void write_first_byte(struct writer *writer, const struct source *source)
{
	write_ms(writer, source->call->result.first_byte_ns);
}

static void write_iso_time(struct writer *writer, const struct source *source)
{
	static _Thread_local struct clock clock = { .format = "%Y-%m-%dT%H:%M:%SZ" };

	(void)source;
	write_time(writer, &clock);
}

static void write_log_time(struct writer *writer, const struct source *source)
{
	static _Thread_local struct clock clock = { .format = "%d/%b/%Y:%H:%M:%S +0000" };

	(void)source;
	write_time(writer, &clock);
}

static const struct field fields[] = {
	{ "id", write_id },
	{ "request_id", write_request_id },
	{ "user", write_user },
	{ "listener", write_listener },
	{ "route", write_route },
	{ "upstream", write_upstream },
	{ "endpoint", write_endpoint },
	{ "attempts", write_attempts },
	{ "why", write_why },
	{ "client", write_client },
	{ "network", write_network },
	{ "scheme", write_scheme },
	{ "host", write_host },
	{ "authority", write_authority },
	{ "method", write_method },
	{ "path", write_path },
	{ "query", write_query },
	{ "target", write_target },
	{ "protocol", write_protocol },
	{ "status", write_status },
	{ "reason", write_reason },
	{ "bytes", write_bytes },
	{ "request_bytes", write_request_bytes },
	{ "duration", write_duration },
	{ "first_byte", write_first_byte },
	{ "time", write_iso_time },
	{ "log_time", write_log_time },
};

/* ---- reading a template ---- */

struct parser {
	const char *what;
	struct weir_error *error;
	struct http_template *template;
};

static int parser_refuse(struct parser *parser, const char *message, struct weir_text name)
{
	weir_error_remedy(parser->error, "fields are {client}, {method}, {path}, {status}, "
					 "{request_id}, {request.NAME} and others; a brace is {{");
	return weir_error_set(parser->error, WEIR_ECONFIG, "%s: %s \"%.*s\"", parser->what, message,
			      WEIR_TEXT_ARGS(name));
}

static const struct field *field_find(struct weir_text name)
{
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(fields); i++)
		if (strlen(fields[i].name) == name.size &&
		    memcmp(fields[i].name, name.data, name.size) == 0)
			return &fields[i];
	return NULL;
}

static int parser_field(struct parser *parser, struct weir_text name)
{
	struct piece *piece = &parser->template->pieces[parser->template->n];
	struct weir_text side, header;

	piece->field = field_find(name);
	if (piece->field)
		return 0;
	if (!weir_text_split(name, '.', &side, &header) ||
	    !weir_header_is_valid(header, WEIR_TEXT("")))
		return parser_refuse(parser, "there is no field", name);
	piece->response = weir_text_is_equal(side, WEIR_TEXT("response"));
	if (!piece->response && !weir_text_is_equal(side, WEIR_TEXT("request")))
		return parser_refuse(parser, "there is no field", name);
	piece->header = true;
	piece->text = header;
	return 0;
}

/* The piece that starts at AT; returns its end, or NULL. */
static const char *parser_piece(struct parser *parser, const char *at)
{
	struct piece *piece = &parser->template->pieces[parser->template->n];
	const char *end;

	if (at[0] == '{' && at[1] != '{') {
		end = strchr(at, '}');
		if (!end) {
			parser_refuse(parser, "a brace is not closed:", weir_text_of(at));
			return NULL;
		}
		if (parser_field(parser, (struct weir_text){ at + 1, (size_t)(end - at - 1) }))
			return NULL;
		return end + 1;
	}
	/* "{{": the second one is the text. */
	at += at[0] == '{';
	end = at + 1 + strcspn(at + 1, "{");
	piece->text = (struct weir_text){ at, (size_t)(end - at) };
	return end;
}

struct http_template *http_template_new(const char *text, const char *what,
					struct weir_error *error)
{
	struct parser parser = { .what = what, .error = error };
	size_t most = 1;
	const char *at;

	/* Each brace ends one piece and starts another. */
	for (at = text; *at; at++)
		most += *at == '{' ? 2 : 0;
	parser.template = calloc(1, sizeof(*parser.template) + most * sizeof(struct piece));
	if (parser.template)
		parser.template->text = strdup(text);
	if (!parser.template || !parser.template->text) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto err;
	}
	for (at = parser.template->text; *at; parser.template->n++) {
		at = parser_piece(&parser, at);
		if (!at)
			goto err;
	}
	return parser.template;
err:
	http_template_free(parser.template);
	return NULL;
}

void http_template_free(struct http_template *template)
{
	if (!template)
		return;
	free(template->text);
	free(template);
}

/* ---- writing ---- */

void http_asked_set(struct http_asked *asked, const struct weir_request *request)
{
	asked->method = request->method_text;
	asked->path = request->path;
	asked->query = request->query;
	asked->authority = request->authority;
}

static void piece_write(const struct piece *piece, struct writer *writer,
			const struct source *source)
{
	const struct weir_headers *headers;
	const struct weir_header *header;

	if (piece->field) {
		piece->field->write(writer, source);
		return;
	}
	if (!piece->header) {
		write_raw(writer, piece->text.data, piece->text.size);
		return;
	}
	headers = piece->response ? &source->call->response.headers
				  : &source->call->request.headers;
	header = weir_headers_find(headers, piece->text, NULL);
	write_text(writer, header ? header->value : (struct weir_text){ 0 });
}

size_t http_template_write(const struct http_template *template, const struct weir_call *call,
			   const struct http_asked *asked, enum http_escape escape, char *text,
			   size_t size)
{
	struct writer writer = { .at = text, .end = text + size, .escape = escape };
	struct http_asked now;

	http_asked_set(&now, &call->request);
	for (size_t i = 0; i < template->n; i++)
		piece_write(&template->pieces[i], &writer,
			    &(struct source){ .call = call, .asked = asked ? asked : &now });
	return (size_t)(writer.at - text);
}

struct weir_text http_template_text(const struct http_template *template, struct weir_call *call,
				    enum http_escape escape)
{
	char *scratch = weir_loop_scratch(weir_loop_current());
	size_t size = http_template_write(template, call, NULL, escape, scratch, TEXT_MAX);

	return (struct weir_text){ weir_arena_memdup(&call->arena, scratch, size), size };
}
