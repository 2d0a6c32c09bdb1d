/* SPDX-License-Identifier: MIT */
#ifndef WEIR_STATIC_FILES_H
#define WEIR_STATIC_FILES_H

/*
 * A service that answers GET and HEAD with files below a folder: conditional requests, ranges,
 * precompressed variants. The request's path is the path below the folder.
 *
 * Nothing outside is ever served: the kernel resolves names beneath the folder (openat2(2) with
 * RESOLVE_BENEATH), so neither ".." nor a symbolic link leads out; links within are followed.
 * Names that begin with a dot are not there, but for /.well-known. Bodies go from the file to
 * the socket by the kernel.
 */

#include <stdbool.h>

#include <weir/call.h>
#include <weir/error.h>

struct weir_file_type {
	const char *extension; /* "wasm": without dot, any case */
	const char *type;      /* "application/wasm" */
};

/* Copied. */
struct weir_static_files_conf {
	const char *root;		    /* folder; opened once, so that it may be renamed */
	const char *const *index;	    /* names tried in a folder; none: index.html */
	size_t n_index;			    /* */
	const struct weir_file_type *types; /* before the built-in ones */
	size_t n_types;
	const char *default_type;  /* NULL: application/octet-stream */
	const char *cache_control; /* NULL: none */
	bool precompressed; /* name.br, name.zst and name.gz beside name, to who accepts them */
	bool listing;	    /* a page of a folder without index */
};

/* ERROR: the folder cannot be opened, or the kernel has no openat2(2). */
struct weir_http_service *weir_http_static_files(const struct weir_static_files_conf *conf,
						 struct weir_error *error) WEIR_MUST_CHECK;

#endif
