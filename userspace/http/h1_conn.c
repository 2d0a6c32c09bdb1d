/* SPDX-License-Identifier: MIT */
/*
 * Reading. A piece of body that lies in scratch is lost when anybody parks, so nothing of it may
 * wait there: the chunks that one read has brought are moved together into one piece, and what
 * came after the message's end is copied to `ahead`.
 */

#include "http/h1_conn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <weir/error.h>

#define HEAD_READ_BYTES 16384 /* at most so much is copied out of scratch with a head */
#define NS_PER_MS	1000000ull

static const struct weir_body_ops conn_body_ops;

void h1_conn_init(struct h1_conn *conn, struct weir_stream *stream, bool reads_responses,
		  const struct weir_h1_limits *limits)
{
	*conn = (struct h1_conn){ .stream = stream };
	weir_h1_parser_init(&conn->parser, reads_responses, limits);
}

void h1_conn_fini(struct h1_conn *conn)
{
	weir_buffer_fini(&conn->in);
	weir_buffer_fini(&conn->ahead);
	weir_buffer_fini(&conn->out);
}

uint64_t h1_conn_deadline(const struct h1_conn *conn)
{
	return conn->idle_ms ? weir_loop_now(weir_loop_current()) + conn->idle_ms * NS_PER_MS
			     : WEIR_NEVER;
}

static int conn_break(struct h1_conn *conn, int status)
{
	conn->read = H1_READ_BROKEN;
	conn->read_status = status;
	return status;
}

/* What of `in` is not used yet. */
static size_t conn_unused(const struct h1_conn *conn)
{
	return weir_buffer_size(&conn->in) - conn->at;
}

static ssize_t conn_read_scratch(struct h1_conn *conn, size_t size)
{
	struct iovec iov = { .iov_base = weir_loop_scratch(weir_loop_current()), .iov_len = size };

	return conn->stream->ops->readv(conn->stream, &iov, 1, false);
}

/* ------------------------------------------------------------------------------------------
 * Heads
 */

/* Reads into `in`, without parking. 1, 0 at the end of the stream, -EAGAIN, -errno. */
static int conn_fill(struct h1_conn *conn)
{
	ssize_t got = conn_read_scratch(conn, HEAD_READ_BYTES);

	if (got <= 0)
		return (int)got;
	return weir_buffer_append(&conn->in, weir_loop_scratch(weir_loop_current()), (size_t)got)
		       ? -ENOMEM
		       : 1;
}

/* The same; parks for the bytes. */
static int conn_fill_wait(struct h1_conn *conn, uint64_t deadline)
{
	int status = conn_fill(conn);

	while (status == -EAGAIN) {
		status = weir_stream_wait_until(conn->stream, WEIR_READABLE, deadline);
		if (!status)
			status = conn_fill(conn);
	}
	return status;
}

int h1_conn_wait(struct h1_conn *conn, uint64_t deadline)
{
	int status;

	if (conn_unused(conn) > 0)
		return 1;
	status = conn_fill(conn);
	if (status != -EAGAIN)
		return status;
	weir_buffer_fini(&conn->in);
	status = weir_stream_wait_until(conn->stream, WEIR_READABLE, deadline);
	if (!status)
		status = conn_fill(conn);
	return status == -EAGAIN ? -EINTR : status;
}

/* Either of the two is there. */
struct head {
	struct weir_request *request;
	struct weir_response *response;
	enum weir_method method;
};

static int conn_parse(struct h1_conn *conn, const struct head *head)
{
	const char *data = weir_buffer_head(&conn->in);
	size_t size = weir_buffer_size(&conn->in);

	if (head->request)
		return weir_h1_parse_request(&conn->parser, data, size, head->request, &conn->at);
	return weir_h1_parse_response(&conn->parser, data, size, head->method, head->response,
				      &conn->at);
}

static void conn_begin_body(struct h1_conn *conn, struct weir_arena *arena, struct weir_body **body)
{
	const struct weir_h1_parser *parser = &conn->parser;

	*body = NULL;
	conn->body_read = 0;
	conn->pulled = false;
	conn->read = H1_READ_DONE;
	if (parser->framing == WEIR_H1_NONE)
		return;
	conn->left = parser->framing == WEIR_H1_LENGTH ? parser->length : WEIR_BODY_UNKNOWN;
	conn->body = (struct weir_body){ .ops = &conn_body_ops, .size = conn->left };
	weir_headers_init(&conn->trailers, arena);
	*body = &conn->body;
	if (conn->left > 0)
		conn->read = H1_READ_BODY;
}

/* The stream has ended amid a head; or before one. */
static int conn_end_of_stream(struct h1_conn *conn)
{
	if (conn->read == H1_READ_IDLE)
		return 0;
	conn->parser.status = 400;
	conn->parser.why = "the connection ended amid a head";
	return conn_break(conn, WEIR_EPROTO);
}

