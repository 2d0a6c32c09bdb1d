/* SPDX-License-Identifier: MIT */
/* Bodies of memory and of files, and what is done with any of them. */

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include <weir/body.h>
#include <weir/buffer.h>
#include <weir/error.h>
#include <weir/loop.h>

int weir_body_source(struct weir_body *body, struct weir_body_source *source)
{
	return body->ops->source ? body->ops->source(body, source) : -EOPNOTSUPP;
}

void weir_body_free(struct weir_body *body)
{
	if (body)
		body->ops->free(body);
}

int weir_body_read_all(struct weir_body *body, struct weir_buffer *out, size_t max)
{
	struct iovec piece;
	size_t sum = 0;
	int rc;

	if (body->size != WEIR_BODY_UNKNOWN && body->size > max)
		return WEIR_ELIMIT;
	while ((rc = weir_body_next(body, &piece, true)) > 0) {
		if (piece.iov_len > max - sum)
			return WEIR_ELIMIT;
		rc = weir_buffer_append(out, piece.iov_base, piece.iov_len);
		if (rc)
			return rc;
		sum += piece.iov_len;
	}
	return rc;
}

int weir_body_skip(struct weir_body *body, uint64_t max)
{
	struct iovec piece;
	int rc;

	while ((rc = weir_body_next(body, &piece, true)) > 0) {
		if (piece.iov_len > max)
			return WEIR_ELIMIT;
		max -= piece.iov_len;
	}
	return rc;
}

/* ------------------------------------------------------------------------------------------
 * Memory
 */

struct text_body {
	struct weir_body body;
	struct weir_text rest;
};

static int text_body_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct text_body *text = weir_container_of(body, struct text_body, body);

	(void)wait;
	if (text->rest.size == 0)
		return 0;
	*piece = (struct iovec){ (void *)text->rest.data, text->rest.size };
	text->rest.size = 0;
	body->ended = true;
	return 1;
}

static void text_body_free(struct weir_body *body)
{
	struct text_body *text = weir_container_of(body, struct text_body, body);

	text->rest.size = 0;
}

static const struct weir_body_ops text_body_ops = {
	.name = "text",
	.next = text_body_next,
	.free = text_body_free,
};

struct weir_body *weir_text_body(struct weir_arena *arena, struct weir_text data)
{
	struct text_body *text = weir_arena_zalloc(arena, sizeof(*text));

	if (!text)
		return NULL;
	text->body.ops = &text_body_ops;
	text->body.size = data.size;
	text->rest = data;
	return &text->body;
}

/* ------------------------------------------------------------------------------------------
 * Files
 */

struct file_body {
	struct weir_body body;
	int fd; /* owned; -1 once it is closed */
	uint64_t offset;
	uint64_t rest;
	int status; /* why it ended early */
};

/* The page cache answers in most cases; a file on a slow disk holds the worker up for one piece.
 * What the file lost since it was opened cannot be sent any more: the length is out already. */
static int file_body_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct file_body *file = weir_container_of(body, struct file_body, body);
	char *scratch = weir_loop_scratch(weir_loop_current());
	size_t want = (size_t)WEIR_MIN(file->rest, (uint64_t)WEIR_COPY_BYTES);
	ssize_t n;

	(void)wait;
	if (want == 0 || file->status)
		return file->status;
	do
		n = pread(file->fd, scratch, want, (off_t)file->offset);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		file->status = n < 0 ? -errno : -EIO;
		return file->status;
	}
	file->offset += (uint64_t)n;
	file->rest -= (uint64_t)n;
	body->ended = file->rest == 0;
	*piece = (struct iovec){ scratch, (size_t)n };
	return 1;
}

static int file_body_source(struct weir_body *body, struct weir_body_source *source)
{
	struct file_body *file = weir_container_of(body, struct file_body, body);

	if (file->status)
		return file->status;
	*source = (struct weir_body_source){
		.fd = file->fd,
		.offset = file->offset,
		.size = file->rest,
	};
	return 0;
}

static void file_body_moved(struct weir_body *body, uint64_t size, int status)
{
	struct file_body *file = weir_container_of(body, struct file_body, body);

	assert(size <= file->rest);
	file->offset += size;
	file->rest -= size;
	file->status = status;
}

static void file_body_free(struct weir_body *body)
{
	struct file_body *file = weir_container_of(body, struct file_body, body);

	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	file->rest = 0;
}

static const struct weir_body_ops file_body_ops = {
	.name = "file",
	.next = file_body_next,
	.source = file_body_source,
	.moved = file_body_moved,
	.free = file_body_free,
};

struct weir_body *weir_file_body(struct weir_arena *arena, int fd, uint64_t offset, uint64_t size)
{
	struct file_body *file = weir_arena_zalloc(arena, sizeof(*file));

	if (!file) {
		close(fd);
		return NULL;
	}
	file->body.ops = &file_body_ops;
	file->body.size = size;
	file->fd = fd;
	file->offset = offset;
	file->rest = size;
	return &file->body;
}
