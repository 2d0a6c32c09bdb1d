/* SPDX-License-Identifier: MIT */
/*
 * Conditions are compiled from data to data; nothing is allocated while a request is looked at.
 */

#include "proxy/match_rule.h"

#include <errno.h>

#include <weir/uri_path.h>

/* ---- compiling ---------------------------------------------------------------------------- */

static int compile(struct match_rule *rule, struct weir_arena *arena,
		   const struct weir_match_conf *conf, unsigned depth, struct weir_error *error);

static bool is_joint(enum weir_match_type type)
{
	return type == WEIR_MATCH_ALL || type == WEIR_MATCH_ANY || type == WEIR_MATCH_NONE;
}

static int compile_parts(struct match_rule *rule, struct weir_arena *arena,
			 const struct weir_match_conf *conf, unsigned depth,
			 struct weir_error *error)
{
	size_t i;
	int status = 0;

	if (depth == MATCH_DEPTH_MAX) {
		weir_error_remedy(error, "nest less deeply");
		return weir_error_set(error, WEIR_ECONFIG,
				      "conditions are nested more than %d deep", MATCH_DEPTH_MAX);
	}
	rule->parts.n = conf->n_parts;
	rule->parts.list = weir_arena_zalloc(arena, conf->n_parts * sizeof(*rule->parts.list));
	if (!rule->parts.list)
		return weir_error_set(error, -ENOMEM, "out of memory");
	for (i = 0; i < conf->n_parts && status == 0; i++)
		status = compile(&rule->parts.list[i], arena, &conf->parts[i], depth + 1, error);
	return status;
}

static int compile_header(struct match_rule *rule, struct weir_error *error)
{
	rule->id = weir_header_id(rule->name);
	if (weir_header_is_valid(rule->name, WEIR_TEXT("")))
		return 0;
	weir_error_remedy(error, "write a header's name, without colon");
	return weir_error_set(error, WEIR_ECONFIG, "\"%.200s\" is no header name", rule->name.data);
}

static int compile_client(struct match_rule *rule, const char *value, struct weir_error *error)
{
	if (weir_network_parse(&rule->client, value) == 0)
		return 0;
	weir_error_remedy(error, "write 10.0.0.0/8, 2001:db8::/32, one address, or unix");
	return weir_error_set(error, WEIR_ECONFIG, "\"%.200s\" is no network", value);
}

static int copy_text(struct weir_text *to, struct weir_arena *arena, const char *from)
{
	*to = weir_text_of(from ? weir_arena_strdup(arena, from) : NULL);
	return from && !to->data ? -ENOMEM : 0;
}

static int compile(struct match_rule *rule, struct weir_arena *arena,
		   const struct weir_match_conf *conf, unsigned depth, struct weir_error *error)
{
	const char *value = conf->value ? conf->value : "";

	rule->type = conf->type;
	rule->how = conf->how;
	if (is_joint(conf->type))
		return compile_parts(rule, arena, conf, depth, error);
	if (copy_text(&rule->name, arena, conf->name ? conf->name : "") < 0 ||
	    copy_text(&rule->value, arena, value) < 0)
		return weir_error_set(error, -ENOMEM, "out of memory");
	switch (conf->type) {
	case WEIR_MATCH_HOST:
		return host_pattern_parse(&rule->host, arena, value, error);
	case WEIR_MATCH_PATH:
		return path_pattern_parse(&rule->path, arena, value, error);
	case WEIR_MATCH_CLIENT:
		return compile_client(rule, value, error);
	case WEIR_MATCH_HEADER:
		return compile_header(rule, error);
	default:
		return 0;
	}
}

int match_rule_compile(struct match_rule *rule, struct weir_arena *arena,
		       const struct weir_match_conf *conf, struct weir_error *error)
{
	return compile(rule, arena, conf, 0, error);
}

/* ---- holding ------------------------------------------------------------------------------ */

static bool value_holds(const struct match_rule *rule, struct weir_text value)
{
	switch (rule->how) {
	case WEIR_MATCH_PRESENT:
		return true;
	case WEIR_MATCH_PREFIX:
		return weir_text_has_prefix(value, rule->value);
	default:
		return weir_text_is_equal(value, rule->value);
	}
}

