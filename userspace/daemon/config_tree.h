/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_TREE_H
#define WEIR_DAEMON_CONFIG_TREE_H

/*
 * A YAML document as a tree that knows the line of every value: what messages point at.
 * Nodes live in an arena. Aliases point at the node of their anchor, so a tree is in truth a
 * graph without cycles.
 */

#include <stdbool.h>

#include <weir/arena.h>
#include <weir/error.h>

enum config_kind {
	CONFIG_KIND_SCALAR,
	CONFIG_KIND_MAPPING,
	CONFIG_KIND_SEQUENCE,
};

struct config_node;

/* One member of a mapping or sequence. */
struct config_entry {
	struct config_entry *next;
	struct config_node *key; /* a scalar; NULL in a sequence */
	struct config_node *value;
};

struct config_node {
	enum config_kind kind;
	const char *file;
	unsigned line;
	const char *text; /* of a scalar, terminated, without zero bytes inside */
	bool quoted;
	struct config_entry *first;
	struct config_entry *last;
};

/* Deepest nesting that is read. */
#define CONFIG_TREE_DEPTH 32

/* Reads one document. An empty one is an empty mapping. 0 with *ROOT; WEIR_ECONFIG or -ENOMEM
 * with ERROR filled. FILE is borrowed by the nodes. */
int config_tree_read(struct weir_arena *arena, const char *file, const char *text, size_t size,
		     struct config_node **root, struct weir_error *error) WEIR_MUST_CHECK;

/* Whether a scalar says nothing: an empty plain one, "~" or "null". */
bool config_node_is_null(const struct config_node *node);
/* The value under KEY; NULL when NODE is NULL, no mapping, or has no such key. */
struct config_node *config_node_get(const struct config_node *node, const char *key);
/* Member INDEX of a sequence; NULL as above. */
struct config_node *config_node_at(const struct config_node *node, size_t index);
/* Appends to a mapping (KEY) or a sequence (KEY NULL). 0 or -ENOMEM. */
int config_node_add(struct weir_arena *arena, struct config_node *node, struct config_node *key,
		    struct config_node *value) WEIR_MUST_CHECK;

#endif
