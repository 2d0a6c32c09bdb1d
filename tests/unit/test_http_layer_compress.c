/* SPDX-License-Identifier: MIT */
/* Compression and decompression: codings, what is left alone, flushing, bombs, Accept-Encoding. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_content.h>

#include "http_rig.h"
#include "layer/http_accept.h"
#include "layer/http_coder.h"

static struct rig_script script;
static struct rig_call call;
static const unsigned all[] = { WEIR_HTTP_CODING_GZIP, WEIR_HTTP_CODING_BROTLI,
				WEIR_HTTP_CODING_ZSTD };

/* Text that compresses, a little. */
static char *large(size_t size)
{
	char *text = malloc(size + 1);
	uint32_t x = 1;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = "etaoin shrdlu{}<>"[(x >> 24) % 17];
	}
	text[size] = '\0';
	return text;
}

static void unpack(unsigned coding, const char *data, size_t size, struct weir_buffer *out)
{
	struct http_coder *coder = http_decoder_new(coding);

	assert_int_equal(http_coder_append(coder, (struct iovec){ (char *)(uintptr_t)data, size },
					   HTTP_CODER_RUN, out),
			 0);
	assert_true(coder->complete);
	http_coder_free(coder);
}

static void pack_to(enum http_coder_step step, unsigned coding, const char *data, size_t size,
		    struct weir_buffer *out)
{
	struct http_coder *coder = coding == WEIR_HTTP_CODING_GZIP ? http_gzip_encoder(6, size)
				   : coding == WEIR_HTTP_CODING_BROTLI
					   ? http_brotli_encoder(5, size)
					   : http_zstd_encoder(3, size);

	assert_int_equal(http_coder_append(coder, (struct iovec){ (char *)(uintptr_t)data, size },
					   step, out),
			 0);
	http_coder_free(coder);
}

static void pack(unsigned coding, const char *data, size_t size, struct weir_buffer *out)
{
	pack_to(HTTP_CODER_END, coding, data, size, out);
}

static struct weir_http_service *layer(void)
{
	struct weir_http_service *svc = weir_http_compress_layer(
		rig_script_init(&script), &(struct weir_http_compress_conf){ 0 }, NULL);

	assert_non_null(svc);
	return svc;
}

/* ---- whole bodies ---- */

static void assert_round_trip(struct weir_http_service *svc, unsigned coding, const char *text)
{
	char accept[64];
	const char *const fields[] = { accept, NULL };
	const char *const pieces[] = { text, NULL };
	struct weir_text name = http_coding_name(coding);
	struct weir_buffer out = { 0 };

	snprintf(accept, sizeof(accept), "Accept-Encoding: %.*s", WEIR_TEXT_ARGS(name));
	script.pieces = pieces;
	rig_call_init(&call, "GET /", fields, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	assert_string_equal(rig_call_field(&call, "content-encoding"), name.data);
	assert_string_equal(rig_call_field(&call, "vary"), "Accept-Encoding");
	assert_string_equal(rig_call_field(&call, "etag"), "W/\"1\"");
	assert_string_equal(rig_call_field(&call, "accept-ranges"), "");
	rig_call_text(&call);
	assert_int_equal(call.end, 0);
	assert_true(weir_buffer_size(&call.text) < strlen(text) * 3 / 4);
	unpack(coding, weir_buffer_head(&call.text), weir_buffer_size(&call.text), &out);
	assert_int_equal(weir_buffer_size(&out), strlen(text));
	assert_memory_equal(weir_buffer_head(&out), text, strlen(text));
	weir_buffer_fini(&out);
	rig_call_fini(&call);
	assert_int_equal(script.body.freed, 1);
}

static int whole_main(void *arg)
{
	static const char *const fields[] = { "Content-Type: text/html; charset=utf-8",
					      "ETag: \"1\"", "Accept-Ranges: bytes",
					      "Content-Length: 1", NULL };
	const size_t sizes[] = { 1024, 8192, 8193, 300000 };
	struct weir_http_service *svc = layer();

	(void)arg;
	script.fields = fields;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(all); i++) {
		for (size_t j = 0; j < WEIR_ARRAY_SIZE(sizes); j++) {
			char *text = large(sizes[j]);

			for (int unknown = 0; unknown < 2; unknown++) {
				script.unknown = unknown;
				assert_round_trip(svc, all[i], text);
			}
			free(text);
		}
	}
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return 0;
}

