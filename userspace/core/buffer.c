/* SPDX-License-Identifier: MIT */

/*
 * Room at the tail comes first from moving the bytes to the front, when at least half of the
 * memory lies before them (so that each byte is moved a bounded number of times), else from
 * doubling.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/buffer.h>

#include "core/blocks.h"

#define BUFFER_MIN 256

void weir_buffer_init(struct weir_buffer *buffer)
{
	memset(buffer, 0, sizeof(*buffer));
}

void weir_buffer_fini(struct weir_buffer *buffer)
{
	if (buffer->data)
		block_put(buffer->data, buffer->capacity);
	weir_buffer_init(buffer);
}

static int buffer_grow(struct weir_buffer *buffer, size_t needed)
{
	size_t capacity = WEIR_MAX(buffer->capacity, BUFFER_MIN);
	char *data;

	while (capacity < needed)
		capacity *= 2;
	data = block_get(capacity);
	if (!data)
		return -ENOMEM;
	if (weir_buffer_size(buffer))
		memcpy(data, weir_buffer_head(buffer), weir_buffer_size(buffer));
	block_put(buffer->data, buffer->capacity);
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

int weir_buffer_reserve(struct weir_buffer *buffer, size_t size)
{
	size_t used = weir_buffer_size(buffer);
	int status;

	if (buffer->capacity - buffer->tail >= size)
		return 0;
	if (size > SIZE_MAX / 4 || used > SIZE_MAX / 4)
		return -ENOMEM;
	if (used + size <= buffer->capacity && buffer->head >= buffer->capacity / 2) {
		memmove(buffer->data, weir_buffer_head(buffer), used);
	} else {
		status = buffer_grow(buffer, used + size);
		if (status)
			return status;
	}
	buffer->head = 0;
	buffer->tail = used;
	return 0;
}

void weir_buffer_commit(struct weir_buffer *buffer, size_t size)
{
	assert(size <= buffer->capacity - buffer->tail);
	buffer->tail += size;
}

void weir_buffer_consume(struct weir_buffer *buffer, size_t size)
{
	if (size >= weir_buffer_size(buffer))
		weir_buffer_clear(buffer);
	else
		buffer->head += size;
}

void weir_buffer_clear(struct weir_buffer *buffer)
{
	buffer->head = 0;
	buffer->tail = 0;
}

int weir_buffer_append(struct weir_buffer *buffer, const void *data, size_t size)
{
	int status;

	if (!size)
		return 0;
	status = weir_buffer_reserve(buffer, size);
	if (status)
		return status;
	memcpy(weir_buffer_tail(buffer), data, size);
	buffer->tail += size;
	return 0;
}

int weir_buffer_printf(struct weir_buffer *buffer, const char *format, ...)
{
	va_list args;
	int length, status;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		return -ENOMEM;
	/* The terminator is written behind the tail and not counted. */
	status = weir_buffer_reserve(buffer, (size_t)length + 1);
	if (status)
		return status;
	va_start(args, format);
	vsnprintf(weir_buffer_tail(buffer), (size_t)length + 1, format, args);
	va_end(args);
	buffer->tail += (size_t)length;
	return 0;
}
