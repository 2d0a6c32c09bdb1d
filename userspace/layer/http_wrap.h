/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_WRAP_H
#define WEIR_LAYER_HTTP_WRAP_H

/* A body around a body. Embed as the first member. */

#include <weir/body.h>

struct http_wrap {
	struct weir_body body;
	struct weir_body *inner; /* owned */
};

/* The same size as INNER's. */
void http_wrap_init(struct http_wrap *wrap, const struct weir_body_ops *ops,
		    struct weir_body *inner);
/* Asks the inner one; its trailers are this one's when it has ended. */
int http_wrap_next(struct http_wrap *wrap, struct iovec *piece, bool wait);
/* As ops->free, where nothing else is to be freed. */
void http_wrap_free(struct weir_body *body);

#endif
