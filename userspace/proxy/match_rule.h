/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_MATCH_RULE_H
#define WEIR_PROXY_MATCH_RULE_H

/*
 * One rule, compiled: a condition, or a tree of them.
 */

#include "proxy/match_pattern.h"

struct match_rule {
	enum weir_match_type type;
	enum weir_match_how how;
	enum weir_header_id id; /* of a header's name */
	struct weir_text name;
	struct weir_text value;
	union {
		struct host_pattern host;
		struct path_pattern path;
		struct weir_network client;
		struct {
			struct match_rule *list;
			size_t n;
		} parts;
	};
};

#define MATCH_DEPTH_MAX 16 /* conditions in conditions */

/* 0, -ENOMEM, or WEIR_ECONFIG with ERROR. Memory is ARENA's. */
int match_rule_compile(struct match_rule *rule, struct weir_arena *arena,
		       const struct weir_match_conf *conf, struct weir_error *error)
	WEIR_MUST_CHECK;

/* PARAMS may be NULL; written by the last path pattern that holds outside of a NONE. */
bool match_rule_holds(const struct match_rule *rule, const struct weir_match_subject *subject,
		      struct weir_match_params *params);

/* Conditions of one type, one of which must hold for the whole rule to hold. */
struct match_needs {
	const struct match_rule *list[64];
	size_t n;
};

/* False when there is no such set, or a too large one. */
bool match_rule_needs(const struct match_rule *rule, enum weir_match_type type,
		      struct match_needs *needs);

#endif
