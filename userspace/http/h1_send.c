/* SPDX-License-Identifier: MIT */
/*
 * Writing messages to a connection: see h1_conn.h. A write is tried at once; only what the stream
 * did not take is copied, to `out`, which is empty and without memory whenever nothing waits.
 */

#include <errno.h>

#include <weir/error.h>
#include <weir/transfer.h>

#include "http/h1_conn.h"

#define SEND_IOV 6 /* what waits, head, chunk head, piece, end of chunk, last chunk */

/* One write: some bytes around some content. */
struct parcel {
	struct iovec iov[SEND_IOV];
	int n;
	size_t before;	/* bytes before the content */
	size_t content; /* bytes of it */
	size_t size;	/* bytes in all */
	size_t sent;
};

static void parcel_add(struct parcel *parcel, const char *data, size_t size)
{
	if (size == 0)
		return;
	parcel->iov[parcel->n].iov_base = (char *)(uintptr_t)data;
	parcel->iov[parcel->n++].iov_len = size;
	parcel->size += size;
}

static void parcel_add_buffer(struct parcel *parcel, const struct weir_buffer *buffer)
{
	if (buffer)
		parcel_add(parcel, weir_buffer_head(buffer), weir_buffer_size(buffer));
}

static void parcel_add_content(struct parcel *parcel, const struct iovec *piece)
{
	parcel->before = parcel->size;
	parcel->content = piece->iov_len;
	parcel_add(parcel, piece->iov_base, piece->iov_len);
}

static size_t parcel_content_sent(const struct parcel *parcel)
{
	if (parcel->sent <= parcel->before)
		return 0;
	return WEIR_MIN(parcel->sent - parcel->before, parcel->content);
}

/* ------------------------------------------------------------------------------------------
 * Writing a parcel
 */

static void send_note(struct h1_conn *conn, struct parcel *parcel, size_t sent)
{
	size_t before = parcel_content_sent(parcel);

	parcel->sent += sent;
	conn->body_sent += parcel_content_sent(parcel) - before;
}

/* Tries once. 0, -EAGAIN, -errno. */
static int send_out(struct h1_conn *conn, struct parcel *parcel)
{
	struct iovec iov = { .iov_base = weir_buffer_head(&conn->out),
			     .iov_len = weir_buffer_size(&conn->out) };
	ssize_t sent = conn->stream->ops->writev(conn->stream, &iov, 1, false);

	if (sent < 0)
		return (int)sent;
	weir_buffer_consume(&conn->out, (size_t)sent);
	if (parcel)
		send_note(conn, parcel, (size_t)sent);
	return 0;
}

/* Until `out` is empty. Parks. */
static int send_flush(struct h1_conn *conn, struct parcel *parcel)
{
	uint64_t deadline = h1_conn_deadline(conn);
	int status = 0;

	while (!status && weir_buffer_size(&conn->out) > 0) {
		status = weir_stream_wait_until(conn->stream, WEIR_WRITABLE, deadline);
		if (!status)
			status = send_out(conn, parcel);
		if (status == -EAGAIN)
			status = 0;
		else
			deadline = h1_conn_deadline(conn);
	}
	if (!status)
		weir_buffer_fini(&conn->out);
	return status;
}

/* What the stream did not take of the parcel, whose first SENT bytes are gone. The parcel may
 * begin with `out` itself. */
static int send_keep_rest(struct h1_conn *conn, struct parcel *parcel, size_t sent)
{
	size_t waiting = weir_buffer_size(&conn->out);
	int used, status = 0;

	if (waiting > sent) {
		weir_buffer_consume(&conn->out, sent);
		used = 1;
	} else {
		weir_buffer_clear(&conn->out);
		used = weir_iov_advance(parcel->iov, parcel->n, sent);
	}
	for (; !status && used < parcel->n; used++)
		status = weir_buffer_append(&conn->out, parcel->iov[used].iov_base,
					    parcel->iov[used].iov_len);
	return status;
}

/* Writes all of it, which begins with `out`. Parks when the stream does not take it at once. */
static int send_parcel(struct h1_conn *conn, struct parcel *parcel, bool more)
{
	ssize_t sent;
	int status;

	if (parcel->size == 0)
		return 0;
	sent = conn->stream->ops->writev(conn->stream, parcel->iov, parcel->n, more);
	if (sent < 0 && sent != -EAGAIN)
		return (int)sent;
	sent = WEIR_MAX(sent, 0);
	send_note(conn, parcel, (size_t)sent);
	if ((size_t)sent == parcel->size) {
		weir_buffer_fini(&conn->out);
		return 0;
	}
	status = send_keep_rest(conn, parcel, (size_t)sent);
	return status ? status : send_flush(conn, parcel);
}

/* ------------------------------------------------------------------------------------------
 * Messages
 */

struct message {
	struct h1_conn *conn;
	struct weir_buffer *head; /* NULL: it has gone */
	struct weir_body *body;
	const struct weir_h1_plan *plan;
	uint64_t left; /* of the plan's length */
};

static int message_break(struct message *message, int status)
{
	message->conn->broke_source = true;
	return status;
}

static void message_open_parcel(struct message *message, struct parcel *parcel)
{
	parcel_add_buffer(parcel, &message->conn->out);
	parcel_add_buffer(parcel, message->head);
}

static int message_send_parcel(struct message *message, struct parcel *parcel, bool more)
{
	struct weir_buffer *head = message->head;

	message->head = NULL;
	if (head) {
		int status;

		message->conn->begun = true;
		status = send_parcel(message->conn, parcel, more);

		weir_buffer_clear(head);
		return status;
	}
	return send_parcel(message->conn, parcel, more);
}

