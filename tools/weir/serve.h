/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOOL_SERVE_H
#define WEIR_TOOL_SERVE_H

/*
 * What `weir serve` was asked for, and the services that speak HTTP.
 */

#include <stdbool.h>

#include <weir/error.h>

struct weir_service;

struct serve_arguments {
	const char *folder; /* of fs */
	const char *address;
	bool listing; /* of fs: pages of folders */
	bool verbose; /* of those that speak HTTP: an access log on stderr */
};

/* Answers by path: see weir(8). */
struct weir_service *serve_http(const struct serve_arguments *arguments, struct weir_error *error)
	WEIR_MUST_CHECK;
/* The files below a folder. */
struct weir_service *serve_fs(const struct serve_arguments *arguments, struct weir_error *error)
	WEIR_MUST_CHECK;

#endif
