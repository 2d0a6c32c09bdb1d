/* SPDX-License-Identifier: MIT */
/*
 * decompress: for clients that cannot read what an upstream sends, or for upstreams that cannot read
 * what clients send. A few bytes may stand for very many, so both the size of what comes out and
 * its ratio to what went in are bounded, and at most 32 KiB are decoded at a time.
 */

#include <weir/http_content.h>

#include <errno.h>
#include <stdlib.h>

#include <weir/buffer.h>
#include <weir/error.h>

#include "layer/http_accept.h"
#include "layer/http_answer.h"
#include "layer/http_coder.h"
#include "layer/http_wrap.h"

#define MAX_BYTES   (64ull << 20)
#define MAX_RATIO   200
#define FREE_BYTES  (1u << 20) /* the ratio does not count before */
#define OUT_BYTES   32768
#define ALL_CODINGS (WEIR_HTTP_CODING_GZIP | WEIR_HTTP_CODING_BROTLI | WEIR_HTTP_CODING_ZSTD)

struct decompress {
	struct weir_http_service svc;
	bool requests;
	unsigned codings;
	uint64_t max_bytes;
	uint32_t max_ratio;
	struct weir_counter *refused;
};

/* ---- the body ---- */

struct unpacked {
	struct http_wrap wrap;
	const struct decompress *layer;
	struct http_coder *coder;
	char *out;		 /* OUT_BYTES */
	struct weir_buffer rest; /* input that did not fit in one go */
	bool more;		 /* the coder has more to say before it needs input */
	uint64_t bytes_in, bytes_out;
	bool has_ended;
	int end;
};

static int unpacked_end(struct unpacked *unpacked, int status)
{
	unpacked->has_ended = true;
	unpacked->end = status;
	return status;
}

static bool unpacked_is_bomb(const struct unpacked *unpacked)
{
	const struct decompress *layer = unpacked->layer;

	return unpacked->bytes_out > layer->max_bytes ||
	       (unpacked->bytes_out > FREE_BYTES &&
		unpacked->bytes_out / layer->max_ratio > unpacked->bytes_in);
}

/* Input for the coder: what is left, or the next piece. As next(). */
static int unpacked_input(struct unpacked *unpacked, struct iovec *in, bool wait)
{
	int status;

	*in = (struct iovec){ "", weir_buffer_size(&unpacked->rest) };
	if (in->iov_len > 0)
		in->iov_base = weir_buffer_head(&unpacked->rest);
	if (in->iov_len > 0 || unpacked->more)
		return 1;
	status = http_wrap_next(&unpacked->wrap, in, wait);
	if (status > 0)
		unpacked->bytes_in += in->iov_len;
	return status;
}

/* Keeps of IN what the coder has left: the piece is borrowed. */
static int unpacked_keep(struct unpacked *unpacked, struct iovec in)
{
	size_t had = weir_buffer_size(&unpacked->rest);

	if (had > 0) {
		weir_buffer_consume(&unpacked->rest, had - in.iov_len);
		return 0;
	}
	return in.iov_len > 0 ? weir_buffer_append(&unpacked->rest, in.iov_base, in.iov_len) : 0;
}

/* Decodes some of IN into a piece, which may be empty. 0 or an error. */
static int unpacked_decode(struct unpacked *unpacked, struct iovec in, struct iovec *piece)
{
	struct iovec room = { unpacked->out, OUT_BYTES };
	int status = unpacked->coder->ops->run(unpacked->coder, &in, &room, HTTP_CODER_RUN);

	if (status < 0)
		return status;
	unpacked->more = status == 0;
	*piece = (struct iovec){ unpacked->out, OUT_BYTES - room.iov_len };
	unpacked->bytes_out += piece->iov_len;
	if (unpacked_is_bomb(unpacked)) {
		http_count(unpacked->layer->refused, 1);
		return WEIR_ELIMIT;
	}
	return unpacked_keep(unpacked, in);
}

static int unpacked_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct unpacked *unpacked = weir_container_of(body, struct unpacked, wrap.body);
	struct iovec in;
	int status;

	while (!unpacked->has_ended) {
		status = unpacked_input(unpacked, &in, wait);
		if (status == -EAGAIN)
			return status;
		if (status < 0)
			return unpacked_end(unpacked, status);
		/* What has no end was cut off. */
		if (status == 0)
			return unpacked_end(unpacked, unpacked->coder->complete ? 0 : WEIR_EPROTO);
		status = unpacked_decode(unpacked, in, piece);
		if (status)
			return unpacked_end(unpacked, status);
		if (piece->iov_len > 0)
			return 1;
	}
	return unpacked->end;
}

static void unpacked_free(struct weir_body *body)
{
	struct unpacked *unpacked = weir_container_of(body, struct unpacked, wrap.body);

	http_coder_free(unpacked->coder);
	free(unpacked->out);
	weir_buffer_fini(&unpacked->rest);
	http_wrap_free(body);
}

