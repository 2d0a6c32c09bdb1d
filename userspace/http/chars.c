/* SPDX-License-Identifier: MIT */
#include "http/chars.h"

#define V WEIR_CHAR_VALUE
#define T (V | WEIR_CHAR_TOKEN)
#define P (V | WEIR_CHAR_PATH | WEIR_CHAR_QUERY)
#define Q (V | WEIR_CHAR_QUERY)
#define H WEIR_CHAR_HOST
#define X WEIR_CHAR_HEX

const uint8_t weir_chars[256] = {
	['\t'] = V,
	[' '] = V,
	['"'] = V,
	['#'] = T,
	['\\'] = V,
	['<'] = V,
	['>'] = V,
	[0x80 ... 0xff] = V,
	['!'] = T | P,
	['$'] = T | P,
	['%'] = T | P,
	['&'] = T | P,
	['\''] = T | P,
	['('] = P,
	[')'] = P,
	['*'] = T | P,
	['+'] = T | P,
	[','] = P,
	['-'] = T | P | H,
	['.'] = T | P | H,
	['/'] = P,
	['0' ... '9'] = T | P | H | X,
	[':'] = P,
	[';'] = P,
	['='] = P,
	['?'] = Q,
	['@'] = P,
	['A' ... 'F'] = T | P | H | X,
	['G' ... 'Z'] = T | P | H,
	['['] = P,
	[']'] = P,
	['^'] = T | P,
	['_'] = T | P | H,
	['`'] = T | Q,
	['a' ... 'f'] = T | P | H | X,
	['g' ... 'z'] = T | P | H,
	['{'] = Q,
	['|'] = T | P,
	['}'] = Q,
	['~'] = T | P | H,
};
