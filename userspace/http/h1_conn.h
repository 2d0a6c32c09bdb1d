/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_H1_CONN_H
#define WEIR_HTTP_H1_CONN_H

/*
 * One side of an HTTP/1 connection over a stream: the server reads requests and writes responses,
 * the client the other way round. One message is read and one is written at a time, possibly by
 * two tasks: a request's body may still come while the response goes.
 *
 * Input: reads go to the worker's scratch memory. What belongs to a head is kept in `in`, which
 * stays where it is until h1_conn_next(); the body's bytes that came with the head are handed
 * out from there, later ones from scratch. What came after the message's end waits in `ahead`.
 * While nothing is buffered the connection owns no memory.
 *
 *	reading:  IDLE --first byte--> HEAD --parsed--> BODY --all--> DONE --h1_conn_next()--> IDLE
 *	                                 |                |
 *	                                 +----------------+--> BROKEN
 */

#include <weir/buffer.h>
#include <weir/h1.h>
#include <weir/stream.h>

enum h1_read {
	H1_READ_IDLE,	/* nothing of the next message was asked for */
	H1_READ_HEAD,	/* some of the head is there */
	H1_READ_BODY,	/* the head is complete, the body is not */
	H1_READ_DONE,	/* the message is complete */
	H1_READ_BROKEN, /* see read_status */
};

struct h1_conn {
	struct weir_stream *stream; /* borrowed */
	uint64_t idle_ms;	    /* for a piece of body, either way; 0: no limit */
	uint64_t kernel_bytes;	    /* bodies with at least so much left go by splice(2) */

	/* Reading. */
	enum h1_read read;
	int read_status;	  /* of BROKEN; WEIR_EPROTO: see parser.status and parser.why */
	uint64_t body_read;	  /* content bytes of this message read so far */
	struct weir_body body;	  /* of the message being read; see h1_conn_read_request() */
	uint64_t left;		  /* private: of a body of known length */
	bool pulled;		  /* somebody has asked for the body */
	struct weir_buffer in;	  /* private: head and what came with it */
	size_t at;		  /* private: what of it is used, from its head */
	struct weir_buffer ahead; /* private: read after the end of the message */
	struct weir_headers trailers;
	struct weir_h1_parser parser;

	/* Called once, before the body's first byte is waited for: the server sends 100 there.
	 * Must not park. May be NULL. */
	void (*before_body)(struct h1_conn *conn);
	/* Called by the body's free(), at most once a message; conn->read says whether it was read
	 * to its end. Must not park; may free the connection. May be NULL. */
	void (*on_body_free)(struct h1_conn *conn);
	void *ctx; /* the owner's */

	/* Writing. */
	struct weir_buffer out; /* accepted by us, not yet by the stream */
	uint64_t body_sent;	/* content bytes of h1_conn_send()s that the stream took; the owner
				 * sets it to 0 */
	bool begun;		/* a head was written; the owner sets it to false */
	bool broke_source;	/* the last h1_conn_send() failed because of its body */
};

/* LIMITS may be NULL. Borrows STREAM. */
void h1_conn_init(struct h1_conn *conn, struct weir_stream *stream, bool reads_responses,
		  const struct weir_h1_limits *limits);
/* Frees buffers; the stream stays. */
void h1_conn_fini(struct h1_conn *conn);
/* idle_ms from now, as a deadline. */
uint64_t h1_conn_deadline(const struct h1_conn *conn);

/* ------------------------------------------------------------------------------------------
 * Reading
 */

/* Until the first byte of the next message is there. 1; 0 at the end of the stream; -ETIMEDOUT
 * after DEADLINE (ns); -ECANCELED, -ECONNRESET. -EINTR when somebody woke the task. Parks. */
int h1_conn_wait(struct h1_conn *conn, uint64_t deadline) WEIR_MUST_CHECK;

/* Reads a head. 1: REQUEST is filled, and has a body if one was announced: &conn->body, valid
 * until h1_conn_next(). 0: the stream ended before the first byte. WEIR_EPROTO with
 * parser.status and parser.why (its end amid the head included: status 400). -ETIMEDOUT,
 * -ECANCELED, -ECONNRESET. REQUEST is initialised, and its arena takes what is to be copied.
 * Parks only when bytes are missing. */
int h1_conn_read_request(struct h1_conn *conn, struct weir_request *request, uint64_t deadline)
	WEIR_MUST_CHECK;
/* The same for a response to a request with METHOD. Interim responses are messages of their
 * own: h1_conn_next() goes between, and RESPONSE is initialised anew. */
int h1_conn_read_response(struct h1_conn *conn, enum weir_method method,
			  struct weir_response *response, uint64_t deadline) WEIR_MUST_CHECK;

/* Whether the message whose head was read is complete. */
static inline bool h1_conn_has_read_all(const struct h1_conn *conn)
{
	return conn->read == H1_READ_DONE || conn->read == H1_READ_IDLE;
}

/* Whether bytes of the next message, or of what follows an Upgrade, are there already. */
static inline bool h1_conn_has_more(const struct h1_conn *conn)
{
	return weir_buffer_size(&conn->in) > conn->at || weir_buffer_size(&conn->ahead) > 0;
}

/* Forgets the message that was read to its end: its text goes. 0 or -ENOMEM. */
int h1_conn_next(struct h1_conn *conn) WEIR_MUST_CHECK;

/* Bytes that came after the message: of the protocol that an Upgrade begins. Valid until the next
 * read; they are taken. */
struct weir_text h1_conn_take_rest(struct h1_conn *conn);

/* For a connection that waits in a pool: 0 when the peer has sent nothing and is there as far as
 * is known, else why not. No system call in the ordinary case. */
int h1_conn_check_idle(struct h1_conn *conn) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Writing
 */

/* Writes HEAD (its bytes are consumed; empty or NULL: it has gone already) and BODY (NULL: none,
 * or it goes later) framed as PLAN says. The head leaves with the first piece of the body if
 * that is there; else at once. The body is pulled to its end, not freed. Parks.
 *
 * 0; -EPIPE, -ECONNRESET, -ETIMEDOUT (idle_ms), -ECANCELED. With broke_source, what the body
 * said; WEIR_EPROTO when it does not fit the plan's length. After a failure with HEAD still
 * there nothing was written; else the message is incomplete and the connection must be aborted. */
int h1_conn_send(struct h1_conn *conn, struct weir_buffer *head, struct weir_body *body,
		 const struct weir_h1_plan *plan) WEIR_MUST_CHECK;

/* Writes what the stream takes now and keeps the rest for the next h1_conn_send(), before which
 * it goes: interim responses. Never parks. 0, -ENOMEM, -EPIPE, -ECONNRESET. */
int h1_conn_post(struct h1_conn *conn, struct weir_text text) WEIR_MUST_CHECK;

#endif
