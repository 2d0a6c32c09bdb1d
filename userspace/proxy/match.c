/* SPDX-License-Identifier: MIT */
/*
 * The table: rules, and an index of what each of them needs of host and path.
 *
 *	hosts --name--> root of paths --segment--> node --segment--> node ...
 *
 * Every rule hangs at the nodes where a request must come by for the rule to hold: at the host
 * that it names (itself or below it, else at `any`), at the end of its path pattern (`exact` or
 * `prefix`, else at the root's `always`). The index only rules out; who hangs on the way is asked
 * whether the whole of it holds, in order, and only while better than the best so far. So a
 * condition that the index does not know costs time, never truth.
 *
 * All edges of all tries are in one hash table: (node, text) to node.
 */

#include <weir/match.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proxy/match_rule.h"

const struct weir_extension_key weir_match_params_key = { "match_params" };

struct entry {
	struct entry *next;
	size_t rule;
};

/* Rules in ascending order. */
struct entries {
	struct entry *first, *last;
};

struct node {
	uint32_t id;
	struct node *param; /* for a segment of any text; NULL: none */
	struct entries exact, prefix, always;
};

struct edge {
	uint32_t from;
	struct weir_text text;
	struct node *to; /* NULL: a free place */
};

struct weir_match_table {
	struct weir_arena arena;
	struct match_rule *rules;
	size_t n;
	uint32_t nodes;
	struct edge *edges; /* open addressing; a power of two */
	size_t edges_n, edges_size;
	struct node itself, below; /* from these two edges go to roots, by host name */
	struct node any;	   /* the root of rules that name no host */
	size_t labels;		   /* of the longest name in below */
};

/* ---- edges -------------------------------------------------------------------------------- */

