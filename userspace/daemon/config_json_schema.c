/* SPDX-License-Identifier: MIT */
/*
 * The tables as a JSON Schema: what an editor needs to complete keys and mark mistakes. It
 * knows less than `weir check`: nothing about upstreams that do not exist.
 */

#include <jansson.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/config_schema.h"

/* What each type looks like to YAML: numbers may come with or without quotes. */
static const struct {
	const char *type; /* "si": string or integer, "sn": or any number */
	const char *pattern;
} looks[] = {
	[CONFIG_NAME] = { "si", "^[A-Za-z0-9_.-]{1,64}$" },
	[CONFIG_TEXT] = { "si", NULL },
	[CONFIG_FILE] = { "s", NULL },
	[CONFIG_ADDRESS] = { "si", "^(unix:.+|:?[0-9]+|[^\\[\\]]+:[0-9]+|\\[.+\\]:[0-9]+)$" },
	[CONFIG_TARGET] = { "s", "^(unix:.+|srv:.+|[^\\[\\]]+:[0-9]+|\\[.+\\]:[0-9]+)$" },
	[CONFIG_SOURCE] = { "s", NULL },
	[CONFIG_COUNT] = { "si", "^[0-9]+$" },
	[CONFIG_NUMBER] = { "sn", "^[0-9]+(\\.[0-9]+)?$" },
	[CONFIG_DURATION] = { "si", "^(0|[0-9]+(\\.[0-9]+)?(ms|s|m|h|d))$" },
	[CONFIG_SECONDS] = { "si", "^(0|[0-9]+(\\.[0-9]+)?(ms|s|m|h|d))$" },
	[CONFIG_SIZE] = { "si", "^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB|TiB)?$" },
	[CONFIG_PERCENT] = { "s", "^[0-9]+(\\.[0-9]+)?%$" },
};

static json_t *table_json(const struct config_table *table);

static json_t *words_json(const struct config_key *key)
{
	json_t *words = json_array();
	size_t i;

	for (i = 0; i < key->n_words; i++)
		json_array_append_new(words, json_string(key->words[i].name));
	return words;
}

static json_t *type_json(const char *type)
{
	json_t *types;

	if (strcmp(type, "s") == 0)
		return json_string("string");
	types = json_pack("[s]", "string");
	json_array_append_new(types, json_string(type[1] == 'i' ? "integer" : "number"));
	return types;
}

/* Durations, sizes and percentages are bounded in another unit than they are written in. */
static bool is_plain_number(enum config_type type)
{
	return type == CONFIG_COUNT || type == CONFIG_NUMBER;
}

static json_t *scalar_json(const struct config_key *key, enum config_type type)
{
	json_t *schema = json_pack("{s:o}", "type", type_json(looks[type].type));

	if (looks[type].pattern != NULL)
		json_object_set_new(schema, "pattern", json_string(looks[type].pattern));
	if (type == CONFIG_DURATION || type == CONFIG_SECONDS) {
		/* Without a unit only 0. */
		json_object_set_new(schema, "minimum", json_integer(0));
		json_object_set_new(schema, "maximum", json_integer(0));
	}
	if (!is_plain_number(type))
		return schema;
	json_object_set_new(schema, "minimum", json_integer((json_int_t)key->min));
	if (key->max != 0)
		json_object_set_new(schema, "maximum", json_integer((json_int_t)key->max));
	return schema;
}

static json_t *list_json(const struct config_key *key)
{
	json_t *item = key->table != NULL ? table_json(key->table) : scalar_json(key, key->item);
	json_t *list = json_pack("{s:s, s:I, s:O}", "type", "array", "minItems",
				 (json_int_t)(key->min > 0), "items", item);

	if (!key->or_one) {
		json_decref(item);
		return list;
	}
	return json_pack("{s:[o, o]}", "anyOf", item, list);
}

static json_t *value_json(const struct config_key *key)
{
	json_t *schema;

	switch (key->type) {
	case CONFIG_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case CONFIG_WORD:
		return json_pack("{s:o}", "enum", words_json(key));
	case CONFIG_WORDS:
		return json_pack("{s:s, s:i, s:{s:o}}", "type", "array", "minItems", 1, "items",
				 "enum", words_json(key));
	case CONFIG_EMPTY:
		return json_pack("{s:s, s:i}", "type", "object", "maxProperties", 0);
	case CONFIG_MAP:
		return table_json(key->table);
	case CONFIG_LIST:
		return list_json(key);
	default:
		schema = scalar_json(key, key->type);
		if (key->words != NULL)
			schema = json_pack("{s:[o, {s:o}]}", "anyOf", schema, "enum",
					   words_json(key));
		return schema;
	}
}

static json_t *key_json(const struct config_key *key)
{
	json_t *schema = value_json(key);

	json_object_set_new(schema, "description", json_string(key->doc));
	if (key->fallback != NULL)
		json_object_set_new(schema, "default", json_string(key->fallback));
	return schema;
}

static json_t *either_json(const struct config_table *table)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < WEIR_ARRAY_SIZE(table->either) && table->either[i] != NULL; i++)
		json_array_append_new(list, json_pack("{s:[s]}", "required", table->either[i]));
	return list;
}

static json_t *table_json(const struct config_table *table)
{
	json_t *properties = json_object(), *required = json_array();
	json_t *schema;
	size_t i;

	for (i = 0; i < table->n; i++) {
		json_object_set_new(properties, table->keys[i].name, key_json(&table->keys[i]));
		if (table->keys[i].required)
			json_array_append_new(required, json_string(table->keys[i].name));
	}
	schema = json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0,
			   "properties", properties);
	if (json_array_size(required) > 0)
		json_object_set(schema, "required", required);
	json_decref(required);
	if (table->either[0] != NULL)
		json_object_set_new(schema, "oneOf", either_json(table));
	if (table->one_of)
		json_object_update_new(schema, json_pack("{s:i, s:i}", "minProperties", 1,
							 "maxProperties", 1));
	if (table->shorthand == NULL)
		return schema;
	return json_pack("{s:[o, o]}", "anyOf",
			 key_json(config_table_find(table, table->shorthand)), schema);
}

char *weir_config_json_schema(void)
{
	json_t *include = json_pack("{s:s, s:{s:s}, s:s}", "type", "array", "items", "type",
				    "string", "description",
				    "more files (patterns too), beside this one; their lists are "
				    "added to those here");
	json_t *schema = json_pack("{s:s, s:s}", "$schema",
				   "https://json-schema.org/draft/2020-12/schema", "title",
				   "Weir's configuration");
	json_t *root = table_json(config_schema_root());
	char *text = NULL;

	json_object_update(schema, root);
	json_object_set_new(json_object_get(schema, "properties"), "include", include);
	if (schema != NULL)
		text = json_dumps(schema, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(root);
	json_decref(schema);
	return text;
}
