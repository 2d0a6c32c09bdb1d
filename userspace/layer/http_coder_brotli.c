/* SPDX-License-Identifier: MIT */
/* br (RFC 7932). */

#include "layer/http_coder.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <stdlib.h>

#include <weir/error.h>

#define WINDOW	     18 /* 256 KiB: what a proxy may hold for each response */
#define SMALL_BYTES  8192
#define SMALL_WINDOW 14

struct brotli {
	struct http_coder coder;
	BrotliEncoderState *encoder;
	BrotliDecoderState *decoder;
};

/* ---- encoding ---- */

static int brotli_encode(struct http_coder *coder, struct iovec *in, struct iovec *out,
			 enum http_coder_step step)
{
	static const BrotliEncoderOperation operations[] = {
		[HTTP_CODER_RUN] = BROTLI_OPERATION_PROCESS,
		[HTTP_CODER_FLUSH] = BROTLI_OPERATION_FLUSH,
		[HTTP_CODER_END] = BROTLI_OPERATION_FINISH,
	};
	struct brotli *brotli = weir_container_of(coder, struct brotli, coder);
	const uint8_t *next_in = in->iov_base;
	uint8_t *next_out = out->iov_base;
	BROTLI_BOOL ok;

	ok = BrotliEncoderCompressStream(brotli->encoder, operations[step], &in->iov_len, &next_in,
					 &out->iov_len, &next_out, NULL);
	in->iov_base = (void *)(uintptr_t)next_in;
	out->iov_base = next_out;
	if (!ok)
		return WEIR_EPROTO;
	if (step == HTTP_CODER_END)
		return BrotliEncoderIsFinished(brotli->encoder);
	return in->iov_len == 0 && !BrotliEncoderHasMoreOutput(brotli->encoder);
}

static void brotli_free(struct http_coder *coder)
{
	struct brotli *brotli = weir_container_of(coder, struct brotli, coder);

	if (brotli->encoder)
		BrotliEncoderDestroyInstance(brotli->encoder);
	if (brotli->decoder)
		BrotliDecoderDestroyInstance(brotli->decoder);
	free(brotli);
}

static const struct http_coder_ops brotli_encoder_ops = {
	.run = brotli_encode,
	.free = brotli_free,
};

struct http_coder *http_brotli_encoder(int level, uint64_t size)
{
	struct brotli *brotli = calloc(1, sizeof(*brotli));

	if (!brotli)
		return NULL;
	brotli->coder.ops = &brotli_encoder_ops;
	brotli->encoder = BrotliEncoderCreateInstance(NULL, NULL, NULL);
	if (!brotli->encoder) {
		free(brotli);
		return NULL;
	}
	BrotliEncoderSetParameter(brotli->encoder, BROTLI_PARAM_QUALITY, (uint32_t)level);
	BrotliEncoderSetParameter(brotli->encoder, BROTLI_PARAM_LGWIN,
				  size <= SMALL_BYTES ? SMALL_WINDOW : WINDOW);
	return &brotli->coder;
}

/* ---- decoding ---- */

static int brotli_decode(struct http_coder *coder, struct iovec *in, struct iovec *out,
			 enum http_coder_step step)
{
	struct brotli *brotli = weir_container_of(coder, struct brotli, coder);
	const uint8_t *next_in = in->iov_base;
	uint8_t *next_out = out->iov_base;
	BrotliDecoderResult result;

	(void)step;
	if (coder->complete)
		return in->iov_len > 0 ? WEIR_EPROTO : 1;
	result = BrotliDecoderDecompressStream(brotli->decoder, &in->iov_len, &next_in,
					       &out->iov_len, &next_out, NULL);
	in->iov_base = (void *)(uintptr_t)next_in;
	out->iov_base = next_out;
	coder->complete = result == BROTLI_DECODER_RESULT_SUCCESS;
	if (result == BROTLI_DECODER_RESULT_ERROR || (coder->complete && in->iov_len > 0))
		return WEIR_EPROTO;
	/* It asks for input first, though it may have said only a part of what it knows. */
	return !BrotliDecoderHasMoreOutput(brotli->decoder);
}

static const struct http_coder_ops brotli_decoder_ops = {
	.run = brotli_decode,
	.free = brotli_free,
};

struct http_coder *http_brotli_decoder(void)
{
	struct brotli *brotli = calloc(1, sizeof(*brotli));

	if (!brotli)
		return NULL;
	brotli->coder.ops = &brotli_decoder_ops;
	brotli->decoder = BrotliDecoderCreateInstance(NULL, NULL, NULL);
	if (!brotli->decoder) {
		free(brotli);
		return NULL;
	}
	return &brotli->coder;
}
