/* SPDX-License-Identifier: MIT */
/*
 * Conditions as people write them to conditions as the table takes them: what stands beside each
 * other must all hold, of a list of hosts one, of a list of headers all.
 */

#include "daemon/stack_http.h"

#include <errno.h>

struct parts {
	struct weir_arena *arena;
	struct weir_match_conf *list;
	size_t n;
	int status;
};

/* Room for one more and then COUNT of its parts. */
static struct weir_match_conf *add_joint(struct parts *parts, enum weir_match_type type,
					 size_t count)
{
	struct weir_match_conf *joint = &parts->list[parts->n++];
	struct weir_match_conf *list = weir_arena_zalloc(parts->arena, count * sizeof(*list));

	*joint = (struct weir_match_conf){ .type = type, .parts = list, .n_parts = count };
	if (list == NULL)
		parts->status = -ENOMEM;
	return list;
}

static void add_values(struct parts *parts, enum weir_match_type type, char **values,
		       uint32_t count)
{
	struct weir_match_conf *list;
	uint32_t i;

	if (count == 0)
		return;
	list = add_joint(parts, WEIR_MATCH_ANY, count);
	for (i = 0; list != NULL && i < count; i++)
		list[i] = (struct weir_match_conf){ .type = type, .value = values[i] };
}

static void add_conditions(struct parts *parts, enum weir_match_type type,
			   const struct weir_config_condition *conditions, uint32_t count)
{
	struct weir_match_conf *list;
	uint32_t i;

	if (count == 0)
		return;
	list = add_joint(parts, WEIR_MATCH_ALL, count);
	for (i = 0; list != NULL && i < count; i++) {
		list[i].type = type;
		list[i].name = conditions[i].name;
		list[i].how = WEIR_MATCH_PRESENT;
		if (conditions[i].is != NULL) {
			list[i].how = WEIR_MATCH_EQUALS;
			list[i].value = conditions[i].is;
		} else if (conditions[i].prefix != NULL) {
			list[i].how = WEIR_MATCH_PREFIX;
			list[i].value = conditions[i].prefix;
		}
	}
}

static void add_matches(struct parts *parts, enum weir_match_type type,
			const struct weir_config_match *matches, uint32_t count)
{
	struct weir_match_conf *list;
	uint32_t i;

	if (count == 0)
		return;
	list = add_joint(parts, type, count);
	for (i = 0; list != NULL && i < count; i++) {
		if (http_match_conf(parts->arena, &matches[i], &list[i]) < 0)
			parts->status = -ENOMEM;
	}
}

int http_match_conf(struct weir_arena *arena, const struct weir_config_match *match,
		    struct weir_match_conf *conf)
{
	struct parts parts = { .arena = arena };

	parts.list = weir_arena_zalloc(arena, 8 * sizeof(*parts.list));
	if (parts.list == NULL)
		return -ENOMEM;
	add_values(&parts, WEIR_MATCH_HOST, match->host, match->host_count);
	add_values(&parts, WEIR_MATCH_PATH, match->path, match->path_count);
	add_values(&parts, WEIR_MATCH_METHOD, match->method, match->method_count);
	add_conditions(&parts, WEIR_MATCH_HEADER, match->header, match->header_count);
	add_conditions(&parts, WEIR_MATCH_QUERY, match->query, match->query_count);
	add_values(&parts, WEIR_MATCH_CLIENT, match->client, match->client_count);
	add_matches(&parts, WEIR_MATCH_ANY, match->any, match->any_count);
	add_matches(&parts, WEIR_MATCH_NONE, match->none, match->none_count);
	*conf = (struct weir_match_conf){ .type = WEIR_MATCH_ALL,
					  .parts = parts.list,
					  .n_parts = parts.n };
	return parts.status;
}
