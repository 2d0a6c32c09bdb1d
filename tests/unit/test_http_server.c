/* SPDX-License-Identifier: MIT */
/* What the server answers to those who behave. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bridge_rig.h"
#include "server_rig.h"

static void answers_requests(void **state)
{
	(void)state;
	assert_answer(GET("/hello"), HELLO);
	assert_answer("\r\n" GET("/hello"), HELLO);
	assert_answer("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		      OK(3, "abc"));
	assert_answer("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", OK(0, ""));
	assert_answer(GET("/empty"), "HTTP/1.1 204 No Content\r\n\r\n");
	assert_answer(GET("/same"), "HTTP/1.1 304 Not Modified\r\n\r\n");
	assert_answer("", "");
}

static void head_has_no_body(void **state)
{
	(void)state;
	assert_answer(
		"HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n" GET("/hello"),
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n" HELLO);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	assert_answer(GET("/hello") "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: "
				    "3\r\n\r\nabc" GET("/empty") GET("/hello"),
		      HELLO OK(3, "abc") "HTTP/1.1 204 No Content\r\n\r\n" HELLO);
}

static void many_pipelined_requests_are_all_answered(void **state)
{
	struct weir_buffer requests = { 0 }, answers = { 0 };

	(void)state;
	for (int i = 0; i < 900; i++) {
		assert_int_equal(
			weir_buffer_append(&requests, GET("/hello"), strlen(GET("/hello"))), 0);
		assert_int_equal(weir_buffer_append(&answers, HELLO, strlen(HELLO)), 0);
	}
	assert_int_equal(weir_buffer_append(&requests, "", 1), 0);
	assert_int_equal(weir_buffer_append(&answers, "", 1), 0);
	assert_answer(weir_buffer_head(&requests), weir_buffer_head(&answers));
	weir_buffer_fini(&requests);
	weir_buffer_fini(&answers);
}

static void chunked_bodies_go_both_ways(void **state)
{
	(void)state;
	assert_answer("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n" GET("/hello"),
		      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "7\r\nabcdefg\r\n0\r\n\r\n" HELLO);
	assert_answer("POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "0\r\nX: y\r\n\r\n" GET("/hello"),
		      OK(1, "0") HELLO);
}

static void trailers_go_to_those_who_take_them(void **state)
{
	static const struct {
		const char *request;
		const char *end;
	} table[] = {
		{ GET("/trailers"), "0\r\n\r\n" },
		{ "GET /trailers HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
		  "0\r\nX-Sum: 42\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(table); i++) {
		struct visit visit;

		visit_open(&visit, STAGE_TCP, table[i].request);
		server_rig_run(&visit.rig);
		assert_string_equal(weir_buffer_tail(&visit.rig.response) - strlen(table[i].end),
				    table[i].end);
		visit_close(&visit);
	}
}

static void old_clients_are_served_as_they_understand(void **state)
{
	(void)state;
	assert_answer("GET /hello HTTP/1.0\r\n\r\n",
		      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
		      "Connection: close\r\n\r\nhello");
	assert_answer("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
		      "GET /hello HTTP/1.0\r\n\r\n",
		      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
		      "Connection: keep-alive\r\n\r\nhello"
		      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
		      "Connection: close\r\n\r\nhello");
}

/* Of unknown length, and no chunks: until the end of the connection. */
static void old_client_gets_a_stream_until_the_end(void **state)
{
	struct visit visit;
	const char *body;

	(void)state;
	visit_open(&visit, STAGE_TCP,
		   "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" GET("/hello"));
	server_rig_run(&visit.rig);
	body = strstr(weir_buffer_head(&visit.rig.response), "\r\n\r\n") + 4;
	assert_int_equal(weir_buffer_tail(&visit.rig.response) - body, 200000);
	for (int i = 0; i < 200000; i++)
		assert_int_equal(body[i], payload_byte((uint64_t)i));
	assert_int_equal(visit.site.calls, 1);
	assert_int_equal(visit.site.response_bytes, 200000);
	visit_close(&visit);
}

static void connection_closes_when_the_client_wants_it(void **state)
{
	(void)state;
	assert_answer("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" GET("/hello"),
		      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
		      "Connection: close\r\n\r\nhello");
}

