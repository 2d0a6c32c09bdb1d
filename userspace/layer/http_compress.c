/* SPDX-License-Identifier: MIT */
/*
 * compress: a body around the response's body. It takes what the inner one has ready, and when that
 * has nothing, what was taken is flushed: so server-sent events reach their reader one by one,
 * and a long download is compressed as a whole.
 */

#include <weir/http_content.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>
#include <weir/error.h>

#include "layer/http_accept.h"
#include "layer/http_answer.h"
#include "layer/http_coder.h"
#include "layer/http_wrap.h"

#define MIN_BYTES   1024
#define PIECE_BYTES 16384 /* enough to be worth a write */
#define ALL_CODINGS (WEIR_HTTP_CODING_GZIP | WEIR_HTTP_CODING_BROTLI | WEIR_HTTP_CODING_ZSTD)

static const char *const default_types[] = {
	"text/*",
	"application/json",
	"application/*+json",
	"application/javascript",
	"application/xml",
	"application/*+xml",
	"application/wasm",
	"application/manifest+json",
	"application/x-javascript",
	"application/vnd.ms-fontobject",
	"font/ttf",
	"font/otf",
	"image/svg+xml",
	"image/bmp",
	"image/x-icon",
	"image/vnd.microsoft.icon",
};

struct compress {
	struct weir_http_service svc;
	struct weir_arena arena;
	const char *const *types;
	size_t n_types;
	unsigned codings;
	uint64_t min_bytes;
	int gzip_level, brotli_level, zstd_level;
	struct weir_counter *bytes_in, *bytes_out;
};

/* ---- the body ---- */

struct packed {
	struct http_wrap wrap;
	struct http_coder *coder;
	struct weir_buffer out;
	bool dirty;  /* the coder may hold something back */
	bool handed; /* the last piece was all of out */
	bool has_ended;
	int end; /* what is said after that */
	struct weir_counter *bytes_in, *bytes_out;
};

/* What has been compressed so far, as a piece; 0 when there is nothing. */
static int packed_hand(struct packed *packed, struct iovec *piece)
{
	if (weir_buffer_size(&packed->out) == 0)
		return 0;
	piece->iov_base = weir_buffer_head(&packed->out);
	piece->iov_len = weir_buffer_size(&packed->out);
	packed->handed = true;
	http_count(packed->bytes_out, piece->iov_len);
	return 1;
}

/* Does what the inner body's STATUS asks for. 1: there is enough to hand on; 0: go on. */
static int packed_step(struct packed *packed, int status, struct iovec in)
{
	enum http_coder_step step = status > 0	  ? HTTP_CODER_RUN
				    : status == 0 ? HTTP_CODER_END
						  : HTTP_CODER_FLUSH;
	int failed;

	http_count(packed->bytes_in, in.iov_len);
	failed = http_coder_append(packed->coder, in, step, &packed->out);
	if (failed)
		return failed;
	packed->dirty = step == HTTP_CODER_RUN;
	packed->has_ended = step == HTTP_CODER_END;
	return step != HTTP_CODER_RUN || weir_buffer_size(&packed->out) >= PIECE_BYTES;
}

static int packed_fail(struct packed *packed, int status)
{
	packed->has_ended = true;
	packed->end = status;
	return status;
}

static int packed_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct packed *packed = weir_container_of(body, struct packed, wrap.body);
	int status;

	if (packed->handed)
		weir_buffer_clear(&packed->out);
	packed->handed = false;
	while (!packed->has_ended) {
		struct iovec in = { "", 0 };

		status = http_wrap_next(&packed->wrap, &in, wait && !packed->dirty);
		if (status == -EAGAIN && !packed->dirty)
			return -EAGAIN;
		if (status < 0 && status != -EAGAIN)
			return packed_fail(packed, status);
		status = packed_step(packed, status, in);
		if (status < 0)
			return packed_fail(packed, status);
		if (status && packed_hand(packed, piece))
			return 1;
	}
	return packed->end;
}

static void packed_free(struct weir_body *body)
{
	struct packed *packed = weir_container_of(body, struct packed, wrap.body);

	http_coder_free(packed->coder);
	weir_buffer_fini(&packed->out);
	http_wrap_free(body);
}

static const struct weir_body_ops packed_ops = {
	.name = "compress",
	.next = packed_next,
	.free = packed_free,
};

/* ---- the layer ---- */

/* "text/html" by "text/ *", "application/ *+json" (without the spaces), or itself. */
static bool type_matches(struct weir_text type, const char *pattern)
{
	const char *star = strchr(pattern, '*');
	struct weir_text prefix, suffix;

	if (!star)
		return weir_text_is_equal_nocase(type, weir_text_of(pattern));
	prefix = (struct weir_text){ pattern, (size_t)(star - pattern) };
	suffix = weir_text_of(star + 1);
	return type.size > prefix.size + suffix.size &&
	       weir_text_is_equal_nocase((struct weir_text){ type.data, prefix.size }, prefix) &&
	       weir_text_has_suffix_nocase(type, suffix);
}

static bool compress_wants_type(const struct compress *compress, const struct weir_call *call)
{
	struct weir_text value =
		weir_headers_value(&call->response.headers, WEIR_HEADER_CONTENT_TYPE);
	struct weir_text type, parameters;

	weir_text_split(value, ';', &type, &parameters);
	type = weir_text_trim(type);
	for (size_t i = 0; i < compress->n_types; i++)
		if (type.size > 0 && type_matches(type, compress->types[i]))
			return true;
	return false;
}

