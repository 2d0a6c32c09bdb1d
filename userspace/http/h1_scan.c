/* SPDX-License-Identifier: MIT */
#include <endian.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <weir/error.h>

#include "http/chars.h"
#include "http/h1_scan.h"

#ifdef __SSE2__

/* How many bytes scan_controls() looks at, and how many bits of its result stand for one. */
#define SCAN_BYTES 16
#define SCAN_BITS  1

/* All bits of each byte that is a control character but tab: below space (that is: equal to the
 * smaller of itself and 0x1f), or DEL. */
static __m128i scan_mark_controls(const char *data)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)data);
	__m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
	__m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
	__m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));

	return _mm_or_si128(_mm_andnot_si128(tab, low), del);
}

static uint64_t scan_controls(const char *data)
{
	return (uint64_t)_mm_movemask_epi8(scan_mark_controls(data));
}

/* The same for the SIZE < SCAN_BYTES last bytes of a text. */
static uint64_t scan_last_controls(const char *end, size_t size)
{
	return scan_controls(end - SCAN_BYTES) >> (SCAN_BYTES - size);
}

/* Of so many steps. A marked byte is -1, and sums of up to 255 stay within their bytes. */
static size_t scan_sum_controls(const char *data, size_t steps)
{
	__m128i sums = _mm_setzero_si128();

	for (size_t i = 0; i < steps; i++)
		sums = _mm_sub_epi8(sums, scan_mark_controls(data + i * SCAN_BYTES));
	sums = _mm_sad_epu8(sums, _mm_setzero_si128());
	return (size_t)_mm_cvtsi128_si32(sums) + (size_t)_mm_extract_epi16(sums, 4);
}

/* Of a text of SCAN_BYTES or more. */
static size_t scan_count_controls(const char *data, size_t size)
{
	size_t n = 0, steps, rest = size % SCAN_BYTES;

	if (rest > 0)
		n = (size_t)__builtin_popcountll(scan_last_controls(data + size, rest));
	for (size_t left = size / SCAN_BYTES; left > 0; left -= steps) {
		steps = WEIR_MIN(left, 255);
		n += scan_sum_controls(data, steps);
		data += steps * SCAN_BYTES;
	}
	return n;
}

#else

#define SCAN_BYTES   8
#define SCAN_BITS    8
#define SCAN_EACH(c) (0x0101010101010101u * (uint8_t)(c))

/* Bit 7 of each lane whose byte is zero. Borrows make lanes above a true one wrong, never those
 * below: the lowest is exact. */
static uint64_t scan_zeros(uint64_t bytes)
{
	return (bytes - SCAN_EACH(1)) & ~bytes & SCAN_EACH(0x80);
}

/* The same on any processor, but that tabs are told too: scan_to_control() goes on behind them. */
static uint64_t scan_controls(const char *data)
{
	uint64_t bytes;

	memcpy(&bytes, data, sizeof(bytes));
	bytes = le64toh(bytes);
	return ((bytes - SCAN_EACH(' ')) & ~bytes & SCAN_EACH(0x80)) |
	       scan_zeros(bytes ^ SCAN_EACH(0x7f));
}

static uint64_t scan_last_controls(const char *end, size_t size)
{
	char padded[SCAN_BYTES];

	memset(padded, ' ', sizeof(padded));
	memcpy(padded, end - size, size);
	return scan_controls(padded);
}

#endif

/* The first control character but tab at or after P; END when there is none. START: of the text. */
static const char *scan_to_control(const char *start, const char *p, const char *end)
{
	for (;;) {
		uint64_t found = 0;

		while (end - p >= SCAN_BYTES && !(found = scan_controls(p)))
			p += SCAN_BYTES;
		if (!found && p < end && end - start >= SCAN_BYTES)
			found = scan_last_controls(end, (size_t)(end - p));
		if (found)
			p += __builtin_ctzll(found) / SCAN_BITS;
		else if (end - start >= SCAN_BYTES)
			p = end;
		else
			while (p < end && weir_char_is(*p, WEIR_CHAR_VALUE))
				p++;
		if (p == end || *p != '\t')
			return p;
		p++;
	}
}

/* Byte by byte: short texts, and processors whose steps tell no more than the first one. */
static size_t scan_count_slowly(const char *data, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += !weir_char_is(data[i], WEIR_CHAR_VALUE);
	return n;
}

size_t weir_h1_count_controls(const char *data, size_t size)
{
#ifdef __SSE2__
	if (size >= SCAN_BYTES)
		return scan_count_controls(data, size);
#endif
	return scan_count_slowly(data, size);
}

