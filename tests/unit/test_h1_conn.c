/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <weir/error.h>

#include "bridge_rig.h"
#include "http/h1_conn.h"
#include "server_rig.h"

/* A connection under test, and the peer's end of it. */
struct pair {
	struct h1_conn h1;
	struct weir_stream *near;
	struct weir_stream *peer;
	struct weir_arena arena;
};

static void pair_open(struct pair *pair, enum stage_kind kind, size_t capacity)
{
	struct weir_stream *ends[2];

	if (capacity)
		assert_int_equal(weir_memory_stream_pair(ends, capacity), 0);
	else
		stage_pair(ends, kind);
	pair->near = ends[0];
	pair->peer = ends[1];
	h1_conn_init(&pair->h1, pair->near, true, NULL);
	pair->h1.kernel_bytes = 65536;
	weir_arena_init(&pair->arena, 0);
}

static void pair_close(struct pair *pair)
{
	h1_conn_fini(&pair->h1);
	weir_stream_close(pair->near);
	weir_stream_close(pair->peer);
	weir_arena_fini(&pair->arena);
}

static void peer_says(struct pair *pair, const char *text)
{
	assert_int_equal(weir_stream_write(pair->peer, text, strlen(text)), 0);
}

static int read_response(struct pair *pair, struct weir_response *response)
{
	weir_response_init(response, &pair->arena);
	return h1_conn_read_response(&pair->h1, WEIR_METHOD_GET, response, WEIR_NEVER);
}

static void assert_content(struct weir_body *body, const char *expected)
{
	struct weir_buffer buffer = { 0 };

	assert_int_equal(weir_body_read_all(body, &buffer, 10000), 0);
	assert_int_equal(weir_buffer_size(&buffer), strlen(expected));
	if (*expected)
		assert_memory_equal(weir_buffer_head(&buffer), expected, strlen(expected));
	weir_buffer_fini(&buffer);
}

static void run(weir_task_fn *fn, void *arg)
{
	struct stage stage;

	stage_open(&stage);
	stage_run(&stage, fn, arg);
	stage_close(&stage);
}

static void run_both(weir_task_fn *fn)
{
	enum stage_kind kinds[] = { STAGE_TCP, STAGE_MEMORY };

	run(fn, &kinds[0]);
	run(fn, &kinds[1]);
}

/* ---- reading ---- */

static int framings_main(void *arg)
{
	struct pair pair;
	struct weir_response response;

	pair_open(&pair, *(enum stage_kind *)arg, 0);
	peer_says(&pair, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
			 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
			 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "3\r\nabc\r\n3\r\ndef\r\n0\r\nX: y\r\n\r\n"
			 "HTTP/1.1 204 No Content\r\n\r\n"
			 "HTTP/1.1 200 OK\r\n\r\nuntil the end");
	assert_int_equal(weir_stream_shutdown(pair.peer), 0);

	assert_int_equal(read_response(&pair, &response), 1);
	assert_int_equal(response.status, 103);
	assert_null(response.body);
	assert_int_equal(h1_conn_next(&pair.h1), 0);

	assert_int_equal(read_response(&pair, &response), 1);
	assert_int_equal(response.body->size, 3);
	assert_false(h1_conn_has_read_all(&pair.h1));
	assert_content(response.body, "abc");
	assert_true(h1_conn_has_read_all(&pair.h1));
	assert_int_equal(pair.h1.body_read, 3);
	assert_int_equal(h1_conn_next(&pair.h1), 0);

	assert_int_equal(read_response(&pair, &response), 1);
	assert_int_equal(response.body->size, WEIR_BODY_UNKNOWN);
	assert_content(response.body, "abcdef");
	assert_true(response.body->ended);
	assert_non_null(weir_headers_find(response.body->trailers, WEIR_TEXT("x"), NULL));
	assert_int_equal(h1_conn_next(&pair.h1), 0);

	assert_int_equal(read_response(&pair, &response), 1);
	assert_int_equal(response.status, 204);
	assert_null(response.body);
	assert_int_equal(h1_conn_next(&pair.h1), 0);

	assert_int_equal(read_response(&pair, &response), 1);
	assert_content(response.body, "until the end");
	assert_int_equal(h1_conn_next(&pair.h1), 0);
	assert_int_equal(read_response(&pair, &response), 0);
	pair_close(&pair);
	return 0;
}

static void messages_follow_each_other(void **state)
{
	(void)state;
	run_both(framings_main);
}