static int message_send_head(struct message *message, bool more)
{
	struct parcel parcel = { 0 };

	if (!message->head)
		return 0;
	message_open_parcel(message, &parcel);
	return message_send_parcel(message, &parcel, more);
}

static const struct weir_headers *message_trailers(const struct message *message)
{
	return message->plan->trailers ? message->body->trailers : NULL;
}

/* A chunk, and the last one when the body says that nothing comes after it. */
static int message_send_chunk(struct message *message, const struct iovec *piece)
{
	struct parcel parcel = { 0 };
	struct weir_buffer last = { 0 };
	char text[WEIR_H1_CHUNK_HEAD];
	int status = 0;

	message_open_parcel(message, &parcel);
	if (piece->iov_len > 0) {
		size_t size = weir_h1_chunk_head(text, piece->iov_len);

		parcel_add(&parcel, text, size);
		parcel_add_content(&parcel, piece);
		parcel_add(&parcel, "\r\n", 2);
	}
	if (message->body->ended)
		status = weir_h1_write_last_chunk(&last, message_trailers(message));
	parcel_add_buffer(&parcel, &last);
	if (!status)
		status = message_send_parcel(message, &parcel, false);
	weir_buffer_fini(&last);
	return status;
}

static int message_send_plain(struct message *message, const struct iovec *piece)
{
	struct parcel parcel = { 0 };

	if (piece->iov_len > message->left)
		return message_break(message, WEIR_EPROTO);
	message_open_parcel(message, &parcel);
	parcel_add_content(&parcel, piece);
	message->left -= piece->iov_len;
	return message_send_parcel(message, &parcel, false);
}

/* What the body's end asks for. */
static int message_finish(struct message *message)
{
	const struct iovec nothing = { 0 };

	if (message->plan->framing == WEIR_H1_LENGTH && message->left > 0)
		return message_break(message, WEIR_EPROTO);
	if (message->plan->framing != WEIR_H1_CHUNKED)
		return message_send_head(message, false);
	message->body->ended = true;
	return message_send_chunk(message, &nothing);
}

/* 1 when there is more to pull, 0 when that was all. */
static int message_send_piece(struct message *message, const struct iovec *piece)
{
	bool chunked = message->plan->framing == WEIR_H1_CHUNKED;
	int status;

	if (piece->iov_len == 0)
		return 1;
	status = chunked ? message_send_chunk(message, piece) : message_send_plain(message, piece);
	if (status)
		return status;
	return chunked ? !message->body->ended : message->left > 0;
}

/* Whether the kernel moves the rest. */
static bool message_source(struct message *message, struct weir_body_source *source)
{
	struct h1_conn *conn = message->conn;

	return message->plan->framing != WEIR_H1_CHUNKED && message->left >= conn->kernel_bytes &&
	       weir_stream_watch(conn->stream) && weir_body_source(message->body, source) == 0 &&
	       source->size > 0 && source->size >= conn->kernel_bytes &&
	       source->size <= message->left;
}

/* 1 when there may be more to pull, 0 when that was all. */
static int message_transfer(struct message *message, const struct weir_body_source *source)
{
	struct h1_conn *conn = message->conn;
	struct weir_transfer transfer = {
		.to = conn->stream,
		.from = source->stream,
		.fd = source->fd,
		.offset = source->offset,
		.size = source->size,
		.idle_ms = conn->idle_ms,
		.from_idle_ms = source->idle_ms,
	};
	/* A file's bytes follow at once, a peer's when it sends them. */
	int status = message_send_head(message, source->stream == NULL);
	int told;

	if (status)
		return status;
	status = weir_transfer_run(&transfer);
	conn->body_sent += transfer.moved;
	/* The end of this task's scope is not the source's: somebody else may read on. */
	told = transfer.broke_source && weir_task_check() == 0 ? status : 0;
	message->body->ops->moved(message->body, transfer.taken, told);
	if (status)
		return transfer.broke_source ? message_break(message, status) : status;
	message->left -= transfer.moved;
	return message->left > 0;
}

/* 1 when there is more to pull. */
static int message_step(struct message *message)
{
	struct weir_body_source source;
	struct iovec piece = { 0 };
	int status;

	if (message_source(message, &source))
		return message_transfer(message, &source);
	status = weir_body_next(message->body, &piece, message->head == NULL);
	if (status == -EAGAIN && message->head) {
		status = message_send_head(message, false);
		return status ? status : 1;
	}
	if (status < 0)
		return message_break(message, status);
	return status == 0 ? message_finish(message) : message_send_piece(message, &piece);
}

int h1_conn_send(struct h1_conn *conn, struct weir_buffer *head, struct weir_body *body,
		 const struct weir_h1_plan *plan)
{
	struct message message = {
		.conn = conn,
		.head = head && weir_buffer_size(head) > 0 ? head : NULL,
		.body = body,
		.plan = plan,
		.left = plan->framing == WEIR_H1_LENGTH ? plan->length : WEIR_BODY_UNKNOWN,
	};
	int status = 1;

	conn->broke_source = false;
	if (!body || plan->framing == WEIR_H1_NONE || message.left == 0)
		return message_send_head(&message, false);
	while (status == 1)
		status = message_step(&message);
	return status;
}

int h1_conn_post(struct h1_conn *conn, struct weir_text text)
{
	int status = weir_buffer_append(&conn->out, text.data, text.size);

	if (!status)
		status = send_out(conn, NULL);
	if (status == -EAGAIN)
		return 0;
	if (!status && weir_buffer_size(&conn->out) == 0)
		weir_buffer_fini(&conn->out);
	return status;
}