static int conn_read_head(struct h1_conn *conn, const struct head *head, uint64_t deadline)
{
	int status;

	assert(conn->read == H1_READ_IDLE && conn->at == 0);
	for (;;) {
		status = 0;
		if (weir_buffer_size(&conn->in) > 0) {
			conn->read = H1_READ_HEAD;
			status = conn_parse(conn, head);
		}
		if (status == 0) {
			conn->at = 0;
			status = conn_fill_wait(conn, deadline);
			if (status == 0)
				return conn_end_of_stream(conn);
			if (status > 0)
				continue;
		}
		return status < 0 ? conn_break(conn, status) : status;
	}
}

int h1_conn_read_request(struct h1_conn *conn, struct weir_request *request, uint64_t deadline)
{
	struct head head = { .request = request };
	int status = conn_read_head(conn, &head, deadline);

	if (status == 1)
		conn_begin_body(conn, request->headers.arena, &request->body);
	return status;
}

int h1_conn_read_response(struct h1_conn *conn, enum weir_method method,
			  struct weir_response *response, uint64_t deadline)
{
	struct head head = { .response = response, .method = method };
	int status = conn_read_head(conn, &head, deadline);

	if (status == 1)
		conn_begin_body(conn, response->headers.arena, &response->body);
	return status;
}

int h1_conn_next(struct h1_conn *conn)
{
	int status;

	assert(conn->read == H1_READ_DONE);
	conn->read = H1_READ_IDLE;
	weir_buffer_consume(&conn->in, conn->at);
	conn->at = 0;
	if (weir_buffer_size(&conn->ahead) == 0)
		return 0;
	status = weir_buffer_append(&conn->in, weir_buffer_head(&conn->ahead),
				    weir_buffer_size(&conn->ahead));
	weir_buffer_fini(&conn->ahead);
	return status ? conn_break(conn, status) : 0;
}

/* Not both: a read into scratch happens when `in` is used up. */
struct weir_text h1_conn_take_rest(struct h1_conn *conn)
{
	struct weir_text rest = { weir_buffer_head(&conn->ahead), weir_buffer_size(&conn->ahead) };

	if (rest.size > 0) {
		assert(conn_unused(conn) == 0);
		conn->ahead.head = conn->ahead.tail;
		return rest;
	}
	rest.data = weir_buffer_head(&conn->in) + conn->at;
	rest.size = conn_unused(conn);
	conn->at += rest.size;
	return rest;
}

int h1_conn_check_idle(struct h1_conn *conn)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	ssize_t got;

	if (conn->read != H1_READ_IDLE || conn_unused(conn) > 0)
		return WEIR_EPROTO;
	got = conn->stream->ops->readv(conn->stream, &iov, 1, true);
	if (got == -EAGAIN)
		return 0;
	if (got < 0)
		return (int)got;
	return got == 0 ? -ECONNRESET : WEIR_EPROTO;
}

/* ------------------------------------------------------------------------------------------
 * Bodies
 */

static struct h1_conn *conn_of_body(struct weir_body *body)
{
	return weir_container_of(body, struct h1_conn, body);
}

static void conn_end_body(struct h1_conn *conn)
{
	conn->read = H1_READ_DONE;
	conn->body.ended = true;
	if (conn->trailers.n > 0)
		conn->body.trailers = &conn->trailers;
}

static size_t decode_length(struct h1_conn *conn, char *data, size_t size, struct iovec *piece)
{
	size_t n = (size_t)WEIR_MIN(conn->left, size);

	*piece = (struct iovec){ .iov_base = data, .iov_len = n };
	conn->left -= n;
	if (conn->left == 0)
		conn_end_body(conn);
	return n;
}

/* All content in DATA, moved together. Bytes used, or WEIR_EPROTO, WEIR_ELIMIT. */
static ssize_t decode_chunked(struct h1_conn *conn, char *data, size_t size, struct iovec *piece)
{
	size_t at = 0, used;
	struct iovec part;
	int decoded = WEIR_H1_PIECE;

	*piece = (struct iovec){ 0 };
	while (at < size && decoded == WEIR_H1_PIECE) {
		decoded = weir_h1_decode_chunked(&conn->parser, data + at, size - at, &part, &used,
						 &conn->trailers);
		if (decoded < 0)
			return decoded;
		at += used;
		if (decoded != WEIR_H1_PIECE)
			break;
		if (!piece->iov_base)
			piece->iov_base = part.iov_base;
		else
			memmove((char *)piece->iov_base + piece->iov_len, part.iov_base,
				part.iov_len);
		piece->iov_len += part.iov_len;
	}
	if (decoded == WEIR_H1_END)
		conn_end_body(conn);
	return (ssize_t)at;
}

static ssize_t conn_decode(struct h1_conn *conn, char *data, size_t size, struct iovec *piece)
{
	ssize_t used;

	if (conn->parser.framing == WEIR_H1_CHUNKED)
		used = decode_chunked(conn, data, size, piece);
	else
		used = (ssize_t)decode_length(conn, data, size, piece);
	if (used < 0)
		return used;
	conn->body_read += piece->iov_len;
	if (conn->parser.framing == WEIR_H1_CLOSE && conn->parser.limits.body_bytes &&
	    conn->body_read > conn->parser.limits.body_bytes)
		return WEIR_ELIMIT;
	return used;
}

