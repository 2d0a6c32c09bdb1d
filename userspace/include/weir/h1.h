/* SPDX-License-Identifier: MIT */
#ifndef WEIR_H1_H
#define WEIR_H1_H

/*
 * HTTP/1.1 and 1.0 without I/O (RFC 9112): bytes in, messages out, and back. llhttp parses, in
 * its strictest mode; what it lets through and RFC 9112 forbids is refused here.
 *
 * Framing is decided once, when the head is parsed, and written anew by the writer: nothing
 * ambiguous gets through. See weir/http_server.h and weir/http_client.h for connections.
 */

#include <weir/message.h>

struct weir_buffer;

/* Zero means the default in parentheses. */
struct weir_h1_limits {
	uint32_t line_bytes; /* request or status line (16 KiB): 414, or 502 of a response */
	uint32_t head_bytes; /* all header fields; all trailers (32 KiB): 431 */
	uint32_t fields;     /* (128, at most WEIR_HEADERS_MAX): 431 */
	uint64_t body_bytes; /* (unlimited): 413 */
};

enum weir_h1_framing {
	WEIR_H1_NONE,	 /* no body */
	WEIR_H1_LENGTH,	 /* Content-Length */
	WEIR_H1_CHUNKED, /* Transfer-Encoding: chunked */
	WEIR_H1_CLOSE,	 /* until the end of the stream; responses alone */
};

/* Private: where in a message the parser is. */
enum weir_h1_phase {
	WEIR_H1_START_LINE,
	WEIR_H1_FIELDS,
	WEIR_H1_CHUNK_SIZE, /* its first digit is due */
	WEIR_H1_CHUNK_DIGITS,
	WEIR_H1_CHUNK_SPACE, /* ";" is due */
	WEIR_H1_EXT_START,   /* behind ";" */
	WEIR_H1_EXT_NAME,
	WEIR_H1_EXT_EQUALS, /* behind a name and a space */
	WEIR_H1_EXT_VALUE_START,
	WEIR_H1_EXT_VALUE,
	WEIR_H1_EXT_QUOTED,
	WEIR_H1_EXT_ESCAPED,
	WEIR_H1_EXT_END, /* behind a quoted string */
	WEIR_H1_CHUNK_SIZE_LF,
	WEIR_H1_CHUNK_DATA,
	WEIR_H1_CHUNK_DATA_CR,
	WEIR_H1_CHUNK_DATA_LF,
	WEIR_H1_TRAILERS,
	WEIR_H1_BROKEN, /* status and why say it; nothing more is parsed */
};

/* One direction of a connection. Caller's memory; there is nothing to be freed. Does not hold
 * any input: text of heads points into the caller's bytes. */
struct weir_h1_parser {
	enum weir_h1_framing framing; /* of the message whose head was parsed; read-only */
	uint64_t length;	      /* of WEIR_H1_LENGTH: all of it; read-only */
	unsigned status; /* after WEIR_EPROTO: 400, 413, 414, 417, 431, 501, 505; of a response
			  * 502; read-only */
	const char *why; /* and what was wrong: static memory; read-only */
	bool is_response;
	struct weir_h1_limits limits; /* defaults filled in */

	enum weir_h1_phase phase; /* private, as all below */
	uint32_t n_empty;	  /* lines before the start line */
	uint32_t n_fields;
	size_t seen;  /* bytes of the head that were scanned already */
	size_t line;  /* where the start line begins in them */
	size_t first; /* where the first field line begins */
	size_t next;  /* where the field line begins that is being scanned */
	/* Chunked bodies. */
	uint64_t chunk;	       /* size while it is read, then what is left of the content */
	uint64_t body_seen;    /* sizes of all chunks */
	uint32_t line_bytes;   /* of a chunk's line so far */
	uint32_t trailer_room; /* allocated */
	uint32_t trailer_size;
	char *trailer; /* the trailer section so far; of the trailers' arena */
};

/* LIMITS may be NULL. */
void weir_h1_parser_init(struct weir_h1_parser *parser, bool is_response,
			 const struct weir_h1_limits *limits);

