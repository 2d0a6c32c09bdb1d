/* SPDX-License-Identifier: MIT */
/*
 * Chunked bodies (RFC 9112 section 7.1), decoded byte by byte but for the content, so that any
 * cut between reads is like any other:
 *
 *	CHUNK_SIZE, DIGITS, SPACE, EXT_* --> CHUNK_SIZE_LF --> CHUNK_DATA, _CR, _LF --> CHUNK_SIZE
 *	                                                  \--> TRAILERS --> START_LINE
 *
 * llhttp is not asked here. It keeps what a chunk's line says to itself, so that nothing could be
 * held against it, and older versions take line ends that RFC 9112 does not have.
 */

#include <assert.h>
#include <errno.h>

#include <weir/error.h>

#include "http/chars.h"
#include "http/h1_check.h"
#include "http/h1_scan.h"

#define CHUNKED_LINE_MAX    1024 /* bytes of size and extensions of one chunk */
#define CHUNKED_SIZE_MAX    16	 /* digits of a size */
#define CHUNKED_SECTION_MIN 256

static int chunked_refuse(struct weir_h1_parser *parser)
{
	return weir_h1_refuse(parser, 400, "a chunk that is not valid");
}

static bool chunked_is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* ------------------------------------------------------------------------------------------
 * A chunk's line
 */

static enum weir_h1_phase chunked_digit(struct weir_h1_parser *parser, char c)
{
	unsigned digit = (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);

	if (parser->line_bytes > CHUNKED_SIZE_MAX)
		return WEIR_H1_BROKEN;
	parser->chunk = parser->chunk << 4 | digit;
	return WEIR_H1_CHUNK_DIGITS;
}

/* Behind something that is complete: the line may end, or an extension begins. */
static enum weir_h1_phase chunked_complete(char c, enum weir_h1_phase space)
{
	if (c == '\r')
		return WEIR_H1_CHUNK_SIZE_LF;
	if (c == ';')
		return WEIR_H1_EXT_START;
	return chunked_is_space(c) ? space : WEIR_H1_BROKEN;
}

/* The phase that C leads to in an extension (RFC 9112 section 7.1.1). */
static enum weir_h1_phase chunked_extension(enum weir_h1_phase phase, char c)
{
	bool is_token = weir_char_is(c, WEIR_CHAR_TOKEN);
	bool is_text = weir_char_is(c, WEIR_CHAR_VALUE);

	switch (phase) {
	case WEIR_H1_EXT_START:
		if (is_token)
			return WEIR_H1_EXT_NAME;
		return chunked_is_space(c) ? phase : WEIR_H1_BROKEN;
	case WEIR_H1_EXT_NAME:
		if (is_token)
			return phase;
		if (c == '=')
			return WEIR_H1_EXT_VALUE_START;
		return chunked_complete(c, WEIR_H1_EXT_EQUALS);
	case WEIR_H1_EXT_EQUALS:
		if (c == '=')
			return WEIR_H1_EXT_VALUE_START;
		return c == '\r' ? WEIR_H1_BROKEN : chunked_complete(c, phase);
	case WEIR_H1_EXT_VALUE_START:
		if (is_token)
			return WEIR_H1_EXT_VALUE;
		if (c == '"')
			return WEIR_H1_EXT_QUOTED;
		return chunked_is_space(c) ? phase : WEIR_H1_BROKEN;
	case WEIR_H1_EXT_VALUE:
		return is_token ? phase : chunked_complete(c, WEIR_H1_CHUNK_SPACE);
	case WEIR_H1_EXT_QUOTED:
		if (c == '"')
			return WEIR_H1_EXT_END;
		if (c == '\\')
			return WEIR_H1_EXT_ESCAPED;
		return is_text ? phase : WEIR_H1_BROKEN;
	case WEIR_H1_EXT_ESCAPED:
		return is_text ? WEIR_H1_EXT_QUOTED : WEIR_H1_BROKEN;
	case WEIR_H1_EXT_END:
		return chunked_complete(c, WEIR_H1_CHUNK_SPACE);
	default:
		return WEIR_H1_BROKEN;
	}
}

/* The phase that C leads to in a chunk's line, or in the ends of lines. */
static enum weir_h1_phase chunked_step(struct weir_h1_parser *parser, char c)
{
	enum weir_h1_phase phase = parser->phase;

	switch (phase) {
	case WEIR_H1_CHUNK_SIZE:
		return weir_char_is(c, WEIR_CHAR_HEX) ? chunked_digit(parser, c) : WEIR_H1_BROKEN;
	case WEIR_H1_CHUNK_DIGITS:
		if (weir_char_is(c, WEIR_CHAR_HEX))
			return chunked_digit(parser, c);
		return chunked_complete(c, WEIR_H1_CHUNK_SPACE);
	case WEIR_H1_CHUNK_SPACE:
		return c == '\r' ? WEIR_H1_BROKEN : chunked_complete(c, phase);
	case WEIR_H1_CHUNK_SIZE_LF:
		if (c != '\n')
			return WEIR_H1_BROKEN;
		return parser->chunk > 0 ? WEIR_H1_CHUNK_DATA : WEIR_H1_TRAILERS;
	case WEIR_H1_CHUNK_DATA_CR:
		return c == '\r' ? WEIR_H1_CHUNK_DATA_LF : WEIR_H1_BROKEN;
	case WEIR_H1_CHUNK_DATA_LF:
		return c == '\n' ? WEIR_H1_CHUNK_SIZE : WEIR_H1_BROKEN;
	default:
		return chunked_extension(phase, c);
	}
}

