/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_PHRASE_H
#define WEIR_PROXY_PHRASE_H

/*
 * Text of a rewritten path or a redirect's target, with fields in braces ("{{" for a brace):
 *
 *	{scheme} {host} without port {authority} {path} {query} {uri} path?query, as they came
 *	{rest} what a path pattern's "*" stood for, with its slash
 *	{name} of any other: the path pattern's parameter
 *
 * What is not known is empty. Fields of paths are still encoded.
 */

#include <weir/call.h>
#include <weir/error.h>

struct phrase;

/* NULL with ERROR: WEIR_ECONFIG or -ENOMEM. */
struct phrase *phrase_new(const char *text, struct weir_error *error) WEIR_MUST_CHECK;
/* Accepts NULL. */
void phrase_free(struct phrase *phrase);
/* In the call's arena; no data when memory is out. */
struct weir_text phrase_fill(const struct phrase *phrase, struct weir_call *call) WEIR_MUST_CHECK;

#endif
