/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <weir/error.h>
#include <weir/transfer.h>

#include "bridge_rig.h"
#include "stage.h"

#define TAIL "and what comes after it"

enum source { SOURCE_TCP, SOURCE_MEMORY, SOURCE_FILE };

/* A sender writes `sent` bytes and, when all of them are to be moved, a tail; the transfer moves `size` of them; a receiver checks. */
struct run {
	enum source source;
	enum stage_kind kind; /* of the destination */
	uint64_t sent;
	uint64_t size;
	uint64_t received;
	struct weir_stream *far[2];  /* the sender's, the receiver's */
	struct weir_stream *near[2]; /* the transfer's */
	struct weir_transfer transfer;
	int status;
};

static int sender(void *arg)
{
	struct run *run = arg;
	int status = payload_send(run->far[0], run->sent);

	if (!status && run->size == run->sent)
		status = weir_stream_write(run->far[0], TAIL, strlen(TAIL));
	return status ? status : weir_stream_shutdown(run->far[0]);
}

static int receiver(void *arg)
{
	struct run *run = arg;

	return payload_check(run->far[1], &run->received);
}

static int payload_file(uint64_t bytes)
{
	char path[] = "/tmp/weir-transfer-XXXXXX";
	int fd = mkstemp(path);
	char *data = malloc(bytes);

	assert_true(fd >= 0);
	assert_non_null(data);
	unlink(path);
	for (uint64_t i = 0; i < bytes; i++)
		data[i] = payload_byte(i);
	assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
	free(data);
	return fd;
}

static void run_open(struct run *run)
{
	struct weir_stream *ends[2];

	stage_pair(ends, run->kind);
	run->near[1] = ends[0];
	run->far[1] = ends[1];
	run->transfer.to = run->near[1];
	run->transfer.size = run->size;
	if (run->source == SOURCE_FILE) {
		run->transfer.fd = payload_file(run->sent);
		return;
	}
	stage_pair(ends, run->source == SOURCE_TCP ? STAGE_TCP : STAGE_MEMORY);
	run->far[0] = ends[0];
	run->near[0] = ends[1];
	run->transfer.from = run->near[0];
}

static void run_close(struct run *run)
{
	weir_stream_close(run->near[0]);
	weir_stream_close(run->far[0]);
	weir_stream_close(run->far[1]);
	if (run->source == SOURCE_FILE)
		close(run->transfer.fd);
}

/* What the source has left after the transfer is the tail alone. */
static void assert_tail(struct run *run)
{
	char tail[sizeof(TAIL)] = "";

	if (run->source == SOURCE_FILE)
		return;
	assert_int_equal(weir_stream_read_full(run->near[0], tail, strlen(TAIL)), 0);
	assert_string_equal(tail, TAIL);
}

static int run_main(void *arg)
{
	struct run *run = arg;
	struct weir_scope scope;

	run_open(run);
	weir_scope_init(&scope, NULL);
	if (run->far[0])
		assert_int_equal(weir_scope_spawn(&scope, "sender", sender, run, NULL), 0);
	assert_int_equal(weir_scope_spawn(&scope, "receiver", receiver, run, NULL), 0);
	run->status = weir_transfer_run(&run->transfer);
	if (run->status == 0)
		assert_tail(run);
	weir_stream_close(run->near[1]);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	run_close(run);
	return 0;
}

static void run_it(struct run *run)
{
	struct stage stage;

	stage_open(&stage);
	stage_run(&stage, run_main, run);
	stage_close(&stage);
}

#define EACH_WAY(source, kind)                                                 \
	for (enum source source = SOURCE_TCP; source <= SOURCE_FILE; source++) \
		for (enum stage_kind kind = STAGE_TCP; kind <= STAGE_MEMORY; kind++)

