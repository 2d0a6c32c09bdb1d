/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_DEADLINE_H
#define WEIR_PROXY_DEADLINE_H

/*
 * A body that must have been read by a moment: next() returns -ETIMEDOUT after it. The kernel does not
 * move its bytes, because nobody would look at the clock.
 */

#include <weir/body.h>

/* Takes INNER over. In ARENA; NULL when memory is out, then INNER stays the caller's. */
struct weir_body *deadline_body(struct weir_arena *arena, struct weir_body *inner,
				uint64_t deadline) WEIR_MUST_CHECK;

#endif
