/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <weir/scope.h>

#include "proxy/deadline.h"

struct deadline {
	struct weir_body body;
	struct weir_body *inner; /* owned */
	uint64_t at;
	bool passed;
};

static struct deadline *deadline_of(struct weir_body *body)
{
	return weir_container_of(body, struct deadline, body);
}

static int deadline_wait(struct deadline *deadline, struct iovec *piece)
{
	struct weir_scope scope;
	int status;

	weir_scope_init(&scope, NULL);
	weir_scope_set_deadline(&scope, deadline->at);
	weir_scope_enter(&scope);
	status = weir_body_next(deadline->inner, piece, true);
	deadline->passed = status < 0 && weir_scope_check(&scope) == -ETIMEDOUT;
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return status;
}

/* What is there is handed out without a look at the clock. */
static int deadline_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct deadline *deadline = deadline_of(body);
	int status = deadline->passed ? -ETIMEDOUT : weir_body_next(deadline->inner, piece, false);

	if (status == -EAGAIN && wait)
		status = deadline_wait(deadline, piece);
	if (status >= 0) {
		body->ended = deadline->inner->ended;
		body->trailers = deadline->inner->trailers;
	}
	return status;
}

static void deadline_free(struct weir_body *body)
{
	weir_body_free(deadline_of(body)->inner);
}

static const struct weir_body_ops deadline_ops = {
	.name = "deadline",
	.next = deadline_next,
	.free = deadline_free,
};

struct weir_body *deadline_body(struct weir_arena *arena, struct weir_body *inner, uint64_t at)
{
	struct deadline *deadline = weir_arena_zalloc(arena, sizeof(*deadline));

	if (!deadline)
		return NULL;
	deadline->body.ops = &deadline_ops;
	deadline->body.size = inner->size;
	deadline->inner = inner;
	deadline->at = at;
	return &deadline->body;
}