int weir_h1_next_line(const char *data, size_t size, size_t *seen)
{
	const char *end = data + size;
	const char *p = scan_to_control(data, data + *seen, end);

	*seen = (size_t)(p - data);
	if (end - p < 2 && (p == end || *p == '\r'))
		return 0;
	if (p[0] != '\r' || p[1] != '\n')
		return WEIR_EPROTO;
	*seen += 2;
	return 1;
}

const char *weir_h1_bad_byte(char c)
{
	switch (c) {
	case '\n':
		return "a line feed without carriage return";
	case '\r':
		return "a carriage return without line feed";
	case '\0':
		return "a NUL";
	default:
		return "a control character";
	}
}

static bool scan_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1": eight bytes in this case and no other. 0, or the status that refuses it. */
static unsigned scan_version(const char *text, enum weir_http_version *version)
{
	if (memcmp(text, "HTTP/", 5) || !scan_is_digit(text[5]) || text[6] != '.' ||
	    !scan_is_digit(text[7]))
		return 400;
	if (text[5] != '1' || text[7] > '1')
		return 505;
	*version = text[7] == '1' ? WEIR_HTTP_1_1 : WEIR_HTTP_1_0;
	return 0;
}

unsigned weir_h1_split_request_line(struct weir_text line, struct weir_h1_request_line *parts,
				    const char **why)
{
	struct weir_text rest;
	unsigned status;

	if (!weir_text_split(line, ' ', &parts->method, &rest) || parts->method.size == 0 ||
	    !weir_chars_are(parts->method.data, parts->method.size, WEIR_CHAR_TOKEN)) {
		*why = "the request line does not begin with a method";
		return 400;
	}
	/* "x HTTP/1.1" */
	if (rest.size < 10 || rest.data[rest.size - 9] != ' ') {
		*why = "the request line does not end with a version";
		return 400;
	}
	status = scan_version(rest.data + rest.size - 8, &parts->version);
	if (status) {
		*why = status == 505 ? "the version is neither HTTP/1.1 nor HTTP/1.0"
				     : "the request line does not end with a version";
		return status;
	}
	parts->target = (struct weir_text){ rest.data, rest.size - 9 };
	if (memchr(parts->target.data, ' ', parts->target.size)) {
		*why = "a space in the request target";
		return 400;
	}
	return 0;
}

/* The space behind the status is missing in the lines of some servers that give no reason; this
 * is read as they mean it. */
const char *weir_h1_split_status_line(struct weir_text line, struct weir_h1_status_line *parts)
{
	const char *text = line.data;

	if (line.size < 12 || text[8] != ' ' || scan_version(text, &parts->version))
		return "the status line does not begin with HTTP/1.1 or HTTP/1.0";
	if (text[9] < '1' || text[9] > '9' || !scan_is_digit(text[10]) ||
	    !scan_is_digit(text[11]) || (line.size > 12 && text[12] != ' '))
		return "the status is not a number of three digits";
	parts->status = (unsigned)(text[9] - '0') * 100 + (unsigned)(text[10] - '0') * 10 +
			(unsigned)(text[11] - '0');
	parts->reason = (struct weir_text){ NULL, 0 };
	if (line.size > 12)
		parts->reason = (struct weir_text){ text + 13, line.size - 13 };
	return NULL;
}

static const char *scan_spaces(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

const char *weir_h1_match_field(const char *line, enum weir_header_id id, struct weir_text name,
				struct weir_text *value)
{
	const char *p = line + name.size;

	*value = weir_text_trim(*value);
	if (name.data != line || name.size == 0 || *p != ':')
		return NULL;
	if (id == WEIR_HEADER_OTHER && !weir_chars_are(name.data, name.size, WEIR_CHAR_TOKEN))
		return NULL;
	p = scan_spaces(p + 1);
	if (value->size > 0 && value->data != p)
		return NULL;
	p = scan_spaces(p + value->size);
	return p[0] == '\r' && p[1] == '\n' ? p + 2 : NULL;
}

const char *weir_h1_split_field(struct weir_text line, struct weir_text *name,
				struct weir_text *value)
{
	if (!weir_text_split(line, ':', name, value))
		return "a field line without colon";
	if (name->size == 0 || !weir_chars_are(name->data, name->size, WEIR_CHAR_TOKEN))
		return "a field name that is no token";
	*value = weir_text_trim(*value);
	return NULL;
}
