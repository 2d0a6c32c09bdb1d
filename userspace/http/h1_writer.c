/* SPDX-License-Identifier: MIT */
/*
 * Heads in wire format. What belongs to one hop and what frames the body is the plan's alone:
 * fields of those names keep their place at most, never their value. The finished head is scanned
 * like one that came from a peer: a value that somebody put together with a line break in it does
 * not leave.
 */

#include <errno.h>
#include <stdio.h>

#include <weir/buffer.h>
#include <weir/error.h>

#include "http/h1_check.h"
#include "http/h1_scan.h"

struct writer {
	char *at; /* where the next byte goes; there is room for all of the head */
	const struct weir_h1_plan *plan;
	unsigned n_lines; /* written so far */
	bool is_framed;	  /* Content-Length or Transfer-Encoding was written */
	bool is_request;  /* which has one Host; a response's are fields like others */
	bool has_host, has_date, has_server;
	uint64_t announced; /* length to tell of a body that does not follow, or UNKNOWN */
};

static void write_text(struct writer *w, struct weir_text text)
{
	if (text.size)
		memcpy(w->at, text.data, text.size);
	w->at += text.size;
}

static void write_end(struct writer *w)
{
	write_text(w, WEIR_TEXT("\r\n"));
	w->n_lines++;
}

static void write_field(struct writer *w, struct weir_text name, struct weir_text value)
{
	write_text(w, name);
	write_text(w, WEIR_TEXT(": "));
	write_text(w, value);
	write_end(w);
}

static void write_number(struct writer *w, struct weir_text name, uint64_t number)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + number % 10);
	while (number /= 10);
	write_field(w, name, (struct weir_text){ digits + i, sizeof(digits) - i });
}

/* What frames the body, under the names that it had before, or ours. */
static void write_framing(struct writer *w, struct weir_text length, struct weir_text coding)
{
	if (w->is_framed)
		return;
	if (w->plan->framing == WEIR_H1_LENGTH && length.data)
		write_number(w, length, w->plan->length);
	else if (w->plan->framing == WEIR_H1_CHUNKED && coding.data)
		write_field(w, coding, WEIR_TEXT("chunked"));
	else if (w->plan->framing == WEIR_H1_NONE && w->announced != WEIR_BODY_UNKNOWN &&
		 length.data)
		write_number(w, length, w->announced);
	else
		return;
	w->is_framed = true;
}

static void write_header(struct writer *w, const struct weir_header *field)
{
	switch (field->id) {
	case WEIR_HEADER_CONTENT_LENGTH:
		write_framing(w, field->name, weir_text_of(NULL));
		return;
	case WEIR_HEADER_TRANSFER_ENCODING:
		write_framing(w, weir_text_of(NULL), field->name);
		return;
	case WEIR_HEADER_CONNECTION:
	case WEIR_HEADER_KEEP_ALIVE:
	case WEIR_HEADER_PROXY_CONNECTION:
	case WEIR_HEADER_TE:
	case WEIR_HEADER_UPGRADE:
		return;
	case WEIR_HEADER_TRAILER:
		if (w->plan->framing != WEIR_H1_CHUNKED || !w->plan->trailers)
			return;
		break;
	case WEIR_HEADER_HOST:
		if (w->is_request && w->has_host)
			return;
		w->has_host = true;
		break;
	case WEIR_HEADER_DATE:
		w->has_date = true;
		break;
	case WEIR_HEADER_SERVER:
		w->has_server = true;
		break;
	default:
		break;
	}
	write_field(w, field->name, field->value);
}

static void write_headers(struct writer *w, const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;

	while ((field = weir_headers_next(headers, field)))
		write_header(w, field);
	write_framing(w, weir_header_name(WEIR_HEADER_CONTENT_LENGTH),
		      weir_header_name(WEIR_HEADER_TRANSFER_ENCODING));
	if (w->plan->via.data)
		write_field(w, weir_header_name(WEIR_HEADER_VIA), w->plan->via);
}

