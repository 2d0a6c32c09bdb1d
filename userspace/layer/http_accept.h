/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_ACCEPT_H
#define WEIR_LAYER_HTTP_ACCEPT_H

/* Accept-Encoding (RFC 9110 section 12.5.3). */

#include <weir/http_content.h>

/* The best of the codings OFFERED (bits) for a request with HEADERS; 0: send it as it is. Of
 * equally wanted ones zstd comes first, then br, then gzip. */
unsigned http_accept_best(const struct weir_headers *headers, unsigned offered);
/* Whether the request asks for this coding, by its name or by "*". */
bool http_accept_has(const struct weir_headers *headers, enum weir_http_coding coding);

/* A weight (section 12.4.2) in thousandths; -EINVAL. */
int http_accept_weight(struct weir_text text) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * What layers that change a coding have in common
 */

/* Another representation of the same thing: a strong ETag becomes a weak one, parts are not
 * offered, the length is not known. */
int http_content_recoded(struct weir_call *call) WEIR_MUST_CHECK;
/* Cache-Control: no-transform, a part, an answer that has no content, or a tunnel. */
bool http_content_is_fixed(const struct weir_call *call);

#endif
