/* SPDX-License-Identifier: MIT */
/*
 * The tables in libcyaml's form. The checker has turned every value into a plain number or a
 * string, so five of libcyaml's types are enough. Made once and kept for the life of the
 * process, because a configuration is freed by the schema that it was loaded with.
 */

#include <pthread.h>

#include <weir/arena.h>

#include "daemon/config.h"
#include "daemon/config_schema.h"

static pthread_once_t schema_once = PTHREAD_ONCE_INIT;
static struct weir_arena schema_arena;
static const cyaml_schema_value_t *schema_root;

static const cyaml_schema_field_t *fields_of(const struct config_table *table);

/* How one element of a list is described. */
static const cyaml_schema_value_t *element_of(const struct config_key *key)
{
	cyaml_schema_value_t *value = weir_arena_zalloc(&schema_arena, sizeof(*value));

	if (value == NULL)
		return NULL;
	value->data_size = key->size;
	if (key->table != NULL) {
		value->type = CYAML_MAPPING;
		value->mapping.fields = fields_of(key->table);
		return value->mapping.fields == NULL ? NULL : value;
	}
	if (key->item == CONFIG_COUNT) {
		value->type = CYAML_UINT;
		return value;
	}
	value->type = CYAML_STRING;
	value->flags = CYAML_FLAG_POINTER;
	value->string.max = CYAML_UNLIMITED;
	return value;
}

static int fill_list(cyaml_schema_field_t *field, const struct config_key *key)
{
	field->count_offset = key->count_offset;
	field->count_size = sizeof(uint32_t);
	field->value.type = CYAML_SEQUENCE;
	field->value.flags |= CYAML_FLAG_POINTER;
	field->value.sequence.entry = element_of(key);
	field->value.sequence.max = CYAML_UNLIMITED;
	return field->value.sequence.entry == NULL ? -1 : 0;
}

static int fill_field(cyaml_schema_field_t *field, const struct config_key *key)
{
	field->key = key->name;
	field->data_offset = key->offset;
	field->value.flags = CYAML_FLAG_OPTIONAL;
	field->value.data_size = key->size;
	switch (key->type) {
	case CONFIG_NAME:
	case CONFIG_TEXT:
	case CONFIG_FILE:
	case CONFIG_ADDRESS:
	case CONFIG_TARGET:
	case CONFIG_SOURCE:
		field->value.type = CYAML_STRING;
		field->value.flags |= CYAML_FLAG_POINTER;
		field->value.string.max = CYAML_UNLIMITED;
		return 0;
	case CONFIG_NUMBER:
		field->value.type = CYAML_FLOAT;
		return 0;
	case CONFIG_MAP:
		field->value.type = CYAML_MAPPING;
		field->value.data_size = key->table->size;
		field->value.mapping.fields = fields_of(key->table);
		return field->value.mapping.fields == NULL ? -1 : 0;
	case CONFIG_LIST:
		return fill_list(field, key);
	default:
		field->value.type = CYAML_UINT;
		return 0;
	}
}

/* The keys that the checker adds. */
static void fill_hidden(cyaml_schema_field_t *field, const struct config_table *table)
{
	static const cyaml_schema_field_t place[] = {
		CYAML_FIELD_UINT(CONFIG_KEY_LINE, CYAML_FLAG_OPTIONAL, struct weir_config_place,
				 line),
		CYAML_FIELD_STRING_PTR(CONFIG_KEY_FILE, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				       struct weir_config_place, file, 0, CYAML_UNLIMITED),
	};
	static const cyaml_schema_field_t no_place =
		CYAML_FIELD_IGNORE(CONFIG_KEY_LINE, CYAML_FLAG_OPTIONAL);

	if (table->has_place) {
		*field++ = place[0];
		*field++ = place[1];
	} else {
		*field++ = no_place;
	}
	if (table->one_of) {
		field->key = CONFIG_KEY_TYPE;
		field->data_offset = table->type_offset;
		field->value.type = CYAML_UINT;
		field->value.flags = CYAML_FLAG_OPTIONAL;
		field->value.data_size = sizeof(enum weir_config_layer_type);
	}
}

static const cyaml_schema_field_t *fields_of(const struct config_table *table)
{
	cyaml_schema_field_t *fields;
	size_t i;

	/* Three hidden ones, and the end: a field whose key is NULL. */
	fields = weir_arena_zalloc(&schema_arena, (table->n + 4) * sizeof(*fields));
	if (fields == NULL)
		return NULL;
	for (i = 0; i < table->n; i++) {
		if (fill_field(&fields[i], &table->keys[i]) < 0)
			return NULL;
	}
	fill_hidden(&fields[table->n], table);
	return fields;
}

static void schema_make(void)
{
	const struct config_table *table = config_schema_root();
	cyaml_schema_value_t *value;

	weir_arena_init(&schema_arena, 16384);
	value = weir_arena_zalloc(&schema_arena, sizeof(*value));
	if (value == NULL)
		return;
	value->type = CYAML_MAPPING;
	value->flags = CYAML_FLAG_POINTER;
	value->data_size = table->size;
	value->mapping.fields = fields_of(table);
	if (value->mapping.fields != NULL)
		schema_root = value;
}

const cyaml_schema_value_t *config_schema_cyaml(void)
{
	pthread_once(&schema_once, schema_make);
	return schema_root;
}
