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

#include "tests/unit/h1_rig.h"

#define HOST "Host: example.test\r\n"
#define GET  "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define TE   POST "Transfer-Encoding: chunked\r\n\r\n"

static void read_cut(struct h1_rig rig, struct weir_text in, size_t first, size_t step,
		     struct weir_buffer *out)
{
	rig.first = first;
	rig.step = step;
	h1_rig_read(&rig, in.data, in.size, out);
}

static void assert_same(struct weir_text in, struct weir_text whole, struct weir_buffer *cut,
			size_t place)
{
	struct weir_text text = { weir_buffer_head(cut), weir_buffer_size(cut) };

	if (!weir_text_is_equal(whole, text))
		fail_msg("cut at %zu:\n%.*s\nis not read as\n%.*s\nbut as\n%.*s", place,
			 WEIR_TEXT_ARGS(in), WEIR_TEXT_ARGS(whole), WEIR_TEXT_ARGS(text));
	weir_buffer_fini(cut);
}

/* The transcript of IN, after all cuts gave the same. Long inputs are cut at fewer places. */
static struct weir_buffer read_all_ways(const struct h1_rig *rig, struct weir_text in)
{
	struct weir_buffer whole = { 0 }, cut = { 0 };
	size_t stride = in.size / 1000 + 1;
	struct weir_text text;

	read_cut(*rig, in, 0, 0, &whole);
	text = (struct weir_text){ weir_buffer_head(&whole), weir_buffer_size(&whole) };
	read_cut(*rig, in, 0, in.size > 20000 ? 7 : 1, &cut);
	assert_same(in, text, &cut, 0);
	for (size_t place = 1; place < in.size; place += stride) {
		read_cut(*rig, in, place, 0, &cut);
		assert_same(in, text, &cut, place);
	}
	return whole;
}

static void assert_transcript(const struct h1_rig *rig, const char *in, const char *expected)
{
	struct weir_buffer out = read_all_ways(rig, weir_text_of(in));

	assert_int_equal(weir_buffer_append(&out, "", 1), 0);
	if (strcmp(weir_buffer_head(&out), expected))
		fail_msg("%s\nis read as\n%s\nnot\n%s", in, weir_buffer_head(&out), expected);
	weir_buffer_fini(&out);
}

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
	{ GET HOST "Upgrade: websocket\r\n\r\n", PLAIN NONE },
	{ POST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi",
	  "request POST origin - example.test / ?- 1.1 keep-alive expects\n Host: example.test\n"
	  " Expect: 100-Continue\n Content-Length: *\nframing length 2\nbody hi\nend\n" },
	{ GET HOST "Expect: 100-continue\r\n\r\n",
	  "request GET origin - example.test / ?- 1.1 keep-alive\n Host: example.test\n"
	  " Expect: 100-continue\n" NONE },
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
		assert_transcript(&rig, requests[i].in, requests[i].expected);
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

/* What was refused ends with its status. */
static void assert_refused(const struct h1_rig *rig, struct weir_text in, unsigned status)
{
	struct weir_buffer out = read_all_ways(rig, in);
	char expected[32];
	const char *refused;

	snprintf(expected, sizeof(expected), "refused %u ", status);
	assert_int_equal(weir_buffer_append(&out, "", 1), 0);
	refused = strstr(weir_buffer_head(&out), expected);
	if (!refused)
		fail_msg("%.*s\nis not refused with %u but read as\n%s", WEIR_TEXT_ARGS(in), status,
			 weir_buffer_head(&out));
	weir_buffer_fini(&out);
}

static void test_chunked(void **state)
{
	struct h1_rig rig = { .is_response = false };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(chunked); i++) {
		if (chunked[i].expected)
			assert_transcript(&rig, chunked[i].in, chunked[i].expected);
		else
			assert_refused(&rig, weir_text_of(chunked[i].in), 400);
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
		assert_refused(&rig, weir_text_of(refused[i].in), refused[i].status);
}

/* Each byte in each part of a head, NUL included: accepted where the grammar has it. */
static void test_every_byte(void **state)
{
	static const char head[] = "GET /a?b HTTP/1.1\r\nHost: a\r\nX-N: v w\r\n\r\n";
	struct h1_rig rig = { .is_response = false, .one = true };

	(void)state;
	for (size_t at = 0; at < sizeof(head) - 1; at++) {
		for (int c = 0; c < 256; c++) {
			char text[sizeof(head)];
			struct weir_buffer whole = { 0 }, cut = { 0 };

			memcpy(text, head, sizeof(head));
			text[at] = (char)c;
			read_cut(rig, (struct weir_text){ text, sizeof(head) - 1 }, 0, 0, &whole);
			read_cut(rig, (struct weir_text){ text, sizeof(head) - 1 }, 0, 1, &cut);
			assert_same((struct weir_text){ text, sizeof(head) - 1 },
				    (struct weir_text){ weir_buffer_head(&whole),
							weir_buffer_size(&whole) },
				    &cut, at);
			assert_int_equal(weir_buffer_append(&whole, "", 1), 0);
			if ((c < ' ' && c != '\t' && text[at] != head[at] && c != '\r') ||
			    c == 0x7f)
				assert_non_null(strstr(weir_buffer_head(&whole), "refused 400"));
			weir_buffer_fini(&whole);
		}
	}
}

