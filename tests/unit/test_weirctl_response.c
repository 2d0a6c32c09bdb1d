/* SPDX-License-Identifier: MIT */

/* The control tool's HTTP: answers that are right, wrong, endless, and cut at every byte. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/weirctl/response.h"

#define OK "HTTP/1.1 200 OK\r\n"

/* What the text is, fed in pieces of PIECE bytes and ended: 0 or an error. */
static int read_whole(struct response *response, const char *text, size_t piece)
{
	size_t left = strlen(text);
	int status = 0;

	response_init(response);
	while (status == 0 && left > 0 && response->state != RESPONSE_DONE) {
		size_t n = WEIR_MIN(piece, left);

		status = response_feed(response, text, n);
		text += n;
		left -= n;
	}
	if (status == 0 && left > 0)
		return -EPROTO;
	return status ? status : response_end(response);
}

static void test_good_answers(void **state)
{
	static const struct {
		const char *text;
		int status;
		const char *body;
	} cases[] = {
		{ OK "Content-Length: 5\r\n\r\nhello", 200, "hello" },
		{ OK "content-length:0\r\nX: y\r\n\r\n", 200, "" },
		{ OK "\r\nup to the end", 200, "up to the end" },
		{ "HTTP/1.0 404\r\nContent-Length: 2\r\n\r\n{}", 404, "{}" },
		{ "HTTP/1.1 204 No Content\r\n\r\n", 204, "" },
		{ OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
		  200, "hello world" },
		{ OK "Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n", 200,
		  "0123456789" },
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		for (size_t piece = 1; piece < 80; piece++) {
			struct response response;

			assert_int_equal(read_whole(&response, cases[i].text, piece), 0);
			assert_int_equal(response.status, cases[i].status);
			assert_int_equal(weir_buffer_size(&response.body), strlen(cases[i].body));
			if (*cases[i].body)
				assert_memory_equal(weir_buffer_head(&response.body), cases[i].body,
						    strlen(cases[i].body));
			response_fini(&response);
		}
	}
}

static void test_bad_answers(void **state)
{
	static const char *const cases[] = {
		"",
		"HTTP/1.1",
		"HTTP/2 200\r\n\r\n",
		"HTTP/1.1 20x OK\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n" OK "\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		OK,
		OK "Content-Length: 5\r\n\r\nhell",
		OK "Content-Length: 5\r\n\r\nhello!",
		OK "Content-Length: -1\r\n\r\n",
		OK "Content-Length: 0x5\r\n\r\nhello",
		OK "Content-Length:\r\n\r\n",
		OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\ng\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
		OK "X y\r\n\r\n",
		OK ": y\r\n\r\n",
		OK "X : y\r\n\r\n",
		OK "X: y\r\n folded\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		for (size_t piece = 1; piece < 80; piece += 13) {
			struct response response;
			int status = read_whole(&response, cases[i], piece);

			if (status != -EPROTO)
				print_error("case %zu in pieces of %zu\n", i, piece);
			assert_int_equal(status, -EPROTO);
			response_fini(&response);
		}
	}
}

/* Feeds PIECE again and again; the reader must stop by itself. */
static int read_endless(const char *head, const char *piece)
{
	struct response response;
	int status;

	response_init(&response);
	status = response_feed(&response, head, strlen(head));
	for (size_t i = 0; status == 0 && i < 200000; i++)
		status = response_feed(&response, piece, strlen(piece));
	response_fini(&response);
	return status;
}

static void test_endless_answers_end(void **state)
{
	static char big[4097];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	assert_int_equal(read_endless("HTTP/1.1 200 ", "x"), -E2BIG);
	assert_int_equal(read_endless(OK, "X: y\r\n"), -E2BIG);
	assert_int_equal(read_endless(OK "\r\n", big), -E2BIG);
	assert_int_equal(read_endless(OK "Content-Length: 99999999999\r\n\r\n", "x"), -E2BIG);
	assert_int_equal(read_endless(OK "Transfer-Encoding: chunked\r\n\r\n", "fffffffff\r\n"),
			 -E2BIG);
	assert_int_equal(read_endless(OK "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"),
			 -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_answers),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_endless_answers_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
