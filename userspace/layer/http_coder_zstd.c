/* SPDX-License-Identifier: MIT */
/* zstd (RFC 8878; windows of at most 8 MiB, RFC 9659). */

#include "layer/http_coder.h"

#include <stdlib.h>
#include <zstd.h>

#include <weir/error.h>

#define WINDOW	     18 /* 256 KiB: what a proxy may hold for each response */
#define SMALL_BYTES  8192
#define SMALL_WINDOW 13
#define MAX_WINDOW   23

struct zstd {
	struct http_coder coder;
	ZSTD_CCtx *encoder;
	ZSTD_DCtx *decoder;
	bool in_frame; /* of a decoder */
};

/* ---- encoding ---- */

static int zstd_encode(struct http_coder *coder, struct iovec *in, struct iovec *out,
		       enum http_coder_step step)
{
	static const ZSTD_EndDirective directives[] = {
		[HTTP_CODER_RUN] = ZSTD_e_continue,
		[HTTP_CODER_FLUSH] = ZSTD_e_flush,
		[HTTP_CODER_END] = ZSTD_e_end,
	};
	struct zstd *zstd = weir_container_of(coder, struct zstd, coder);
	ZSTD_inBuffer source = { .src = in->iov_base, .size = in->iov_len };
	ZSTD_outBuffer sink = { .dst = out->iov_base, .size = out->iov_len };
	size_t left = ZSTD_compressStream2(zstd->encoder, &sink, &source, directives[step]);

	if (ZSTD_isError(left))
		return WEIR_EPROTO;
	*in = (struct iovec){ (char *)in->iov_base + source.pos, in->iov_len - source.pos };
	*out = (struct iovec){ (char *)out->iov_base + sink.pos, out->iov_len - sink.pos };
	return step == HTTP_CODER_RUN ? in->iov_len == 0 : left == 0;
}

static void zstd_free(struct http_coder *coder)
{
	struct zstd *zstd = weir_container_of(coder, struct zstd, coder);

	ZSTD_freeCCtx(zstd->encoder);
	ZSTD_freeDCtx(zstd->decoder);
	free(zstd);
}

static const struct http_coder_ops zstd_encoder_ops = {
	.run = zstd_encode,
	.free = zstd_free,
};

struct http_coder *http_zstd_encoder(int level, uint64_t size)
{
	struct zstd *zstd = calloc(1, sizeof(*zstd));

	if (!zstd)
		return NULL;
	zstd->coder.ops = &zstd_encoder_ops;
	zstd->encoder = ZSTD_createCCtx();
	if (!zstd->encoder) {
		free(zstd);
		return NULL;
	}
	ZSTD_CCtx_setParameter(zstd->encoder, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(zstd->encoder, ZSTD_c_windowLog,
			       size <= SMALL_BYTES ? SMALL_WINDOW : WINDOW);
	return &zstd->coder;
}

/* ---- decoding ---- */

/* The first byte of a frame: zstd's, or of those that are to be skipped (RFC 8878 section 3.1). The
 * library may know the formats of its own youth, too, which are no content coding. */
static bool zstd_begins_well(unsigned char first)
{
	return first == 0x28 || (first & 0xf0) == 0x50;
}

/* One frame after the other (RFC 8878 section 3.1). */
static int zstd_decode(struct http_coder *coder, struct iovec *in, struct iovec *out,
		       enum http_coder_step step)
{
	struct zstd *zstd = weir_container_of(coder, struct zstd, coder);
	ZSTD_inBuffer source = { .src = in->iov_base, .size = in->iov_len };
	ZSTD_outBuffer sink = { .dst = out->iov_base, .size = out->iov_len };

	(void)step;
	if (in->iov_len == 0 && coder->complete)
		return 1;
	do {
		size_t left;

		if (!zstd->in_frame && source.pos < source.size &&
		    !zstd_begins_well(((const unsigned char *)source.src)[source.pos]))
			return WEIR_EPROTO;
		left = ZSTD_decompressStream(zstd->decoder, &sink, &source);
		if (ZSTD_isError(left))
			return WEIR_EPROTO;
		zstd->in_frame = left != 0 && (zstd->in_frame || source.pos > 0);
		coder->complete = left == 0;
	} while (source.pos < source.size && sink.pos < sink.size);
	*in = (struct iovec){ (char *)in->iov_base + source.pos, in->iov_len - source.pos };
	*out = (struct iovec){ (char *)out->iov_base + sink.pos, out->iov_len - sink.pos };
	return in->iov_len == 0 && (out->iov_len > 0 || coder->complete);
}

static const struct http_coder_ops zstd_decoder_ops = {
	.run = zstd_decode,
	.free = zstd_free,
};

struct http_coder *http_zstd_decoder(void)
{
	struct zstd *zstd = calloc(1, sizeof(*zstd));

	if (!zstd)
		return NULL;
	zstd->coder.ops = &zstd_decoder_ops;
	zstd->decoder = ZSTD_createDCtx();
	if (!zstd->decoder) {
		free(zstd);
		return NULL;
	}
	ZSTD_DCtx_setParameter(zstd->decoder, ZSTD_d_windowLogMax, MAX_WINDOW);
	return &zstd->coder;
}