/* The line of a chunk is complete: its size counts. */
static int chunked_begin(struct weir_h1_parser *parser)
{
	parser->line_bytes = 0;
	if (parser->chunk > INT64_MAX)
		return chunked_refuse(parser);
	if (parser->chunk > parser->limits.body_bytes - parser->body_seen)
		return weir_h1_refuse(parser, 413, "the body is longer than the limit");
	parser->body_seen += parser->chunk;
	return 0;
}

static int chunked_take(struct weir_h1_parser *parser, char c)
{
	bool was_line = parser->phase == WEIR_H1_CHUNK_SIZE_LF;

	parser->line_bytes++;
	parser->phase = chunked_step(parser, c);
	if (parser->phase == WEIR_H1_BROKEN || parser->line_bytes > CHUNKED_LINE_MAX)
		return chunked_refuse(parser);
	if (parser->phase == WEIR_H1_CHUNK_SIZE)
		parser->line_bytes = 0;
	return was_line ? chunked_begin(parser) : 0;
}

/* ------------------------------------------------------------------------------------------
 * Trailers
 */

static int chunked_keep(struct weir_h1_parser *parser, struct weir_arena *arena, const char *data,
			size_t size)
{
	size_t need = parser->trailer_size + size;
	char *room = parser->trailer;

	if (need > parser->trailer_room) {
		need = WEIR_MAX(need, WEIR_MAX(CHUNKED_SECTION_MIN, 2u * parser->trailer_room));
		room = weir_arena_alloc(arena, need);
		if (!room)
			return -ENOMEM;
		if (parser->trailer_size)
			memcpy(room, parser->trailer, parser->trailer_size);
		parser->trailer = room;
		parser->trailer_room = (uint32_t)need;
	}
	memcpy(room + parser->trailer_size, data, size);
	parser->trailer_size += (uint32_t)size;
	return 0;
}

static int chunked_add_trailer(struct weir_h1_parser *parser, struct weir_text line,
			       struct weir_headers *trailers)
{
	struct weir_text name, value;
	const char *why = weir_h1_split_field(line, &name, &value);

	if (why)
		return weir_h1_refuse(parser, 400, why);
	if (++parser->n_fields > parser->limits.fields)
		return weir_h1_refuse(parser, 431, "more trailers than the limit");
	if (weir_h1_trailer_is_forbidden(weir_header_id(name)))
		return 0;
	return weir_headers_add(trailers, name, value) ? -ENOMEM : 0;
}

/* All lines of the section, which ends with an empty one. */
static int chunked_add_trailers(struct weir_h1_parser *parser, struct weir_headers *trailers)
{
	struct weir_text rest = { parser->trailer, parser->trailer_size }, line, tail;
	int rc = 0;

	while (!rc && weir_text_split(rest, '\r', &line, &tail) && line.size > 0) {
		rc = chunked_add_trailer(parser, line, trailers);
		rest = (struct weir_text){ tail.data + 1, tail.size - 1 };
	}
	return rc;
}

/* 1: the section is complete. */
static int chunked_scan_trailers(struct weir_h1_parser *parser)
{
	int rc;

	while ((rc = weir_h1_next_line(parser->trailer, parser->trailer_size, &parser->seen)) > 0) {
		if (parser->seen - parser->next == 2)
			return 1;
		parser->next = parser->seen;
	}
	if (rc < 0)
		return weir_h1_refuse(parser, 400, weir_h1_bad_byte(parser->trailer[parser->seen]));
	return 0;
}

static void chunked_end(struct weir_h1_parser *parser)
{
	parser->phase = WEIR_H1_START_LINE;
	parser->seen = parser->next = 0;
	parser->n_fields = 0;
	parser->trailer = NULL;
	parser->trailer_size = parser->trailer_room = 0;
}

/* Takes line after line of the section out of DATA. */
static int chunked_read_trailers(struct weir_h1_parser *parser, const char *data, size_t size,
				 size_t *used, struct weir_headers *trailers)
{
	size_t max = (size_t)parser->limits.head_bytes + 2;

	while (*used < size) {
		const char *from = data + *used, *lf = memchr(from, '\n', size - *used);
		size_t n = lf ? (size_t)(lf - from) + 1 : size - *used;
		int rc;

		n = WEIR_MIN(n, max - parser->trailer_size);
		if (n == 0)
			return weir_h1_refuse(parser, 431,
					      "the trailers are longer than the limit");
		rc = chunked_keep(parser, trailers->arena, from, n);
		if (rc)
			return rc;
		*used += n;
		rc = chunked_scan_trailers(parser);
		if (rc > 0)
			rc = chunked_add_trailers(parser, trailers);
		else if (rc == 0)
			continue;
		if (rc)
			return rc;
		chunked_end(parser);
		return WEIR_H1_END;
	}
	return WEIR_H1_MORE;
}

int weir_h1_decode_chunked(struct weir_h1_parser *parser, const char *data, size_t size,
			   struct iovec *piece, size_t *used, struct weir_headers *trailers)
{
	*used = 0;
	if (parser->phase == WEIR_H1_BROKEN)
		return WEIR_EPROTO;
	assert(parser->phase >= WEIR_H1_CHUNK_SIZE);
	while (*used < size) {
		size_t n;
		int rc;

		if (parser->phase == WEIR_H1_TRAILERS)
			return chunked_read_trailers(parser, data, size, used, trailers);
		if (parser->phase != WEIR_H1_CHUNK_DATA) {
			rc = chunked_take(parser, data[(*used)++]);
			if (rc)
				return rc;
			continue;
		}
		n = WEIR_MIN(size - *used, parser->chunk);
		*piece = (struct iovec){ (void *)(data + *used), n };
		*used += n;
		parser->chunk -= n;
		if (parser->chunk == 0)
			parser->phase = WEIR_H1_CHUNK_DATA_CR;
		return WEIR_H1_PIECE;
	}
	return WEIR_H1_MORE;
}