static const struct weir_body_ops unpacked_ops = {
	.name = "decompress",
	.next = unpacked_next,
	.free = unpacked_free,
};

/* Wraps *BODY. */
static int unpacked_wrap(const struct decompress *layer, struct weir_call *call, unsigned coding,
			 struct weir_body **body, struct unpacked **out)
{
	struct unpacked *unpacked = weir_arena_zalloc(&call->arena, sizeof(*unpacked));

	if (!unpacked)
		return -ENOMEM;
	unpacked->coder = http_decoder_new(coding);
	unpacked->out = malloc(OUT_BYTES);
	if (!unpacked->coder || !unpacked->out) {
		http_coder_free(unpacked->coder);
		free(unpacked->out);
		return -ENOMEM;
	}
	http_wrap_init(&unpacked->wrap, &unpacked_ops, *body);
	unpacked->wrap.body.size = WEIR_BODY_UNKNOWN;
	unpacked->layer = layer;
	*body = &unpacked->wrap.body;
	*out = unpacked;
	return 0;
}

/* ---- the layer ---- */

/* The coding of a message that has this one alone; 0: none that is known here. */
static unsigned message_coding(const struct decompress *layer, const struct weir_headers *headers)
{
	const struct weir_header *first =
		weir_headers_find_id(headers, WEIR_HEADER_CONTENT_ENCODING, NULL);

	if (!first || weir_headers_find_id(headers, WEIR_HEADER_CONTENT_ENCODING, first))
		return 0;
	return http_coding_parse(first->value) & layer->codings;
}

static int decompress_request(const struct decompress *layer, struct weir_call *call)
{
	struct weir_headers *headers = &call->request.headers;
	unsigned coding = message_coding(layer, headers);
	struct unpacked *unpacked;
	int status;

	if (!coding || !call->request.body)
		return weir_handle(layer->svc.inner, call);
	status = unpacked_wrap(layer, call, coding, &call->request.body, &unpacked);
	if (status)
		return status;
	weir_headers_del_id(headers, WEIR_HEADER_CONTENT_ENCODING);
	weir_headers_del_id(headers, WEIR_HEADER_CONTENT_LENGTH);
	status = weir_handle(layer->svc.inner, call);
	/* A failure for lack of the rest is the client's. */
	if (status >= 0 && call->response.status < 500)
		return status;
	if (unpacked->end == WEIR_ELIMIT)
		return weir_call_refuse(call, 413, "decompress_limit");
	if (unpacked->end == WEIR_EPROTO)
		return weir_call_refuse(call, 400, "decompress");
	return status;
}

static int decompress_response(const struct decompress *layer, struct weir_call *call)
{
	struct weir_headers *headers = &call->response.headers;
	int status = weir_handle(layer->svc.inner, call);
	struct unpacked *unpacked;
	unsigned coding;

	if (status || http_content_is_fixed(call))
		return status;
	coding = message_coding(layer, headers);
	if (!coding)
		return 0;
	status = http_vary(call, "Accept-Encoding");
	if (status || http_accept_has(&call->request.headers, coding))
		return status;
	if (call->response.body && call->request.method != WEIR_METHOD_HEAD)
		status = unpacked_wrap(layer, call, coding, &call->response.body, &unpacked);
	if (status)
		return status;
	weir_headers_del_id(headers, WEIR_HEADER_CONTENT_ENCODING);
	return http_content_recoded(call);
}

static int decompress_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct decompress *layer = weir_container_of(svc, struct decompress, svc);

	return layer->requests ? decompress_request(layer, call) : decompress_response(layer, call);
}

static void decompress_free(struct weir_http_service *svc)
{
	free(weir_container_of(svc, struct decompress, svc));
}

static const struct weir_http_ops decompress_ops = {
	.name = "decompress",
	.handle = decompress_handle,
	.free = decompress_free,
};

struct weir_http_service *weir_http_decompress_layer(struct weir_http_service *inner,
						     const struct weir_http_decompress_conf *conf,
						     struct weir_error *error)
{
	struct decompress *layer = http_layer_new(sizeof(*layer), &decompress_ops, inner, error);
	int status = 0;

	if (!layer)
		return NULL;
	layer->requests = conf->requests;
	layer->codings = conf->codings ? conf->codings : ALL_CODINGS;
	layer->max_bytes = conf->max_bytes ? conf->max_bytes : MAX_BYTES;
	layer->max_ratio = conf->max_ratio ? conf->max_ratio : MAX_RATIO;
	layer->refused = conf->refused;
	if (conf->codings & ~(unsigned)ALL_CODINGS)
		status =
			http_layer_refuse(error, "say gzip, br or zstd", "there is no such coding");
	return http_layer_done(&layer->svc, status);
}
