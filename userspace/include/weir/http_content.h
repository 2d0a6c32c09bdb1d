/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_CONTENT_H
#define WEIR_HTTP_CONTENT_H

/*
 * Layers of HTTP services that change bodies. Their constructors follow weir/http_layer.h.
 */

#include <weir/call.h>
#include <weir/metrics.h>

/* Content codings (RFC 9110 section 8.4.1), as bits. */
enum weir_http_coding {
	WEIR_HTTP_CODING_GZIP = 1,
	WEIR_HTTP_CODING_BROTLI = 2,
	WEIR_HTTP_CODING_ZSTD = 4,
};

/* ------------------------------------------------------------------------------------------
 * Compression
 */

struct weir_http_compress_conf {
	unsigned codings;	  /* WEIR_HTTP_CODING_* (all) */
	const char *const *types; /* media types, "text/..." as "text/ *" without the space
				   * (text, JSON, XML, JavaScript, SVG, WebAssembly and such) */
	size_t n_types;
	uint64_t min_bytes;		/* of a body whose length is known (1 KiB) */
	int gzip_level;			/* 1 to 9 (5) */
	int brotli_level;		/* 1 to 9 (4) */
	int zstd_level;			/* 1 to 9 (3) */
	struct weir_counter *bytes_in;	/* may be NULL, as the next */
	struct weir_counter *bytes_out; /* */
};

/* Compresses responses for those who accept it, piece by piece as they come. Never twice, never
 * with Cache-Control: no-transform, never a part (206). */
struct weir_http_service *weir_http_compress_layer(struct weir_http_service *inner,
						   const struct weir_http_compress_conf *conf,
						   struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Decompression
 */

struct weir_http_decompress_conf {
	bool requests;	    /* of bodies that clients send; else of responses whose coding the
			      * client does not accept */
	unsigned codings;   /* WEIR_HTTP_CODING_* (all) */
	uint64_t max_bytes; /* of a decompressed body (64 MiB) */
	uint32_t max_ratio; /* out by in, once 1 MiB came out (200) */
	struct weir_counter *refused; /* broken off for these; may be NULL */
};

/* A request that exceeds the limits is 413, one that is no such coding 400, an unknown coding
 * is passed on. A response that does breaks off. */
struct weir_http_service *weir_http_decompress_layer(struct weir_http_service *inner,
						     const struct weir_http_decompress_conf *conf,
						     struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Error pages
 */

struct weir_http_error_page {
	unsigned status;     /* 400 to 599; 4 or 5: all of that class; 0: all errors */
	const char *type;    /* ("text/html; charset=utf-8") */
	const char *content; /* a template; {reason} too; fields are escaped in HTML */
};

struct weir_http_error_pages_conf {
	const struct weir_http_error_page *pages; /* the most exact one is taken */
	size_t n_pages;
	bool all; /* also of responses that an upstream made; else of refusals */
};

struct weir_http_service *weir_http_error_pages_layer(struct weir_http_service *inner,
						      const struct weir_http_error_pages_conf *conf,
						      struct weir_error *error) WEIR_MUST_CHECK;

#endif