/* ------------------------------------------------------------------------------------------
 * Responses
 */

#define OK_ "HTTP/1.1 200 OK\r\n"

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
			assert_transcript(&rig, responses[i].in, responses[i].expected);
		else
			assert_refused(&rig, weir_text_of(responses[i].in), 502);
	}
}

/* ------------------------------------------------------------------------------------------
 * Limits
 */

/* BEFORE, N times PART, AFTER. */
static struct weir_buffer repeat(const char *before, const char *part, unsigned n,
				 const char *after)
{
	struct weir_buffer text = { 0 };

	assert_int_equal(weir_buffer_append(&text, before, strlen(before)), 0);
	while (n--)
		assert_int_equal(weir_buffer_append(&text, part, strlen(part)), 0);
	assert_int_equal(weir_buffer_append(&text, after, strlen(after)), 0);
	return text;
}

static void assert_limit(const struct h1_rig *rig, struct weir_buffer text, unsigned status)
{
	struct weir_text in = { weir_buffer_head(&text), weir_buffer_size(&text) };
	struct weir_buffer out;

	if (status) {
		assert_refused(rig, in, status);
	} else {
		out = read_all_ways(rig, in);
		assert_int_equal(weir_buffer_append(&out, "", 1), 0);
		assert_null(strstr(weir_buffer_head(&out), "refused"));
		assert_non_null(strstr(weir_buffer_head(&out), "end\n"));
		weir_buffer_fini(&out);
	}
	weir_buffer_fini(&text);
}

/* A limit lets through what reaches it exactly. What follows it is not looked at: a bad byte
 * beyond changes nothing. */
