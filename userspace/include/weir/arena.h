/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ARENA_H
#define WEIR_ARENA_H

/*
 * Memory that ends together: of one configuration, one connection, one call. Nothing in it is
 * freed singly. Not thread-safe: one arena, one worker.
 */

#include <stdarg.h>

#include <weir/base.h>

struct weir_arena_chunk;

struct weir_arena {
	struct weir_arena_chunk *chunks; /* private: newest first */
	char *next;			 /* private */
	char *end;			 /* private */
	size_t chunk_bytes;		 /* private: size of the next ordinary chunk */
	size_t used_bytes;		 /* handed out so far; read-only */
};

/* An empty arena; the first allocation takes a chunk of CHUNK_BYTES (0: 1 KiB). Chunks double
 * up to 64 KiB. Caller's memory. */
void weir_arena_init(struct weir_arena *arena, size_t chunk_bytes);

/* Frees everything in it; the arena may be used again. */
void weir_arena_fini(struct weir_arena *arena);

/* SIZE bytes, aligned for any type, not cleared. NULL when memory is out. */
void *weir_arena_alloc(struct weir_arena *arena, size_t size) WEIR_MUST_CHECK;
/* The same, cleared. */
void *weir_arena_zalloc(struct weir_arena *arena, size_t size) WEIR_MUST_CHECK;
/* Copies; the string forms terminate. */
void *weir_arena_memdup(struct weir_arena *arena, const void *data, size_t size) WEIR_MUST_CHECK;
char *weir_arena_strdup(struct weir_arena *arena, const char *text) WEIR_MUST_CHECK;
char *weir_arena_strndup(struct weir_arena *arena, const char *text, size_t size) WEIR_MUST_CHECK;
char *weir_arena_printf(struct weir_arena *arena, const char *format, ...) WEIR_PRINTF(2, 3)
	WEIR_MUST_CHECK;
char *weir_arena_vprintf(struct weir_arena *arena, const char *format, va_list args)
	WEIR_PRINTF(2, 0) WEIR_MUST_CHECK;

#endif
