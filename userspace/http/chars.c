/* SPDX-License-Identifier: MIT */
#include "http/chars.h"

#define V WEIR_CHAR_VALUE
#define T WEIR_CHAR_TOKEN
#define P (WEIR_CHAR_PATH | WEIR_CHAR_QUERY)
#define Q WEIR_CHAR_QUERY
#define H WEIR_CHAR_HOST
#define X WEIR_CHAR_HEX

const uint8_t weir_chars[256] = {
	['\t'] = V,
	[' '] = V,
	['"'] = V,
	['#'] = V | T,
	['\\'] = V,
	['<'] = V,
	['>'] = V,
	[0x80 ... 0xff] = V,
	['!'] = V | T | P,
	['$'] = V | T | P,
	['%'] = V | T | P,
	['&'] = V | T | P,
	['\''] = V | T | P,
	['('] = V | P,
	[')'] = V | P,
	['*'] = V | T | P,
	['+'] = V | T | P,
	[','] = V | P,
	['-'] = V | T | P | H,
	['.'] = V | T | P | H,
	['/'] = V | P,
	['0' ... '9'] = V | T | P | H | X,
	[':'] = V | P,
	[';'] = V | P,
	['='] = V | P,
	['?'] = V | Q,
	['@'] = V | P,
	['A' ... 'F'] = V | T | P | H | X,
	['G' ... 'Z'] = V | T | P | H,
	['['] = V | P,
	[']'] = V | P,
	['^'] = V | T | P,
	['_'] = V | T | P | H,
	['`'] = V | T | Q,
	['a' ... 'f'] = V | T | P | H | X,
	['g' ... 'z'] = V | T | P | H,
	['{'] = V | Q,
	['|'] = V | T | P,
	['}'] = V | Q,
	['~'] = V | T | P | H,
};
