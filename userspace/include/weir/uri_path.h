/* SPDX-License-Identifier: MIT */
#ifndef WEIR_URI_PATH_H
#define WEIR_URI_PATH_H

/*
 * Paths of requests in normal form, so that a rule about /admin cannot be evaded by writing
 * /%61dmin, /x/../admin or //admin (RFC 3986 section 6.2.2).
 */

#include <stdbool.h>

#include <weir/arena.h>
#include <weir/text.h>

/* The normal form of PATH into *OUT: unreserved characters decoded, other escapes in upper case
 * and never decoded (so %2F is no slash, and nothing is decoded twice), dot segments resolved, and
 * with MERGE_SLASHES empty segments but the last taken out. PATH itself when it is normal already,
 * else memory of ARENA. What does not start with "/" is left alone. 0, -ENOMEM, or -EINVAL for a
 * "%" that starts no escape. */
int weir_uri_path_normalise(struct weir_arena *arena, struct weir_text path, bool merge_slashes,
			    struct weir_text *out) WEIR_MUST_CHECK;

/* All escapes decoded, for names of files: terminated, in ARENA. 0, -ENOMEM, or -EINVAL for a
 * wrong escape and for what would become a NUL or a slash. */
int weir_uri_path_decode(struct weir_arena *arena, struct weir_text path, char **out)
	WEIR_MUST_CHECK;

/* The value of two hexadecimal digits at TEXT + 1 .. TEXT + 2, or -1. At least SIZE bytes lie at
 * TEXT. */
int weir_uri_escape(const char *text, size_t size);

#endif
