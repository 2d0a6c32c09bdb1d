/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_REPLAY_H
#define WEIR_PROXY_REPLAY_H

/*
 * A request's body that can be sent again: a body around a body that keeps what it has handed out, up
 * to a limit. Beyond the limit, and when told so, it keeps nothing and only passes on.
 */

#include <weir/body.h>
#include <weir/buffer.h>

struct replay {
	struct weir_body body;
	struct weir_body *inner; /* owned: freed with this one */
	struct weir_buffer kept; /* from the first byte on */
	size_t at;		 /* what of it this round has handed out */
	size_t max;
	bool gone; /* not all is kept any more */
};

/* Takes INNER over. In the call's arena; NULL when memory is out. */
struct replay *replay_new(struct weir_arena *arena, struct weir_body *inner, size_t max)
	WEIR_MUST_CHECK;
/* From the first byte again. False when that is not possible. */
bool replay_rewind(struct replay *replay) WEIR_MUST_CHECK;
/* It will not be asked to rewind. */
void replay_let_go(struct replay *replay);

#endif