static bool header_holds(const struct match_rule *rule, const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;

	do {
		field = rule->id != WEIR_HEADER_OTHER
				? weir_headers_find_id(headers, rule->id, field)
				: weir_headers_find(headers, rule->name, field);
	} while (field && !value_holds(rule, field->value));
	return field != NULL;
}

/* The next character of a form-encoded TEXT; what is no escape stands for itself. */
static char take_decoded(struct weir_text *text)
{
	int c = (unsigned char)text->data[0];
	size_t size = 1;

	if (c == '+')
		c = ' ';
	if (c == '%' && weir_uri_escape(text->data, text->size) >= 0) {
		c = weir_uri_escape(text->data, text->size);
		size = 3;
	}
	text->data += size;
	text->size -= size;
	return (char)c;
}

/* Whether what ENCODED says is PLAIN, or with PREFIX starts so. */
static bool decodes_to(struct weir_text encoded, struct weir_text plain, bool prefix)
{
	size_t i;

	for (i = 0; i < plain.size; i++) {
		if (encoded.size == 0 || take_decoded(&encoded) != plain.data[i])
			return false;
	}
	return prefix || encoded.size == 0;
}

static bool query_holds(const struct match_rule *rule, struct weir_text query)
{
	struct weir_text item, name, value;

	while (query.size > 0) {
		weir_text_split(query, '&', &item, &query);
		weir_text_split(item, '=', &name, &value);
		if (decodes_to(name, rule->name, false) &&
		    (rule->how == WEIR_MATCH_PRESENT ||
		     decodes_to(value, rule->value, rule->how == WEIR_MATCH_PREFIX)))
			return true;
	}
	return false;
}

static bool parts_hold(const struct match_rule *rule, const struct weir_match_subject *subject,
		       struct weir_match_params *params)
{
	bool wanted = rule->type != WEIR_MATCH_ALL;
	size_t i;

	for (i = 0; i < rule->parts.n; i++) {
		if (match_rule_holds(&rule->parts.list[i], subject, params) == wanted)
			return rule->type == WEIR_MATCH_ANY;
	}
	return rule->type != WEIR_MATCH_ANY;
}

/* What a path pattern captured counts only when all around it holds. */
static bool parts_capture(const struct match_rule *rule, const struct weir_match_subject *subject,
			  struct weir_match_params *params)
{
	struct weir_match_params before = *params;

	if (rule->type != WEIR_MATCH_NONE && parts_hold(rule, subject, params))
		return true;
	*params = before;
	return rule->type == WEIR_MATCH_NONE && parts_hold(rule, subject, NULL);
}

bool match_rule_holds(const struct match_rule *rule, const struct weir_match_subject *subject,
		      struct weir_match_params *params)
{
	switch (rule->type) {
	case WEIR_MATCH_HOST:
		return host_pattern_holds(&rule->host, subject->host);
	case WEIR_MATCH_PATH:
		return path_pattern_holds(&rule->path, subject->path, params);
	case WEIR_MATCH_METHOD:
		return weir_text_is_equal(subject->method, rule->value);
	case WEIR_MATCH_HEADER:
		return header_holds(rule, subject->headers);
	case WEIR_MATCH_QUERY:
		return query_holds(rule, subject->query);
	case WEIR_MATCH_CLIENT:
		return subject->client && weir_network_contains(&rule->client, subject->client);
	default:
		return params ? parts_capture(rule, subject, params)
			      : parts_hold(rule, subject, NULL);
	}
}

/* ---- what must hold ----------------------------------------------------------------------- */

static bool needs_add(struct match_needs *needs, const struct match_rule *rule)
{
	if (needs->n == WEIR_ARRAY_SIZE(needs->list))
		return false;
	needs->list[needs->n++] = rule;
	return true;
}

bool match_rule_needs(const struct match_rule *rule, enum weir_match_type type,
		      struct match_needs *needs)
{
	size_t before = needs->n, i;

	if (rule->type == type)
		return needs_add(needs, rule);
	if (rule->type == WEIR_MATCH_ALL) {
		for (i = 0; i < rule->parts.n; i++) {
			if (match_rule_needs(&rule->parts.list[i], type, needs))
				return true;
			needs->n = before;
		}
		return false;
	}
	if (rule->type != WEIR_MATCH_ANY || rule->parts.n == 0)
		return false;
	for (i = 0; i < rule->parts.n; i++) {
		if (!match_rule_needs(&rule->parts.list[i], type, needs))
			return false;
	}
	return true;
}
