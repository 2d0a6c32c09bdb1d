/* SPDX-License-Identifier: MIT */
/* gzip (RFC 1952) by zlib. */

#include "layer/http_coder.h"

#include <stdlib.h>
#include <zlib.h>

#include <weir/error.h>

#define WINDOW	     15
#define GZIP_WRAPPER 16 /* added to the window: gzip's head and checksum */
#define SMALL_BYTES  8192
#define SMALL_WINDOW 13
#define MEMORY	     8
#define SMALL_MEMORY 6

struct gzip {
	struct http_coder coder;
	z_stream z;
};

static void gzip_begin(struct gzip *gzip, const struct iovec *in, const struct iovec *out)
{
	gzip->z.next_in = in->iov_base;
	gzip->z.avail_in = (uInt)in->iov_len;
	gzip->z.next_out = out->iov_base;
	gzip->z.avail_out = (uInt)out->iov_len;
}

static void gzip_end(const struct gzip *gzip, struct iovec *in, struct iovec *out)
{
	*in = (struct iovec){ (void *)(uintptr_t)gzip->z.next_in, gzip->z.avail_in };
	*out = (struct iovec){ gzip->z.next_out, gzip->z.avail_out };
}

/* ---- encoding ---- */

static int gzip_encode(struct http_coder *coder, struct iovec *in, struct iovec *out,
		       enum http_coder_step step)
{
	static const int flushes[] = {
		[HTTP_CODER_RUN] = Z_NO_FLUSH,
		[HTTP_CODER_FLUSH] = Z_SYNC_FLUSH,
		[HTTP_CODER_END] = Z_FINISH,
	};
	struct gzip *gzip = weir_container_of(coder, struct gzip, coder);
	int status;

	gzip_begin(gzip, in, out);
	status = deflate(&gzip->z, flushes[step]);
	gzip_end(gzip, in, out);
	if (step == HTTP_CODER_END)
		return status == Z_STREAM_END;
	/* Room that is left says that nothing waits inside. */
	return in->iov_len == 0 && out->iov_len > 0;
}

static void gzip_free_encoder(struct http_coder *coder)
{
	struct gzip *gzip = weir_container_of(coder, struct gzip, coder);

	deflateEnd(&gzip->z);
	free(gzip);
}

static const struct http_coder_ops gzip_encoder_ops = {
	.run = gzip_encode,
	.free = gzip_free_encoder,
};

/* An ordinary state is 256 KiB large, one for a small body a fifth of it. */
struct http_coder *http_gzip_encoder(int level, uint64_t size)
{
	bool small = size <= SMALL_BYTES;
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (!gzip)
		return NULL;
	gzip->coder.ops = &gzip_encoder_ops;
	if (deflateInit2(&gzip->z, level, Z_DEFLATED,
			 (small ? SMALL_WINDOW : WINDOW) + GZIP_WRAPPER,
			 small ? SMALL_MEMORY : MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(gzip);
		return NULL;
	}
	return &gzip->coder;
}

/* ---- decoding ---- */

/* One member after the other (RFC 1952 section 2.2). */
static int gzip_decode(struct http_coder *coder, struct iovec *in, struct iovec *out,
		       enum http_coder_step step)
{
	struct gzip *gzip = weir_container_of(coder, struct gzip, coder);
	int status = Z_OK;

	(void)step;
	gzip_begin(gzip, in, out);
	while (gzip->z.avail_in > 0 && gzip->z.avail_out > 0 && status == Z_OK) {
		if (coder->complete && inflateReset(&gzip->z) != Z_OK)
			return WEIR_EPROTO;
		coder->complete = false;
		status = inflate(&gzip->z, Z_NO_FLUSH);
		if (status == Z_STREAM_END) {
			coder->complete = true;
			status = Z_OK;
		}
	}
	/* All input is in, but it may have more to say. */
	if (status == Z_OK && gzip->z.avail_in == 0 && gzip->z.avail_out > 0 && !coder->complete) {
		status = inflate(&gzip->z, Z_NO_FLUSH);
		coder->complete = status == Z_STREAM_END;
	}
	gzip_end(gzip, in, out);
	if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
		return WEIR_EPROTO;
	return in->iov_len == 0 && out->iov_len > 0;
}

static void gzip_free_decoder(struct http_coder *coder)
{
	struct gzip *gzip = weir_container_of(coder, struct gzip, coder);

	inflateEnd(&gzip->z);
	free(gzip);
}

static const struct http_coder_ops gzip_decoder_ops = {
	.run = gzip_decode,
	.free = gzip_free_decoder,
};

struct http_coder *http_gzip_decoder(void)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (!gzip)
		return NULL;
	gzip->coder.ops = &gzip_decoder_ops;
	if (inflateInit2(&gzip->z, WINDOW + GZIP_WRAPPER) != Z_OK) {
		free(gzip);
		return NULL;
	}
	return &gzip->coder;
}
