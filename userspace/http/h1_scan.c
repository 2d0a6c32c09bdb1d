/* SPDX-License-Identifier: MIT */
#include <endian.h>

#include <weir/error.h>

#include "http/chars.h"
#include "http/h1_scan.h"

#define EACH_BYTE(c) (0x0101010101010101u * (uint8_t)(c))

/* Bit 7 of each lane whose byte is below space or DEL. Borrows make lanes above a true one
 * wrong, never those below: the lowest is exact. */
static uint64_t scan_controls(const char *data)
{
	uint64_t bytes, del;

	memcpy(&bytes, data, sizeof(bytes));
	bytes = le64toh(bytes);
	del = bytes ^ EACH_BYTE(0x7f);
	return (((bytes - EACH_BYTE(' ')) & ~bytes) | ((del - EACH_BYTE(1)) & ~del)) &
	       EACH_BYTE(0x80);
}

/* The first control character but tab at or after P; END when there is none. */
static const char *scan_to_control(const char *p, const char *end)
{
	for (;;) {
		uint64_t found = 0;

		while (end - p >= 8 && !(found = scan_controls(p)))
			p += 8;
		if (found)
			p += __builtin_ctzll(found) / 8;
		else
			while (p < end && weir_char_is(*p, WEIR_CHAR_VALUE))
				p++;
		if (p == end || *p != '\t')
			return p;
		p++;
	}
}

int weir_h1_next_line(const char *data, size_t size, size_t *seen)
{
	const char *end = data + size;
	const char *p = scan_to_control(data + *seen, end);

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
