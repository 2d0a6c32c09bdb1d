/* SPDX-License-Identifier: MIT */
/*
 * Between the parts there is text, and a part is a file's body, made when its turn comes: so the
 * kernel moves large ones.
 *
 *	TEXT(0) PART(0) TEXT(1) PART(1) ... TEXT(n)
 */

#include "proxy/byteranges.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

struct byteranges {
	struct weir_body body;
	struct weir_arena *arena; /* borrowed */
	int fd;			  /* -1 once it is closed */
	struct ranges ranges;
	size_t at;		/* the text, or the part behind it, that comes next */
	bool said;		/* its text has been given */
	struct weir_body *part; /* while it is being given */
	int status;		/* why it ended early */
	struct weir_text text[RANGES_MAX + 1];
};

static struct byteranges *byteranges_of(struct weir_body *body)
{
	return weir_container_of(body, struct byteranges, body);
}

static int byteranges_open_part(struct byteranges *parts)
{
	const struct range *range = &parts->ranges.part[parts->at];
	int fd = fcntl(parts->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	parts->part = weir_file_body(parts->arena, fd, range->first, range->size);
	return parts->part ? 0 : -ENOMEM;
}

static void byteranges_close_part(struct byteranges *parts)
{
	weir_body_free(parts->part);
	parts->part = NULL;
}

static int byteranges_give_text(struct byteranges *parts, struct iovec *piece)
{
	struct weir_text text = parts->text[parts->at];

	parts->said = true;
	parts->body.ended = parts->at == parts->ranges.n;
	if (!parts->body.ended)
		parts->status = byteranges_open_part(parts);
	if (parts->status)
		return parts->status;
	*piece = (struct iovec){ (char *)(uintptr_t)text.data, text.size };
	return 1;
}

static int byteranges_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct byteranges *parts = byteranges_of(body);
	int status;

	if (parts->status || body->ended)
		return parts->status;
	if (!parts->said)
		return byteranges_give_text(parts, piece);
	status = weir_body_next(parts->part, piece, wait);
	if (status != 0)
		return status;
	byteranges_close_part(parts);
	parts->at++;
	return byteranges_give_text(parts, piece);
}

static int byteranges_source(struct weir_body *body, struct weir_body_source *source)
{
	struct byteranges *parts = byteranges_of(body);

	return parts->part ? weir_body_source(parts->part, source) : -EAGAIN;
}

static void byteranges_moved(struct weir_body *body, uint64_t size, int status)
{
	struct byteranges *parts = byteranges_of(body);

	parts->part->ops->moved(parts->part, size, status);
}

static void byteranges_free(struct weir_body *body)
{
	struct byteranges *parts = byteranges_of(body);

	byteranges_close_part(parts);
	if (parts->fd >= 0)
		close(parts->fd);
	parts->fd = -1;
}

static const struct weir_body_ops byteranges_ops = {
	.name = "byteranges",
	.next = byteranges_next,
	.source = byteranges_source,
	.moved = byteranges_moved,
	.free = byteranges_free,
};

/* ------------------------------------------------------------------------------------------
 * Making
 */

/* One that no file has in it: nobody can know it before (RFC 2046 section 5.1.1). */
static void boundary_make(char *text, size_t size)
{
	uint64_t random[2] = { 0 };

	if (getrandom(random, sizeof(random), GRND_NONBLOCK) < 0)
		random[0] = (uintptr_t)text;
	snprintf(text, size, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
}

static int byteranges_write(struct byteranges *parts, const char *boundary, uint64_t size,
			    const char *type)
{
	const struct range *range = parts->ranges.part;
	const char *text;

	for (size_t i = 0; i < parts->ranges.n; i++, range++) {
		text = weir_arena_printf(
			parts->arena,
			"%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64
			"/%" PRIu64 "\r\n\r\n",
			i ? "\r\n" : "", boundary, type, range->first,
			range->first + range->size - 1, size);
		if (!text)
			return -ENOMEM;
		parts->text[i] = weir_text_of(text);
		parts->body.size += parts->text[i].size + range->size;
	}
	text = weir_arena_printf(parts->arena, "\r\n--%s--\r\n", boundary);
	if (!text)
		return -ENOMEM;
	parts->text[parts->ranges.n] = weir_text_of(text);
	parts->body.size += parts->text[parts->ranges.n].size;
	return 0;
}

struct weir_body *byteranges_body(struct weir_arena *arena, int fd, const struct ranges *ranges,
				  uint64_t size, const char *type,
				  char content_type[BYTERANGES_TYPE_BYTES])
{
	struct byteranges *parts = weir_arena_zalloc(arena, sizeof(*parts));
	char boundary[33];

	if (!parts) {
		close(fd);
		return NULL;
	}
	parts->body.ops = &byteranges_ops;
	parts->arena = arena;
	parts->fd = fd;
	parts->ranges = *ranges;
	boundary_make(boundary, sizeof(boundary));
	snprintf(content_type, BYTERANGES_TYPE_BYTES, "multipart/byteranges; boundary=%s",
		 boundary);
	if (byteranges_write(parts, boundary, size, type) == 0)
		return &parts->body;
	byteranges_free(&parts->body);
	return NULL;
}