static void connection_closes_after_max_requests(void **state)
{
	struct visit visit;

	(void)state;
	visit_open(&visit, STAGE_TCP, GET("/empty") GET("/empty") GET("/empty"));
	visit.rig.conf.max_requests = 2;
	assert_string_equal(visit_run(&visit),
			    "HTTP/1.1 204 No Content\r\n\r\n"
			    "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
	assert_int_equal(visit.rig.client_status, 0);
	visit_close(&visit);
}

static void server_and_via_are_said_where_configured(void **state)
{
	struct visit visit;

	(void)state;
	visit_open(&visit, STAGE_TCP, GET("/empty"));
	visit.rig.conf.server = "weir";
	visit.rig.conf.via = "1.1 edge";
	assert_string_equal(visit_run(&visit),
			    "HTTP/1.1 204 No Content\r\nVia: 1.1 edge\r\nServer: weir\r\n\r\n");
	visit_close(&visit);
}

static void date_is_said_once(void **state)
{
	struct visit visit;
	const char *date;

	(void)state;
	visit_open(&visit, STAGE_TCP, GET("/hello"));
	server_rig_run(&visit.rig);
	date = strstr(weir_buffer_head(&visit.rig.response), "Date: ");
	assert_non_null(date);
	assert_string_equal(strstr(date, " GMT\r\n"), " GMT\r\n\r\nhello");
	assert_null(strstr(date + 1, "Date: "));
	visit_close(&visit);
}

/* ---- every split ---- */

static void every_split_gives_the_same(void **state)
{
	static const char request[] =
		GET("/hello") "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
			      "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
			      "3\r\nabc\r\n0\r\nX: y\r\n\r\n" GET("/empty");

	(void)state;
	for (size_t split = 1; split < sizeof(request) - 1; split++) {
		struct visit visit;

		visit_open(&visit, STAGE_MEMORY, request);
		visit.rig.split = split;
		assert_string_equal(visit_run(&visit),
				    HELLO OK(3, "abc")
					    OK(1, "3") "HTTP/1.1 204 No Content\r\n\r\n");
		visit_close(&visit);
	}
}

/* The answer is out before the body is in; the next request is found all the same. */
static void early_answer_does_not_lose_the_connection(void **state)
{
	static const char *const requests[] = {
		"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde" GET("/hello"),
		"POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		"5\r\nabcde\r\n0\r\nX: y\r\n\r\n" GET("/hello"),
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(requests); i++) {
		const char *body = strstr(requests[i], "\r\n\r\n") + 4;

		for (const char *at = body; at < strstr(body, "GET"); at++) {
			struct visit visit;

			visit_open(&visit, STAGE_TCP, requests[i]);
			visit.rig.split = (size_t)(at - requests[i]);
			assert_string_equal(visit_run(&visit), OK(5, "early") HELLO);
			visit_close(&visit);
		}
	}
}

/* ---- large ones ---- */

static void assert_payload(struct visit *visit, uint64_t size)
{
	const char *body = strstr(weir_buffer_head(&visit->rig.response), "\r\n\r\n") + 4;

	assert_int_equal((uint64_t)(weir_buffer_tail(&visit->rig.response) - body), size);
	for (uint64_t i = 0; i < size; i++) {
		if (body[i] != payload_byte(i))
			fail_msg("wrong byte at %llu", (unsigned long long)i);
	}
	assert_int_equal(visit->site.response_bytes, size);
}

static void large_bodies_arrive_whole(void **state)
{
	(void)state;
	for (enum stage_kind kind = STAGE_TCP; kind <= STAGE_MEMORY; kind++) {
		struct visit visit;

		visit_open(&visit, kind, GET("/large"));
		server_rig_run(&visit.rig);
		assert_payload(&visit, 3000000);
		visit_close(&visit);
		visit_open(&visit, kind, GET("/file"));
		server_rig_run(&visit.rig);
		assert_payload(&visit, 1 << 20);
		visit_close(&visit);
	}
}

/* Through a socket and back by the same one: the kernel's way, and by copies. */
static void large_uploads_come_back(void **state)
{
	char *request = malloc(2000100);
	int head = snprintf(request, 100,
			    "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n");

	(void)state;
	for (uint64_t i = 0; i < 2000000; i++)
		request[(uint64_t)head + i] = payload_byte(i);
	for (int i = 0; i < 3; i++) {
		struct visit visit;

		visit_open(&visit, i == 2 ? STAGE_MEMORY : STAGE_TCP, "");
		visit.rig.request = (struct weir_text){ request, (size_t)head + 2000000 };
		visit.rig.conf.kernel_bytes = i == 1 ? UINT64_MAX : 0;
		server_rig_run(&visit.rig);
		assert_payload(&visit, 2000000);
		assert_int_equal(visit.site.request_bytes, 2000000);
		visit_close(&visit);
	}
	free(request);
}

/* ---- interim responses ---- */

static void continue_is_said_when_the_body_is_wanted(void **state)
{
	struct visit visit;

	(void)state;
	/* The body comes later. */
	visit_open(&visit, STAGE_TCP,
		   "POST /read HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
		   "Content-Length: 3\r\n\r\nabc");
	visit.rig.split = visit.rig.request.size - 3;
	assert_string_equal(visit_run(&visit), "HTTP/1.1 100 Continue\r\n\r\n" OK(1, "3"));
	visit_close(&visit);

	/* The response is the body: it is wanted while the answer is written. */
	visit_open(&visit, STAGE_TCP,
		   "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
		   "Content-Length: 3\r\n\r\nabc");
	visit.rig.split = visit.rig.request.size - 3;
	assert_string_equal(visit_run(&visit), "HTTP/1.1 100 Continue\r\n\r\n" OK(3, "abc"));
	visit_close(&visit);

	/* It is there already. */
	visit_open(&visit, STAGE_TCP,
		   "POST /read HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
		   "Content-Length: 3\r\n\r\nabc");
	assert_string_equal(visit_run(&visit), OK(1, "3"));
	visit_close(&visit);

	/* Nobody wants it: whether it comes is not known, so nothing after it is. */
	visit_open(&visit, STAGE_TCP,
		   "POST /hello HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
		   "Content-Length: 3\r\n\r\n");
	visit.rig.stay = true;
	visit.rig.conf.linger_ms = 30;
	assert_string_equal(visit_run(&visit),
			    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
			    "Connection: close\r\n\r\nhello");
	visit_close(&visit);
}

static void early_hints_go_at_once(void **state)
{
	(void)state;
	assert_answer(GET("/inform"),
		      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK(4, "late"));
	assert_answer("GET /inform HTTP/1.0\r\n\r\n",
		      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate");
}

/* ---- upgrades ---- */

static void upgraded_connection_carries_every_byte_once(void **state)
{
	static const char request[] = "GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n"
				      "Upgrade: test\r\n\r\nGET / HTTP/1.1\r\n\r\n";

	(void)state;
	for (size_t split = 0; split < sizeof(request) - 1; split += 13) {
		struct visit visit;

		visit_open(&visit, STAGE_TCP, request);
		visit.rig.split = split;
		assert_string_equal(visit_run(&visit),
				    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\n"
				    "Connection: upgrade\r\n\r\nwelcome GET / HTTP/1.1\r\n\r\n");
		assert_string_equal(visit.site.early, "GET / HTTP/1.1\r\n\r\n");
		assert_int_equal(visit.site.calls, 1);
		visit_close(&visit);
	}
}

static void connect_is_a_tunnel(void **state)
{
	struct visit visit;

	(void)state;
	visit_open(&visit, STAGE_TCP, "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\nearly");
	assert_string_equal(visit_run(&visit), "HTTP/1.1 200 OK\r\n\r\nwelcome early");
	visit_close(&visit);
}

/* 101 to somebody who did not ask for it would be taken for an answer to something else. */
static void upgrade_that_was_not_asked_for_is_none(void **state)
{
	struct visit visit;

	(void)state;
	visit_open(&visit, STAGE_TCP, GET("/upgrade"));
	assert_non_null(strstr(visit_run(&visit), "HTTP/1.1 502 Bad Gateway\r\n"));
	visit_close(&visit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_requests),
		cmocka_unit_test(head_has_no_body),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(many_pipelined_requests_are_all_answered),
		cmocka_unit_test(chunked_bodies_go_both_ways),
		cmocka_unit_test(trailers_go_to_those_who_take_them),
		cmocka_unit_test(old_clients_are_served_as_they_understand),
		cmocka_unit_test(old_client_gets_a_stream_until_the_end),
		cmocka_unit_test(connection_closes_when_the_client_wants_it),
		cmocka_unit_test(connection_closes_after_max_requests),
		cmocka_unit_test(server_and_via_are_said_where_configured),
		cmocka_unit_test(date_is_said_once),
		cmocka_unit_test(every_split_gives_the_same),
		cmocka_unit_test(early_answer_does_not_lose_the_connection),
		cmocka_unit_test(large_bodies_arrive_whole),
		cmocka_unit_test(large_uploads_come_back),
		cmocka_unit_test(continue_is_said_when_the_body_is_wanted),
		cmocka_unit_test(early_hints_go_at_once),
		cmocka_unit_test(upgraded_connection_carries_every_byte_once),
		cmocka_unit_test(connect_is_a_tunnel),
		cmocka_unit_test(upgrade_that_was_not_asked_for_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
