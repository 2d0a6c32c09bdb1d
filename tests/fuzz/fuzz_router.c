/* SPDX-License-Identifier: MIT */
/*
 * Rules and a request out of the input: the compiled table finds what trying one rule after the
 * other finds. The one that tries is written here, as simply as can be. What is left of the input
 * is a pattern of a host and of a path, which may be anything.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <weir/match.h>
#include <weir/uri_path.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RULES_MAX 12
#define PARTS_MAX 64

struct input {
	const uint8_t *data;
	size_t size;
};

static unsigned take(struct input *input, unsigned below)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++ % below;
}

/* ---- making ------------------------------------------------------------------------------- */

struct maker {
	struct input input;
	struct weir_arena arena;
	struct weir_match_conf parts[PARTS_MAX];
	size_t n_parts;
};

/* Few words, so that rules and requests meet. */
static const char *const labels[] = { "a", "b", "com", "a-b" };
static const char *const segments[] = { "a", "b", "api", "", "%2F" };

static char *make_name(struct maker *maker)
{
	char *name = weir_arena_strdup(&maker->arena, labels[take(&maker->input, 4)]);

	for (unsigned n = take(&maker->input, 4); n > 0; n--)
		name = weir_arena_printf(&maker->arena, "%s.%s", labels[take(&maker->input, 4)],
					 name);
	return name;
}

static char *make_host_pattern(struct maker *maker)
{
	static const char *const before[] = { "", "", "*.", "." };
	const char *start = before[take(&maker->input, 4)];

	if (take(&maker->input, 16) == 15)
		return weir_arena_strdup(&maker->arena, "*");
	return weir_arena_printf(&maker->arena, "%s%s", start, make_name(maker));
}

static char *make_path(struct maker *maker)
{
	char *path = weir_arena_strdup(&maker->arena, "");

	for (unsigned n = take(&maker->input, 5); n > 0; n--)
		path = weir_arena_printf(&maker->arena, "%s/%s", path,
					 segments[take(&maker->input, 5)]);
	return *path ? path : weir_arena_strdup(&maker->arena, "/");
}

static char *make_path_pattern(struct maker *maker)
{
	static const char *const end[] = { "", "", "/*", "/{rest*}", "/" };
	char *path = weir_arena_strdup(&maker->arena, "");

	for (unsigned n = take(&maker->input, 4), i = 0; i < n; i++) {
		unsigned kind = take(&maker->input, 8);

		if (kind < 5)
			path = weir_arena_printf(&maker->arena, "%s/%s", path, segments[kind]);
		else
			path = weir_arena_printf(&maker->arena, "%s/{p%u}", path, i);
	}
	path = weir_arena_printf(&maker->arena, "%s%s", path, end[take(&maker->input, 5)]);
	return *path ? path : weir_arena_strdup(&maker->arena, "/");
}

static struct weir_match_conf make_rule(struct maker *maker, unsigned depth)
{
	struct weir_match_conf rule = { .type = take(&maker->input, WEIR_MATCH_CLIENT + 1) };
	unsigned n = 1 + take(&maker->input, 4);

	rule.how = take(&maker->input, 3);
	switch (rule.type) {
	case WEIR_MATCH_HOST:
		rule.value = make_host_pattern(maker);
		return rule;
	case WEIR_MATCH_PATH:
		rule.value = make_path_pattern(maker);
		return rule;
	case WEIR_MATCH_METHOD:
		rule.value = take(&maker->input, 2) ? "GET" : "POST";
		return rule;
	case WEIR_MATCH_HEADER:
	case WEIR_MATCH_QUERY:
		rule.name = take(&maker->input, 2) ? "a" : "b";
		rule.value = labels[take(&maker->input, 4)];
		return rule;
	case WEIR_MATCH_CLIENT:
		rule.value = take(&maker->input, 2) ? "10.0.0.0/8" : "::/0";
		return rule;
	default:
		break;
	}
	if (depth == 3 || maker->n_parts + n > PARTS_MAX)
		return rule;
	rule.parts = &maker->parts[maker->n_parts];
	maker->n_parts += n;
	for (rule.n_parts = 0; rule.n_parts < n; rule.n_parts++)
		((struct weir_match_conf *)rule.parts)[rule.n_parts] = make_rule(maker, depth + 1);
	return rule;
}

