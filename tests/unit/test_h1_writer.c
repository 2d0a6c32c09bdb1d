/* SPDX-License-Identifier: MIT */
/*
 * The HTTP/1 writer: what a plan makes of a message. That what was read is written and read
 * again the same, test_h1_parser shows of each of its inputs.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <weir/buffer.h>
#include <weir/h1.h>

struct box {
	struct weir_arena arena;
	struct weir_request request;
	struct weir_response response;
	struct weir_buffer out;
};

static int setup(void **state)
{
	static struct box box;

	weir_arena_init(&box.arena, 0);
	weir_request_init(&box.request, &box.arena);
	box.request.method = WEIR_METHOD_GET;
	box.request.path = WEIR_TEXT("/");
	weir_response_init(&box.response, &box.arena);
	box.response.status = 200;
	weir_buffer_init(&box.out);
	*state = &box;
	return 0;
}

static int teardown(void **state)
{
	struct box *box = *state;

	weir_buffer_fini(&box->out);
	weir_arena_fini(&box->arena);
	return 0;
}

static void add(struct weir_headers *headers, const char *name, const char *value)
{
	assert_int_equal(weir_headers_add(headers, weir_text_of(name), weir_text_of(value)), 0);
}

static void assert_out(struct box *box, const char *expected)
{
	assert_int_equal(weir_buffer_append(&box->out, "", 1), 0);
	assert_string_equal(weir_buffer_head(&box->out), expected);
	weir_buffer_clear(&box->out);
}

static void assert_request(struct box *box, const struct weir_h1_plan *plan, const char *expected)
{
	assert_int_equal(weir_h1_write_request(&box->out, &box->request, plan), 0);
	assert_out(box, expected);
}

static void assert_response(struct box *box, const struct weir_h1_plan *plan, const char *expected)
{
	assert_int_equal(weir_h1_write_response(&box->out, &box->response, plan), 0);
	assert_out(box, expected);
}

static void test_request_lines(void **state)
{
	const struct weir_h1_plan plan = { .keep_alive = true };
	struct box *box = *state;
	struct weir_request *request = &box->request;

	add(&request->headers, "hOST", "a");
	assert_request(box, &plan, "GET / HTTP/1.1\r\nhOST: a\r\n\r\n");
	request->query = WEIR_TEXT("");
	assert_request(box, &plan, "GET /? HTTP/1.1\r\nhOST: a\r\n\r\n");
	request->method = WEIR_METHOD_OTHER;
	request->method_text = WEIR_TEXT("PURGE");
	request->query = WEIR_TEXT("a=b");
	request->form = WEIR_TARGET_ABSOLUTE;
	assert_request(box, &plan, "PURGE /?a=b HTTP/1.1\r\nhOST: a\r\n\r\n");
	request->method = WEIR_METHOD_CONNECT;
	request->form = WEIR_TARGET_AUTHORITY;
	request->authority = WEIR_TEXT("a:1");
	assert_request(box, &plan, "CONNECT a:1 HTTP/1.1\r\nhOST: a\r\n\r\n");
}

static void test_absolute_targets(void **state)
{
	const struct weir_h1_plan plan = { .keep_alive = true, .absolute = true };
	struct box *box = *state;
	struct weir_request *request = &box->request;

	add(&request->headers, "Host", "a");
	assert_int_equal(weir_h1_write_request(&box->out, request, &plan), -EINVAL);
	request->scheme = WEIR_TEXT("http");
	assert_int_equal(weir_h1_write_request(&box->out, request, &plan), -EINVAL);
	request->authority = WEIR_TEXT("a:81");
	request->query = WEIR_TEXT("q");
	assert_request(box, &plan, "GET http://a:81/?q HTTP/1.1\r\nHost: a\r\n\r\n");
	request->query = weir_text_of(NULL);
	request->path = WEIR_TEXT("b");
	assert_int_equal(weir_h1_write_request(&box->out, request, &plan), -EINVAL);
	request->method = WEIR_METHOD_OPTIONS;
	request->path = WEIR_TEXT("*");
	assert_request(box, &plan, "OPTIONS http://a:81 HTTP/1.1\r\nHost: a\r\n\r\n");
	request->method = WEIR_METHOD_CONNECT;
	request->form = WEIR_TARGET_AUTHORITY;
	assert_request(box, &plan, "CONNECT a:81 HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void test_host_is_never_missing_nor_twice(void **state)
{
	const struct weir_h1_plan plan = { .keep_alive = true };
	struct box *box = *state;

	assert_request(box, &plan, "GET / HTTP/1.1\r\nHost: \r\n\r\n");
	box->request.authority = WEIR_TEXT("a:8080");
	assert_request(box, &plan, "GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n");
	add(&box->request.headers, "Host", "b");
	add(&box->request.headers, "Host", "c");
	assert_request(box, &plan, "GET / HTTP/1.1\r\nHost: b\r\n\r\n");
}

/* Fields that frame keep name and place, once; the plan alone says their value. */
static void test_framing(void **state)
{
	const struct weir_h1_plan none = { .keep_alive = true };
	const struct weir_h1_plan length = { .framing = WEIR_H1_LENGTH,
					     .length = UINT64_MAX,
					     .keep_alive = true };
	const struct weir_h1_plan chunked = { .framing = WEIR_H1_CHUNKED, .keep_alive = true };
	struct box *box = *state;
	struct weir_headers *headers = &box->request.headers;

	add(headers, "Host", "a");
	assert_request(box, &length,
		       "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n");
	assert_request(box, &chunked,
		       "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	add(headers, "content-length", "5");
	add(headers, "Content-Length", "6");
	add(headers, "transfer-encoding", "gzip");
	add(headers, "Trailer", "X-T");
	add(headers, "x", "y");
	assert_request(box, &none, "GET / HTTP/1.1\r\nHost: a\r\nx: y\r\n\r\n");
	assert_request(box, &length,
		       "GET / HTTP/1.1\r\nHost: a\r\ncontent-length: 18446744073709551615\r\n"
		       "x: y\r\n\r\n");
	assert_request(box, &chunked,
		       "GET / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\n");
}

static void test_trailer_field(void **state)
{
	struct weir_h1_plan plan = { .framing = WEIR_H1_CHUNKED, .keep_alive = true };
	struct box *box = *state;

	add(&box->request.headers, "Host", "a");
	add(&box->request.headers, "Trailer", "X-T");
	plan.trailers = true;
	assert_request(box, &plan,
		       "GET / HTTP/1.1\r\nHost: a\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n"
		       "\r\n");
}

static void test_hop_by_hop(void **state)
{
	struct weir_h1_plan plan = { .keep_alive = true };
	struct box *box = *state;

	add(&box->request.headers, "Host", "a");
	add(&box->request.headers, "connection", "close, x");
	add(&box->request.headers, "Keep-Alive", "timeout=5");
	add(&box->request.headers, "Proxy-Connection", "keep-alive");
	add(&box->request.headers, "TE", "gzip");
	add(&box->request.headers, "Upgrade", "h2c");
	assert_request(box, &plan, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	plan.keep_alive = false;
	assert_request(box, &plan, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	box->request.accepts_trailers = true;
	plan.upgrade = WEIR_TEXT("websocket");
	plan.via = WEIR_TEXT("1.1 weir");
	assert_request(box, &plan,
		       "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 weir\r\nTE: trailers\r\n"
		       "Upgrade: websocket\r\nConnection: close, TE, upgrade\r\n\r\n");
	plan.keep_alive = true;
	plan.peer = WEIR_HTTP_1_0;
	plan.upgrade = weir_text_of(NULL);
	box->request.accepts_trailers = false;
	assert_request(
		box, &plan,
		"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 weir\r\nConnection: keep-alive\r\n\r\n");
}

static void test_responses(void **state)
{
	struct weir_h1_plan plan = { .framing = WEIR_H1_LENGTH, .length = 0, .keep_alive = true };
	struct box *box = *state;

	assert_response(box, &plan, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	box->response.status = 599;
	assert_response(box, &plan, "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n");
	box->response.reason = WEIR_TEXT("Not so");
	plan.date = WEIR_TEXT("now");
	plan.server = WEIR_TEXT("weir");
	assert_response(
		box, &plan,
		"HTTP/1.1 599 Not so\r\nContent-Length: 0\r\nDate: now\r\nServer: weir\r\n\r\n");
	add(&box->response.headers, "server", "other");
	add(&box->response.headers, "date", "then");
	assert_response(box, &plan,
			"HTTP/1.1 599 Not so\r\nserver: other\r\ndate: then\r\n"
			"Content-Length: 0\r\n\r\n");
}

/* Only a request's Host means something, and must be one. */
static void test_a_response_keeps_fields_named_host(void **state)
{
	const struct weir_h1_plan plan = { .framing = WEIR_H1_LENGTH, .keep_alive = true };
	struct box *box = *state;

	add(&box->response.headers, "Host", "a");
	add(&box->response.headers, "host", "b");
	assert_response(box, &plan,
			"HTTP/1.1 200 OK\r\nHost: a\r\nhost: b\r\nContent-Length: 0\r\n\r\n");
}

/* Of a body that does not follow, its length is told where it is known. */
static void test_announced_length(void **state)
{
	const struct weir_h1_plan plan = { .keep_alive = true };
	struct box *box = *state;

	add(&box->response.headers, "content-length", "9");
	assert_response(box, &plan, "HTTP/1.1 200 OK\r\n\r\n");
	box->response.announced = 7;
	assert_response(box, &plan, "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n");
	weir_headers_clear(&box->response.headers);
	assert_response(box, &plan, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
}

/* A value that somebody put together with a line break in it does not leave. */
static void test_injections(void **state)
{
	static const char *const bad[] = {
		"a\r\nb: c", "a\nb", "a\rb", "a\r\n\r\n", "\x01", "\x7f"
	};
	const struct weir_h1_plan plan = { .keep_alive = true };
	struct box *box = *state;
	struct weir_header *field;

	assert_int_equal(weir_buffer_append(&box->out, "before", 6), 0);
	add(&box->request.headers, "Host", "a");
	add(&box->request.headers, "X-A", "");
	add(&box->response.headers, "X-A", "");
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		field = weir_headers_find(&box->request.headers, WEIR_TEXT("X-A"), NULL);
		field->value = weir_text_of(bad[i]);
		assert_int_equal(weir_h1_write_request(&box->out, &box->request, &plan), -EINVAL);
		field->value = WEIR_TEXT("");
		box->request.path = weir_text_of(bad[i]);
		assert_int_equal(weir_h1_write_request(&box->out, &box->request, &plan), -EINVAL);
		box->request.path = WEIR_TEXT("/");
		field = weir_headers_find(&box->response.headers, WEIR_TEXT("X-A"), NULL);
		field->value = weir_text_of(bad[i]);
		assert_int_equal(weir_h1_write_response(&box->out, &box->response, &plan), -EINVAL);
		field->value = WEIR_TEXT("");
		box->response.reason = weir_text_of(bad[i]);
		assert_int_equal(weir_h1_write_response(&box->out, &box->response, &plan), -EINVAL);
		box->response.reason = weir_text_of(NULL);
		assert_int_equal(weir_h1_write_last_chunk(&box->out, &box->response.headers), 0);
		weir_buffer_clear(&box->out);
		assert_int_equal(weir_buffer_append(&box->out, "before", 6), 0);
	}
	assert_out(box, "before");
}

static void test_bad_targets(void **state)
{
	static const char *const bad[] = { "", "a", "/a b", "http://a/", "/ HTTP/1.1", "/\x80 " };
	const struct weir_h1_plan plan = { .keep_alive = true };
	struct box *box = *state;

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		box->request.path = weir_text_of(bad[i]);
		assert_int_equal(weir_h1_write_request(&box->out, &box->request, &plan), -EINVAL);
	}
	box->request.path = WEIR_TEXT("/");
	box->request.method = WEIR_METHOD_OTHER;
	box->request.method_text = WEIR_TEXT("GET /x HTTP/1.1\r\nHost: evil\r\n\r\nGET");
	assert_int_equal(weir_h1_write_request(&box->out, &box->request, &plan), -EINVAL);
	assert_out(box, "");
}

static void test_chunks(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} heads[] = {
		{ 0, "0\r\n" },
		{ 1, "1\r\n" },
		{ 16, "10\r\n" },
		{ 0xabcdef, "abcdef\r\n" },
		{ UINT64_MAX, "ffffffffffffffff\r\n" },
	};
	struct box *box = *state;
	char text[WEIR_H1_CHUNK_HEAD];

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(heads); i++) {
		struct weir_text head = { text, weir_h1_chunk_head(text, heads[i].size) };

		assert_true(weir_text_is_equal(head, weir_text_of(heads[i].text)));
	}
	assert_int_equal(weir_h1_write_last_chunk(&box->out, NULL), 0);
	assert_out(box, "0\r\n\r\n");
	add(&box->request.headers, "X-T", "1");
	add(&box->request.headers, "Content-Length", "5");
	add(&box->request.headers, "x-t", "2");
	assert_int_equal(weir_h1_write_last_chunk(&box->out, &box->request.headers), 0);
	assert_out(box, "0\r\nX-T: 1\r\nx-t: 2\r\n\r\n");
	add(&box->request.headers, "X-U", "1\r\n\r\nGET / HTTP/1.1");
	assert_int_equal(weir_h1_write_last_chunk(&box->out, &box->request.headers), -EINVAL);
	assert_out(box, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_request_lines),
		TEST(test_host_is_never_missing_nor_twice),
		TEST(test_framing),
		TEST(test_trailer_field),
		TEST(test_hop_by_hop),
		TEST(test_responses),
		TEST(test_a_response_keeps_fields_named_host),
		TEST(test_announced_length),
		TEST(test_injections),
		TEST(test_bad_targets),
		TEST(test_chunks),
		TEST(test_absolute_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
