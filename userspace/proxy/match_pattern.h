/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_MATCH_PATTERN_H
#define WEIR_PROXY_MATCH_PATTERN_H

/*
 * Patterns of hosts and paths (weir/match.h), read and compared.
 */

#include <weir/match.h>

struct host_pattern {
	struct weir_text name; /* lower case, no wildcard, no root dot; empty: any host */
	bool itself;	       /* the name holds */
	bool below;	       /* names below it do */
};

struct path_segment {
	struct weir_text text; /* in normal form, or the parameter's name */
	bool is_param;
};

struct path_pattern {
	const char *text; /* as it was written */
	struct path_segment *segments;
	size_t n;
	bool is_prefix;	       /* ends in "*" or "{name*}" */
	struct weir_text rest; /* the latter's name; no data: none */
};

/* Text is copied to ARENA. 0, -ENOMEM, or WEIR_ECONFIG with ERROR. */
int host_pattern_parse(struct host_pattern *pattern, struct weir_arena *arena, const char *text,
		       struct weir_error *error) WEIR_MUST_CHECK;
int path_pattern_parse(struct path_pattern *pattern, struct weir_arena *arena, const char *text,
		       struct weir_error *error) WEIR_MUST_CHECK;

bool host_pattern_holds(const struct host_pattern *pattern, struct weir_text host);
/* PARAMS may be NULL; written only when the pattern holds. */
bool path_pattern_holds(const struct path_pattern *pattern, struct weir_text path,
			struct weir_match_params *params);

/* Takes the next segment of PATH, which is empty or starts with "/". False at the end. */
bool path_next_segment(struct weir_text *path, struct weir_text *segment);
/* A host without root dot. */
struct weir_text host_trim(struct weir_text host);

#endif