static void bodies_come_back_the_same(void **state)
{
	(void)state;
	rig_calls_run(whole_main, NULL);
}

/* ---- bodies of bytes ---- */

/* A body of bytes, in pieces of at most STEP. */
struct bytes_body {
	struct weir_body body;
	const char *data;
	size_t size, step;
};

static int bytes_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct bytes_body *bytes = weir_container_of(body, struct bytes_body, body);

	(void)wait;
	if (bytes->size == 0)
		return 0;
	*piece = (struct iovec){ (char *)(uintptr_t)bytes->data,
				 WEIR_MIN(bytes->size, bytes->step) };
	bytes->data += piece->iov_len;
	bytes->size -= piece->iov_len;
	return 1;
}

static void bytes_free(struct weir_body *body)
{
	(void)body;
}

static const struct weir_body_ops bytes_ops = { .name = "bytes",
						.next = bytes_next,
						.free = bytes_free };
static struct bytes_body bytes;

static void bytes_set(const struct weir_buffer *data, size_t step)
{
	bytes = (struct bytes_body){
		.body = { .ops = &bytes_ops, .size = weir_buffer_size(data) },
		.data = weir_buffer_head(data),
		.size = weir_buffer_size(data),
		.step = step,
	};
}

static void answer_bytes(struct rig_script *self, struct weir_call *one)
{
	(void)self;
	one->response.body = &bytes.body;
}

/* ---- what is left alone ---- */

static int alone_main(void *arg)
{
	static const struct {
		const char *field, *second;
		unsigned status;
	} cases[] = {
		{ "Content-Type: image/png", NULL, 200 },
		{ "Content-Type: application/jsonx", NULL, 200 },
		{ "X-Nothing: 1", NULL, 200 },
		{ "Content-Type: text/plain", "Content-Encoding: br", 200 },
		{ "Content-Type: text/plain", "Cache-Control: a, No-Transform", 200 },
		{ "Content-Type: text/plain", "Content-Range: bytes 0-1/2", 200 },
		{ "Content-Type: text/plain", NULL, 206 },
	};
	char *text = large(2000);
	const char *const pieces[] = { text, NULL };
	const char *const accept[] = { "Accept-Encoding: gzip", NULL };
	struct weir_http_service *svc = layer();

	(void)arg;
	script.pieces = pieces;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		const char *const fields[] = { cases[i].field, cases[i].second, NULL };

		script.fields = fields;
		script.status = cases[i].status;
		rig_call_init(&call, "GET /", accept, NULL);
		rig_call_handle(&call, svc);
		assert_string_equal(rig_call_field(&call, "vary"), "");
		assert_string_equal(rig_call_text(&call), text);
		rig_call_fini(&call);
	}
	/* Compressible, but this client does not want it, which caches must know. */
	script.status = 200;
	script.fields = (const char *const[]){ "Content-Type: text/plain", "Vary: Origin", NULL };
	rig_call_init(&call, "GET /", NULL, NULL);
	rig_call_handle(&call, svc);
	assert_string_equal(rig_call_field(&call, "vary"), "Origin|Accept-Encoding");
	assert_string_equal(rig_call_field(&call, "content-encoding"), "");
	assert_ptr_equal(call.call.response.body, &script.body.body);
	rig_call_fini(&call);
	/* Too short to be worth it. */
	script.pieces = (const char *const[]){ "short", NULL };
	rig_call_init(&call, "GET /", accept, NULL);
	rig_call_handle(&call, svc);
	assert_string_equal(rig_call_text(&call), "short");
	rig_call_fini(&call);
	/* A HEAD is told what a GET would get. */
	script.pieces = pieces;
	rig_call_init(&call, "HEAD /", accept, NULL);
	rig_call_handle(&call, svc);
	assert_string_equal(rig_call_field(&call, "content-encoding"), "gzip");
	assert_true(call.call.response.announced == WEIR_BODY_UNKNOWN);
	rig_call_fini(&call);
	/* Also by services that give it a body. */
	script.pieces = NULL;
	script.hook = answer_bytes;
	bytes_set(&(struct weir_buffer){ .data = text, .tail = 2000 }, 1000);
	rig_call_init(&call, "HEAD /", accept, NULL);
	rig_call_handle(&call, svc);
	assert_string_equal(rig_call_field(&call, "content-encoding"), "gzip");
	rig_call_fini(&call);
	free(text);
	weir_http_service_free(svc);
	return 0;
}

