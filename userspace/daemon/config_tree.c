/* SPDX-License-Identifier: MIT */
/*
 * libyaml's events to nodes. libcyaml, which fills the structs later, stops at the first
 * mistake and tells lines only inside log messages; this pass is what lets every message say
 * its line and lets one run report all mistakes.
 */

#include "daemon/config_tree.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

struct anchor {
	struct anchor *next;
	const char *name;
	struct config_node *node;
};

struct reader {
	yaml_parser_t parser;
	struct weir_arena *arena;
	const char *file;
	struct anchor *anchors;
	struct weir_error *error;
};

static int refuse(struct reader *reader, size_t line, const char *message, const char *remedy)
{
	weir_error_at(reader->error, reader->file, (unsigned)line);
	weir_error_remedy(reader->error, "%s", remedy);
	return weir_error_set(reader->error, WEIR_ECONFIG, "%s", message);
}

static int out_of_memory(struct reader *reader)
{
	weir_error_at(reader->error, reader->file, 0);
	return weir_error_set(reader->error, -ENOMEM, "out of memory");
}

static int next(struct reader *reader, yaml_event_t *event)
{
	const yaml_parser_t *parser = &reader->parser;
	size_t line;

	if (yaml_parser_parse(&reader->parser, event))
		return 0;
	if (parser->error == YAML_MEMORY_ERROR)
		return out_of_memory(reader);
	line = parser->problem_mark.line + 1;
	weir_error_at(reader->error, reader->file, (unsigned)line);
	weir_error_remedy(reader->error,
			  "look at quotes, colons and the indentation of this line and the one "
			  "before");
	return weir_error_set(reader->error, WEIR_ECONFIG, "this is no YAML: %s",
			      parser->problem != NULL ? parser->problem : "unreadable");
}

static struct config_node *node_new(struct reader *reader, enum config_kind kind, size_t line)
{
	struct config_node *node = weir_arena_zalloc(reader->arena, sizeof(*node));

	if (node == NULL)
		return NULL;
	node->kind = kind;
	node->file = reader->file;
	node->line = (unsigned)line;
	return node;
}

/* An anchor counts only once its node is complete, so no node can contain itself. */
static int anchor_add(struct reader *reader, const char *name, struct config_node *node)
{
	struct anchor *anchor = weir_arena_alloc(reader->arena, sizeof(*anchor));

	if (anchor == NULL || name == NULL)
		return out_of_memory(reader);
	*anchor = (struct anchor){ .next = reader->anchors, .name = name, .node = node };
	reader->anchors = anchor;
	return 0;
}

static int read_alias(struct reader *reader, const yaml_event_t *event, struct config_node **out)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct anchor *anchor;

	for (anchor = reader->anchors; anchor != NULL; anchor = anchor->next) {
		if (strcmp(anchor->name, name) == 0) {
			*out = anchor->node;
			return 0;
		}
	}
	return refuse(reader, event->start_mark.line + 1, "an alias has no anchor before it",
		      "write the anchor (&name) above its first use (*name)");
}

static int read_scalar(struct reader *reader, const yaml_event_t *event, struct config_node **out)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t size = event->data.scalar.length;
	struct config_node *node;

	if (memchr(value, '\0', size) != NULL)
		return refuse(reader, event->start_mark.line + 1, "a value has a zero byte in it",
			      "remove it");
	node = node_new(reader, CONFIG_KIND_SCALAR, event->start_mark.line + 1);
	if (node == NULL)
		return out_of_memory(reader);
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->text = weir_arena_strndup(reader->arena, value, size);
	if (node->text == NULL)
		return out_of_memory(reader);
	*out = node;
	return 0;
}

static int read_value(struct reader *reader, yaml_event_t *event, unsigned depth,
		      struct config_node **out);

static int read_sequence(struct reader *reader, unsigned depth, struct config_node *node)
{
	struct config_node *value;
	yaml_event_t event;
	int status;

	for (;;) {
		status = next(reader, &event);
		if (status < 0)
			return status;
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		status = read_value(reader, &event, depth, &value);
		if (status == 0 && config_node_add(reader->arena, node, NULL, value) < 0)
			status = out_of_memory(reader);
		if (status < 0)
			return status;
	}
}