/* Whether this response would be compressed for a client that accepts it. */
static bool compress_wants(const struct compress *compress, const struct weir_call *call)
{
	const struct weir_response *response = &call->response;
	bool is_head = call->request.method == WEIR_METHOD_HEAD;
	uint64_t size = response->body ? response->body->size : response->announced;

	if ((!response->body && !is_head) || http_content_is_fixed(call))
		return false;
	if (weir_headers_find_id(&response->headers, WEIR_HEADER_CONTENT_ENCODING, NULL) ||
	    weir_headers_find_id(&response->headers, WEIR_HEADER_CONTENT_RANGE, NULL))
		return false;
	return size >= compress->min_bytes && compress_wants_type(compress, call);
}

static struct http_coder *compress_coder(const struct compress *compress, unsigned coding,
					 uint64_t size)
{
	if (coding == WEIR_HTTP_CODING_ZSTD)
		return http_zstd_encoder(compress->zstd_level, size);
	if (coding == WEIR_HTTP_CODING_BROTLI)
		return http_brotli_encoder(compress->brotli_level, size);
	return http_gzip_encoder(compress->gzip_level, size);
}

static int compress_wrap(const struct compress *compress, struct weir_call *call, unsigned coding)
{
	struct weir_body *inner = call->response.body;
	struct packed *packed = weir_arena_zalloc(&call->arena, sizeof(*packed));

	if (!packed)
		return -ENOMEM;
	packed->coder = compress_coder(compress, coding, inner->size);
	if (!packed->coder)
		return -ENOMEM;
	http_wrap_init(&packed->wrap, &packed_ops, inner);
	packed->wrap.body.size = WEIR_BODY_UNKNOWN;
	packed->bytes_in = compress->bytes_in;
	packed->bytes_out = compress->bytes_out;
	call->response.body = &packed->wrap.body;
	return 0;
}

static int compress_apply(const struct compress *compress, struct weir_call *call)
{
	unsigned coding = http_accept_best(&call->request.headers, compress->codings);
	int status = http_vary(call, "Accept-Encoding");

	if (status || !coding)
		return status;
	/* A HEAD is told what a GET would get. */
	if (call->response.body && call->request.method != WEIR_METHOD_HEAD)
		status = compress_wrap(compress, call, coding);
	if (!status)
		status = http_content_recoded(call);
	if (!status)
		status = weir_headers_set_id(&call->response.headers, WEIR_HEADER_CONTENT_ENCODING,
					     http_coding_name(coding));
	return status;
}

static int compress_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct compress *compress = weir_container_of(svc, struct compress, svc);
	int status = weir_handle(svc->inner, call);

	if (status || !compress_wants(compress, call))
		return status;
	return compress_apply(compress, call);
}

static void compress_free(struct weir_http_service *svc)
{
	struct compress *compress = weir_container_of(svc, struct compress, svc);

	weir_arena_fini(&compress->arena);
	free(compress);
}

static const struct weir_http_ops compress_ops = {
	.name = "compress",
	.handle = compress_handle,
	.free = compress_free,
};

/* ---- configuration ---- */

static int level_set(int *level, int value, int otherwise, const char *what,
		     struct weir_error *error)
{
	*level = value ? value : otherwise;
	if (*level >= 1 && *level <= 9)
		return 0;
	return http_layer_refuse(error, "say 1 (quick) to 9 (small)", "%d is no level of %s", value,
				 what);
}

static int types_check(const struct weir_http_compress_conf *conf, struct weir_error *error)
{
	for (size_t i = 0; i < conf->n_types; i++) {
		const char *slash = strchr(conf->types[i], '/');

		if (!slash || slash == conf->types[i] || !slash[1])
			return http_layer_refuse(error,
						 "say text/html, or text with a star for all",
						 "\"%s\" is no media type", conf->types[i]);
	}
	return 0;
}

static int compress_configure(struct compress *compress, const struct weir_http_compress_conf *conf,
			      struct weir_error *error)
{
	weir_arena_init(&compress->arena, 0);
	if (conf->codings & ~(unsigned)ALL_CODINGS)
		return http_layer_refuse(error, "say gzip, br or zstd", "there is no such coding");
	if (types_check(conf, error) ||
	    level_set(&compress->gzip_level, conf->gzip_level, 5, "gzip", error) ||
	    level_set(&compress->brotli_level, conf->brotli_level, 4, "brotli", error) ||
	    level_set(&compress->zstd_level, conf->zstd_level, 3, "zstd", error))
		return WEIR_ECONFIG;
	compress->codings = conf->codings ? conf->codings : ALL_CODINGS;
	compress->min_bytes = conf->min_bytes ? conf->min_bytes : MIN_BYTES;
	compress->bytes_in = conf->bytes_in;
	compress->bytes_out = conf->bytes_out;
	compress->types = default_types;
	compress->n_types = WEIR_ARRAY_SIZE(default_types);
	if (conf->n_types == 0)
		return 0;
	compress->types = http_strings_copy(&compress->arena, conf->types, conf->n_types);
	compress->n_types = conf->n_types;
	return compress->types ? 0 : http_layer_memory(error);
}

struct weir_http_service *weir_http_compress_layer(struct weir_http_service *inner,
						   const struct weir_http_compress_conf *conf,
						   struct weir_error *error)
{
	struct compress *compress = http_layer_new(sizeof(*compress), &compress_ops, inner, error);

	if (!compress)
		return NULL;
	return http_layer_done(&compress->svc, compress_configure(compress, conf, error));
}
