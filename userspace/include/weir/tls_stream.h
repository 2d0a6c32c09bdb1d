/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TLS_STREAM_H
#define WEIR_TLS_STREAM_H

/*
 * What can be asked of a stream that encrypts, besides what every stream does.
 *
 * Shutting it down sends close_notify, then ends the stream below. A peer whose bytes end without
 * close_notify is WEIR_ETRUNCATED, not an end: somebody else may have cut them.
 *
 * What a writev() has encrypted, but the stream below has not taken, is -EAGAIN to the writer, who
 * must come again with the same bytes, as every writer does.
 */

#include <stdbool.h>

#include <weir/stream.h>

/* Of the peer's certificate: names as RFC 2253 writes them, in one line, cut if too long. */
struct weir_tls_info {
	const char *version; /* "TLSv1.3"; static memory */
	const char *cipher;  /* "TLS_AES_256_GCM_SHA384"; static memory */
	char alpn[32];	     /* "": none was agreed on */
	const char *why;     /* why the certificate would not do; static memory; NULL: it would */
	char subject[256];   /* "": it showed none */
	char issuer[256];
	char begins[32]; /* "Jan  1 00:00:00 2026 GMT" */
	char expires[32];
};

/* 0, or -EINVAL of a stream that does not encrypt. */
int weir_tls_stream_info(struct weir_stream *stream, struct weir_tls_info *info) WEIR_MUST_CHECK;

#endif
