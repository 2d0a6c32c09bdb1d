/* SPDX-License-Identifier: MIT */

/*
 * RFC 9112, as far as a server on the same machine uses it: Content-Length, chunked, or a body up
 * to the end of the connection. What is ambiguous there (two lengths, a length and chunks, bare
 * line feeds, folded fields, interim responses) is refused.
 */

#include "tools/weirctl/response.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

void response_init(struct response *response)
{
	memset(response, 0, sizeof(*response));
}

void response_fini(struct response *response)
{
	weir_buffer_fini(&response->body);
	weir_buffer_fini(&response->input);
	response_init(response);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK"; the reason may be missing, its space too. */
static int status_line_read(struct response *response, const char *line, size_t size)
{
	if (size < 12 || (memcmp(line, "HTTP/1.1 ", 9) != 0 && memcmp(line, "HTTP/1.0 ", 9) != 0))
		return -EPROTO;
	for (size_t i = 9; i < 12; i++) {
		if (!is_digit(line[i]))
			return -EPROTO;
		response->status = response->status * 10 + (line[i] - '0');
	}
	if (response->status < 200 || response->status > 599 || (size > 12 && line[12] != ' '))
		return -EPROTO;
	response->state = RESPONSE_FIELDS;
	return 0;
}

static int length_read(struct response *response, const char *value, size_t size)
{
	if (size == 0 || size > 12 || response->has_length)
		return -EPROTO;
	response->has_length = true;
	for (size_t i = 0; i < size; i++) {
		if (!is_digit(value[i]))
			return -EPROTO;
		response->left = response->left * 10 + (uint64_t)(value[i] - '0');
	}
	return response->left > RESPONSE_BODY_MAX ? -E2BIG : 0;
}

static bool name_is(const char *name, size_t size, const char *expected)
{
	return size == strlen(expected) && strncasecmp(name, expected, size) == 0;
}

static int field_read(struct response *response, const char *line, size_t size)
{
	const char *colon = memchr(line, ':', size);
	const char *value, *end = line + size;
	size_t name_size;

	if (++response->fields > RESPONSE_FIELDS_MAX)
		return -E2BIG;
	if (!colon || colon == line)
		return -EPROTO;
	name_size = (size_t)(colon - line);
	for (size_t i = 0; i < name_size; i++) {
		if (line[i] <= ' ' || line[i] > '~')
			return -EPROTO;
	}
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
		;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (response->state == RESPONSE_TRAILERS)
		return 0;
	if (name_is(line, name_size, "Content-Length"))
		return length_read(response, value, (size_t)(end - value));
	if (name_is(line, name_size, "Transfer-Encoding")) {
		if (response->is_chunked || !name_is(value, (size_t)(end - value), "chunked"))
			return -EPROTO;
		response->is_chunked = true;
	}
	return 0;
}

/* The empty line behind the fields. */
static int fields_end(struct response *response)
{
	if (response->state == RESPONSE_TRAILERS)
		response->state = RESPONSE_DONE;
	else if (response->is_chunked && response->has_length)
		return -EPROTO;
	else if (response->status == 204 || response->status == 304)
		response->state = RESPONSE_DONE;
	else if (response->is_chunked)
		response->state = RESPONSE_CHUNK_SIZE;
	else if (!response->has_length)
		response->state = RESPONSE_BODY_REST;
	else
		response->state = response->left ? RESPONSE_BODY : RESPONSE_DONE;
	return 0;
}

/* Hexadecimal; extensions behind ';' mean nothing to us. */
static int chunk_size_read(struct response *response, const char *line, size_t size)
{
	size_t i;

	response->left = 0;
	for (i = 0; i < size && line[i] != ';'; i++) {
		const char *digits = "0123456789abcdef";
		char lower = line[i] >= 'A' && line[i] <= 'F' ? (char)(line[i] | 0x20) : line[i];
		const char *digit = lower ? strchr(digits, lower) : NULL;

		if (!digit)
			return -EPROTO;
		response->left = response->left << 4 | (uint64_t)(digit - digits);
		if (response->left > RESPONSE_BODY_MAX)
			return -E2BIG;
	}
	if (i == 0)
		return -EPROTO;
	response->state = response->left ? RESPONSE_CHUNK_DATA : RESPONSE_TRAILERS;
	return 0;
}

static int line_read(struct response *response, const char *line, size_t size)
{
	switch (response->state) {
	case RESPONSE_STATUS_LINE:
		return status_line_read(response, line, size);
	case RESPONSE_FIELDS:
	case RESPONSE_TRAILERS:
		return size ? field_read(response, line, size) : fields_end(response);
	case RESPONSE_CHUNK_SIZE:
		return chunk_size_read(response, line, size);
	case RESPONSE_CHUNK_END:
		response->state = RESPONSE_CHUNK_SIZE;
		return size ? -EPROTO : 0;
	default:
		return -EPROTO;
	}
}

/* 1 when a line was taken, 0 when there is none yet. */
static int line_take(struct response *response)
{
	size_t size = weir_buffer_size(&response->input);
	const char *line = weir_buffer_head(&response->input);
	const char *end = size ? memchr(line, '\n', WEIR_MIN(size, RESPONSE_LINE_MAX)) : NULL;
	size_t length;
	int status;

	if (!end)
		return size >= RESPONSE_LINE_MAX ? -E2BIG : 0;
	length = (size_t)(end - line);
	if (length == 0 || line[length - 1] != '\r')
		return -EPROTO;
	status = line_read(response, line, length - 1);
	if (status < 0)
		return status;
	weir_buffer_consume(&response->input, length + 1);
	return 1;
}

/* 1 when bytes of the body were taken, 0 when there are none yet. */
static int body_take(struct response *response)
{
	size_t size = weir_buffer_size(&response->input);
	int status;

	if (response->state != RESPONSE_BODY_REST)
		size = (size_t)WEIR_MIN((uint64_t)size, response->left);
	if (size == 0)
		return 0;
	if (size > RESPONSE_BODY_MAX - weir_buffer_size(&response->body))
		return -E2BIG;
	status = weir_buffer_append(&response->body, weir_buffer_head(&response->input), size);
	if (status < 0)
		return status;
	weir_buffer_consume(&response->input, size);
	if (response->state == RESPONSE_BODY_REST)
		return 1;
	response->left -= size;
	if (response->left == 0)
		response->state = response->state == RESPONSE_BODY ? RESPONSE_DONE
								   : RESPONSE_CHUNK_END;
	return 1;
}

int response_feed(struct response *response, const char *data, size_t size)
{
	int status = weir_buffer_append(&response->input, data, size);

	while (status >= 0) {
		switch (response->state) {
		case RESPONSE_DONE:
			/* Only one thing was asked. */
			return weir_buffer_size(&response->input) ? -EPROTO : 0;
		case RESPONSE_BODY:
		case RESPONSE_BODY_REST:
		case RESPONSE_CHUNK_DATA:
			status = body_take(response);
			break;
		default:
			status = line_take(response);
			break;
		}
		if (status == 0)
			return 0;
	}
	return status;
}

int response_end(struct response *response)
{
	if (response->state == RESPONSE_BODY_REST)
		response->state = RESPONSE_DONE;
	return response->state == RESPONSE_DONE ? 0 : -EPROTO;
}