/* ---- trying ------------------------------------------------------------------------------- */

static bool try_host(const char *pattern, struct weir_text text)
{
	char host[512];
	size_t size = strlen(pattern), host_size = text.size;

	memcpy(host, text.data, text.size);
	host[text.size] = '\0';
	if (!strcmp(pattern, "*"))
		return true;
	if (pattern[0] == '*') /* *.x: longer, and ends in .x */
		return host_size > size - 1 && !strcmp(host + host_size - (size - 1), pattern + 1);
	if (pattern[0] == '.')
		return !strcmp(host, pattern + 1) ||
		       (host_size > size && !strcmp(host + host_size - size, pattern));
	return !strcmp(host, pattern);
}

/* Both as lists of segments. */
static size_t split(const char *path, char list[][16])
{
	size_t n = 0, at = 0;

	for (path++;; path++) {
		if (*path && *path != '/') {
			assert(at < 15);
			list[n][at++] = *path;
			continue;
		}
		list[n++][at] = '\0';
		at = 0;
		if (!*path)
			return n;
	}
}

static bool try_path(struct weir_arena *arena, const char *pattern, struct weir_text path)
{
	char want[16][16], have[16][16];
	struct weir_text normal;
	size_t n_want, n_have, i;
	bool prefix;

	assert(weir_uri_path_normalise(arena, weir_text_of(pattern), true, &normal) == 0);
	n_want = split(weir_arena_strndup(arena, normal.data, normal.size), want);
	n_have = split(weir_arena_strndup(arena, path.data, path.size), have);
	prefix = !strcmp(want[n_want - 1], "*") || !strcmp(want[n_want - 1], "{rest*}");
	n_want -= prefix;
	if (prefix ? n_have < n_want : n_have != n_want)
		return false;
	for (i = 0; i < n_want; i++) {
		if (want[i][0] == '{' ? have[i][0] == '\0' : strcmp(want[i], have[i]) != 0)
			return false;
	}
	return true;
}

static bool try_value(const struct weir_match_conf *rule, struct weir_text value)
{
	if (rule->how == WEIR_MATCH_PRESENT)
		return true;
	if (rule->how == WEIR_MATCH_PREFIX)
		return value.size >= strlen(rule->value) &&
		       !memcmp(value.data, rule->value, strlen(rule->value));
	return weir_text_is_equal(value, weir_text_of(rule->value));
}

static bool try_header(const struct weir_match_conf *rule, const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;

	while ((field = weir_headers_next(headers, field))) {
		if (weir_text_is_equal(field->name, weir_text_of(rule->name)) &&
		    try_value(rule, field->value))
			return true;
	}
	return false;
}

/* The query is "NAME=VALUE", one pair without escapes. */
static bool try_query(const struct weir_match_conf *rule, struct weir_text query)
{
	struct weir_text name, value;

	weir_text_split(query, '=', &name, &value);
	return weir_text_is_equal(name, weir_text_of(rule->name)) && try_value(rule, value);
}

static bool try_rule(struct weir_arena *arena, const struct weir_match_conf *rule,
		     const struct weir_match_subject *subject)
{
	size_t n = 0, i;

	switch (rule->type) {
	case WEIR_MATCH_HOST:
		return try_host(rule->value, subject->host);
	case WEIR_MATCH_PATH:
		return try_path(arena, rule->value, subject->path);
	case WEIR_MATCH_METHOD:
		return weir_text_is_equal(subject->method, weir_text_of(rule->value));
	case WEIR_MATCH_HEADER:
		return try_header(rule, subject->headers);
	case WEIR_MATCH_QUERY:
		return try_query(rule, subject->query);
	case WEIR_MATCH_CLIENT:
		return (subject->client->sa.sa_family == AF_INET) == (rule->value[0] == '1');
	default:
		break;
	}
	for (i = 0; i < rule->n_parts; i++)
		n += try_rule(arena, &rule->parts[i], subject);
	if (rule->type == WEIR_MATCH_ALL)
		return n == rule->n_parts;
	return rule->type == WEIR_MATCH_ANY ? n > 0 : n == 0;
}

