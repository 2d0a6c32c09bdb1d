/* SPDX-License-Identifier: MIT */

/*
 * Bump allocation in a list of chunks. The newest ordinary chunk is the one that is filled;
 * something too large for it gets a chunk of its own behind it, so that the rest of the newest
 * chunk is not lost.
 *
 * Under AddressSanitizer a chunk is poisoned but for what was handed out, with a gap between any
 * two allocations: a run over the end of one is reported as it would be with malloc(3).
 */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <weir/arena.h>

#include "core/blocks.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define ARENA_GAP 16
#else
#define ARENA_GAP 0
#endif

#define ARENA_ALIGN	_Alignof(max_align_t)
#define ARENA_CHUNK_MIN 1024
#define ARENA_CHUNK_MAX 65536

struct weir_arena_chunk {
	struct weir_arena_chunk *older;
	size_t size; /* of data */
	_Alignas(max_align_t) char data[];
};

static void chunk_poison(const void *data, size_t size)
{
#ifdef ARENA_ASAN
	__asan_poison_memory_region(data, size);
#else
	(void)data;
	(void)size;
#endif
}

static void chunk_unpoison(const void *data, size_t size)
{
#ifdef ARENA_ASAN
	__asan_unpoison_memory_region(data, size);
#else
	(void)data;
	(void)size;
#endif
}

static struct weir_arena_chunk *chunk_new(size_t size)
{
	struct weir_arena_chunk *chunk = block_get(sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->older = NULL;
	chunk->size = size;
	chunk_poison(chunk->data, size);
	return chunk;
}

void weir_arena_init(struct weir_arena *arena, size_t chunk_bytes)
{
	memset(arena, 0, sizeof(*arena));
	arena->chunk_bytes = chunk_bytes ? chunk_bytes : ARENA_CHUNK_MIN;
}

void weir_arena_fini(struct weir_arena *arena)
{
	struct weir_arena_chunk *chunk = arena->chunks;

	while (chunk) {
		struct weir_arena_chunk *older = chunk->older;

		chunk_unpoison(chunk->data, chunk->size);
		block_put(chunk, sizeof(*chunk) + chunk->size);
		chunk = older;
	}
	arena->chunks = NULL;
	arena->next = NULL;
	arena->end = NULL;
	arena->used_bytes = 0;
}

/* A chunk for this allocation alone, behind the one that is being filled. */
static char *arena_take_large(struct weir_arena *arena, size_t room)
{
	struct weir_arena_chunk *chunk = chunk_new(room);

	if (!chunk)
		return NULL;
	if (arena->chunks) {
		chunk->older = arena->chunks->older;
		arena->chunks->older = chunk;
	} else {
		arena->chunks = chunk;
	}
	return chunk->data;
}

/* The next ordinary chunk; twice as large as the one before. */
static char *arena_take_fresh(struct weir_arena *arena, size_t room)
{
	size_t size = arena->chunk_bytes - sizeof(struct weir_arena_chunk);
	struct weir_arena_chunk *chunk = chunk_new(size);

	if (!chunk)
		return NULL;
	chunk->older = arena->chunks;
	arena->chunks = chunk;
	arena->next = chunk->data + room;
	arena->end = chunk->data + size;
	if (arena->chunk_bytes < ARENA_CHUNK_MAX)
		arena->chunk_bytes = WEIR_MIN(2 * arena->chunk_bytes, ARENA_CHUNK_MAX);
	return chunk->data;
}

void *weir_arena_alloc(struct weir_arena *arena, size_t size)
{
	size_t room, ordinary = 0;
	char *data;

	if (size > SIZE_MAX / 4)
		return NULL;
	/* An empty allocation has an address of its own, too. */
	room = (WEIR_MAX(size, 1) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN + ARENA_GAP;
	if (arena->chunk_bytes > sizeof(struct weir_arena_chunk))
		ordinary = arena->chunk_bytes - sizeof(struct weir_arena_chunk);

	if ((size_t)(arena->end - arena->next) >= room) {
		data = arena->next;
		arena->next += room;
	} else if (room > ordinary / 2) {
		data = arena_take_large(arena, room);
	} else {
		data = arena_take_fresh(arena, room);
	}
	if (!data)
		return NULL;
	assert((uintptr_t)data % ARENA_ALIGN == 0);
	arena->used_bytes += size;
	chunk_unpoison(data, size);
	return data;
}

void *weir_arena_zalloc(struct weir_arena *arena, size_t size)
{
	void *data = weir_arena_alloc(arena, size);

	if (data)
		memset(data, 0, size);
	return data;
}

void *weir_arena_memdup(struct weir_arena *arena, const void *data, size_t size)
{
	void *copy = weir_arena_alloc(arena, size);

	if (copy && size)
		memcpy(copy, data, size);
	return copy;
}

char *weir_arena_strdup(struct weir_arena *arena, const char *text)
{
	return weir_arena_memdup(arena, text, strlen(text) + 1);
}

char *weir_arena_strndup(struct weir_arena *arena, const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	char *copy = length < SIZE_MAX ? weir_arena_alloc(arena, length + 1) : NULL;

	if (!copy)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *weir_arena_vprintf(struct weir_arena *arena, const char *format, va_list args)
{
	va_list again;
	char *text = NULL;
	int length;

	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	if (length >= 0)
		text = weir_arena_alloc(arena, (size_t)length + 1);
	if (text)
		vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

char *weir_arena_printf(struct weir_arena *arena, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = weir_arena_vprintf(arena, format, args);
	va_end(args);
	return text;
}
