/* SPDX-License-Identifier: MIT */
/*
 * Patterns are refused when they could be read in two ways: a "*" within a segment, a port, an
 * escape that is none.
 */

#include "proxy/match_pattern.h"

#include <errno.h>

#include <weir/uri_path.h>

/* ---- hosts -------------------------------------------------------------------------------- */

static int host_wrong(struct weir_error *error, const char *text, const char *why,
		      const char *remedy)
{
	weir_error_remedy(error, "%s", remedy);
	return weir_error_set(error, WEIR_ECONFIG, "host \"%.200s\" %s", text, why);
}

static int host_check(const char *text, struct weir_text name, struct weir_error *error)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._~!$&'()+,;=%";
	bool is_literal = name.data[0] == '[' && name.data[name.size - 1] == ']';
	size_t i;

	if (is_literal)
		return 0;
	for (i = 0; i < name.size; i++) {
		if (name.data[i] == ':')
			return host_wrong(error, text, "has a port", "write the name alone");
		if (name.data[i] == '*')
			return host_wrong(error, text, "has a * that is not its first label",
					  "write *.example.com");
		if (name.data[i] == '\0' || !strchr(allowed, name.data[i]))
			return host_wrong(error, text, "has a character that no host has",
					  "write names of other scripts in their xn-- form");
	}
	return 0;
}

struct weir_text host_trim(struct weir_text host)
{
	if (host.size > 1 && host.data[host.size - 1] == '.')
		host.size--;
	return host;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

int host_pattern_parse(struct host_pattern *pattern, struct weir_arena *arena, const char *text,
		       struct weir_error *error)
{
	struct weir_text name = weir_text_of(text);
	char *copy;
	size_t i;
	int status;

	*pattern = (struct host_pattern){ .itself = true };
	if (strcmp(text, "*") == 0)
		return 0;
	if (weir_text_has_prefix(name, WEIR_TEXT("*."))) {
		pattern->itself = false;
		pattern->below = true;
		name = weir_text_of(text + 2);
	} else if (text[0] == '.') {
		pattern->below = true;
		name = weir_text_of(text + 1);
	}
	name = host_trim(name);
	if (name.size == 0 || name.data[0] == '.')
		return host_wrong(error, text, "has no name", "write example.com, or *");
	if (name.size > WEIR_HOST_MAX)
		return host_wrong(error, text, "is longer than any host name",
				  "write a shorter one");
	status = host_check(text, name, error);
	if (status < 0)
		return status;
	copy = weir_arena_strndup(arena, name.data, name.size);
	if (!copy)
		return weir_error_set(error, -ENOMEM, "out of memory");
	for (i = 0; i < name.size; i++)
		copy[i] = lower(copy[i]);
	pattern->name = (struct weir_text){ copy, name.size };
	return 0;
}

bool host_pattern_holds(const struct host_pattern *pattern, struct weir_text host)
{
	if (pattern->name.size == 0)
		return true;
	host = host_trim(host);
	if (host.size == pattern->name.size)
		return pattern->itself && weir_text_is_equal_nocase(host, pattern->name);
	return pattern->below && host.size > pattern->name.size + 1 &&
	       host.data[host.size - pattern->name.size - 1] == '.' &&
	       weir_text_has_suffix_nocase(host, pattern->name);
}

/* ---- reading paths ------------------------------------------------------------------------ */

static int path_wrong(struct weir_error *error, const char *text, const char *why,
		      const char *remedy)
{
	weir_error_remedy(error, "%s", remedy);
	return weir_error_set(error, WEIR_ECONFIG, "path \"%.200s\" %s", text, why);
}

bool path_next_segment(struct weir_text *path, struct weir_text *segment)
{
	const char *slash;

	if (path->size == 0 || path->data[0] != '/')
		return false;
	segment->data = path->data + 1;
	slash = memchr(segment->data, '/', path->size - 1);
	segment->size = slash ? (size_t)(slash - segment->data) : path->size - 1;
	path->data += segment->size + 1;
	path->size -= segment->size + 1;
	return true;
}

/* pchar of RFC 3986 section 3.3, and what only patterns have. */
static bool is_path_char(char c)
{
	return c > ' ' && c < 127 && !strchr("\"<>\\^`|#?", c);
}

/* What a person writes as it is ("/café") is escaped as a client would do it. */
static int path_escape(struct weir_arena *arena, const char *text, struct weir_text *out)
{
	static const char digits[] = "0123456789ABCDEF";
	char *copy = weir_arena_alloc(arena, 3 * strlen(text) + 1);
	size_t n = 0;

	if (!copy)
		return -ENOMEM;
	for (; *text; text++) {
		if (is_path_char(*text)) {
			copy[n++] = *text;
			continue;
		}
		copy[n++] = '%';
		copy[n++] = digits[(unsigned char)*text >> 4];
		copy[n++] = digits[*text & 15];
	}
	*out = (struct weir_text){ copy, n };
	return 0;
}

static bool is_param_name(struct weir_text name)
{
	size_t i;

	for (i = 0; i < name.size; i++) {
		if (name.data[i] != '_' && (name.data[i] < '0' || name.data[i] > '9') &&
		    (lower(name.data[i]) < 'a' || lower(name.data[i]) > 'z'))
			return false;
	}
	return name.size > 0;
}

static bool param_is_taken(const struct path_pattern *pattern, struct weir_text name)
{
	size_t i;

	for (i = 0; i < pattern->n; i++) {
		if (pattern->segments[i].is_param &&
		    weir_text_is_equal(pattern->segments[i].text, name))
			return true;
	}
	return false;
}

static int parse_param(struct path_pattern *pattern, struct weir_text segment, bool is_last,
		       struct weir_error *error)
{
	struct weir_text name = { segment.data + 1, segment.size - 2 };
	bool takes_rest = name.size > 0 && name.data[name.size - 1] == '*';