static uint64_t edge_hash(uint32_t from, struct weir_text text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (from * UINT64_C(0x9e3779b97f4a7c15));
	size_t i;

	for (i = 0; i < text.size; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
	return hash ^ (hash >> 32);
}

/* Where the edge is, or would be. */
static struct edge *edge_place(const struct weir_match_table *table, uint32_t from,
			       struct weir_text text)
{
	size_t mask = table->edges_size - 1;
	size_t at = edge_hash(from, text) & mask;

	while (table->edges[at].to &&
	       (table->edges[at].from != from || !weir_text_is_equal(table->edges[at].text, text)))
		at = (at + 1) & mask;
	return &table->edges[at];
}

static struct node *edge_follow(const struct weir_match_table *table, const struct node *from,
				struct weir_text text)
{
	return edge_place(table, from->id, text)->to;
}

/* Never more than half full. */
static int edges_grow(struct weir_match_table *table)
{
	struct edge *old = table->edges;
	size_t n = table->edges_size, i;

	if (2 * (table->edges_n + 1) <= n)
		return 0;
	table->edges = calloc(2 * n, sizeof(*old));
	if (!table->edges) {
		table->edges = old;
		return -ENOMEM;
	}
	table->edges_size = 2 * n;
	for (i = 0; i < n; i++) {
		if (old[i].to)
			*edge_place(table, old[i].from, old[i].text) = old[i];
	}
	free(old);
	return 0;
}

static struct node *node_new(struct weir_match_table *table)
{
	struct node *node = weir_arena_zalloc(&table->arena, sizeof(*node));

	if (node)
		node->id = ++table->nodes;
	return node;
}

/* Follows the edge, which is made when it is not there. NULL when memory is out. */
static struct node *edge_make(struct weir_match_table *table, const struct node *from,
			      struct weir_text text)
{
	struct edge *edge;

	if (edges_grow(table) < 0)
		return NULL;
	edge = edge_place(table, from->id, text);
	if (edge->to)
		return edge->to;
	edge->to = node_new(table);
	if (!edge->to)
		return NULL;
	edge->from = from->id;
	edge->text = text;
	table->edges_n++;
	return edge->to;
}

/* ---- building ----------------------------------------------------------------------------- */

static int entries_add(struct weir_match_table *table, struct entries *entries, size_t rule)
{
	struct entry *entry;

	if (entries->last && entries->last->rule == rule)
		return 0;
	entry = weir_arena_alloc(&table->arena, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){ .rule = rule };
	if (entries->last)
		entries->last->next = entry;
	else
		entries->first = entry;
	entries->last = entry;
	return 0;
}

static int index_path(struct weir_match_table *table, struct node *node,
		      const struct path_pattern *path, size_t rule)
{
	size_t i;

	for (i = 0; i < path->n && node; i++) {
		if (!path->segments[i].is_param) {
			node = edge_make(table, node, path->segments[i].text);
			continue;
		}
		if (!node->param)
			node->param = node_new(table);
		node = node->param;
	}
	if (!node)
		return -ENOMEM;
	return entries_add(table, path->is_prefix ? &node->prefix : &node->exact, rule);
}

static int index_paths(struct weir_match_table *table, struct node *root,
		       const struct match_needs *paths, size_t rule)
{
	size_t i;
	int status = 0;

	if (!root)
		return -ENOMEM;
	if (paths->n == 0)
		return entries_add(table, &root->always, rule);
	for (i = 0; i < paths->n && status == 0; i++)
		status = index_path(table, root, &paths->list[i]->path, rule);
	return status;
}

static size_t count_labels(struct weir_text name)
{
	size_t i, n = 1;

	for (i = 0; i < name.size; i++)
		n += name.data[i] == '.';
	return n;
}

static int index_host(struct weir_match_table *table, const struct host_pattern *host,
		      const struct match_needs *paths, size_t rule)
{
	int status = 0;

	if (host->name.size == 0)
		return index_paths(table, &table->any, paths, rule);
	if (host->itself)
		status = index_paths(table, edge_make(table, &table->itself, host->name), paths,
				     rule);
	if (host->below && status == 0) {
		table->labels = WEIR_MAX(table->labels, count_labels(host->name));
		status = index_paths(table, edge_make(table, &table->below, host->name), paths,
				     rule);
	}
	return status;
}

static int index_rule(struct weir_match_table *table, size_t rule)
{
	static const struct host_pattern any = { .itself = true };
	struct match_needs hosts, paths;
	size_t i;
	int status = 0;

	hosts.n = paths.n = 0;
	if (!match_rule_needs(&table->rules[rule], WEIR_MATCH_HOST, &hosts))
		hosts.n = 0;
	if (!match_rule_needs(&table->rules[rule], WEIR_MATCH_PATH, &paths))
		paths.n = 0;
	if (hosts.n == 0)
		return index_host(table, &any, &paths, rule);
	for (i = 0; i < hosts.n && status == 0; i++)
		status = index_host(table, &hosts.list[i]->host, &paths, rule);
	return status;
}

static int table_fill(struct weir_match_table *table, const struct weir_match_conf *rules,
		      size_t *at, struct weir_error *error)
{
	int status;

	for (*at = 0; *at < table->n; ++*at) {
		status = match_rule_compile(&table->rules[*at], &table->arena, &rules[*at], error);
		if (status < 0)
			return status;
		if (index_rule(table, *at) < 0)
			return weir_error_set(error, -ENOMEM, "out of memory");
	}
	return 0;
}

struct weir_match_table *weir_match_table_new(const struct weir_match_conf *rules, size_t n,
					      size_t *wrong, struct weir_error *error)
{
	struct weir_match_table *table = calloc(1, sizeof(*table));
	size_t at = 0;

	if (!table)
		goto err_memory;
	weir_arena_init(&table->arena, 4096);
	table->n = n;
	table->itself.id = ++table->nodes;
	table->below.id = ++table->nodes;
	table->any.id = ++table->nodes;
	table->edges_size = 64;
	table->edges = calloc(table->edges_size, sizeof(*table->edges));
	table->rules = weir_arena_zalloc(&table->arena, n * sizeof(*table->rules));
	if (!table->edges || !table->rules)
		goto err_memory;
	if (table_fill(table, rules, &at, error) < 0)
		goto err;
	return table;
err_memory:
	weir_error_set(error, -ENOMEM, "out of memory");
err:
	if (wrong)
		*wrong = at;
	weir_match_table_free(table);
	return NULL;
}

void weir_match_table_free(struct weir_match_table *table)
{
	if (!table)
		return;
	free(table->edges);
	weir_arena_fini(&table->arena);
	free(table);
}

/* ---- finding ------------------------------------------------------------------------------ */

struct search {
	const struct weir_match_table *table;
	const struct weir_match_subject *subject;
	size_t best; /* the table's size while there is none */
};

static void search_entries(struct search *search, const struct entries *entries)
{
	const struct entry *entry;

	for (entry = entries->first; entry && entry->rule < search->best; entry = entry->next) {
		if (match_rule_holds(&search->table->rules[entry->rule], search->subject, NULL)) {
			search->best = entry->rule;
			return;
		}
	}
}

/* LEFT of the path below NODE. As deep as the longest pattern at most; each node is seen once at
 * most, because there is one way to it. */
static void search_node(struct search *search, const struct node *node, struct weir_text left)
{
	struct weir_text segment;
	const struct node *next;

	search_entries(search, &node->prefix);
	if (left.size == 0) {
		search_entries(search, &node->exact);
		return;
	}
	if (!path_next_segment(&left, &segment))
		return;
	next = edge_follow(search->table, node, segment);
	if (next)
		search_node(search, next, left);
	if (node->param && segment.size > 0)
		search_node(search, node->param, left);
}

static void search_root(struct search *search, const struct node *root)
{
	if (!root)
		return;
	search_entries(search, &root->always);
	search_node(search, root, search->subject->path);
}

static void search_hosts(struct search *search, struct weir_text host)
{
	const struct weir_match_table *table = search->table;
	size_t labels = 0, at;
	struct weir_text name;

	search_root(search, edge_follow(table, &table->itself, host));
	for (at = host.size; at-- > 1 && labels < table->labels;) {
		if (host.data[at] != '.')
			continue;
		name = (struct weir_text){ host.data + at + 1, host.size - at - 1 };
		search_root(search, edge_follow(table, &table->below, name));
		labels++;
	}
}

#define HOST_BYTES 256 /* more than WEIR_HOST_MAX */

/* In lower case into NAME. Of what is longer than any name the tail is enough to find what it
 * may be below. */
static struct weir_text fold_host(struct weir_text host, char *name)
{
	size_t i;

	host = host_trim(host);
	if (host.size > HOST_BYTES) {
		host.data += host.size - HOST_BYTES;
		host.size = HOST_BYTES;
	}
	for (i = 0; i < host.size; i++)
		name[i] = host.data[i] >= 'A' && host.data[i] <= 'Z'
				  ? (char)(host.data[i] + ('a' - 'A'))
				  : host.data[i];
	return (struct weir_text){ name, host.size };
}

int weir_match_table_find(const struct weir_match_table *table,
			  const struct weir_match_subject *subject,
			  struct weir_match_params *params)
{
	struct search search = { .table = table, .subject = subject, .best = table->n };
	char name[HOST_BYTES];

	search_hosts(&search, fold_host(subject->host, name));
	search_root(&search, &table->any);
	if (search.best == table->n)
		return -ENOENT;
	if (params) {
		params->pattern = NULL;
		params->rest = (struct weir_text){ NULL, 0 };
		params->n = 0;
		(void)match_rule_holds(&table->rules[search.best], subject, params);
	}
	return (int)search.best;
}

struct weir_text weir_match_param(const struct weir_match_params *params, struct weir_text name)
{
	size_t i;

	for (i = 0; params && i < params->n; i++) {
		if (weir_text_is_equal(params->list[i].name, name))
			return params->list[i].value;
	}
	return (struct weir_text){ NULL, 0 };
}
