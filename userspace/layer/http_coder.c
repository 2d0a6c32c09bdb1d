/* SPDX-License-Identifier: MIT */

#include "layer/http_coder.h"

#include <errno.h>

#include <weir/buffer.h>

#define STEP_BYTES 8192

static const struct {
	enum weir_http_coding coding;
	struct weir_text name;
	struct http_coder *(*decoder)(void);
} codings[] = {
	{ WEIR_HTTP_CODING_GZIP, { "gzip", 4 }, http_gzip_decoder },
	{ WEIR_HTTP_CODING_BROTLI, { "br", 2 }, http_brotli_decoder },
	{ WEIR_HTTP_CODING_ZSTD, { "zstd", 4 }, http_zstd_decoder },
	{ WEIR_HTTP_CODING_GZIP, { "x-gzip", 6 }, http_gzip_decoder },
};

struct weir_text http_coding_name(enum weir_http_coding coding)
{
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(codings); i++)
		if (codings[i].coding == coding)
			return codings[i].name;
	return (struct weir_text){ 0 };
}

unsigned http_coding_parse(struct weir_text name)
{
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(codings); i++)
		if (weir_text_is_equal_nocase(codings[i].name, name))
			return codings[i].coding;
	return 0;
}

struct http_coder *http_decoder_new(enum weir_http_coding coding)
{
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(codings); i++)
		if (codings[i].coding == coding)
			return codings[i].decoder();
	return NULL;
}

void http_coder_free(struct http_coder *coder)
{
	if (coder)
		coder->ops->free(coder);
}

int http_coder_append(struct http_coder *coder, struct iovec in, enum http_coder_step step,
		      struct weir_buffer *out)
{
	int status = 0;

	while (status == 0) {
		struct iovec room;

		if (weir_buffer_reserve(out, STEP_BYTES))
			return -ENOMEM;
		room = (struct iovec){ weir_buffer_tail(out), STEP_BYTES };
		status = coder->ops->run(coder, &in, &room, step);
		weir_buffer_commit(out, STEP_BYTES - room.iov_len);
	}
	return status < 0 ? status : 0;
}