/* 1 with a piece; 0 at the end; -EAGAIN when what there was had no content. */
static int conn_decoded(struct h1_conn *conn, const struct iovec *piece)
{
	if (piece->iov_len > 0)
		return 1;
	return conn->read == H1_READ_DONE ? 0 : -EAGAIN;
}

static int body_take_buffered(struct h1_conn *conn, struct iovec *piece)
{
	ssize_t used =
		conn_decode(conn, weir_buffer_head(&conn->in) + conn->at, conn_unused(conn), piece);

	if (used < 0)
		return conn_break(conn, (int)used);
	conn->at += (size_t)used;
	return conn_decoded(conn, piece);
}

/* The peer has sent its end: that is the body's in one framing alone. */
static int body_meet_end(struct h1_conn *conn)
{
	if (conn->parser.framing != WEIR_H1_CLOSE)
		return conn_break(conn, WEIR_EPROTO);
	conn_end_body(conn);
	return 0;
}

/* Reads once. As conn_decoded(), and -EAGAIN with *MORE when there may be more to read. */
static int body_read_once(struct h1_conn *conn, struct iovec *piece, bool *more)
{
	char *scratch = weir_loop_scratch(weir_loop_current());
	ssize_t got = conn_read_scratch(conn, WEIR_COPY_BYTES);
	ssize_t used;

	*more = got > 0;
	if (got == -EAGAIN)
		return -EAGAIN;
	if (got == 0)
		return body_meet_end(conn);
	if (got < 0)
		return conn_break(conn, (int)got);
	used = conn_decode(conn, scratch, (size_t)got, piece);
	if (used < 0)
		return conn_break(conn, (int)used);
	if (used < got && weir_buffer_append(&conn->ahead, scratch + used, (size_t)(got - used)))
		return conn_break(conn, -ENOMEM);
	return conn_decoded(conn, piece);
}

/* Without parking. Reads that bring no content, but chunk heads, are no reason to wait. */
static int body_take(struct h1_conn *conn, struct iovec *piece)
{
	int status = -EAGAIN;
	bool more = true;

	if (conn->read == H1_READ_DONE)
		return 0;
	if (conn->read == H1_READ_BROKEN)
		return conn->read_status;
	if (conn_unused(conn) > 0)
		status = body_take_buffered(conn, piece);
	while (status == -EAGAIN && more)
		status = body_read_once(conn, piece, &more);
	return status;
}

static void body_note_pulled(struct h1_conn *conn)
{
	if (conn->pulled)
		return;
	conn->pulled = true;
	if (conn->before_body && conn->read == H1_READ_BODY && conn_unused(conn) == 0)
		conn->before_body(conn);
}

/* The end of the reader's scope is not the connection's: somebody else may read on. */
static int body_stop_waiting(struct h1_conn *conn, int status, uint64_t deadline)
{
	if (status != -ETIMEDOUT || weir_loop_now(weir_loop_current()) < deadline)
		return status;
	return conn_break(conn, status);
}

static int body_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct h1_conn *conn = conn_of_body(body);
	uint64_t deadline;
	int status;

	body_note_pulled(conn);
	status = body_take(conn, piece);
	if (status != -EAGAIN || !wait)
		return status;
	deadline = h1_conn_deadline(conn);
	do {
		status = weir_stream_wait_until(conn->stream, WEIR_READABLE, deadline);
		if (status)
			return body_stop_waiting(conn, status, deadline);
		status = body_take(conn, piece);
	} while (status == -EAGAIN);
	return status;
}

static int body_source(struct weir_body *body, struct weir_body_source *source)
{
	struct h1_conn *conn = conn_of_body(body);

	if (conn->parser.framing != WEIR_H1_LENGTH || !weir_stream_watch(conn->stream) ||
	    conn->read != H1_READ_BODY)
		return -EOPNOTSUPP;
	if (conn_unused(conn) > 0)
		return -EAGAIN;
	body_note_pulled(conn);
	*source = (struct weir_body_source){
		.stream = conn->stream,
		.fd = -1,
		.size = conn->left,
		.idle_ms = conn->idle_ms,
	};
	return 0;
}

static void body_moved(struct weir_body *body, uint64_t size, int status)
{
	struct h1_conn *conn = conn_of_body(body);

	assert(size <= conn->left);
	conn->left -= size;
	conn->body_read += size;
	if (conn->left == 0)
		conn_end_body(conn);
	else if (status)
		conn_break(conn, status);
}

static void body_free(struct weir_body *body)
{
	struct h1_conn *conn = conn_of_body(body);

	if (conn->on_body_free)
		conn->on_body_free(conn);
}

static const struct weir_body_ops conn_body_ops = {
	.name = "h1",
	.next = body_next,
	.source = body_source,
	.moved = body_moved,
	.free = body_free,
};