static int early_end_main(void *arg)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
	};

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(texts); i++) {
		struct weir_buffer buffer = { 0 };
		struct weir_response response;
		struct pair pair;
		struct iovec piece;

		pair_open(&pair, *(enum stage_kind *)arg, 0);
		peer_says(&pair, texts[i]);
		assert_int_equal(weir_stream_shutdown(pair.peer), 0);
		assert_int_equal(read_response(&pair, &response), 1);
		assert_int_equal(weir_body_read_all(response.body, &buffer, 100), WEIR_EPROTO);
		/* It says the same again. */
		assert_int_equal(weir_body_next(response.body, &piece, false), WEIR_EPROTO);
		assert_false(h1_conn_has_read_all(&pair.h1));
		weir_buffer_fini(&buffer);
		pair_close(&pair);
	}
	return 0;
}

static void body_that_ends_early_is_broken(void **state)
{
	(void)state;
	run_both(early_end_main);
}

static int silent_body_main(void *arg)
{
	struct weir_response response;
	struct weir_scope scope;
	struct pair pair;
	struct iovec piece;

	pair_open(&pair, *(enum stage_kind *)arg, 0);
	pair.h1.idle_ms = 20;
	peer_says(&pair, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
	assert_int_equal(read_response(&pair, &response), 1);
	assert_int_equal(weir_body_next(response.body, &piece, false), -EAGAIN);

	/* The reader's scope is not the connection's end: somebody else reads on. */
	weir_scope_init(&scope, NULL);
	weir_scope_enter(&scope);
	weir_scope_cancel(&scope);
	assert_int_equal(weir_body_next(response.body, &piece, true), -ECANCELED);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	peer_says(&pair, "abc");
	assert_int_equal(weir_body_next(response.body, &piece, true), 1);
	assert_int_equal(piece.iov_len, 3);

	/* Its silence is. */
	assert_int_equal(weir_body_next(response.body, &piece, true), -ETIMEDOUT);
	peer_says(&pair, "defghij");
	assert_int_equal(weir_body_next(response.body, &piece, true), -ETIMEDOUT);
	pair_close(&pair);
	return 0;
}

static void silent_body_times_out(void **state)
{
	(void)state;
	run_both(silent_body_main);
}

static int idle_main(void *arg)
{
	struct weir_response response;
	struct pair pair;

	pair_open(&pair, *(enum stage_kind *)arg, 0);
	assert_int_equal(h1_conn_check_idle(&pair.h1), 0);
	peer_says(&pair, "HTTP/1.1 204 No Content\r\n\r\n");
	assert_int_equal(read_response(&pair, &response), 1);
	assert_int_equal(h1_conn_next(&pair.h1), 0);
	assert_int_equal(h1_conn_check_idle(&pair.h1), 0);
	assert_null(pair.h1.ahead.data);

	/* Bytes that nobody asked for. */
	peer_says(&pair, "HTTP/1.1 200 OK\r\n");
	assert_int_equal(weir_stream_wait(pair.near, WEIR_READABLE), 0);
	assert_int_equal(h1_conn_check_idle(&pair.h1), WEIR_EPROTO);
	pair_close(&pair);

	pair_open(&pair, *(enum stage_kind *)arg, 0);
	assert_int_equal(weir_stream_shutdown(pair.peer), 0);
	assert_int_equal(weir_stream_wait(pair.near, WEIR_READABLE), 0);
	assert_int_equal(h1_conn_check_idle(&pair.h1), -ECONNRESET);
	pair_close(&pair);
	return 0;
}

static void idle_connection_is_checked(void **state)
{
	(void)state;
	run_both(idle_main);
}

static int waiting_main(void *arg)
{
	struct pair pair;

	pair_open(&pair, *(enum stage_kind *)arg, 0);
	assert_int_equal(h1_conn_wait(&pair.h1, weir_now() + 10000000), -ETIMEDOUT);
	/* Nothing is held while nothing comes. */
	assert_null(pair.h1.in.data);
	weir_task_wake(weir_task_current());
	assert_int_equal(h1_conn_wait(&pair.h1, WEIR_NEVER), -EINTR);
	peer_says(&pair, "H");
	assert_int_equal(h1_conn_wait(&pair.h1, WEIR_NEVER), 1);
	assert_int_equal(h1_conn_wait(&pair.h1, WEIR_NEVER), 1);
	pair_close(&pair);
	return 0;
}

static void waiting_holds_no_memory(void **state)
{
	(void)state;
	run_both(waiting_main);
}

static int rest_main(void *arg)
{
	struct weir_response response;
	struct weir_text rest;
	struct pair pair;

	pair_open(&pair, *(enum stage_kind *)arg, 0);
	peer_says(&pair, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
			 "Upgrade: x\r\n\r\nhello");
	assert_int_equal(read_response(&pair, &response), 1);
	assert_true(h1_conn_has_more(&pair.h1));
	rest = h1_conn_take_rest(&pair.h1);
	assert_true(weir_text_is_equal(rest, WEIR_TEXT("hello")));
	assert_int_equal(h1_conn_take_rest(&pair.h1).size, 0);
	pair_close(&pair);
	return 0;
}

static void rest_is_taken_once(void **state)
{
	(void)state;
	run_both(rest_main);
}

/* ---- writing ---- */

static void head_put(struct weir_buffer *head, const char *text)
{
	assert_int_equal(weir_buffer_append(head, text, strlen(text)), 0);
}

/* Everything that the peer of a tiny pipe reads, one byte at a time. */
struct slow {
	struct pair pair;
	struct weir_buffer got;
	size_t stop_at; /* closes after so many; 0: at the end */
};

static int slow_read(void *arg)
{
	struct slow *slow = arg;
	char byte;

	while (weir_stream_read(slow->pair.peer, &byte, 1) == 1) {
		assert_int_equal(weir_buffer_append(&slow->got, &byte, 1), 0);
		if (slow->stop_at && weir_buffer_size(&slow->got) == slow->stop_at)
			break;
	}
	weir_stream_close(slow->pair.peer);
	slow->pair.peer = NULL;
	return 0;
}

static int slow_send(struct slow *slow, struct weir_body *body, const struct weir_h1_plan *plan)
{
	struct weir_buffer head = { 0 };
	struct weir_scope scope;
	int status;

	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "slow", slow_read, slow, NULL), 0);
	assert_int_equal(h1_conn_post(&slow->pair.h1, WEIR_TEXT("<interim that is long>")), 0);
	head_put(&head, "<head>");
	status = h1_conn_send(&slow->pair.h1, &head, body, plan);
	if (!status)
		assert_int_equal(weir_stream_shutdown(slow->pair.near), 0);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	weir_buffer_fini(&head);
	return status;
}