/* ---- comparing ---------------------------------------------------------------------------- */

static void check_params(const struct weir_match_params *params,
			 const struct weir_match_subject *subject)
{
	if (!params->pattern)
		return;
	for (size_t i = 0; i < params->n; i++) {
		assert(params->list[i].value.data >= subject->path.data);
		assert(params->list[i].value.data + params->list[i].value.size <=
		       subject->path.data + subject->path.size);
	}
}

static void check_request(struct maker *maker, const struct weir_match_table *table,
			  const struct weir_match_conf *rules, size_t n)
{
	struct weir_match_subject subject = { .method = WEIR_TEXT("GET") };
	struct weir_match_params params;
	struct weir_address client;
	struct weir_headers headers;
	int found, want = -1;
	size_t i;

	weir_headers_init(&headers, &maker->arena);
	for (i = take(&maker->input, 3); i > 0; i--)
		assert(weir_headers_add(&headers, weir_text_of(take(&maker->input, 2) ? "a" : "b"),
					weir_text_of(labels[take(&maker->input, 4)])) == 0);
	assert(weir_address_parse(&client, take(&maker->input, 2) ? "10.0.0.1:1" : "[::1]:1") == 0);
	if (take(&maker->input, 2))
		subject.method = WEIR_TEXT("POST");
	subject.host = weir_text_of(take(&maker->input, 8) ? make_name(maker) : "");
	subject.query = weir_text_of(weir_arena_printf(&maker->arena, "%s=%s",
						       take(&maker->input, 2) ? "a" : "b",
						       labels[take(&maker->input, 4)]));
	subject.headers = &headers;
	subject.client = &client;
	assert(weir_uri_path_normalise(&maker->arena, weir_text_of(make_path(maker)), true,
				       &subject.path) == 0);

	for (i = 0; i < n && want < 0; i++) {
		if (try_rule(&maker->arena, &rules[i], &subject))
			want = (int)i;
	}
	found = weir_match_table_find(table, &subject, &params);
	assert(want < 0 ? found < 0 : found == want);
	if (found >= 0)
		check_params(&params, &subject);
}

/* Any text at all as a pattern: refused with a reason, or it works. */
static void check_text(struct maker *maker)
{
	char *text = weir_arena_strndup(&maker->arena, (const char *)maker->input.data,
					maker->input.size);
	struct weir_match_subject subject = { .host = WEIR_TEXT("a.b"), .path = WEIR_TEXT("/a/b") };
	struct weir_match_conf rule = { .value = text };
	struct weir_match_table *table;
	struct weir_error error;

	for (rule.type = WEIR_MATCH_HOST; rule.type <= WEIR_MATCH_PATH; rule.type++) {
		weir_error_init(&error);
		table = weir_match_table_new(&rule, 1, NULL, &error);
		assert(table || error.message[0]);
		if (table)
			(void)!weir_match_table_find(table, &subject, NULL);
		weir_match_table_free(table);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maker *maker = calloc(1, sizeof(*maker));
	struct weir_match_conf rules[RULES_MAX];
	struct weir_match_table *table;
	size_t n, i;

	maker->input = (struct input){ data, size };
	weir_arena_init(&maker->arena, 4096);
	n = take(&maker->input, RULES_MAX + 1);
	for (i = 0; i < n; i++)
		rules[i] = make_rule(maker, 0);
	table = weir_match_table_new(rules, n, NULL, NULL);
	assert(table);
	for (i = 0; i < 4; i++)
		check_request(maker, table, rules, n);
	weir_match_table_free(table);
	check_text(maker);
	weir_arena_fini(&maker->arena);
	free(maker);
	return 0;
}