static void some_are_left_alone(void **state)
{
	(void)state;
	rig_calls_run(alone_main, NULL);
}

/* ---- events ---- */

static void assert_event_flows(struct weir_http_service *svc, unsigned coding)
{
	char accept[64];
	const char *const fields[] = { accept, NULL };
	struct http_coder *coder = http_decoder_new(coding);
	struct weir_buffer seen = { 0 };
	struct iovec piece;

	snprintf(accept, sizeof(accept), "Accept-Encoding: %.*s",
		 WEIR_TEXT_ARGS(http_coding_name(coding)));
	rig_call_init(&call, "GET /", fields, NULL);
	rig_call_handle(&call, svc);
	for (int i = 1; i <= 3; i++) {
		char expected[64] = "";

		/* One event is there and no more: it must be readable at the other end. */
		assert_int_equal(weir_body_next(call.call.response.body, &piece, true), 1);
		assert_int_equal(http_coder_append(coder, piece, HTTP_CODER_RUN, &seen), 0);
		for (int j = 1; j <= i; j++)
			snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
				 "data: %d\n\n", j);
		assert_int_equal(weir_buffer_size(&seen), strlen(expected));
		assert_memory_equal(weir_buffer_head(&seen), expected, strlen(expected));
		if (i < 3)
			assert_int_equal(weir_body_next(call.call.response.body, &piece, false),
					 -EAGAIN);
	}
	while (weir_body_next(call.call.response.body, &piece, true) > 0)
		assert_int_equal(http_coder_append(coder, piece, HTTP_CODER_RUN, &seen), 0);
	assert_true(coder->complete);
	assert_int_equal(weir_body_next(call.call.response.body, &piece, true), 0);
	http_coder_free(coder);
	weir_buffer_fini(&seen);
	rig_call_fini(&call);
}

static int events_main(void *arg)
{
	static const char *const fields[] = { "Content-Type: text/event-stream", NULL };
	static const char *const pieces[] = { "data: 1\n\n", "",  "data: 2\n\n", "",
					      "data: 3\n\n", NULL };
	struct weir_http_service *svc = layer();

	(void)arg;
	script.fields = fields;
	script.pieces = pieces;
	script.unknown = true;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(all); i++)
		assert_event_flows(svc, all[i]);
	weir_http_service_free(svc);
	return 0;
}

static void events_reach_their_reader(void **state)
{
	(void)state;
	rig_calls_run(events_main, NULL);
}

static int broken_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	(void)wait;
	if (body->size == 0)
		return -ECONNRESET;
	body->size = 0;
	*piece = (struct iovec){ (char *)(uintptr_t) "some", 4 };
	return 1;
}

static void broken_free(struct weir_body *body)
{
	(void)body;
}

static const struct weir_body_ops broken_ops = { .name = "broken",
						 .next = broken_next,
						 .free = broken_free };
static struct weir_body broken;

static void answer_broken(struct rig_script *self, struct weir_call *one)
{
	(void)self;
	broken = (struct weir_body){ .ops = &broken_ops, .size = WEIR_BODY_UNKNOWN };
	one->response.body = &broken;
}

