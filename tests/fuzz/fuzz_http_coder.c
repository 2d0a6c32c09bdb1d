/* SPDX-License-Identifier: MIT */
/*
 * Compressed bodies of strangers: any bytes through each decoder, and how they are cut changes
 * nothing. And what is compressed comes back, flushed anywhere.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>

#include "layer/http_coder.h"

#define OUT_MAX (1u << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum weir_http_coding codings[] = {
	WEIR_HTTP_CODING_GZIP,
	WEIR_HTTP_CODING_BROTLI,
	WEIR_HTTP_CODING_ZSTD,
};

/* Decodes in pieces of STEP, with little room at a time. 1: whole; 0: not yet; else the error, or that
 * it is too much. */
static int decode(enum weir_http_coding coding, const uint8_t *data, size_t size, size_t step,
		  struct weir_buffer *out)
{
	struct http_coder *coder = http_decoder_new(coding);
	int status = 1;

	while (size > 0 && status >= 0 && weir_buffer_size(out) < OUT_MAX) {
		struct iovec in = { (void *)(uintptr_t)data, WEIR_MIN(size, step) };

		data += in.iov_len;
		size -= in.iov_len;
		do {
			char text[1000];
			struct iovec room = { text, sizeof(text) };
			size_t had = in.iov_len;

			status = coder->ops->run(coder, &in, &room, HTTP_CODER_RUN);
			assert(in.iov_len <= had && room.iov_len <= sizeof(text));
			assert(status != 1 || in.iov_len == 0);
			assert(status != 0 || had > in.iov_len || room.iov_len < sizeof(text));
			assert(!weir_buffer_append(out, text, sizeof(text) - room.iov_len));
		} while (status == 0 && weir_buffer_size(out) < OUT_MAX);
	}
	if (status >= 0)
		status = size == 0 && weir_buffer_size(out) < OUT_MAX ? coder->complete : -1;
	http_coder_free(coder);
	return status;
}

static void check_decoder(enum weir_http_coding coding, const uint8_t *data, size_t size)
{
	struct weir_buffer whole = { 0 }, cut = { 0 };
	int first = decode(coding, data, size, SIZE_MAX, &whole);
	int second = decode(coding, data, size, 1, &cut);

	/* What was said before an error may differ; what is good may not. */
	if (first >= 0 || second >= 0) {
		assert(first == second);
		assert(weir_buffer_size(&whole) == weir_buffer_size(&cut));
		if (weir_buffer_size(&cut) > 0)
			assert(memcmp(weir_buffer_head(&whole), weir_buffer_head(&cut),
				      weir_buffer_size(&cut)) == 0);
	}
	weir_buffer_fini(&whole);
	weir_buffer_fini(&cut);
}

static struct http_coder *encoder_new(enum weir_http_coding coding, size_t size)
{
	if (coding == WEIR_HTTP_CODING_GZIP)
		return http_gzip_encoder(1, size);
	if (coding == WEIR_HTTP_CODING_BROTLI)
		return http_brotli_encoder(1, size);
	return http_zstd_encoder(1, size);
}

/* The first byte says where it is flushed. */
static void check_encoder(enum weir_http_coding coding, const uint8_t *data, size_t size)
{
	struct http_coder *coder = encoder_new(coding, size);
	struct weir_buffer packed = { 0 }, again = { 0 };
	size_t flushed = size > 0 ? data[0] % (size + 1) : 0;
	char *bytes = (char *)(uintptr_t)data;

	assert(!http_coder_append(coder, (struct iovec){ bytes, flushed }, HTTP_CODER_RUN,
				  &packed));
	assert(!http_coder_append(coder, (struct iovec){ bytes, 0 }, HTTP_CODER_FLUSH, &packed));
	assert(decode(coding, (uint8_t *)weir_buffer_head(&packed), weir_buffer_size(&packed),
		      SIZE_MAX, &again) == 0);
	assert(weir_buffer_size(&again) == flushed);
	weir_buffer_clear(&again);
	assert(!http_coder_append(coder, (struct iovec){ bytes + flushed, size - flushed },
				  HTTP_CODER_END, &packed));
	assert(decode(coding, (uint8_t *)weir_buffer_head(&packed), weir_buffer_size(&packed),
		      SIZE_MAX, &again) == 1);
	assert(weir_buffer_size(&again) == size);
	assert(size == 0 || memcmp(weir_buffer_head(&again), data, size) == 0);
	http_coder_free(coder);
	weir_buffer_fini(&packed);
	weir_buffer_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nothing[1];

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(codings); i++) {
		check_decoder(codings[i], size > 0 ? data : nothing, size);
		check_encoder(codings[i], size > 0 ? data : nothing, size);
	}
	return 0;
}
