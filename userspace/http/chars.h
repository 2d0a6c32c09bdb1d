/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_CHARS_H
#define WEIR_HTTP_CHARS_H

/* Which bytes may stand where, as bits of a table. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_char {
	WEIR_CHAR_TOKEN = 1,  /* tchar, RFC 9110 section 5.6.2 */
	WEIR_CHAR_HOST = 2,   /* unreserved, RFC 3986 section 2.3: of names and IPv4 addresses */
	WEIR_CHAR_PATH = 4,   /* of a path; see uri.c for what is more than RFC 3986 has */
	WEIR_CHAR_QUERY = 8,  /* of a query */
	WEIR_CHAR_HEX = 16,   /* HEXDIG, both cases */
	WEIR_CHAR_VALUE = 32, /* of a field's value, RFC 9110 section 5.5: no controls but tab */
};

extern const uint8_t weir_chars[256];

static inline bool weir_char_is(char c, enum weir_char kind)
{
	return weir_chars[(unsigned char)c] & kind;
}

/* Whether each of SIZE bytes is of that kind. */
static inline bool weir_chars_are(const char *data, size_t size, enum weir_char kind)
{
	uint8_t all = (uint8_t)kind;

	for (size_t i = 0; i < size; i++)
		all &= weir_chars[(unsigned char)data[i]];
	return all != 0;
}

#endif