/* Connection and what it names. */
static void write_connection(struct writer *w, bool te)
{
	const struct weir_h1_plan *plan = w->plan;
	bool persist = plan->keep_alive && plan->peer == WEIR_HTTP_1_0;
	const char *separator = "Connection: ";

	if (te)
		write_field(w, WEIR_TEXT("TE"), WEIR_TEXT("trailers"));
	if (plan->upgrade.data)
		write_field(w, weir_header_name(WEIR_HEADER_UPGRADE), plan->upgrade);
	if (plan->keep_alive && !persist && !te && !plan->upgrade.data)
		return;
	if (!plan->keep_alive || persist) {
		write_text(w, weir_text_of(separator));
		write_text(w, persist ? WEIR_TEXT("keep-alive") : WEIR_TEXT("close"));
		separator = ", ";
	}
	if (te) {
		write_text(w, weir_text_of(separator));
		write_text(w, WEIR_TEXT("TE"));
		separator = ", ";
	}
	if (plan->upgrade.data) {
		write_text(w, weir_text_of(separator));
		write_text(w, WEIR_TEXT("upgrade"));
	}
	write_end(w);
}

/* ------------------------------------------------------------------------------------------
 * Whole heads
 */

#define WRITER_EXTRA 512 /* start line's and our own fields' constant parts, with much to spare */

static size_t writer_plan_size(const struct weir_h1_plan *plan)
{
	return WRITER_EXTRA + plan->upgrade.size + plan->date.size + plan->server.size +
	       plan->via.size;
}

static size_t writer_headers_size(const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;
	size_t size = 0;

	/* A length of 20 digits may take the place of a shorter value. */
	while ((field = weir_headers_next(headers, field)))
		size += field->name.size + field->value.size + 4;
	return size;
}

static int writer_begin(struct writer *w, struct weir_buffer *out, const struct weir_h1_plan *plan,
			size_t size)
{
	int rc = weir_buffer_reserve(out, size);

	if (rc)
		return rc;
	memset(w, 0, sizeof(*w));
	w->plan = plan;
	w->at = weir_buffer_tail(out);
	w->announced = WEIR_BODY_UNKNOWN;
	return 0;
}

/* Commits the head if it has no control characters but the line ends that were written: then no value
 * has begun a line of its own. */
static int writer_end(struct writer *w, struct weir_buffer *out)
{
	const char *head = weir_buffer_tail(out);
	size_t size;

	write_text(w, WEIR_TEXT("\r\n"));
	size = (size_t)(w->at - head);
	if (weir_h1_count_controls(head, size) != 2 * (w->n_lines + 1))
		return -EINVAL;
	weir_buffer_commit(out, size);
	return 0;
}

static bool is_asterisk(struct weir_text path)
{
	return weir_text_is_equal(path, WEIR_TEXT("*"));
}

/* The target in the form that a server is asked in: its own path, or "*", or CONNECT's; a proxy is
 * told where to (RFC 9112 section 3.2.2), by an empty path instead of "*" (section 3.2.4). */
static void write_target(struct writer *w, const struct weir_request *request)
{
	if (request->form == WEIR_TARGET_AUTHORITY) {
		write_text(w, request->authority);
		return;
	}
	if (w->plan->absolute) {
		write_text(w, request->scheme);
		write_text(w, WEIR_TEXT("://"));
		write_text(w, request->authority);
		if (is_asterisk(request->path))
			return;
	}
	write_text(w, request->path);
	if (request->query.data) {
		write_text(w, WEIR_TEXT("?"));
		write_text(w, request->query);
	}
}

/* Whether the request line that was written is read as it was meant: a target that somebody put
 * together with a space in it, or as anything but a path, is not. */