/* Parses a request's head from DATA, which begins where the message does and holds all that has
 * come of it so far (it may have moved since the last call; what was parsed is not parsed
 * again). 1: complete, *HEAD_SIZE bytes long, REQUEST (which the caller has initialised) filled,
 * its text lying in DATA, or in the arena of its headers, and its body still NULL; 0: more bytes
 * are needed; WEIR_EPROTO with status and why, from then on always (method and version are filled
 * in if the request line was sound); -ENOMEM. A few empty lines before the request line are skipped
 * (RFC 9112 section 2.2). After 1 the next call begins the next message, once the body's bytes are
 * taken. */
int weir_h1_parse_request(struct weir_h1_parser *parser, const char *data, size_t size,
			  struct weir_request *request, size_t *head_size) WEIR_MUST_CHECK;

/* The same for a response to a request with METHOD, on which its framing depends. Interim
 * responses (1xx) are responses of their own, without body. */
int weir_h1_parse_response(struct weir_h1_parser *parser, const char *data, size_t size,
			   enum weir_method method, struct weir_response *response,
			   size_t *head_size) WEIR_MUST_CHECK;

enum weir_h1_decoded {
	WEIR_H1_MORE,  /* all of DATA is used, more is needed */
	WEIR_H1_PIECE, /* a piece of content */
	WEIR_H1_END,   /* the body, trailers included, is complete */
};

/* Decodes a chunked body: the next piece of content in DATA (which it lies in), and in *USED how
 * many bytes of DATA are done with. Extensions are dropped (1 KiB of them a chunk). TRAILERS takes
 * trailer fields but those that RFC 9110 section 6.5.1 forbids (framing, routing,
 * authentication), text copied into its arena. One of enum weir_h1_decoded; WEIR_EPROTO;
 * -ENOMEM. After WEIR_H1_END the next call of the parser begins the next message. */
int weir_h1_decode_chunked(struct weir_h1_parser *parser, const char *data, size_t size,
			   struct iovec *piece, size_t *used, struct weir_headers *trailers)
	WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Writing
 */

/* How the writer frames a message, decided from its body and the peer's version. */
struct weir_h1_plan {
	enum weir_h1_framing framing;
	uint64_t length;
	enum weir_http_version peer; /* who reads it: HTTP/1.0 is told of keep-alive */
	bool keep_alive;	     /* else Connection: close is said */
	bool trailers;		     /* some may follow: a Trailer field stays */
	bool absolute;		     /* of a request to a proxy: its target in absolute form */
	struct weir_text upgrade;    /* Connection: upgrade with this Upgrade; no data: none */
	struct weir_text date;	     /* of a response without Date; no data: none */
	struct weir_text server;     /* of a response without Server; no data: none */
	struct weir_text via;	     /* appended to Via; no data: none */
};

/* Appends the head to OUT: fields in their order and case; Content-Length and Transfer-Encoding
 * keep their place and say what the plan says; hop-by-hop fields are the plan's alone. A request
 * without Host gets one from its authority. 0; -ENOMEM; -EINVAL when something in the head has
 * a line break or control character in it (then OUT is as it was). */
int weir_h1_write_request(struct weir_buffer *out, const struct weir_request *request,
			  const struct weir_h1_plan *plan) WEIR_MUST_CHECK;
int weir_h1_write_response(struct weir_buffer *out, const struct weir_response *response,
			   const struct weir_h1_plan *plan) WEIR_MUST_CHECK;

/* "1f40\r\n"; returns the size. TEXT takes WEIR_H1_CHUNK_HEAD bytes. */
#define WEIR_H1_CHUNK_HEAD 20
size_t weir_h1_chunk_head(char *text, uint64_t size);
/* "0\r\n", trailers (NULL: none) but forbidden ones, "\r\n". 0, -ENOMEM, -EINVAL. */
int weir_h1_write_last_chunk(struct weir_buffer *out, const struct weir_headers *trailers)
	WEIR_MUST_CHECK;

#endif