static int broken_main(void *arg)
{
	static const char *const accept[] = { "Accept-Encoding: gzip", NULL };
	static const char *const fields[] = { "Content-Type: text/plain", NULL };
	struct weir_http_service *svc = layer();

	(void)arg;
	script.fields = fields;
	script.hook = answer_broken;
	rig_call_init(&call, "GET /", accept, NULL);
	rig_call_handle(&call, svc);
	assert_string_equal(rig_call_field(&call, "content-encoding"), "gzip");
	rig_call_text(&call);
	/* Not an orderly end: half a page must not look like a whole one. */
	assert_int_equal(call.end, -ECONNRESET);
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void a_broken_body_stays_broken(void **state)
{
	(void)state;
	rig_calls_run(broken_main, NULL);
}

/* ---- Accept-Encoding ---- */

static void codings_are_chosen(void **state)
{
	static const struct {
		const char *value;
		unsigned best;
	} cases[] = {
		{ "gzip", WEIR_HTTP_CODING_GZIP },
		{ "GZip", WEIR_HTTP_CODING_GZIP },
		{ "x-gzip", WEIR_HTTP_CODING_GZIP },
		{ "gzip, deflate, br", WEIR_HTTP_CODING_BROTLI },
		{ "gzip, br, zstd", WEIR_HTTP_CODING_ZSTD },
		{ "gzip;q=1, br;q=0.9, zstd;q=0.8", WEIR_HTTP_CODING_GZIP },
		{ "gzip;q=0.5, br;q=0.501", WEIR_HTTP_CODING_BROTLI },
		{ "gzip ; q=0.5", WEIR_HTTP_CODING_GZIP },
		{ "*", WEIR_HTTP_CODING_ZSTD },
		{ "*;q=0.1", WEIR_HTTP_CODING_ZSTD },
		{ "zstd;q=0, *", WEIR_HTTP_CODING_BROTLI },
		{ "*;q=0", 0 },
		{ "gzip;q=0", 0 },
		{ "gzip;q=0.000", 0 },
		{ "identity", 0 },
		{ "gzip;q=0.5, identity", 0 },
		{ "gzip;q=0.5, identity;q=0.5", WEIR_HTTP_CODING_GZIP },
		{ "identity;q=0, gzip;q=0.1", WEIR_HTTP_CODING_GZIP },
		{ "", 0 },
		{ "deflate, compress", 0 },
		/* What is wrong is as if it were not there. */
		{ "gzip;q=2", 0 },
		{ "gzip;q=-1", 0 },
		{ "gzip;q=1.001", 0 },
		{ "gzip;q=0.1234", 0 },
		{ "gzip;q=", 0 },
		{ "gzip;q", 0 },
		{ "gzip;", 0 },
		{ "gzip;q=0,5", 0 },
		{ "gzip;x=1", 0 },
		{ "gzip;q=1;q=1", 0 },
		{ "gzipx", 0 },
		{ "gz ip", 0 },
		{ ",,;,=,gzip", WEIR_HTTP_CODING_GZIP },
		{ "br;q=nan, gzip", WEIR_HTTP_CODING_GZIP },
	};
	struct weir_arena arena;
	struct weir_headers headers;

	(void)state;
	weir_arena_init(&arena, 0);
	weir_headers_init(&headers, &arena);
	assert_int_equal(http_accept_best(&headers, 7), 0);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		assert_int_equal(weir_headers_set_id(&headers, WEIR_HEADER_ACCEPT_ENCODING,
						     weir_text_of(cases[i].value)),
				 0);
		if (http_accept_best(&headers, 7) != cases[i].best)
			fail_msg("'%s' gives %u", cases[i].value, http_accept_best(&headers, 7));
	}
	/* Several fields are one list; only what is offered is chosen. */
	assert_int_equal(
		weir_headers_set_id(&headers, WEIR_HEADER_ACCEPT_ENCODING, WEIR_TEXT("br")), 0);
	assert_int_equal(
		weir_headers_add_id(&headers, WEIR_HEADER_ACCEPT_ENCODING, WEIR_TEXT("gzip")), 0);
	assert_int_equal(http_accept_best(&headers, WEIR_HTTP_CODING_GZIP), WEIR_HTTP_CODING_GZIP);
	assert_true(http_accept_has(&headers, WEIR_HTTP_CODING_GZIP));
	assert_false(http_accept_has(&headers, WEIR_HTTP_CODING_ZSTD));
	weir_arena_fini(&arena);
}

/* ---- decompression ---- */

