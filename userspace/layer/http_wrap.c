/* SPDX-License-Identifier: MIT */

#include "layer/http_wrap.h"

void http_wrap_init(struct http_wrap *wrap, const struct weir_body_ops *ops,
		    struct weir_body *inner)
{
	wrap->body = (struct weir_body){ .ops = ops, .size = inner->size };
	wrap->inner = inner;
}

int http_wrap_next(struct http_wrap *wrap, struct iovec *piece, bool wait)
{
	int status = weir_body_next(wrap->inner, piece, wait);

	if (status == 0)
		wrap->body.trailers = wrap->inner->trailers;
	return status;
}

void http_wrap_free(struct weir_body *body)
{
	weir_body_free(weir_container_of(body, struct http_wrap, body)->inner);
}
