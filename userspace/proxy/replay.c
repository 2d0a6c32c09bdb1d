/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "proxy/replay.h"

static struct replay *replay_of(struct weir_body *body)
{
	return weir_container_of(body, struct replay, body);
}

static void replay_note_end(struct replay *replay)
{
	replay->body.ended = replay->inner->ended;
	replay->body.trailers = replay->inner->trailers;
}

/* What was kept; it is the last piece when the inner one has ended and nothing else is kept. */
static int replay_again(struct replay *replay, struct iovec *piece)
{
	*piece = (struct iovec){
		.iov_base = weir_buffer_head(&replay->kept) + replay->at,
		.iov_len = weir_buffer_size(&replay->kept) - replay->at,
	};
	replay->at += piece->iov_len;
	replay_note_end(replay);
	return 1;
}

void replay_let_go(struct replay *replay)
{
	replay->gone = true;
	if (replay->at == weir_buffer_size(&replay->kept)) {
		weir_buffer_fini(&replay->kept);
		replay->at = 0;
	}
}

static void replay_keep(struct replay *replay, const struct iovec *piece)
{
	if (replay->gone)
		return;
	if (piece->iov_len > replay->max - weir_buffer_size(&replay->kept) ||
	    weir_buffer_append(&replay->kept, piece->iov_base, piece->iov_len))
		replay_let_go(replay);
	else
		replay->at += piece->iov_len;
}

static int replay_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct replay *replay = replay_of(body);
	int status;

	if (replay->at < weir_buffer_size(&replay->kept))
		return replay_again(replay, piece);
	if (replay->gone)
		replay_let_go(replay);
	status = weir_body_next(replay->inner, piece, wait);
	if (status >= 0)
		replay_note_end(replay);
	if (status == 1)
		replay_keep(replay, piece);
	return status;
}

/* Bytes that the kernel moves cannot be kept. */
static int replay_source(struct weir_body *body, struct weir_body_source *source)
{
	struct replay *replay = replay_of(body);

	if (!replay->gone)
		return -EOPNOTSUPP;
	if (replay->at < weir_buffer_size(&replay->kept))
		return -EAGAIN;
	return weir_body_source(replay->inner, source);
}

static void replay_moved(struct weir_body *body, uint64_t size, int status)
{
	struct replay *replay = replay_of(body);

	replay->inner->ops->moved(replay->inner, size, status);
}

static void replay_free(struct weir_body *body)
{
	struct replay *replay = replay_of(body);

	weir_buffer_fini(&replay->kept);
	weir_body_free(replay->inner);
}

static const struct weir_body_ops replay_ops = {
	.name = "replay",
	.next = replay_next,
	.source = replay_source,
	.moved = replay_moved,
	.free = replay_free,
};

struct replay *replay_new(struct weir_arena *arena, struct weir_body *inner, size_t max)
{
	struct replay *replay = weir_arena_zalloc(arena, sizeof(*replay));

	if (!replay)
		return NULL;
	replay->body.ops = &replay_ops;
	replay->body.size = inner->size;
	replay->inner = inner;
	replay->max = max;
	return replay;
}

bool replay_rewind(struct replay *replay)
{
	if (replay->gone)
		return false;
	replay->at = 0;
	return true;
}
