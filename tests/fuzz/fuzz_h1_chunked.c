/* SPDX-License-Identifier: MIT */
/*
 * Chunked bodies. Cuts make no difference; and where the decoder finds a whole body and llhttp
 * finds one too, it is the same content and ends at the same byte.
 */

#include <assert.h>

#include <llhttp.h>

#include <weir/error.h>

#include "tests/fuzz/h1_cuts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/* A decoded body. */
struct decoded {
	struct weir_buffer content;
	size_t size; /* on the wire; 0: not complete, or refused */
};

static void keep(struct decoded *body, const char *data, size_t size)
{
	int rc = weir_buffer_append(&body->content, data, size);

	assert(rc == 0);
}

static struct decoded decode(const char *data, size_t size)
{
	struct decoded body = { .size = 0 };
	struct weir_h1_parser parser;
	struct weir_request request;
	struct weir_headers trailers;
	struct weir_arena arena;
	size_t at = 0, used;
	int rc;

	weir_arena_init(&arena, 0);
	weir_request_init(&request, &arena);
	weir_headers_init(&trailers, &arena);
	weir_h1_parser_init(&parser, false, NULL);
	rc = weir_h1_parse_request(&parser, head, sizeof(head) - 1, &request, &used);
	assert(rc == 1 && parser.framing == WEIR_H1_CHUNKED);
	for (;;) {
		struct iovec piece;

		rc = weir_h1_decode_chunked(&parser, data + at, size - at, &piece, &used,
					    &trailers);
		at += used;
		assert(at <= size);
		if (rc != WEIR_H1_PIECE)
			break;
		keep(&body, piece.iov_base, piece.iov_len);
	}
	if (rc == WEIR_H1_END)
		body.size = at;
	weir_arena_fini(&arena);
	return body;
}

static int other_on_body(llhttp_t *llhttp, const char *at, size_t size)
{
	keep(llhttp->data, at, size);
	return 0;
}

static int other_on_end(llhttp_t *llhttp)
{
	(void)llhttp;
	return HPE_PAUSED;
}

static struct decoded decode_other(const char *data, size_t size)
{
	static const llhttp_settings_t settings = { .on_body = other_on_body,
						    .on_message_complete = other_on_end };
	struct decoded body = { .size = 0 };
	llhttp_t llhttp;

	llhttp_init(&llhttp, HTTP_REQUEST, &settings);
	llhttp.data = &body;
	llhttp_execute(&llhttp, head, sizeof(head) - 1);
	if (llhttp_execute(&llhttp, data, size) == HPE_PAUSED)
		body.size = (size_t)(llhttp_get_error_pos(&llhttp) - data);
	return body;
}

static void check_other(const char *data, size_t size)
{
	struct decoded ours = decode(data, size), other = decode_other(data, size);

	if (ours.size && other.size) {
		struct weir_text a = { weir_buffer_head(&ours.content),
				       weir_buffer_size(&ours.content) };
		struct weir_text b = { weir_buffer_head(&other.content),
				       weir_buffer_size(&other.content) };

		assert(ours.size == other.size);
		assert(weir_text_is_equal(a, b));
	}
	weir_buffer_fini(&ours.content);
	weir_buffer_fini(&other.content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct h1_rig rig = { .is_response = false, .one = true };
	struct weir_buffer text = { 0 };
	int rc;

	if (size < 2 || size > 8192)
		return 0;
	size -= 2;
	check_other((const char *)data, size);
	rc = weir_buffer_append(&text, head, sizeof(head) - 1);
	assert(rc == 0);
	rc = weir_buffer_append(&text, data, size);
	assert(rc == 0);
	h1_cuts(rig, weir_buffer_head(&text), weir_buffer_size(&text), sizeof(head) + data[size],
		data[size + 1]);
	weir_buffer_fini(&text);
	return 0;
}