static void assert_got(struct slow *slow, const char *expected)
{
	assert_int_equal(weir_buffer_size(&slow->got), strlen(expected));
	assert_memory_equal(weir_buffer_head(&slow->got), expected, strlen(expected));
	weir_buffer_fini(&slow->got);
}

static int slow_main(void *arg)
{
	const struct weir_h1_plan length = { .framing = WEIR_H1_LENGTH, .length = 26 };
	const struct weir_h1_plan chunked = { .framing = WEIR_H1_CHUNKED };
	const char *text = "abcdefghijklmnopqrstuvwxyz";

	(void)arg;
	for (size_t capacity = 1; capacity < 60; capacity++) {
		struct slow slow = { 0 };

		pair_open(&slow.pair, STAGE_MEMORY, capacity);
		assert_int_equal(slow_send(&slow,
					   weir_text_body(&slow.pair.arena, weir_text_of(text)),
					   &length),
				 0);
		assert_int_equal(slow.pair.h1.body_sent, 26);
		assert_null(slow.pair.h1.out.data);
		assert_got(&slow, "<interim that is long><head>abcdefghijklmnopqrstuvwxyz");
		pair_close(&slow.pair);

		pair_open(&slow.pair, STAGE_MEMORY, capacity);
		slow.pair.h1.body_sent = 0;
		assert_int_equal(slow_send(&slow,
					   weir_text_body(&slow.pair.arena, weir_text_of(text)),
					   &chunked),
				 0);
		assert_int_equal(slow.pair.h1.body_sent, 26);
		assert_got(&slow, "<interim that is long><head>1a\r\nabcdefghijklmnopqrstuvwxyz\r\n"
				  "0\r\n\r\n");
		pair_close(&slow.pair);
	}
	return 0;
}

static void slow_receiver_gets_every_byte(void **state)
{
	(void)state;
	run(slow_main, NULL);
}

static int count_main(void *arg)
{
	const struct weir_h1_plan plan = { .framing = WEIR_H1_CLOSE };
	const size_t before = strlen("<interim that is long><head>");

	(void)arg;
	/* With room for one byte what the peer has read is what was sent, but for one. */
	for (size_t stop = 1; stop < before + 20; stop++) {
		struct slow slow = { .stop_at = stop };
		uint64_t expected = stop < before ? 0 : stop - before;

		pair_open(&slow.pair, STAGE_MEMORY, 1);
		assert_int_equal(slow_send(&slow, payload_body(&slow.pair.arena, 100, 7, false),
					   &plan),
				 -EPIPE);
		assert_false(slow.pair.h1.broke_source);
		assert_in_range(slow.pair.h1.body_sent, expected, expected + 1);
		weir_buffer_fini(&slow.got);
		pair_close(&slow.pair);
	}
	return 0;
}

static void count_of_sent_bytes_is_exact(void **state)
{
	(void)state;
	run(count_main, NULL);
}

