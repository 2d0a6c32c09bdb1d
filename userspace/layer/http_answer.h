/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_ANSWER_H
#define WEIR_LAYER_HTTP_ANSWER_H

/* How layers of HTTP services are made, and how they answer by themselves. */

#include <weir/call.h>
#include <weir/error.h>
#include <weir/metrics.h>

/* Zeroed memory of SIZE bytes that begins with a struct weir_http_service around INNER. NULL with
 * INNER freed when memory is out; NULL when INNER is NULL. */
void *http_layer_new(size_t size, const struct weir_http_ops *ops, struct weir_http_service *inner,
		     struct weir_error *error) WEIR_MUST_CHECK;
/* The end of a constructor: SVC, or NULL with all of it freed when STATUS is not 0. */
struct weir_http_service *http_layer_done(struct weir_http_service *svc, int status);
int http_layer_refuse(struct weir_error *error, const char *remedy, const char *message, ...)
	WEIR_PRINTF(3, 4);
int http_layer_memory(struct weir_error *error); /* -ENOMEM, said */

/* Copies N strings into ARENA. NULL when memory is out. */
const char *const *http_strings_copy(struct weir_arena *arena, const char *const *strings, size_t n)
	WEIR_MUST_CHECK;
/* COPY of TEXT; TEXT NULL: OTHERWISE, as it is. */
const char *http_string_copy(struct weir_arena *arena, const char *text, const char *otherwise);

/* COUNTER may be NULL. */
static inline void http_count(struct weir_counter *counter, uint64_t n)
{
	if (counter)
		weir_counter_add(counter, n);
}

/* Makes the answer that the server would give for a negative STATUS, so that it can be dressed.
 * Cancelled calls stay what they are: there is nobody to answer. */
int http_answer(struct weir_call *call, int status) WEIR_MUST_CHECK;
/* A refusal that says when to come back. */
int http_refuse_until(struct weir_call *call, unsigned status, const char *why, uint64_t seconds)
	WEIR_MUST_CHECK;
/* A redirect to LOCATION, which lives as long as the call. */
int http_redirect(struct weir_call *call, unsigned status, struct weir_text location)
	WEIR_MUST_CHECK;

/* Gives the response another body of TYPE, both borrowed for the call, and drops what described the
 * one before. Status and other fields stay; a HEAD request gets the length alone. */
int http_replace(struct weir_call *call, struct weir_text type, struct weir_text content)
	WEIR_MUST_CHECK;
/* Adds NAME to the response's Vary unless it says so already. */
int http_vary(struct weir_call *call, const char *name) WEIR_MUST_CHECK;
/* printf into the call's arena; no data when memory is out. */
struct weir_text http_text(struct weir_call *call, const char *format, ...) WEIR_PRINTF(2, 3);

/* Whether the request's path is one of PREFIXES, or lies under one. */
bool http_path_is_under(const struct weir_request *request, const char *const *prefixes, size_t n);
/* What the client used, as a trusted proxy says it. */
bool http_is_https(const struct weir_call *call);

#endif