static void moves_so_many_and_no_more(void **state)
{
	static const uint64_t sizes[] = { 1, 4095, 65536, 65537, 3000001 };

	(void)state;
	EACH_WAY(source, kind)
	{
		for (size_t i = 0; i < WEIR_ARRAY_SIZE(sizes); i++) {
			struct run run = { .source = source, .kind = kind, .sent = sizes[i] };

			run.size = run.sent;
			run_it(&run);
			assert_int_equal(run.status, 0);
			assert_int_equal(run.transfer.moved, sizes[i]);
			assert_int_equal(run.received, sizes[i]);
		}
	}
}

static void source_that_ends_early_is_its_fault(void **state)
{
	(void)state;
	EACH_WAY(source, kind)
	{
		struct run run = { .source = source, .kind = kind, .sent = 100000 };

		run.size = run.sent + 100;
		run_it(&run);
		assert_int_equal(run.status, WEIR_EPROTO);
		assert_true(run.transfer.broke_source);
		assert_int_equal(run.transfer.moved, run.sent);
	}
}

static void file_part_starts_at_its_offset(void **state)
{
	(void)state;
	for (enum stage_kind kind = STAGE_TCP; kind <= STAGE_MEMORY; kind++) {
		struct run run = {
			.source = SOURCE_FILE,
			.kind = kind,
			.sent = (1 << 21) + 5000,
			.size = 1000,
			.transfer.offset = 1 << 21, /* where the payload looks as at its start */
		};

		run_it(&run);
		assert_int_equal(run.status, 0);
		assert_int_equal(run.received, 1000);
	}
}

/* ---- what breaks it ---- */

struct broken {
	enum stage_kind from_kind, to_kind;
	struct weir_stream *from[2], *to[2];
	struct weir_transfer transfer;
};

static void broken_open(struct broken *b)
{
	stage_pair(b->from, b->from_kind);
	stage_pair(b->to, b->to_kind);
	b->transfer =
		(struct weir_transfer){ .from = b->from[0], .to = b->to[0], .size = 10 << 20 };
}

static void broken_close(struct broken *b)
{
	weir_stream_close(b->from[0]);
	weir_stream_close(b->from[1]);
	weir_stream_close(b->to[0]);
	weir_stream_close(b->to[1]);
}

static int silent_source(void *arg)
{
	struct broken *b = arg;

	broken_open(b);
	b->transfer.idle_ms = 20;
	assert_int_equal(weir_transfer_run(&b->transfer), -ETIMEDOUT);
	assert_true(b->transfer.broke_source);
	assert_int_equal(b->transfer.moved, 0);
	b->transfer.idle_ms = 0; /* the source has a time of its own */
	b->transfer.from_idle_ms = 20;
	assert_int_equal(weir_transfer_run(&b->transfer), -ETIMEDOUT);
	assert_true(b->transfer.broke_source);
	broken_close(b);
	return 0;
}

/* Fills the source for as long as it takes some. */
static int filler(void *arg)
{
	static char zeros[65536];
	struct weir_stream *stream = arg;
	int status = 0;

	while (!status)
		status = weir_stream_write(stream, zeros, sizeof(zeros));
	return 0;
}

static int silent_receiver(void *arg)
{
	struct broken *b = arg;
	struct weir_scope scope;

	broken_open(b);
	b->transfer.idle_ms = 50;
	b->transfer.size = 1ull << 40;
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "filler", filler, b->from[1], NULL), 0);
	assert_int_equal(weir_transfer_run(&b->transfer), -ETIMEDOUT);
	assert_false(b->transfer.broke_source);
	assert_true(b->transfer.moved > 0);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	broken_close(b);
	return 0;
}

static int reset_later(void *arg)
{
	struct broken *b = arg;

	assert_int_equal(weir_task_sleep_ms(5), 0);
	weir_stream_abort(b->to[1]);
	weir_stream_close(b->to[1]);
	b->to[1] = NULL;
	return 0;
}

