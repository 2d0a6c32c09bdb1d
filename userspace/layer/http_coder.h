/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_CODER_H
#define WEIR_LAYER_HTTP_CODER_H

/* Content codings as streams: bytes in, bytes out. One file each has the library of its coding. */

#include <stdbool.h>
#include <sys/uio.h>

#include <weir/http_content.h>
#include <weir/text.h>

struct weir_buffer;
struct http_coder;

enum http_coder_step {
	HTTP_CODER_RUN,	  /* more comes */
	HTTP_CODER_FLUSH, /* what has come so far must be readable at the other end */
	HTTP_CODER_END,
};

struct http_coder_ops {
	/* Takes from IN and writes to OUT, moving both on. 1: IN is used up and the step is done; 0:
	 * OUT is full; WEIR_EPROTO: IN is no such coding. */
	int (*run)(struct http_coder *coder, struct iovec *in, struct iovec *out,
		   enum http_coder_step step);
	void (*free)(struct http_coder *coder);
};

struct http_coder { /* the first member of each */
	const struct http_coder_ops *ops;
	bool complete; /* a decoder: what it has read is whole */
};

/* SIZE is the body's, WEIR_BODY_UNKNOWN too: a small one takes less memory. NULL when memory is
 * out. */
struct http_coder *http_gzip_encoder(int level, uint64_t size) WEIR_MUST_CHECK;
struct http_coder *http_brotli_encoder(int level, uint64_t size) WEIR_MUST_CHECK;
struct http_coder *http_zstd_encoder(int level, uint64_t size) WEIR_MUST_CHECK;
struct http_coder *http_gzip_decoder(void) WEIR_MUST_CHECK;
struct http_coder *http_brotli_decoder(void) WEIR_MUST_CHECK;
struct http_coder *http_zstd_decoder(void) WEIR_MUST_CHECK;

struct http_coder *http_decoder_new(enum weir_http_coding coding) WEIR_MUST_CHECK;
/* Accepts NULL. */
void http_coder_free(struct http_coder *coder);
/* All of IN, and all that it gives appended to OUT. 0, -ENOMEM, WEIR_EPROTO. For encoders, whose
 * output is bounded by their input. */
int http_coder_append(struct http_coder *coder, struct iovec in, enum http_coder_step step,
		      struct weir_buffer *out) WEIR_MUST_CHECK;

/* "gzip", static memory. */
struct weir_text http_coding_name(enum weir_http_coding coding);
/* 0 for one that is unknown, or identity. Any case; "x-gzip" too. */
unsigned http_coding_parse(struct weir_text name);

#endif
