/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BUFFER_H
#define WEIR_BUFFER_H

/*
 * A growing run of bytes: written at its tail, read from its head. Heap memory, owned by the
 * struct. The bytes are at data + head, `tail - head` of them.
 */

#include <stdarg.h>

#include <weir/base.h>

struct weir_buffer {
	char *data;
	size_t head;
	size_t tail;
	size_t capacity;
};

/* Empty; takes no memory yet. All-zero is the same. */
void weir_buffer_init(struct weir_buffer *buffer);
void weir_buffer_fini(struct weir_buffer *buffer);

static inline size_t weir_buffer_size(const struct weir_buffer *buffer)
{
	return buffer->tail - buffer->head;
}

/* NULL while the buffer has no memory. */
static inline char *weir_buffer_head(const struct weir_buffer *buffer)
{
	return buffer->data ? buffer->data + buffer->head : NULL;
}

/* Makes room for SIZE more bytes at the tail. 0 or -ENOMEM. Moves the bytes. */
int weir_buffer_reserve(struct weir_buffer *buffer, size_t size) WEIR_MUST_CHECK;
/* Where to write after weir_buffer_reserve(); then weir_buffer_commit() what was written. */
static inline char *weir_buffer_tail(const struct weir_buffer *buffer)
{
	return buffer->data ? buffer->data + buffer->tail : NULL;
}
void weir_buffer_commit(struct weir_buffer *buffer, size_t size);
/* Drops SIZE bytes at the head (at most what there is). */
void weir_buffer_consume(struct weir_buffer *buffer, size_t size);
/* Drops all bytes and keeps the memory. */
void weir_buffer_clear(struct weir_buffer *buffer);
/* Copies bytes to the tail. 0 or -ENOMEM. */
int weir_buffer_append(struct weir_buffer *buffer, const void *data, size_t size) WEIR_MUST_CHECK;
int weir_buffer_printf(struct weir_buffer *buffer, const char *format, ...) WEIR_PRINTF(2, 3)
	WEIR_MUST_CHECK;

#endif
