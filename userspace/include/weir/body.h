/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BODY_H
#define WEIR_BODY_H

/*
 * The content of a message, pulled piece by piece by whoever sends it on. Layers wrap bodies
 * as they wrap services (compression is a body around a body).
 *
 * Pieces are borrowed and short-lived: a piece is valid until its reader parks, or asks the body
 * for the next one. So a piece that lies in the worker's scratch memory is written on with no
 * copy, and a slow receiver costs a copy of what it did not take.
 *
 * A body whose remaining bytes are simply the next ones of a socket or a file can say so
 * (source); then the kernel moves them and nobody sees them.
 */

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weir/arena.h>
#include <weir/text.h>

struct weir_body;
struct weir_buffer;
struct weir_headers;
struct weir_stream;

#define WEIR_BODY_UNKNOWN UINT64_MAX

/* Where the rest of a body lies untouched. Either a stream or a file. */
struct weir_body_source {
	struct weir_stream *stream; /* the next `size` bytes of it; NULL: a file */
	int fd;			    /* the file */
	uint64_t offset;	    /* in the file */
	uint64_t size;		    /* bytes left */
	uint64_t idle_ms;	    /* the stream gives none for so long: -ETIMEDOUT; 0: no limit */
};

struct weir_body_ops {
	const char *name;
	/* The next piece: 1 with *PIECE; 0 at the end; with WAIT false, -EAGAIN when none is there
	 * yet; else it parks. -ECONNRESET, -EPROTO (WEIR_EPROTO: framing is broken or the peer went
	 * away early), -ETIMEDOUT, WEIR_ELIMIT. After an error or the end it says the same again. */
	int (*next)(struct weir_body *body, struct iovec *piece, bool wait);
	/* Whether the rest is plain bytes of a source; NULL: never. Pieces that were read ahead
	 * must have been taken by next(): -EAGAIN says that there are some. */
	int (*source)(struct weir_body *body, struct weir_body_source *source);
	/* SIZE bytes of the source were moved by somebody else, who has met STATUS there: 0, or what
	 * the source broke with; then next() says the same from now on. */
	void (*moved)(struct weir_body *body, uint64_t size, int status);
	/* Ends it, read to its end or not; the connection under it is closed if its rest cannot
	 * be skipped. Never parks. */
	void (*free)(struct weir_body *body);
};

struct weir_body { /* embed as the first member */
	const struct weir_body_ops *ops;
	uint64_t size;		       /* of all of it, as announced; WEIR_BODY_UNKNOWN */
	struct weir_headers *trailers; /* after the end; NULL: there are none. Owned by the body */
	bool ended; /* the piece that next() gave is known to be the last one: trailers are there,
		     * and nobody need ask again. Bodies that cannot tell leave it false */
};

static inline int weir_body_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	return body->ops->next(body, piece, wait);
}

/* As ops->source; -EOPNOTSUPP where there is none. */
int weir_body_source(struct weir_body *body, struct weir_body_source *source);
/* Accepts NULL. */
void weir_body_free(struct weir_body *body);

/* Appends everything to OUT. 0; WEIR_ELIMIT beyond MAX bytes; what next() said. Parks. */
int weir_body_read_all(struct weir_body *body, struct weir_buffer *out, size_t max) WEIR_MUST_CHECK;
/* Reads and drops at most MAX bytes. 0 at the end, WEIR_ELIMIT, or what next() said. */
int weir_body_skip(struct weir_body *body, uint64_t max) WEIR_MUST_CHECK;

/* A body of DATA, which is borrowed and outlives it. NULL when memory is out. */
struct weir_body *weir_text_body(struct weir_arena *arena, struct weir_text data) WEIR_MUST_CHECK;
/* SIZE bytes of a file from OFFSET; takes FD over in every case. */
struct weir_body *weir_file_body(struct weir_arena *arena, int fd, uint64_t offset, uint64_t size)
	WEIR_MUST_CHECK;

#endif