	if (takes_rest)
		name.size--;
	if (!is_param_name(name))
		return path_wrong(error, pattern->text, "has a parameter without a good name",
				  "use letters, digits and _ as in {user_id}");
	if (param_is_taken(pattern, name))
		return path_wrong(error, pattern->text, "has two parameters of one name",
				  "give each its own name");
	if (!takes_rest) {
		pattern->segments[pattern->n++] =
			(struct path_segment){ .text = name, .is_param = true };
		return 0;
	}
	if (!is_last)
		return path_wrong(error, pattern->text, "goes on after {name*}",
				  "let it be the last segment");
	pattern->is_prefix = true;
	pattern->rest = name;
	return 0;
}

static int parse_segment(struct path_pattern *pattern, struct weir_text segment, bool is_last,
			 struct weir_error *error)
{
	if (weir_text_is_equal(segment, WEIR_TEXT("*")) && is_last) {
		pattern->is_prefix = true;
		return 0;
	}
	if (segment.size > 2 && segment.data[0] == '{' && segment.data[segment.size - 1] == '}')
		return parse_param(pattern, segment, is_last, error);
	if (segment.size > 0 &&
	    (memchr(segment.data, '{', segment.size) || memchr(segment.data, '}', segment.size)))
		return path_wrong(error, pattern->text, "has a { or } that is no parameter",
				  "a parameter is a whole segment, as in /users/{id}");
	if (segment.size > 0 && memchr(segment.data, '*', segment.size))
		return path_wrong(error, pattern->text, "has a * that is not its last segment",
				  "write /api/* for /api and all below it, %2A for the character");
	pattern->segments[pattern->n++] = (struct path_segment){ .text = segment };
	return 0;
}

static unsigned count_params(const struct path_pattern *pattern)
{
	unsigned n = pattern->rest.data ? 1 : 0;
	size_t i;

	for (i = 0; i < pattern->n; i++)
		n += pattern->segments[i].is_param;
	return n;
}

static int parse_segments(struct path_pattern *pattern, struct weir_text path,
			  struct weir_error *error)
{
	struct weir_text segment;
	int status = 0;

	while (status == 0 && path_next_segment(&path, &segment)) {
		if (pattern->n == WEIR_MATCH_SEGMENTS_MAX)
			return path_wrong(error, pattern->text, "has too many segments",
					  "end it with /*");
		status = parse_segment(pattern, segment, path.size == 0, error);
	}
	if (status == 0 && count_params(pattern) > WEIR_MATCH_PARAMS_MAX)
		return path_wrong(error, pattern->text, "has too many parameters",
				  "use {name*} for the last ones");
	return status;
}

int path_pattern_parse(struct path_pattern *pattern, struct weir_arena *arena, const char *text,
		       struct weir_error *error)
{
	struct weir_text path;
	int status;

	*pattern = (struct path_pattern){ .text = weir_arena_strdup(arena, text) };
	pattern->segments =
		weir_arena_alloc(arena, WEIR_MATCH_SEGMENTS_MAX * sizeof(*pattern->segments));
	if (!pattern->text || !pattern->segments || path_escape(arena, text, &path) < 0)
		return weir_error_set(error, -ENOMEM, "out of memory");
	if (path.size == 0 || path.data[0] != '/')
		return path_wrong(error, text, "does not start with /", "write /* for every path");
	if (strpbrk(text, "?#"))
		return path_wrong(error, text, "has a ? or #, which no path has",
				  "a query is a condition of its own");
	status = weir_uri_path_normalise(arena, path, true, &path);
	if (status == -EINVAL)
		return path_wrong(error, text, "has a % that starts no escape",
				  "write %25 for the character");
	if (status < 0)
		return weir_error_set(error, status, "out of memory");
	return parse_segments(pattern, path, error);
}

/* ---- comparing paths ---------------------------------------------------------------------- */

/* The pattern holds: reads PATH again for what stood where. */
static void path_capture(const struct path_pattern *pattern, struct weir_text path,
			 struct weir_match_params *params)
{
	struct weir_text segment = { NULL, 0 };
	size_t i;

	params->pattern = pattern->text;
	params->n = 0;
	for (i = 0; i < pattern->n && path_next_segment(&path, &segment); i++) {
		if (!pattern->segments[i].is_param)
			continue;
		params->list[params->n].name = pattern->segments[i].text;
		params->list[params->n++].value = segment;
	}
	params->rest = path;
	if (!pattern->rest.data)
		return;
	if (path.size > 0)
		path = (struct weir_text){ path.data + 1, path.size - 1 };
	params->list[params->n].name = pattern->rest;
	params->list[params->n++].value = path;
}

bool path_pattern_holds(const struct path_pattern *pattern, struct weir_text path,
			struct weir_match_params *params)
{
	struct weir_text left = path, segment;
	size_t i;

	for (i = 0; i < pattern->n; i++) {
		if (!path_next_segment(&left, &segment))
			return false;
		if (pattern->segments[i].is_param
			    ? segment.size == 0
			    : !weir_text_is_equal(segment, pattern->segments[i].text))
			return false;
	}
	if (left.size > 0 && (!pattern->is_prefix || left.data[0] != '/'))
		return false;
	if (pattern->n == 0 && left.size == 0)
		return false;
	if (params)
		path_capture(pattern, path, params);
	return true;
}
