/* SPDX-License-Identifier: MIT */
/*
 * The HTTP/1 parser: tables of what is read and how, and of what is refused and why. Each input
 * is read in one piece, byte by byte, and cut at every place: the transcripts must be equal.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <weir/error.h>

#include "tests/unit/h1_cases.h"

struct read_case {
	const char *in, *expected;
};

#define PLAIN "request GET origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n"
#define NONE  "framing none\nend\n"

static const struct read_case requests[] = {
	{ GET HOST "\r\n", PLAIN NONE },
	{ "\r\n\r\n" GET HOST "\r\n", PLAIN NONE },
	{ GET HOST "\r\n" GET HOST "\r\n", PLAIN NONE PLAIN NONE },
	{ GET "hOST:\texample.test \t\r\nX-a:\r\nX-A: b\tc \xe9\r\nx-A:  :\r\n\r\n",
	  "request GET origin - example.test / ?- 1.1 keep-alive\n hOST: example.test\n X-a: \n"
	  " X-A: b\tc \xe9\n x-A: :\n" NONE },
	{ "PROPFIND /a;b=c/%7e?d[]={e}|f HTTP/1.1\r\n" HOST "\r\n",
	  "request PROPFIND origin - example.test /a;b=c/%7e ?d[]={e}|f 1.1 keep-alive\n"
	  " Host: example.test\n" NONE },
	{ "x-Y!z //a? HTTP/1.1\r\n" HOST "\r\n",
	  "request x-Y!z origin - example.test //a ? 1.1 keep-alive\n Host: example.test\n" NONE },
	/* Targets. */
	{ "GET HTTP://Example.test:8080/a HTTP/1.1\r\nHost: other.test\r\n\r\n",
	  "request GET absolute http Example.test:8080 /a ?- 1.1 keep-alive\n"
	  " Host: Example.test:8080\n" NONE },
	{ "GET https://[::1]?a HTTP/1.1\r\n" HOST "\r\n",
	  "request GET absolute https [::1] / ?a 1.1 keep-alive\n Host: [::1]\n" NONE },
	{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
	  "request OPTIONS asterisk - example.test * ?- 1.1 keep-alive\n Host: example.test\n" NONE },
	{ "OPTIONS http://example.test HTTP/1.1\r\n" HOST "\r\n",
	  "request OPTIONS absolute http example.test * ?- 1.1 keep-alive\n"
	  " Host: example.test\n" NONE },
	{ "CONNECT example.test:443 HTTP/1.1\r\n" HOST "\r\n",
	  "request CONNECT authority - example.test:443 - ?- 1.1 keep-alive\n"
	  " Host: example.test:443\n" NONE },
	/* HTTP/1.0. */
	{ "GET / HTTP/1.0\r\n\r\n", "request GET origin - - / ?- 1.0\n" NONE },
	{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nKeep-Alive: 5\r\n\r\n",
	  "request GET origin - - / ?- 1.0 keep-alive\n" NONE },
	{ "POST / HTTP/1.0\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n"
	  "Connection: upgrade\r\nUpgrade: websocket\r\n\r\nhi",
	  "request POST origin - example.test / ?- 1.0\n Host: example.test\n"
	  " Content-Length: *\nframing length 2\nbody hi\nend\n" },
	/* Bodies. */
	{ POST "Content-Length: 005\r\n\r\nhello" GET HOST "\r\n",
	  "request POST origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n"
	  " Content-Length: *\nframing length 5\nbody hello\nend\n" PLAIN NONE },
	{ POST "Content-Length: 0\r\n\r\n",
	  "request POST origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n"
	  " Content-Length: *\nframing length 0\nend\n" },
	{ POST "Content-Length: 9223372036854775807\r\n\r\nx",
	  "request POST origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n"
	  " Content-Length: *\nframing length 9223372036854775807\nbody x\nmore\n" },
	/* Connection. */
	{ GET HOST "Connection: X-Hop, close,, te\r\nX-HOP: 1\r\nx-hop: 2\r\n"
		   "TE: gzip, trailers;q=1\r\nProxy-Connection: keep-alive\r\n\r\n",
	  "request GET origin - example.test / ?- 1.1 trailers\n Host: example.test\n" NONE },
	{ POST
	  "Connection: Content-Length, Host, X-Forwarded-For, Authorization\r\n"
	  "X-Forwarded-For: 1.2.3.4\r\nAuthorization: Basic QQ==\r\nContent-Length: 2\r\n\r\nhi",
	  "request POST origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n"
	  " X-Forwarded-For: 1.2.3.4\n Content-Length: *\nframing length 2\nbody hi\nend\n" },
	{ GET HOST "Transfer_Encoding: chunked\r\nX-Forwarded_For: a\r\nCONTENT_LENGTH: 5\r\n"
		   "x_other: b\r\nHos_t: c\r\n\r\n",
	  "request GET origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n x_other: b\n"
	  " Hos_t: c\n" NONE },
	{ GET HOST "Connection: ,,\r\nKeep-Alive: timeout=5\r\n\r\n", PLAIN NONE },
	/* Upgrade and Expect. */
	{ GET HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	  "request GET origin - example.test / ?- 1.1 keep-alive upgrade websocket\n"
	  " Host: example.test\n" NONE },
	{ GET HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
		   "HTTP2-Settings: AAMA\r\n\r\n",
	  PLAIN NONE },
	{ GET HOST "Connection: Upgrade\r\nUpgrade: a,H2C\r\nHTTP2-Settings: AAMA\r\n"
		   "Upgrade: b/1,c\r\n\r\n",
	  "request GET origin - example.test / ?- 1.1 keep-alive upgrade a, b/1, c\n"
	  " Host: example.test\n" NONE },
	{ GET HOST "Connection: Upgrade\r\nUpgrade: \"a, h2c, b\", c/1, /1, d/, e f\r\n"
		   "Upgrade: g\"\r\nUpgrade: h2c/1,i\r\n\r\n",
	  "request GET origin - example.test / ?- 1.1 keep-alive upgrade c/1, i\n"
	  " Host: example.test\n" NONE },
	{ GET HOST "Upgrade: websocket\r\n\r\n", PLAIN NONE },
	{ POST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi",
	  "request POST origin - example.test / ?- 1.1 keep-alive expects\n Host: example.test\n"
	  " Expect: 100-Continue\n Content-Length: *\nframing length 2\nbody hi\nend\n" },
	{ GET HOST "Expect: 100-continue\r\n\r\n",
	  "request GET origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n"
	  " Expect: 100-continue\n" NONE },
	{ GET HOST "Trailer: X-T\r\nConnection: up: a\r\n\r\n",
	  "request GET origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n"
	  " Trailer: X-T\n" NONE },
	/* Incomplete. */
	{ "", "" },
	{ "GET / HTTP/1.1\r", "body \nmore\n" },
	{ GET HOST "\r", "body \nmore\n" },
	{ POST "Content-Length: 5\r\n\r\nhell",
	  "request POST origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n"
	  " Content-Length: *\nframing length 5\nbody hell\nmore\n" },
};