static int unpack_main(void *arg)
{
	struct weir_http_service *svc = weir_http_decompress_layer(
		rig_script_init(&script), &(struct weir_http_decompress_conf){ 0 }, NULL);
	char *text = large(200000);

	(void)arg;
	script.hook = answer_bytes;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(all); i++) {
		const size_t steps[] = { 1, 1000, 1000000 };
		char encoding[64];
		const char *const fields[] = { encoding, "ETag: \"1\"", NULL };
		struct weir_buffer packed = { 0 };

		snprintf(encoding, sizeof(encoding), "Content-Encoding: %.*s",
			 WEIR_TEXT_ARGS(http_coding_name(all[i])));
		script.fields = fields;
		pack(all[i], text, 200000, &packed);
		for (size_t j = 0; j < WEIR_ARRAY_SIZE(steps); j++) {
			bytes_set(&packed, steps[j]);
			rig_call_init(&call, "GET /", NULL, NULL);
			rig_call_handle(&call, svc);
			assert_string_equal(rig_call_field(&call, "content-encoding"), "");
			assert_string_equal(rig_call_field(&call, "etag"), "W/\"1\"");
			assert_string_equal(rig_call_field(&call, "vary"), "Accept-Encoding");
			assert_string_equal(rig_call_text(&call), text);
			assert_int_equal(call.end, 0);
			rig_call_fini(&call);
		}
		/* Cut off, or with a bit turned: no orderly end. */
		bytes_set(&packed, 1000);
		bytes.size -= 9;
		rig_call_init(&call, "GET /", NULL, NULL);
		rig_call_handle(&call, svc);
		rig_call_text(&call);
		assert_int_equal(call.end, WEIR_EPROTO);
		rig_call_fini(&call);
		weir_buffer_head(&packed)[2] ^= 0x55;
		bytes_set(&packed, 1000);
		rig_call_init(&call, "GET /", NULL, NULL);
		rig_call_handle(&call, svc);
		rig_call_text(&call);
		assert_int_equal(call.end, WEIR_EPROTO);
		rig_call_fini(&call);
		weir_buffer_fini(&packed);
	}
	free(text);
	weir_http_service_free(svc);
	return 0;
}

static void responses_are_decompressed(void **state)
{
	(void)state;
	rig_calls_run(unpack_main, NULL);
}

/* What has been flushed is read to its last byte, in whatever room, before more input is wanted. */
static void what_is_flushed_is_read(void **state)
{
	const size_t size = 50000;
	char *text = large(size);

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(all); i++) {
		struct http_coder *coder = http_decoder_new(all[i]);
		struct weir_buffer packed = { 0 }, out = { 0 };
		struct iovec in;
		int status = 0;

		pack_to(HTTP_CODER_FLUSH, all[i], text, size, &packed);
		in = (struct iovec){ weir_buffer_head(&packed), weir_buffer_size(&packed) };
		while (status == 0) {
			char piece[1000];
			struct iovec room = { piece, sizeof(piece) };

			status = coder->ops->run(coder, &in, &room, HTTP_CODER_RUN);
			assert_int_equal(
				weir_buffer_append(&out, piece, sizeof(piece) - room.iov_len), 0);
		}
		assert_int_equal(status, 1);
		assert_false(coder->complete);
		assert_int_equal(weir_buffer_size(&out), size);
		assert_memory_equal(weir_buffer_head(&out), text, size);
		http_coder_free(coder);
		weir_buffer_fini(&packed);
		weir_buffer_fini(&out);
	}
	free(text);
}

