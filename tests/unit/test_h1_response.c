/* SPDX-License-Identifier: MIT */
/* The HTTP/1 parser: responses to requests of each kind. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/h1_cases.h"

static const struct {
	enum weir_method method;
	const char *in, *expected; /* NULL: 502 */
} responses[] = {
	{ WEIR_METHOD_GET, OK_ "Content-Length: 2\r\n\r\nhi",
	  "response 200 OK 1.1 keep-alive\n Content-Length: *\nframing length 2\nbody hi\nend\n" },
	{ WEIR_METHOD_GET, "HTTP/1.1 299 \xe9 a\tb\r\nContent-Length: 0\r\n\r\n",
	  "response 299 \xe9 a\tb 1.1 keep-alive\n Content-Length: *\nframing length 0\nend\n" },
	{ WEIR_METHOD_GET, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
	  "response 200  1.1 keep-alive\n Content-Length: *\nframing length 0\nend\n" },
	{ WEIR_METHOD_GET, OK_ "Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
	  "response 200 OK 1.1 keep-alive\n Transfer-Encoding: *\nframing chunked\nbody hi\n"
	  "trailer X-T: 1\nend\n" },
	{ WEIR_METHOD_GET, OK_ "\r\nhi", "response 200 OK 1.1\nframing close\nbody hi\nmore\n" },
	{ WEIR_METHOD_GET, "HTTP/1.0 200 OK\r\n\r\n",
	  "response 200 OK 1.0\nframing close\nbody \nmore\n" },
	{ WEIR_METHOD_GET, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
	  "response 200 OK 1.0 keep-alive\n Content-Length: *\nframing length 0\nend\n" },
	{ WEIR_METHOD_GET, OK_ "Connection: close\r\nContent-Length: 0\r\n\r\n",
	  "response 200 OK 1.1\n Content-Length: *\nframing length 0\nend\n" },
	/* Without body. */
	{ WEIR_METHOD_HEAD, OK_ "Content-Length: 7\r\n\r\n" OK_ "\r\n",
	  "response 200 OK 1.1 keep-alive announced 7\n Content-Length: *\nframing none\nend\n"
	  "response 200 OK 1.1 keep-alive\nframing none\nend\n" },
	{ WEIR_METHOD_HEAD, OK_ "Transfer-Encoding: chunked\r\n\r\n" OK_ "\r\n",
	  "response 200 OK 1.1 keep-alive\nframing none\nend\n"
	  "response 200 OK 1.1 keep-alive\nframing none\nend\n" },
	{ WEIR_METHOD_GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: a\r\n\r\n",
	  "response 304 Not Modified 1.1 keep-alive announced 7\n Content-Length: *\n ETag: a\n"
	  "framing none\nend\n" },
	{ WEIR_METHOD_GET, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
	  "response 204 No Content 1.1 keep-alive\nframing none\nend\n" },
	{ WEIR_METHOD_GET,
	  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK_
	  "Content-Length: 0\r\n\r\n",
	  "response 100 Continue 1.1 keep-alive\nframing none\nend\n"
	  "response 103 Early Hints 1.1 keep-alive\n Link: </a>\nframing none\nend\n"
	  "response 200 OK 1.1 keep-alive\n Content-Length: *\nframing length 0\nend\n" },
	{ WEIR_METHOD_GET,
	  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	  "response 101 Switching Protocols 1.1 keep-alive upgrade websocket\nframing none\n"
	  "end\n" },
	{ WEIR_METHOD_CONNECT, OK_ "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n",
	  NULL },
	{ WEIR_METHOD_CONNECT, OK_ "Content-Length: 7\r\n\r\n",
	  "response 200 OK 1.1 keep-alive\nframing none\nend\n" },
	{ WEIR_METHOD_CONNECT, "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nhi",
	  "response 407 No 1.1 keep-alive\n Content-Length: *\nframing length 2\nbody hi\nend\n" },
	/* Hop by hop. */
	{ WEIR_METHOD_GET,
	  OK_ "Connection: X-A, keep-alive\r\nX-A: b\r\nKeep-Alive: timeout=5\r\n"
	      "Content-Length: 0\r\nUpgrade: h2c\r\n\r\n",
	  "response 200 OK 1.1 keep-alive\n Content-Length: *\nframing length 0\nend\n" },
	/* Refused. */
	{ WEIR_METHOD_GET, "\r\n" OK_ "\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1 20 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1 2000 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1 099 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1 2x0 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1  200 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1\t200 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.2 200 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/2.0 200 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "http/1.1 200 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "ICY 200 OK\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "<html>\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1 200 OK\n\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1 200 O\x01K\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, OK_ "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", NULL },
	{ WEIR_METHOD_GET, OK_ "Content-Length: 2, 2\r\n\r\nhi", NULL },
	{ WEIR_METHOD_GET, OK_ "Content-Length: x\r\n\r\nhi", NULL },
	{ WEIR_METHOD_GET, OK_ "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, OK_ "Transfer-Encoding: gzip\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, OK_ "Transfer-Encoding: gzip, chunked\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, OK_ "Transfer-Encoding: chunked, gzip\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, OK_ "a : b\r\nContent-Length: 0\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, OK_ "a: b\r\n c\r\nContent-Length: 0\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, OK_ "a: b\nContent-Length: 0\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, OK_ "Transfer-Encoding: chunked\r\n\r\nx\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", NULL },
	{ WEIR_METHOD_GET, "HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n", NULL },
	{ WEIR_METHOD_HEAD, OK_ "Content-Length: 2\r\nContent-Length: 3\r\n\r\n", NULL },
};

static void test_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(responses); i++) {
		struct h1_rig rig = { .is_response = true, .method = responses[i].method };

		if (responses[i].expected)
			h1_assert_transcript(&rig, responses[i].in, responses[i].expected);
		else
			h1_assert_refused(&rig, weir_text_of(responses[i].in), 502);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_responses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