static void test_requests(void **state)
{
	struct h1_rig rig = { .is_response = false };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(requests); i++)
		h1_assert_transcript(&rig, requests[i].in, requests[i].expected);
}

#define CHUNKED                                                                         \
	"request POST origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n" \
	" Transfer-Encoding: *\nframing chunked\n"

static const struct read_case chunked[] = {
	{ TE "5\r\nhello\r\n0\r\n\r\n", CHUNKED "body hello\nend\n" },
	{ TE "0\r\n\r\n" GET HOST "\r\n", CHUNKED "end\n" PLAIN NONE },
	{ TE "2\r\nhe\r\n003\r\nllo\r\n00\r\n\r\n", CHUNKED "body hello\nend\n" },
	{ TE "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
	  CHUNKED "body 01234567890123456789\nend\n" },
	{ TE "5;a\r\nhello\r\n0;b=c\r\n\r\n", CHUNKED "body hello\nend\n" },
	{ TE "5 ; a = \"b;\\\"\t\" ; c=d\t;e\r\nhello\r\n0\r\n\r\n", CHUNKED "body hello\nend\n" },
	{ TE "1\r\n\n\r\n1\r\n\r\r\n0\r\n\r\n", CHUNKED "body \n\r\nend\n" },
	{ TE "0\r\nX-T: 1\r\nx-u:  two \r\n\r\n" GET HOST "\r\n",
	  CHUNKED "trailer X-T: 1\ntrailer x-u: two\nend\n" PLAIN NONE },
	{ TE "0\r\nContent-Length: 99\r\nHost: evil\r\nX-T: 1\r\nAuthorization: a\r\n"
	     "X-Forwarded-For: a\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a\r\n\r\n",
	  CHUNKED "trailer X-T: 1\nend\n" },
	{ TE "7fffffffffffffff\r\nab", CHUNKED "body ab\nmore\n" },
	{ TE "5\r\nhello\r\n0\r\n", CHUNKED "body hello\nmore\n" },
	{ TE "5\r\nhello\r\n", CHUNKED "body hello\nmore\n" },
	/* Refused. */
	{ TE "\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "+5\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "-5\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "0x5\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE " 5\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5 \r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5g\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5_0\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5,a\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5\rXhello\r\n0\r\n\r\n", NULL },
	{ TE "5\r\rhello\r\n0\r\n\r\n", NULL },
	{ TE "5;\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5;a=\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5;a \r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5;=a\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5;a=\"b\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5;a=\"\\\n\"\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5;a\nxx\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5;a\x01\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "8000000000000000\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "00000000000000005\r\nhello\r\n0\r\n\r\n", NULL },
	{ TE "5\r\nhello0\r\n\r\n", NULL },
	{ TE "5\r\nhello\n0\r\n\r\n", NULL },
	{ TE "5\r\nhello\rX0\r\n\r\n", NULL },
	{ TE "5\r\nhello\r\n\r\n0\r\n\r\n", NULL },
	{ TE "0\r\nfoo\r\n\r\n", NULL },
	{ TE "0\r\nX-A : b\r\n\r\n", NULL },
	{ TE "0\r\n X-A: b\r\n\r\n", NULL },
	{ TE "0\r\nX-A: b\n\r\n", NULL },
	{ TE "0\r\nX-A: b\r\n c\r\n\r\n", NULL },
	{ TE "0\r\nX-A: \x01\r\n\r\n", NULL },
	{ TE "0\r\n\n", NULL },
	{ TE "0\r\n\rX", NULL },
};

