/* SPDX-License-Identifier: MIT */
/* Bodies of memory and of files; reading all and skipping. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/body.h>
#include <weir/buffer.h>
#include <weir/error.h>

#include "stage.h"

#define FILE_BYTES (3 * WEIR_SCRATCH_BYTES + 17)

static struct stage stage;
static struct weir_arena arena;

static int setup(void **state)
{
	(void)state;
	stage_open(&stage);
	weir_arena_init(&arena, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	weir_arena_fini(&arena);
	stage_close(&stage);
	return 0;
}

static char byte_at(size_t offset)
{
	return (char)((offset * 2654435761u) >> 13);
}

/* An unlinked file with SIZE bytes. */
static int file_of(size_t size)
{
	char name[] = "/tmp/weir-body-XXXXXX";
	int fd = mkstemp(name);
	char *data = malloc(size);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	for (size_t i = 0; i < size; i++)
		data[i] = byte_at(i);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
	free(data);
	return fd;
}

static void assert_closed(int fd)
{
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
}

static int text_main(void *arg)
{
	struct weir_body *body = weir_text_body(&arena, WEIR_TEXT("hello"));
	struct weir_body_source source;
	struct iovec piece;

	(void)arg;
	assert_int_equal(body->size, 5);
	assert_null(body->trailers);
	assert_int_equal(weir_body_source(body, &source), -EOPNOTSUPP);
	assert_int_equal(weir_body_next(body, &piece, false), 1);
	assert_int_equal(piece.iov_len, 5);
	assert_memory_equal(piece.iov_base, "hello", 5);
	assert_true(body->ended);
	assert_int_equal(weir_body_next(body, &piece, false), 0);
	assert_int_equal(weir_body_next(body, &piece, true), 0);
	weir_body_free(body);
	body = weir_text_body(&arena, WEIR_TEXT(""));
	assert_int_equal(body->size, 0);
	assert_int_equal(weir_body_next(body, &piece, true), 0);
	weir_body_free(body);
	weir_body_free(NULL);
	return 0;
}

static void test_text(void **state)
{
	(void)state;
	stage_run(&stage, text_main, NULL);
}

static int file_main(void *arg)
{
	int fd = file_of(FILE_BYTES);
	struct weir_body *body = weir_file_body(&arena, fd, 3, FILE_BYTES - 5);
	struct weir_buffer out = { 0 };

	(void)arg;
	assert_int_equal(body->size, FILE_BYTES - 5);
	assert_int_equal(weir_body_read_all(body, &out, FILE_BYTES), 0);
	assert_int_equal(weir_buffer_size(&out), FILE_BYTES - 5);
	for (size_t i = 0; i < FILE_BYTES - 5; i++) {
		if (weir_buffer_head(&out)[i] != byte_at(i + 3))
			fail_msg("byte %zu", i);
	}
	weir_body_free(body);
	assert_closed(fd);
	weir_buffer_fini(&out);
	return 0;
}

static void test_file(void **state)
{
	(void)state;
	stage_run(&stage, file_main, NULL);
}

/* The kernel takes over after a piece was read, and gives back before the end. */
static int source_main(void *arg)
{
	int fd = file_of(FILE_BYTES);
	struct weir_body *body = weir_file_body(&arena, fd, 0, FILE_BYTES);
	struct weir_body_source source;
	struct iovec piece;

	(void)arg;
	assert_int_equal(weir_body_next(body, &piece, true), 1);
	assert_int_equal(weir_body_source(body, &source), 0);
	assert_null(source.stream);
	assert_int_equal(source.fd, fd);
	assert_false(body->ended);
	assert_int_equal(source.offset, piece.iov_len);
	assert_int_equal(source.size, FILE_BYTES - piece.iov_len);
	body->ops->moved(body, source.size - 1, 0);
	assert_int_equal(weir_body_next(body, &piece, true), 1);
	assert_int_equal(piece.iov_len, 1);
	assert_int_equal(((char *)piece.iov_base)[0], byte_at(FILE_BYTES - 1));
	assert_true(body->ended);
	assert_int_equal(weir_body_next(body, &piece, true), 0);
	weir_body_free(body);
	return 0;
}