static bool writer_target_is_sound(const struct writer *w, const char *head,
				   const struct weir_request *request)
{
	bool is_path = weir_text_has_prefix(request->path, WEIR_TEXT("/"));
	struct weir_text line = { head, (size_t)((const char *)rawmemchr(head, '\r') - head) };
	struct weir_h1_request_line parts;
	const char *why;

	if (weir_h1_split_request_line(line, &parts, &why))
		return false;
	if (w->plan->absolute && request->form != WEIR_TARGET_AUTHORITY)
		return request->scheme.size && request->authority.size &&
		       (is_path || is_asterisk(request->path));
	return request->form == WEIR_TARGET_AUTHORITY || is_path || is_asterisk(parts.target);
}

int weir_h1_write_request(struct weir_buffer *out, const struct weir_request *request,
			  const struct weir_h1_plan *plan)
{
	struct weir_text method = request->method == WEIR_METHOD_OTHER
					  ? request->method_text
					  : weir_method_text(request->method);
	struct writer w;
	int rc = writer_begin(&w, out, plan,
			      writer_plan_size(plan) + writer_headers_size(&request->headers) +
				      method.size + request->scheme.size + request->path.size +
				      request->query.size + 2 * request->authority.size);

	if (rc)
		return rc;
	w.is_request = true;
	write_text(&w, method);
	write_text(&w, WEIR_TEXT(" "));
	write_target(&w, request);
	write_text(&w, WEIR_TEXT(" HTTP/1.1"));
	write_end(&w);
	if (!writer_target_is_sound(&w, weir_buffer_tail(out), request))
		return -EINVAL;
	if (!weir_headers_find_id(&request->headers, WEIR_HEADER_HOST, NULL))
		write_field(&w, weir_header_name(WEIR_HEADER_HOST), request->authority);
	write_headers(&w, &request->headers);
	write_connection(&w, request->accepts_trailers);
	return writer_end(&w, out);
}

int weir_h1_write_response(struct weir_buffer *out, const struct weir_response *response,
			   const struct weir_h1_plan *plan)
{
	struct weir_text reason = response->reason.data ? response->reason
							: weir_status_reason(response->status);
	char start[] = "HTTP/1.1 000 ";
	struct writer w;
	int rc = writer_begin(&w, out, plan,
			      writer_plan_size(plan) + writer_headers_size(&response->headers) +
				      reason.size);

	if (rc)
		return rc;
	w.announced = response->announced;
	start[9] = (char)('0' + response->status / 100 % 10);
	start[10] = (char)('0' + response->status / 10 % 10);
	start[11] = (char)('0' + response->status % 10);
	write_text(&w, (struct weir_text){ start, sizeof(start) - 1 });
	write_text(&w, reason);
	write_end(&w);
	write_headers(&w, &response->headers);
	if (plan->date.data && !w.has_date)
		write_field(&w, weir_header_name(WEIR_HEADER_DATE), plan->date);
	if (plan->server.data && !w.has_server)
		write_field(&w, weir_header_name(WEIR_HEADER_SERVER), plan->server);
	write_connection(&w, false);
	return writer_end(&w, out);
}

/* ------------------------------------------------------------------------------------------
 * Chunks
 */

size_t weir_h1_chunk_head(char *text, uint64_t size)
{
	char digits[16];
	size_t i = sizeof(digits), n;

	do
		digits[--i] = "0123456789abcdef"[size & 15];
	while (size >>= 4);
	n = sizeof(digits) - i;
	memcpy(text, digits + i, n);
	text[n] = '\r';
	text[n + 1] = '\n';
	return n + 2;
}

int weir_h1_write_last_chunk(struct weir_buffer *out, const struct weir_headers *trailers)
{
	const struct weir_h1_plan plan = { 0 };
	const struct weir_header *field = NULL;
	struct writer w;
	int rc = writer_begin(&w, out, &plan,
			      WRITER_EXTRA + (trailers ? writer_headers_size(trailers) : 0));

	if (rc)
		return rc;
	write_text(&w, WEIR_TEXT("0"));
	write_end(&w);
	while (trailers && (field = weir_headers_next(trailers, field))) {
		if (!weir_h1_trailer_is_forbidden(field->id))
			write_field(&w, field->name, field->value);
	}
	return writer_end(&w, out);
}
