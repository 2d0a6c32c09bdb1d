/* SPDX-License-Identifier: MIT */
#ifndef WEIR_MATCH_H
#define WEIR_MATCH_H

/*
 * Which rule a request matches: rules are compiled once into a table, and the first one that
 * holds is found by its host and path, not by trying one after the other.
 *
 *	host	"example.com"; "*.example.com": below it; ".example.com": it and below; "*"
 *	path	"/a/b"; "/a/" + "*": "/a" and below it; "/users/{id}/files/{rest*}"; "/" + "*"
 *
 * A host has no port and no case. A path pattern is compared segment by segment with a path in
 * normal form (weir/uri_path.h) and is brought into it itself; "{name}" stands for one segment
 * that is not empty, "*" and "{name*}" at the end for none or more. Tables never change; any
 * thread may ask.
 */

#include <weir/arena.h>
#include <weir/error.h>
#include <weir/extension.h>
#include <weir/headers.h>
#include <weir/network.h>

enum weir_match_type {
	WEIR_MATCH_ALL,	   /* of the parts; without parts it holds for everything */
	WEIR_MATCH_ANY,	   /* of the parts; without parts it holds for nothing */
	WEIR_MATCH_NONE,   /* of the parts */
	WEIR_MATCH_HOST,   /* value: a pattern */
	WEIR_MATCH_PATH,   /* value: a pattern */
	WEIR_MATCH_METHOD, /* value: the method, in its case */
	WEIR_MATCH_HEADER, /* name, how, value: one of the fields of that name */
	WEIR_MATCH_QUERY,  /* name, how, value: one of the parameters; escapes and "+" decoded */
	WEIR_MATCH_CLIENT, /* value: a network (weir/network.h) */
};

enum weir_match_how {
	WEIR_MATCH_EQUALS,
	WEIR_MATCH_PREFIX,
	WEIR_MATCH_PRESENT, /* whatever the value */
};

/* A condition, or several joined by one. */
struct weir_match_conf {
	enum weir_match_type type;
	enum weir_match_how how;
	const char *name;
	const char *value;
	const struct weir_match_conf *parts;
	size_t n_parts;
};

/* What is matched. Everything borrowed. */
struct weir_match_subject {
	struct weir_text host; /* without port */
	struct weir_text path; /* in normal form */
	struct weir_text query;
	struct weir_text method;
	const struct weir_headers *headers;
	const struct weir_address *client; /* NULL: there is none */
};

#define WEIR_MATCH_PARAMS_MAX	8
#define WEIR_MATCH_SEGMENTS_MAX 32 /* of a path pattern */

/* What a path pattern's wildcards stood for: text of the subject's path, still encoded. */
struct weir_match_params {
	const char *pattern;   /* as it was written; the table's; NULL: no path was asked for */
	struct weir_text rest; /* what "*" or "{name*}" stood for, with its slash; may be empty */
	size_t n;
	struct {
		struct weir_text name; /* the table's */
		struct weir_text value;
	} list[WEIR_MATCH_PARAMS_MAX];
};

/* Under this key the router publishes them for the call. */
extern const struct weir_extension_key weir_match_params_key;

/* The value of NAME; no data when there is none. PARAMS may be NULL. */
struct weir_text weir_match_param(const struct weir_match_params *params, struct weir_text name);

struct weir_match_table;

/* NULL with ERROR: WEIR_ECONFIG (which pattern is wrong and why; the rule's number goes to
 * *WRONG, which may be NULL) or -ENOMEM. Rules are copied. */
struct weir_match_table *weir_match_table_new(const struct weir_match_conf *rules, size_t n,
					      size_t *wrong, struct weir_error *error)
	WEIR_MUST_CHECK;
/* Accepts NULL. */
void weir_match_table_free(struct weir_match_table *table);

/* The number of the first rule that holds, or -ENOENT. PARAMS may be NULL. Allocates nothing. */
int weir_match_table_find(const struct weir_match_table *table,
			  const struct weir_match_subject *subject,
			  struct weir_match_params *params) WEIR_MUST_CHECK;

#endif
