/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_TEMPLATE_H
#define WEIR_PROXY_TEMPLATE_H

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

struct template;

/* NULL with ERROR: WEIR_ECONFIG or -ENOMEM. */
struct template *template_new(const char *text, struct weir_error *error) WEIR_MUST_CHECK;
/* Accepts NULL. */
void template_free(struct template *template);
/* In the call's arena; no data when memory is out. */
struct weir_text template_fill(const struct template *template, struct weir_call *call)
	WEIR_MUST_CHECK;

#endif