static void test_limits(void **state)
{
	struct h1_rig rig = {
		.limits = { .line_bytes = 100, .head_bytes = 200, .fields = 4, .body_bytes = 10 }
	};

	(void)state;
	assert_limit(&rig, repeat("GET /", "a", 86, " HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_limit(&rig, repeat("GET /", "a", 87, " HTTP/1.1\r\n" HOST "\r\n"), 414);
	assert_limit(&rig, repeat("GET /", "a", 200, "\x01"), 414);
	assert_limit(&rig, repeat("GET /", "a", 10, "\x01"), 400);
	assert_limit(&rig, repeat(GET HOST "a: ", "a", 175, "\r\n\r\n"), 0);
	assert_limit(&rig, repeat(GET HOST "a: ", "a", 176, "\r\n\r\n"), 431);
	assert_limit(&rig, repeat(GET HOST "a: ", "a", 300, "\x01"), 431);
	assert_limit(&rig, repeat(GET HOST, "a: b\r\n", 3, "\r\n"), 0);
	assert_limit(&rig, repeat(GET HOST, "a: b\r\n", 4, "\r\n"), 431);
	assert_limit(&rig, repeat(POST "Content-Length: 10\r\n\r\n", "a", 10, ""), 0);
	assert_limit(&rig, repeat(POST "Content-Length: 11\r\n\r\n", "a", 11, ""), 413);
	assert_limit(&rig, repeat(TE, "5\r\nhello\r\n", 2, "0\r\n\r\n"), 0);
	assert_limit(&rig, repeat(TE, "5\r\nhello\r\n", 2, "1\r\n"), 413);
	assert_limit(&rig, repeat(TE "7fffffffffffffff\r\n", "a", 2, ""), 413);
	assert_limit(&rig, repeat(TE "0\r\na: ", "a", 195, "\r\n\r\n"), 0);
	assert_limit(&rig, repeat(TE "0\r\na: ", "a", 196, "\r\n\r\n"), 431);
	assert_limit(&rig, repeat(TE "0\r\na: ", "a", 300, "\x01"), 431);
	assert_limit(&rig, repeat(TE "0\r\n", "a: b\r\n", 4, "\r\n"), 0);
	assert_limit(&rig, repeat(TE "0\r\n", "a: b\r\n", 5, "\r\n"), 431);
	assert_limit(&rig, repeat(TE "1;a=", "b", 1016, "\r\na\r\n0\r\n\r\n"), 0);
	assert_limit(&rig, repeat(TE "1;a=", "b", 1100, "\r\na\r\n0\r\n\r\n"), 400);
	rig.is_response = true;
	assert_limit(&rig, repeat("HTTP/1.1 200 ", "a", 100, "\r\n\r\n"), 502);
	assert_limit(&rig, repeat(OK_, "a: b\r\n", 5, "\r\n"), 502);
	assert_limit(&rig, repeat(OK_ "Content-Length: 11\r\n\r\n", "a", 11, ""), 502);
}

static void test_default_limits(void **state)
{
	struct h1_rig rig = { .is_response = false };
	struct h1_rig most = { .limits = { .fields = 100000 } };

	(void)state;
	assert_limit(&rig, repeat("GET /", "a", 16370, " HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_limit(&rig, repeat("GET /", "a", 16371, " HTTP/1.1\r\n" HOST "\r\n"), 414);
	assert_limit(&rig, repeat(GET HOST, "a: b\r\n", 127, "\r\n"), 0);
	assert_limit(&rig, repeat(GET HOST, "a: b\r\n", 128, "\r\n"), 431);
	assert_limit(&rig, repeat(GET HOST "a: ", "b", 32768, "\r\n\r\n"), 431);
	assert_limit(&most, repeat(GET HOST, "a: b\r\n", WEIR_HEADERS_MAX - 1, "\r\n"), 0);
	assert_limit(&most, repeat(GET HOST, "a: b\r\n", WEIR_HEADERS_MAX, "\r\n"), 431);
	assert_limit(&rig, repeat(GET HOST "Connection: close", ",a", 31, "\r\n\r\n"), 0);
	assert_limit(&rig, repeat(GET HOST "Connection: close", ",a", 32, "\r\n\r\n"), 400);
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

/* ------------------------------------------------------------------------------------------
 * A file of cases that others collected
 */

/* Undoes C escapes in place; returns the size. */
static size_t unescape(char *text)
{
	static const char names[] = "nrtabfv\\\"'", bytes[] = "\n\r\t\a\b\f\v\\\"'";
	char *to = text, *from = text;

	while (*from) {
		const char *name;

		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		from++;
		name = strchr(names, *from);
		if (name && *from) {
			*to++ = bytes[name - names];
			from++;
		} else {
			char digits[4] = "";
			size_t n = strspn(from, "01234567");

			memcpy(digits, from, WEIR_MIN(n, 3u));
			*to++ = (char)strtol(digits, NULL, 8);
			from += n ? WEIR_MIN(n, 3u) : 1;
		}
	}
	return (size_t)(to - text);
}

/* accept: nothing is refused; reject-*: with such a status; close: refused, or incomplete. What the
 * server and not the codec refuses (a method) the codec accepts. */
static bool class_holds(const char *transcript, const char *expected, const char *also)
{
	const char *bad = strstr(transcript, "refused ");
	char class[16] = "accept";

	if (bad)
		snprintf(class, sizeof(class), "reject-%s",
			 !strncmp(bad, "refused 400", 11) ? "400" : "other");
	else if (strstr(transcript, "more\n"))
		snprintf(class, sizeof(class), "close");
	return !strcmp(class, expected) || strstr(also, class);
}

static void check_line(char *line)
{
	struct h1_rig rig = { .is_response = false };
	char *columns[7], *rest = line;
	struct weir_buffer out;
	struct weir_text raw;

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(columns); i++) {
		columns[i] = strsep(&rest, "\t");
		assert_non_null(columns[i]);
	}
	raw = (struct weir_text){ columns[1], unescape(columns[1]) };
	out = read_all_ways(&rig, raw);
	assert_int_equal(weir_buffer_append(&out, "", 1), 0);
	/* Whether TRACE is answered and whether a body of GET is wanted is not the codec's. */
	if (!class_holds(weir_buffer_head(&out), columns[2], columns[4]) &&
	    strcmp(columns[0], "second-bad-after-good") != 0)
		fail_msg("%s: expected %s, or %s:\n%s", columns[0], columns[2], columns[4],
			 weir_buffer_head(&out));
	weir_buffer_fini(&out);
}

static void test_corpus(void **state)
{
	FILE *file = fopen("../shared/corpus/h1-corpus.tsv", "r");
	char *line = NULL;
	size_t room = 0;
	unsigned n = 0;

	(void)state;
	if (!file)
		skip();
	while (getline(&line, &room, file) > 0) {
		if (n++ > 0) /* the columns' names */
			check_line(line);
	}
	assert_true(n > 100);
	free(line);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),       cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_responses),      cmocka_unit_test(test_limits),
		cmocka_unit_test(test_default_limits), cmocka_unit_test(test_stays_refused),
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
