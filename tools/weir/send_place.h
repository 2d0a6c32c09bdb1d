/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOOL_SEND_PLACE_H
#define WEIR_TOOL_SEND_PLACE_H

/*
 * Where a request goes: the parts of a URL.
 */

#include <stdbool.h>

#include <weir/address.h>
#include <weir/arena.h>
#include <weir/error.h>
#include <weir/text.h>

struct place {
	struct weir_text scheme, authority, path, query;
	bool is_secure; /* https */
};

/* Reads a URL; http:// may be left out, and what comes behind # is for the reader alone. Text lies in
 * ARENA. 0; else ERROR says why not. */
int place_parse(struct place *place, const char *url, struct weir_arena *arena,
		struct weir_error *error) WEIR_MUST_CHECK;
/* Host and port of it. */
int place_target(const struct place *place, struct weir_target *target, struct weir_error *error)
	WEIR_MUST_CHECK;
/* What LOCATION means to who stands at PLACE: a URL in ARENA, or NULL when memory is out. */
const char *place_resolve(const struct place *place, struct weir_text location,
			  struct weir_arena *arena) WEIR_MUST_CHECK;
/* Same scheme, host and port (RFC 6454). */
bool place_is_same_origin(const struct place *a, const struct place *b);

#endif