static void test_file_as_source(void **state)
{
	(void)state;
	stage_run(&stage, source_main, NULL);
}

/* A file that has become shorter than announced is an error, not an end, and stays one. */
static int shrunk_main(void *arg)
{
	int fd = file_of(10);
	struct weir_body *body = weir_file_body(&arena, fd, 0, 20);
	struct weir_body_source source;
	struct iovec piece;

	(void)arg;
	assert_int_equal(weir_body_next(body, &piece, true), 1);
	assert_int_equal(piece.iov_len, 10);
	assert_int_equal(weir_body_next(body, &piece, true), -EIO);
	assert_int_equal(weir_body_next(body, &piece, true), -EIO);
	assert_int_equal(weir_body_source(body, &source), -EIO);
	weir_body_free(body);
	return 0;
}

/* Who moves the bytes tells what the source broke with. */
static int told_main(void *arg)
{
	struct weir_body *body = weir_file_body(&arena, file_of(10), 0, 10);
	struct iovec piece;

	(void)arg;
	body->ops->moved(body, 4, -ENXIO);
	assert_int_equal(weir_body_next(body, &piece, true), -ENXIO);
	assert_int_equal(weir_body_next(body, &piece, true), -ENXIO);
	weir_body_free(body);
	return 0;
}

static void test_source_that_broke(void **state)
{
	(void)state;
	stage_run(&stage, told_main, NULL);
}

static void test_shrunk_file(void **state)
{
	(void)state;
	stage_run(&stage, shrunk_main, NULL);
}

/* A body of unknown size, in pieces, with an end of its own. */
struct pieces {
	struct weir_body body;
	unsigned n;
	int end;
};

static int pieces_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct pieces *pieces = weir_container_of(body, struct pieces, body);

	(void)wait;
	if (pieces->n == 0)
		return pieces->end;
	pieces->n--;
	*piece = (struct iovec){ (void *)"0123456789", 10 };
	return 1;
}

static const struct weir_body_ops pieces_ops = { .name = "pieces", .next = pieces_next };

static struct pieces pieces_of(unsigned n, int end)
{
	return (struct pieces){ { .ops = &pieces_ops, .size = WEIR_BODY_UNKNOWN }, n, end };
}

static int limits_main(void *arg)
{
	struct pieces pieces = pieces_of(3, 0);
	struct weir_buffer out = { 0 };

	(void)arg;
	assert_int_equal(weir_body_read_all(&pieces.body, &out, 30), 0);
	assert_int_equal(weir_buffer_size(&out), 30);
	pieces = pieces_of(3, 0);
	assert_int_equal(weir_body_read_all(&pieces.body, &out, 29), WEIR_ELIMIT);
	pieces = pieces_of(3, 0);
	pieces.body.size = 30; /* known: nothing is read in vain */
	assert_int_equal(weir_body_read_all(&pieces.body, &out, 29), WEIR_ELIMIT);
	assert_int_equal(pieces.n, 3);
	pieces = pieces_of(2, -ECONNRESET);
	assert_int_equal(weir_body_read_all(&pieces.body, &out, 100), -ECONNRESET);
	pieces = pieces_of(3, 0);
	assert_int_equal(weir_body_skip(&pieces.body, 30), 0);
	pieces = pieces_of(3, 0);
	assert_int_equal(weir_body_skip(&pieces.body, 29), WEIR_ELIMIT);
	pieces = pieces_of(1, WEIR_EPROTO);
	assert_int_equal(weir_body_skip(&pieces.body, 30), WEIR_EPROTO);
	weir_buffer_fini(&out);
	return 0;
}

static void test_read_all_and_skip(void **state)
{
	(void)state;
	stage_run(&stage, limits_main, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_as_source),
		cmocka_unit_test(test_shrunk_file),
		cmocka_unit_test(test_source_that_broke),
		cmocka_unit_test(test_read_all_and_skip),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