static int misfit_main(void *arg)
{
	static const struct {
		uint64_t says, has;
	} table[] = { { 100, 50 }, { 100, 0 }, { 5, 50 }, { 25, 50 } };

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(table); i++) {
		struct weir_h1_plan plan = { .framing = WEIR_H1_LENGTH, .length = table[i].says };
		struct weir_buffer head = { 0 };
		struct pair pair;

		pair_open(&pair, *(enum stage_kind *)arg, 0);
		head_put(&head, "<head>");
		assert_int_equal(h1_conn_send(&pair.h1, &head,
					      payload_body(&pair.arena, table[i].has, 10, true),
					      &plan),
				 WEIR_EPROTO);
		assert_true(pair.h1.broke_source);
		weir_buffer_fini(&head);
		pair_close(&pair);
	}
	return 0;
}

static void body_that_does_not_fit_its_length_is_broken(void **state)
{
	(void)state;
	run_both(misfit_main);
}

static int refused_main(void *arg)
{
	const struct weir_h1_plan plan = { .framing = WEIR_H1_LENGTH, .length = 5 };
	struct weir_buffer head = { 0 };
	struct pair pair;

	/* A body that is too long at once: the head has not gone, another answer may. */
	pair_open(&pair, *(enum stage_kind *)arg, 0);
	head_put(&head, "<head>");
	assert_int_equal(h1_conn_send(&pair.h1, &head,
				      weir_text_body(&pair.arena, WEIR_TEXT("abcdefgh")), &plan),
			 WEIR_EPROTO);
	assert_true(pair.h1.broke_source);
	assert_int_equal(weir_buffer_size(&head), 6);
	assert_int_equal(pair.near->bytes_written, 0);
	weir_buffer_fini(&head);
	pair_close(&pair);
	return 0;
}

static void failure_before_the_first_byte_leaves_the_head(void **state)
{
	(void)state;
	run_both(refused_main);
}

/* ---- a proxy's way: from one connection's body into another one ---- */

struct proxied {
	enum stage_kind kinds[2];
	uint64_t kernel_bytes;
	struct pair up, down;
	uint64_t size;
	uint64_t received;
};

static int origin_send(void *arg)
{
	struct proxied *p = arg;
	char head[100];

	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
		 (unsigned long long)p->size);
	peer_says(&p->up, head);
	assert_int_equal(payload_send(p->up.peer, p->size), 0);
	peer_says(&p->up, "HTTP/1.1 204 No Content\r\n\r\n");
	return 0;
}

static int client_check(void *arg)
{
	struct proxied *p = arg;

	return payload_check(p->down.peer, &p->received);
}

static int proxied_main(void *arg)
{
	struct proxied *p = arg;
	struct weir_h1_plan plan = { .framing = WEIR_H1_LENGTH, .length = p->size };
	struct weir_response response;
	struct weir_scope scope;

	pair_open(&p->up, p->kinds[0], 0);
	pair_open(&p->down, p->kinds[1], 0);
	p->down.h1.kernel_bytes = p->kernel_bytes;
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "origin", origin_send, p, NULL), 0);
	assert_int_equal(weir_scope_spawn(&scope, "client", client_check, p, NULL), 0);
	assert_int_equal(read_response(&p->up, &response), 1);
	assert_int_equal(h1_conn_send(&p->down.h1, NULL, response.body, &plan), 0);
	assert_int_equal(p->down.h1.body_sent, p->size);
	assert_int_equal(p->up.h1.body_read, p->size);
	assert_true(h1_conn_has_read_all(&p->up.h1));
	/* The next message begins at the exact next byte. */
	assert_int_equal(h1_conn_next(&p->up.h1), 0);
	assert_int_equal(read_response(&p->up, &response), 1);
	assert_int_equal(response.status, 204);
	assert_int_equal(weir_stream_shutdown(p->down.near), 0);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(p->received, p->size);
	pair_close(&p->up);
	pair_close(&p->down);
	return 0;
}

static void body_crosses_and_the_next_message_is_found(void **state)
{
	static const uint64_t sizes[] = { 1, 16383, 65536, 200000, 5000000 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(sizes); i++) {
		for (int ways = 0; ways < 8; ways++) {
			struct proxied p = {
				.kinds = { (enum stage_kind)(ways & 1),
					   (enum stage_kind)(ways >> 1 & 1) },
				.kernel_bytes = ways & 4 ? UINT64_MAX : 65536,
				.size = sizes[i],
			};

			run(proxied_main, &p);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_follow_each_other),
		cmocka_unit_test(body_that_ends_early_is_broken),
		cmocka_unit_test(silent_body_times_out),
		cmocka_unit_test(idle_connection_is_checked),
		cmocka_unit_test(waiting_holds_no_memory),
		cmocka_unit_test(rest_is_taken_once),
		cmocka_unit_test(slow_receiver_gets_every_byte),
		cmocka_unit_test(count_of_sent_bytes_is_exact),
		cmocka_unit_test(body_that_does_not_fit_its_length_is_broken),
		cmocka_unit_test(failure_before_the_first_byte_leaves_the_head),
		cmocka_unit_test(body_crosses_and_the_next_message_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
