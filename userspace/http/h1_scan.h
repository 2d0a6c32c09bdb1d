/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_H1_SCAN_H
#define WEIR_HTTP_H1_SCAN_H

/*
 * Lines and the bytes in them, before anything is made of their meaning (RFC 9112 section 2.2,
 * RFC 9110 section 5.5): a line ends with CR LF, and neither comes alone; no control character
 * but tab stands anywhere.
 */

#include <stdbool.h>

#include <weir/message.h>

/* Looks on from DATA + *SEEN for the end of the line. 1: it ends before DATA + *SEEN, CR LF
 * included; 0: more bytes are needed; WEIR_EPROTO: the byte at DATA + *SEEN must not be there. */
int weir_h1_next_line(const char *data, size_t size, size_t *seen);

/* How many control characters but tab are in a text. */
size_t weir_h1_count_controls(const char *data, size_t size);

/* What is wrong with that byte. Static memory. */
const char *weir_h1_bad_byte(char c);

/* The parts of a request line (without CR LF). */
struct weir_h1_request_line {
	struct weir_text method;
	struct weir_text target;
	enum weir_http_version version;
};

/* 0, or the status that refuses it and *WHY. */
unsigned weir_h1_split_request_line(struct weir_text line, struct weir_h1_request_line *parts,
				    const char **why);

/* The parts of a status line. */
struct weir_h1_status_line {
	enum weir_http_version version;
	unsigned status;
	struct weir_text reason;
};

/* NULL, or what is wrong. Static memory. */
const char *weir_h1_split_status_line(struct weir_text line, struct weir_h1_status_line *parts);

/* A field line: a token, a colon behind it at once, a value between optional white space. NULL,
 * or what is wrong. */
const char *weir_h1_split_field(struct weir_text line, struct weir_text *name,
				struct weir_text *value);

/* Whether the field line at LINE, in a head that was scanned, is NAME, a colon, and VALUE (which is
 * trimmed) between optional white space: byte for byte, nothing before, between or behind. ID is
 * the name's: one that is known is a token. Where the next line begins, or NULL. */
const char *weir_h1_match_field(const char *line, enum weir_header_id id, struct weir_text name,
				struct weir_text *value);

#endif