static void test_chunked(void **state)
{
	struct h1_rig rig = { .is_response = false };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(chunked); i++) {
		if (chunked[i].expected)
			h1_assert_transcript(&rig, chunked[i].in, chunked[i].expected);
		else
			h1_assert_refused(&rig, weir_text_of(chunked[i].in), 400);
	}
}

struct refused_case {
	unsigned status;
	const char *in;
};

static const struct refused_case refused[] = {
	/* Start lines. */
	{ 400, " GET / HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /\r\n\r\n" },
	{ 400, "GET\r\n\r\n" },
	{ 400, "GET  HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET  / HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /  HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET / HTTP/1.1 \r\n" HOST "\r\n" },
	{ 400, "GET / a HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET\t/\tHTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /\tHTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /\x0b HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "G@T / HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET: / HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "G\xc9T / HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET / http/1.1\r\n" HOST "\r\n" },
	{ 400, "GET / HTTP/1.10\r\n" HOST "\r\n" },
	{ 400, "GET / HTTP/01.1\r\n" HOST "\r\n" },
	{ 400, "GET / HTTP/1\r\n" HOST "\r\n" },
	{ 400, "GET / HTTP/1,1\r\n" HOST "\r\n" },
	{ 400, "GET / HTTP/1.x\r\n" HOST "\r\n" },
	{ 400, "GET / HTTP/ 1.1\r\n" HOST "\r\n" },
	{ 400, "GET / XTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET / HTTP/1.1" HOST "\r\n" },
	{ 505, "GET / HTTP/0.9\r\n" HOST "\r\n" },
	{ 505, "GET / HTTP/1.2\r\n" HOST "\r\n" },
	{ 505, "GET / HTTP/2.0\r\n" HOST "\r\n" },
	{ 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
	{ 400, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
	{ 400, "\x16\x03\x01" },
	{ 400, "SSH-2.0-client\r\n" },
	{ 400, "\r\n\r\n\r\n\r\n\r\n" GET HOST "\r\n" },
	{ 400, "\n" GET HOST "\r\n" },
	{ 400, "\r" GET HOST "\r\n" },
	/* Targets. */
	{ 400, "GET a HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET * HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "OPTIONS ** HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET example.test:80 HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET @evil.test/x HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET gopher://a/ HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET http:/a HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET http:///a HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET http://a:99999/ HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET http://a\\b/ HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /a#b HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /a\\b HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /a\"<b> HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /\xe9 HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /?\xe9 HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /%zz HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "GET /% HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "CONNECT a HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "CONNECT a: HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "CONNECT /a HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "CONNECT a:65536 HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "CONNECT u@a:443 HTTP/1.1\r\n" HOST "\r\n" },
	{ 400, "CONNECT http://a:443 HTTP/1.1\r\n" HOST "\r\n" },
	/* Host. */
	{ 400, GET "\r\n" },
	{ 400, GET HOST HOST "\r\n" },
	{ 400, "GET / HTTP/1.0\r\n" HOST HOST "\r\n" },
	{ 400, "GET http://example.test/ HTTP/1.1\r\n\r\n" },
	{ 400, GET "Host:\r\n\r\n" },
	{ 400, GET "Host: a b\r\n\r\n" },
	{ 400, GET "Host: a,b\r\n\r\n" },
	{ 400, GET "Host: a/b\r\n\r\n" },
	{ 400, GET "Host: a#\r\n\r\n" },
	{ 400, GET "Host: a?b\r\n\r\n" },
	{ 400, GET "Host: u@a\r\n\r\n" },
	{ 400, GET "Host: a\\b\r\n\r\n" },
	{ 400, GET "Host: \"a\"\r\n\r\n" },
	{ 400, GET "Host: a\xe9\r\n\r\n" },
	{ 400, GET "Host: [::1\r\n\r\n" },
	{ 400, GET "Host: [::1]x\r\n\r\n" },
	{ 400, GET "Host: [1.2.3.4]\r\n\r\n" },
	{ 400, GET "Host: []\r\n\r\n" },
	{ 400, GET "Host: a:80:81\r\n\r\n" },
	{ 400, GET "Host: a:0\r\n\r\n" },
	{ 400, GET "Host: a:8x\r\n\r\n" },
	{ 400, GET "Host: :80\r\n\r\n" },
	/* Fields. */
	{ 400, GET HOST ": v\r\n\r\n" },
	{ 400, GET HOST "a\r\n\r\n" },
	{ 400, GET HOST "a : v\r\n\r\n" },
	{ 400, GET HOST "a\t: v\r\n\r\n" },
	{ 400, GET HOST "a b: v\r\n\r\n" },
	{ 400, GET HOST "a\xe9: v\r\n\r\n" },
	{ 400, GET HOST "a[b]: v\r\n\r\n" },
	{ 400, GET HOST "a: b\x01\r\n\r\n" },
	{ 400, GET HOST "a: b\x1b[31m\r\n\r\n" },
	{ 400, GET HOST "a: b\x7f\r\n\r\n" },
	{ 400, GET HOST "a: b\rc\r\n\r\n" },
	{ 400, GET HOST "a: b\nc: d\r\n\r\n" },
	{ 400, GET HOST "a: b\r\r\n\r\n" },
	{ 400, GET HOST "a: b\r\n c\r\n\r\n" },
	{ 400, GET HOST "a:\r\n\tb\r\n\r\n" },
	{ 400, GET " a: b\r\n" HOST "\r\n" },
	{ 400, GET HOST "\n" },
	{ 400, "GET / HTTP/1.1\n" HOST "\r\n" },
	/* Framing. */
	{ 400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" },
	{ 400, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" },
	{ 400, POST "Content-Length: 5, 5\r\n\r\nhello" },
	{ 400, POST "Content-Length: 5,\r\n\r\nhello" },
	{ 400, POST "Content-Length:\r\n\r\nhello" },
	{ 400, POST "Content-Length: -0\r\n\r\nhello" },
	{ 400, POST "Content-Length: +5\r\n\r\nhello" },
	{ 400, POST "Content-Length: 0x5\r\n\r\nhello" },
	{ 400, POST "Content-Length: 5a\r\n\r\nhello" },
	{ 400, POST "Content-Length: 5.0\r\n\r\nhello" },
	{ 400, POST "Content-Length: 5_0\r\n\r\nhello" },
	{ 400, POST "Content-Length: 5 0\r\n\r\nhello" },
	{ 400, POST "Content-Length : 5\r\n\r\nhello" },
	{ 400, POST "Content-Length: 9223372036854775808\r\n\r\nhello" },
	{ 400, POST "Content-Length: 18446744073709551621\r\n\r\nhello" },
	{ 400, POST "Transfer-Encoding:\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: ,\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: identity\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: gzip\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
	{ 400, POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
	{ 501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" },
	{ 400, "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
	{ 400, "CONNECT a:1 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na" },
	{ 400, "TRACE / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na" },
	{ 417, GET HOST "Expect: foo\r\n\r\n" },
	{ 417, GET HOST "Expect: 100-continue, foo\r\n\r\n" },
};

static void test_refused(void **state)
{
	struct h1_rig rig = { .is_response = false };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(refused); i++)
		h1_assert_refused(&rig, weir_text_of(refused[i].in), refused[i].status);
}

/* Each byte in each part of a head, NUL included: no control character but tab gets through. */
static void test_every_byte(void **state)
{
	static const char head[] = "GET /a?b HTTP/1.1\r\nHost: a\r\nX-N: v w\r\n\r\n";
	struct h1_rig rig = { .is_response = false, .one = true };

	(void)state;
	for (size_t at = 0; at < sizeof(head) - 1; at++) {
		for (int c = 0; c < 256; c++) {
			bool control = (c < ' ' && c != '\t' && c != '\r' && c != '\n') ||
				       c == 0x7f;
			char text[sizeof(head)];
			struct weir_text in = { text, sizeof(head) - 1 };
			struct weir_buffer out;

			memcpy(text, head, sizeof(head));
			text[at] = (char)c;
			out = h1_read_all_ways(&rig, in);
			assert_int_equal(weir_buffer_append(&out, "", 1), 0);
			if (control && !strstr(weir_buffer_head(&out), "refused 400"))
				fail_msg("byte %d at %zu is not refused", c, at);
			weir_buffer_fini(&out);
		}
	}
}

/* What is refused can be answered in the right way: without a body to HEAD, and to HTTP/1.0. */
static void test_refused_method(void **state)
{
	static const char bad[] = "HEAD / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n";
	struct weir_h1_parser parser;
	struct weir_request request;
	struct weir_arena arena;
	size_t n;

	(void)state;
	weir_arena_init(&arena, 0);
	weir_request_init(&request, &arena);
	weir_h1_parser_init(&parser, false, NULL);
	assert_int_equal(weir_h1_parse_request(&parser, bad, sizeof(bad) - 1, &request, &n),
			 WEIR_EPROTO);
	assert_int_equal(request.method, WEIR_METHOD_HEAD);
	assert_int_equal(request.version, WEIR_HTTP_1_0);
	weir_arena_fini(&arena);
}

/* Once refused, always refused: nobody finds a message in what follows. */
static void test_stays_refused(void **state)
{
	static const char bad[] = "GET /\r\n", good[] = GET HOST "\r\n";
	struct weir_h1_parser parser;
	struct weir_request request;
	struct weir_arena arena;
	struct weir_headers trailers;
	struct iovec piece;
	size_t n;

	(void)state;
	weir_arena_init(&arena, 0);
	weir_request_init(&request, &arena);
	weir_headers_init(&trailers, &arena);
	weir_h1_parser_init(&parser, false, NULL);
	assert_int_equal(weir_h1_parse_request(&parser, bad, sizeof(bad) - 1, &request, &n),
			 WEIR_EPROTO);
	assert_int_equal(weir_h1_parse_request(&parser, good, sizeof(good) - 1, &request, &n),
			 WEIR_EPROTO);
	assert_int_equal(weir_h1_decode_chunked(&parser, "0\r\n\r\n", 5, &piece, &n, &trailers),
			 WEIR_EPROTO);
	assert_int_equal(parser.status, 400);
	assert_non_null(parser.why);
	weir_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),       cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_refused_method), cmocka_unit_test(test_stays_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