static int kept_main(void *arg)
{
	static const char *const accept[] = { "Accept-Encoding: gzip;q=0.1", NULL };
	static const char *const fields[] = { "Content-Encoding: gzip", NULL };
	static const char *const unknown[] = { "Content-Encoding: compress", NULL };
	static const char *const pieces[] = { "not touched", NULL };
	struct weir_http_service *svc = weir_http_decompress_layer(
		rig_script_init(&script), &(struct weir_http_decompress_conf){ 0 }, NULL);

	(void)arg;
	script.pieces = pieces;
	script.fields = fields;
	rig_call_init(&call, "GET /", accept, NULL);
	rig_call_handle(&call, svc);
	assert_string_equal(rig_call_text(&call), "not touched");
	assert_string_equal(rig_call_field(&call, "content-encoding"), "gzip");
	rig_call_fini(&call);
	script.fields = unknown;
	rig_call_init(&call, "GET /", NULL, NULL);
	rig_call_handle(&call, svc);
	assert_string_equal(rig_call_text(&call), "not touched");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void what_is_accepted_is_kept(void **state)
{
	(void)state;
	rig_calls_run(kept_main, NULL);
}

static unsigned post(struct weir_http_service *svc, const struct weir_buffer *packed,
		     const char *encoding)
{
	const char *const fields[] = { encoding, "Content-Length: 1", NULL };
	unsigned status;

	bytes_set(packed, 100);
	rig_call_init(&call, "POST /", fields, NULL);
	call.call.request.body = &bytes.body;
	status = rig_call_handle(&call, svc);
	rig_call_fini(&call);
	return status;
}

static void skip_all(struct rig_script *self, struct weir_call *one)
{
	self->error = weir_body_skip(one->request.body, UINT64_MAX);
}

static int requests_main(void *arg)
{
	struct weir_counter refused = { 0 };
	struct weir_http_decompress_conf conf = { .requests = true,
						  .max_bytes = 900,
						  .refused = &refused };
	struct weir_http_service *svc =
		weir_http_decompress_layer(rig_script_init(&script), &conf, NULL);
	struct weir_buffer packed = { 0 };
	char *zeros = calloc(1, 4 << 20);

	(void)arg;
	script.reads = true;
	pack(WEIR_HTTP_CODING_GZIP, "hello", 5, &packed);
	assert_int_equal(post(svc, &packed, "Content-Encoding: GZIP"), 200);
	assert_string_equal(script.seen_body, "hello");
	assert_string_equal(script.seen_fields, "");
	assert_int_equal(post(svc, &packed, "Content-Encoding: br"), 400);
	assert_int_equal(post(svc, &packed, "Content-Encoding: none"), 200);
	/* Two members in a row are one body. */
	pack(WEIR_HTTP_CODING_GZIP, " world", 6, &packed);
	assert_int_equal(post(svc, &packed, "Content-Encoding: gzip"), 200);
	assert_string_equal(script.seen_body, "hello world");
	/* Bombs. */
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(all); i++) {
		char encoding[64];

		snprintf(encoding, sizeof(encoding), "Content-Encoding: %.*s",
			 WEIR_TEXT_ARGS(http_coding_name(all[i])));
		weir_buffer_clear(&packed);
		pack(all[i], zeros, 4 << 20, &packed);
		assert_int_equal(post(svc, &packed, encoding), 413);
		assert_string_equal(call.call.result.why ? "decompress_limit" : "",
				    "decompress_limit");
	}
	assert_int_equal(refused.value, 3);
	weir_http_service_free(svc);
	/* By ratio alone. */
	conf.max_bytes = 1 << 30;
	script.reads = false;
	script.hook = skip_all;
	svc = weir_http_decompress_layer(&script.svc, &conf, NULL);
	assert_int_equal(post(svc, &packed, "Content-Encoding: zstd"), 413);
	weir_http_service_free(svc);
	weir_buffer_fini(&packed);
	free(zeros);
	return 0;
}

static void requests_are_decompressed(void **state)
{
	(void)state;
	rig_calls_run(requests_main, NULL);
}

static void mistakes_are_said(void **state)
{
	static const char *const types[] = { "html" };
	struct weir_error error = { 0 };

	(void)state;
	rig_script_init(&script);
	assert_null(weir_http_compress_layer(
		&script.svc, &(struct weir_http_compress_conf){ .types = types, .n_types = 1 },
		&error));
	assert_true(error.message[0] && error.remedy[0]);
	assert_null(weir_http_compress_layer(
		&script.svc, &(struct weir_http_compress_conf){ .gzip_level = 10 }, &error));
	assert_null(weir_http_compress_layer(
		&script.svc, &(struct weir_http_compress_conf){ .zstd_level = -1 }, &error));
	assert_null(weir_http_compress_layer(
		&script.svc, &(struct weir_http_compress_conf){ .codings = 8 }, &error));
	assert_null(weir_http_decompress_layer(
		&script.svc, &(struct weir_http_decompress_conf){ .codings = 8 }, &error));
	assert_int_equal(script.freed, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_come_back_the_same),
		cmocka_unit_test(some_are_left_alone),
		cmocka_unit_test(events_reach_their_reader),
		cmocka_unit_test(a_broken_body_stays_broken),
		cmocka_unit_test(codings_are_chosen),
		cmocka_unit_test(responses_are_decompressed),
		cmocka_unit_test(what_is_flushed_is_read),
		cmocka_unit_test(what_is_accepted_is_kept),
		cmocka_unit_test(requests_are_decompressed),
		cmocka_unit_test(mistakes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