/* The source says nothing, and the receiver goes away: that is seen at once. */
static int reset_receiver(void *arg)
{
	struct broken *b = arg;
	struct weir_scope scope;

	broken_open(b);
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "reset", reset_later, b, NULL), 0);
	assert_int_equal(weir_transfer_run(&b->transfer), -ECONNRESET);
	assert_false(b->transfer.broke_source);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	broken_close(b);
	return 0;
}

static int cancelled(void *arg)
{
	struct broken *b = arg;
	struct weir_scope scope;

	broken_open(b);
	weir_scope_init(&scope, NULL);
	weir_scope_enter(&scope);
	weir_scope_cancel(&scope);
	assert_int_equal(weir_transfer_run(&b->transfer), -ECANCELED);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	broken_close(b);
	return 0;
}

static void broken_run(weir_task_fn *fn, enum stage_kind from, enum stage_kind to)
{
	struct broken b = { .from_kind = from, .to_kind = to };
	struct stage stage;

	stage_open(&stage);
	stage_run(&stage, fn, &b);
	stage_close(&stage);
}

static void nothing_moves_for_too_long(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		broken_run(silent_source, (enum stage_kind)(i & 1), (enum stage_kind)(i >> 1));
		broken_run(silent_receiver, (enum stage_kind)(i & 1), (enum stage_kind)(i >> 1));
	}
}

static void receiver_that_resets_is_seen_while_the_source_is_silent(void **state)
{
	(void)state;
	broken_run(reset_receiver, STAGE_TCP, STAGE_TCP);
	broken_run(reset_receiver, STAGE_MEMORY, STAGE_TCP);
}

static void cancelling_ends_it(void **state)
{
	(void)state;
	broken_run(cancelled, STAGE_TCP, STAGE_TCP);
	broken_run(cancelled, STAGE_MEMORY, STAGE_MEMORY);
}

/* ---- one stream at both ends ---- */

struct mirror {
	struct weir_stream *ends[2];
	uint64_t received;
};

#define MIRROR_BYTES (12u << 20) /* more than all sockets hold */

static int mirror_send(void *arg)
{
	struct mirror *mirror = arg;
	int status = payload_send(mirror->ends[0], MIRROR_BYTES);

	return status ? status : weir_stream_shutdown(mirror->ends[0]);
}

/* Reads nothing until everything on the way is full. */
static int mirror_receive(void *arg)
{
	struct mirror *mirror = arg;

	assert_int_equal(weir_task_sleep_ms(50), 0);
	return payload_check(mirror->ends[0], &mirror->received);
}

static int mirror_main(void *arg)
{
	struct mirror mirror = { 0 };
	struct weir_transfer transfer = { .size = MIRROR_BYTES, .idle_ms = 10000 };
	struct weir_scope scope;

	stage_pair(mirror.ends, *(enum stage_kind *)arg);
	transfer.from = transfer.to = mirror.ends[1];
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "send", mirror_send, &mirror, NULL), 0);
	assert_int_equal(weir_scope_spawn(&scope, "receive", mirror_receive, &mirror, NULL), 0);
	assert_int_equal(weir_transfer_run(&transfer), 0);
	assert_int_equal(weir_stream_shutdown(mirror.ends[1]), 0);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(mirror.received, MIRROR_BYTES);
	weir_stream_close(mirror.ends[0]);
	weir_stream_close(mirror.ends[1]);
	return 0;
}

static void stream_may_be_both_ends(void **state)
{
	(void)state;
	for (enum stage_kind kind = STAGE_TCP; kind <= STAGE_MEMORY; kind++) {
		struct stage stage;

		stage_open(&stage);
		stage_run(&stage, mirror_main, &kind);
		stage_close(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_so_many_and_no_more),
		cmocka_unit_test(source_that_ends_early_is_its_fault),
		cmocka_unit_test(file_part_starts_at_its_offset),
		cmocka_unit_test(nothing_moves_for_too_long),
		cmocka_unit_test(receiver_that_resets_is_seen_while_the_source_is_silent),
		cmocka_unit_test(cancelling_ends_it),
		cmocka_unit_test(stream_may_be_both_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