static int read_mapping(struct reader *reader, unsigned depth, struct config_node *node)
{
	struct config_node *key, *value;
	yaml_event_t event;
	int status;

	for (;;) {
		status = next(reader, &event);
		if (status < 0)
			return status;
		if (event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		status = read_value(reader, &event, depth, &key);
		if (status < 0)
			return status;
		if (key->kind != CONFIG_KIND_SCALAR)
			return refuse(reader, key->line, "a key is a list or a mapping",
				      "keys are plain words");
		status = next(reader, &event);
		if (status < 0)
			return status;
		status = read_value(reader, &event, depth, &value);
		if (status == 0 && config_node_add(reader->arena, node, key, value) < 0)
			status = out_of_memory(reader);
		if (status < 0)
			return status;
	}
}

static int read_collection(struct reader *reader, const yaml_event_t *event, unsigned depth,
			   struct config_node **out)
{
	enum config_kind kind = event->type == YAML_MAPPING_START_EVENT ? CONFIG_KIND_MAPPING
									: CONFIG_KIND_SEQUENCE;
	struct config_node *node;

	if (depth == CONFIG_TREE_DEPTH)
		return refuse(reader, event->start_mark.line + 1, "values are nested too deeply",
			      "nothing here nests so deep; look at the brackets");
	node = node_new(reader, kind, event->start_mark.line + 1);
	if (node == NULL)
		return out_of_memory(reader);
	*out = node;
	if (kind == CONFIG_KIND_MAPPING)
		return read_mapping(reader, depth + 1, node);
	return read_sequence(reader, depth + 1, node);
}

static const char *event_anchor(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return (const char *)event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

/* Takes the event over in every case. */
static int read_value(struct reader *reader, yaml_event_t *event, unsigned depth,
		      struct config_node **out)
{
	const char *anchor = event_anchor(event);
	int status;

	if (anchor != NULL) {
		anchor = weir_arena_strdup(reader->arena, anchor);
		if (anchor == NULL) {
			yaml_event_delete(event);
			return out_of_memory(reader);
		}
	}
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		status = read_alias(reader, event, out);
		break;
	case YAML_SCALAR_EVENT:
		status = read_scalar(reader, event, out);
		break;
	default:
		status = read_collection(reader, event, depth, out);
		break;
	}
	yaml_event_delete(event);
	if (status == 0 && anchor != NULL)
		status = anchor_add(reader, anchor, *out);
	return status;
}

/* Takes the start of the stream and of the document; *EMPTY when there is no document. */
static int read_start(struct reader *reader, bool *empty)
{
	yaml_event_t event;
	int status;

	status = next(reader, &event);
	if (status < 0)
		return status;
	yaml_event_delete(&event);
	status = next(reader, &event);
	if (status < 0)
		return status;
	*empty = event.type == YAML_STREAM_END_EVENT;
	yaml_event_delete(&event);
	return 0;
}

/* After the root: nothing but the end of the document and of the stream. */
static int read_end(struct reader *reader)
{
	yaml_event_t event;
	size_t line;
	bool is_end;
	int status;

	status = next(reader, &event);
	if (status < 0)
		return status;
	yaml_event_delete(&event);
	status = next(reader, &event);
	if (status < 0)
		return status;
	line = event.start_mark.line + 1;
	is_end = event.type == YAML_STREAM_END_EVENT;
	yaml_event_delete(&event);
	if (!is_end)
		return refuse(reader, line, "a second document starts here",
			      "use one file for each, and include");
	return 0;
}

static int read_document(struct reader *reader, struct config_node **root)
{
	yaml_event_t event;
	bool empty;
	int status;

	status = read_start(reader, &empty);
	if (status < 0)
		return status;
	if (empty) {
		*root = node_new(reader, CONFIG_KIND_MAPPING, 1);
		return *root == NULL ? out_of_memory(reader) : 0;
	}
	status = next(reader, &event);
	if (status < 0)
		return status;
	status = read_value(reader, &event, 0, root);
	if (status < 0)
		return status;
	return read_end(reader);
}

int config_tree_read(struct weir_arena *arena, const char *file, const char *text, size_t size,
		     struct config_node **root, struct weir_error *error)
{
	struct reader reader = { .arena = arena, .file = file, .error = error };
	int status;

	if (!yaml_parser_initialize(&reader.parser))
		return out_of_memory(&reader);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(size ? text : ""),
				     size);
	status = read_document(&reader, root);
	yaml_parser_delete(&reader.parser);
	return status;
}

bool config_node_is_null(const struct config_node *node)
{
	return node->kind == CONFIG_KIND_SCALAR && !node->quoted &&
	       (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
		strcmp(node->text, "null") == 0);
}

struct config_node *config_node_get(const struct config_node *node, const char *key)
{
	const struct config_entry *entry;

	if (node == NULL || node->kind != CONFIG_KIND_MAPPING)
		return NULL;
	for (entry = node->first; entry != NULL; entry = entry->next) {
		if (strcmp(entry->key->text, key) == 0)
			return entry->value;
	}
	return NULL;
}

struct config_node *config_node_at(const struct config_node *node, size_t index)
{
	const struct config_entry *entry;

	if (node == NULL || node->kind != CONFIG_KIND_SEQUENCE)
		return NULL;
	for (entry = node->first; entry != NULL && index > 0; entry = entry->next)
		index--;
	return entry == NULL ? NULL : entry->value;
}

int config_node_add(struct weir_arena *arena, struct config_node *node, struct config_node *key,
		    struct config_node *value)
{
	struct config_entry *entry = weir_arena_zalloc(arena, sizeof(*entry));

	if (entry == NULL)
		return -ENOMEM;
	entry->key = key;
	entry->value = value;
	if (node->last == NULL)
		node->first = entry;
	else
		node->last->next = entry;
	node->last = entry;
	return 0;
}
