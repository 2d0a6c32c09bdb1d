/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_BYTERANGES_H
#define WEIR_PROXY_BYTERANGES_H

/*
 * Several parts of one file as one body: multipart/byteranges (RFC 9110 section 14.6).
 */

#include <weir/body.h>

#include "proxy/conditions.h"

#define BYTERANGES_TYPE_BYTES 64

/* A body of the RANGES of a file of SIZE bytes and of type TYPE (borrowed); takes FD over in every
 * case. CONTENT_TYPE takes what the response says its own type is. NULL when memory is out. */
struct weir_body *byteranges_body(struct weir_arena *arena, int fd, const struct ranges *ranges,
				  uint64_t size, const char *type,
				  char content_type[BYTERANGES_TYPE_BYTES]) WEIR_MUST_CHECK;

#endif
