/* SPDX-License-Identifier: MIT */
/*
 * The tree against the tables. One walk does two things: it finds mistakes, and it writes what
 * libcyaml reads afterwards, with units converted, words replaced by their numbers, short
 * forms written out, and the place of every listener, layer and upstream added.
 *
 * libcyaml has no values with units and no alternatives ("a:80" or { address: "a:80" }), which
 * is why it does not read the operator's text itself.
 */

#include "daemon/config_check.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/address.h>

#include "daemon/config_suggest.h"
#include "daemon/config_value.h"

/* Aliases can make a small file a huge document. */
#define VISITS_MAX 200000

#define NAME_MAX_BYTES 64

struct checker {
	struct weir_config_mistakes *mistakes;
	struct weir_buffer *out;
	size_t visits;
	bool broken; /* memory is out or the document is too large: nothing more is said */
};

/* What a value of each type is called, and how one looks. */
static const struct {
	const char *noun;
	const char *example;
} types[] = {
	[CONFIG_NAME] = { "a name", "a name has letters, digits, \"_\", \"-\", \".\", 64 at most" },
	[CONFIG_TEXT] = { "a text", "write some text" },
	[CONFIG_FILE] = { "a path", "write a path" },
	[CONFIG_ADDRESS] = { "an address",
			     "write \"127.0.0.1:80\", \"[::1]:80\", \"80\" or \"unix:/path\"" },
	[CONFIG_TARGET] = { "an endpoint's address",
			    "write \"10.0.0.1:80\", \"name.example:80\" or \"unix:/path\"" },
	[CONFIG_SOURCE] = { "a local address", "write \"10.0.0.1\" or \"2001:db8::1\"" },
	[CONFIG_COUNT] = { "a whole number", "write digits only" },
	[CONFIG_NUMBER] = { "a number", "write for example 50 or 0.5" },
	[CONFIG_BOOL] = { "true or false", "write true or false" },
	[CONFIG_DURATION] = { "a duration", "write for example 500ms, 15s, 5m or 1h" },
	[CONFIG_SECONDS] = { "a duration of whole seconds", "write for example 15s, 5m or 1h" },
	[CONFIG_SIZE] = { "a size", "write for example 4096, 64KiB or 1MiB" },
	[CONFIG_PERCENT] = { "a percentage", "write for example 10%" },
	[CONFIG_WORD] = { "a word", "write one of the words" },
	[CONFIG_WORDS] = { "a list", "write [ and ] around it" },
	[CONFIG_EMPTY] = { "an empty mapping", "write {}" },
	[CONFIG_MAP] = { "a mapping", "write keys and values" },
	[CONFIG_LIST] = { "a list", "write [ and ] around it, or start lines with \"- \"" },
};

static const char *const kinds[] = {
	[CONFIG_KIND_SCALAR] = "a single value",
	[CONFIG_KIND_MAPPING] = "a mapping",
	[CONFIG_KIND_SEQUENCE] = "a list",
};

static void put(struct checker *checker, const char *format, ...) WEIR_PRINTF(2, 3);

static void put(struct checker *checker, const char *format, ...)
{
	char text[64];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (weir_buffer_append(checker->out, text, (size_t)size) < 0)
		checker->broken = true;
}

/* A double-quoted YAML scalar on one line. */
static void put_string(struct checker *checker, const char *text)
{
	const unsigned char *c;
	bool failed = weir_buffer_append(checker->out, "\"", 1) < 0;

	for (c = (const unsigned char *)text; *c != '\0' && !failed; c++) {
		if (*c == '"' || *c == '\\')
			failed = weir_buffer_printf(checker->out, "\\%c", *c) < 0;
		else if (*c < 0x20 || *c == 0x7f)
			failed = weir_buffer_printf(checker->out, "\\x%02X", *c) < 0;
		else
			failed = weir_buffer_append(checker->out, c, 1) < 0;
	}
	if (failed || weir_buffer_append(checker->out, "\"", 1) < 0)
		checker->broken = true;
}

static void mistake_kind(struct checker *checker, const struct config_key *key,
			 enum config_type type, const struct config_node *node)
{
	bool empty = config_node_is_null(node);
	const char *remedy = types[type].example;

	if (empty && type == CONFIG_MAP)
		remedy = "write {} for the defaults, or remove the key";
	config_mistake(checker->mistakes, node, remedy, "\"%s\" is %s, but should be %s", key->name,
		       empty ? "empty" : kinds[node->kind], types[type].noun);
}

static void mistake_value(struct checker *checker, const struct config_key *key,
			  enum config_type type, const struct config_node *node)
{
	config_mistake(checker->mistakes, node, types[type].example, "\"%s\" is not %s: \"%.100s\"",
		       key->name, types[type].noun, node->text);
}

/* ---- scalars ------------------------------------------------------------------------------ */

static bool is_name(const char *text)
{
	size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_-.");

	return size > 0 && size <= NAME_MAX_BYTES && text[size] == '\0';
}

static bool is_address(const char *text)
{
	struct weir_address address;

	return weir_address_parse(&address, text) == 0;
}

static bool is_target(const char *text)
{
	struct weir_target target;

	return weir_target_parse(&target, text) == 0;
}

static bool is_source(const char *text)
{
	struct weir_address address;

	return weir_config_source(&address, text) == 0;
}

static void check_string(struct checker *checker, const struct config_key *key,
			 enum config_type type, const struct config_node *node)
{
	bool good;

	switch (type) {
	case CONFIG_NAME:
		good = is_name(node->text);
		break;
	case CONFIG_ADDRESS:
		good = is_address(node->text);
		break;
	case CONFIG_TARGET:
		good = is_target(node->text);
		break;
	case CONFIG_SOURCE:
		good = is_source(node->text);
		break;
	default:
		good = node->text[0] != '\0';
		break;
	}
	if (!good) {
		mistake_value(checker, key, type, node);
		return;
	}
	if (type == CONFIG_FILE && key->max != 0 && strlen(node->text) > key->max) {
		config_mistake(checker->mistakes, node, "choose a shorter one",
			       "\"%s\" is a path of %zu bytes, but at most %llu are possible",
			       key->name, strlen(node->text), (unsigned long long)key->max);
		return;
	}
	put_string(checker, node->text);
}

/* The limits in the way the value is written: 500ms, not 500. */
static void format_bound(enum config_type type, uint64_t value, char *text, size_t size)
{
	unsigned long long n = value;

	if (type == CONFIG_DURATION && n % 86400000 == 0 && n != 0)
		snprintf(text, size, "%llud", n / 86400000);
	else if (type == CONFIG_DURATION)
		snprintf(text, size, "%llums", n);
	else if (type == CONFIG_SECONDS)
		snprintf(text, size, "%llus", n);
	else if (type == CONFIG_PERCENT)
		snprintf(text, size, "%llu%%", n);
	else
		snprintf(text, size, "%llu", n);
}

static uint64_t key_max(const struct config_key *key)
{
	uint64_t member = key->size >= 8 ? INT64_MAX : (UINT64_C(1) << (8 * key->size)) - 1;

	return key->max == 0 ? member : WEIR_MIN(key->max, member);
}

static void check_range(struct checker *checker, const struct config_key *key,
			enum config_type type, const struct config_node *node, int status,
			uint64_t value)
{
	bool low = status == 0 && value < key->min;
	char bound[32], remedy[64];

	if (!low && status == 0 && value <= key_max(key)) {
		put(checker, "%llu", (unsigned long long)value);
		return;
	}
	format_bound(type, low ? key->min : key_max(key), bound, sizeof(bound));
	snprintf(remedy, sizeof(remedy), "write %s or %s", bound, low ? "more" : "less");
	config_mistake(checker->mistakes, node, remedy, "\"%s\" is %s, which is too %s", key->name,
		       node->text, low ? "small" : "large");
}

static int number_value(enum config_type type, const char *text, uint64_t *value)
{
	int status;

	switch (type) {
	case CONFIG_DURATION:
		return config_value_duration(text, value);
	case CONFIG_SECONDS:
		status = config_value_duration(text, value);
		if (status == 0 && *value % 1000 != 0)
			return -EINVAL;
		*value /= 1000;
		return status;
	case CONFIG_SIZE:
		return config_value_size(text, value);
	case CONFIG_PERCENT:
		return config_value_percent(text, value);
	default:
		return config_value_count(text, value);
	}
}

static void check_number(struct checker *checker, const struct config_key *key,
			 enum config_type type, const struct config_node *node)
{
	uint64_t value = 0;
	double fraction;
	int status;

	if (type == CONFIG_NUMBER) {
		if (config_value_number(node->text, &fraction) < 0 || fraction <= 0 ||
		    fraction > (double)key->max)
			mistake_value(checker, key, type, node);
		else
			put(checker, "%.17g", fraction);
		return;
	}
	status = number_value(type, node->text, &value);
	if (status == -EINVAL)
		mistake_value(checker, key, type, node);
	else
		check_range(checker, key, type, node, status, value);
}

static const struct config_word *find_word(const struct config_key *key, const char *text)
{
	size_t i;

	for (i = 0; i < key->n_words; i++) {
		if (strcmp(key->words[i].name, text) == 0)
			return &key->words[i];
	}
	return NULL;
}

static void mistake_word(struct checker *checker, const struct config_key *key,
			 const struct config_node *node)
{
	struct config_suggest suggest;
	size_t i;

	config_suggest_init(&suggest, node->text);
	for (i = 0; i < key->n_words; i++)
		config_suggest_add(&suggest, key->words[i].name);
	config_mistake(checker->mistakes, node, config_suggest_text(&suggest),
		       "\"%s\" cannot be \"%.100s\"", key->name, node->text);
}

static void check_word(struct checker *checker, const struct config_key *key, enum config_type type,
		       const struct config_node *node)
{
	const struct config_word *word = find_word(key, node->text);

	if (word != NULL)
		put(checker, "%llu", (unsigned long long)word->value);
	else if (type == CONFIG_COUNT)
		check_number(checker, key, type, node);
	else
		mistake_word(checker, key, node);
}

static void check_bool(struct checker *checker, const struct config_key *key,
		       const struct config_node *node)
{
	bool value;

	if (config_value_bool(node->text, &value) < 0)
		mistake_value(checker, key, CONFIG_BOOL, node);
	else
		put(checker, "%d", value);
}

static void check_scalar(struct checker *checker, const struct config_key *key,
			 enum config_type type, const struct config_node *node)
{
	if (node->kind != CONFIG_KIND_SCALAR || config_node_is_null(node)) {
		mistake_kind(checker, key, type, node);
		return;
	}
	switch (type) {
	case CONFIG_BOOL:
		check_bool(checker, key, node);
		break;
	case CONFIG_WORD:
	case CONFIG_COUNT:
		check_word(checker, key, type, node);
		break;
	case CONFIG_NUMBER:
	case CONFIG_DURATION:
	case CONFIG_SECONDS:
	case CONFIG_SIZE:
	case CONFIG_PERCENT:
		check_number(checker, key, type, node);
		break;
	default:
		check_string(checker, key, type, node);
		break;
	}
}

/* ---- lists -------------------------------------------------------------------------------- */

static void check_words(struct checker *checker, const struct config_key *key,
			const struct config_node *node)
{
	const struct config_entry *entry;
	const struct config_word *word;
	uint64_t sum = 0;

	if (node->kind != CONFIG_KIND_SEQUENCE) {
		mistake_kind(checker, key, CONFIG_WORDS, node);
		return;
	}
	if (node->first == NULL)
		config_mistake(checker->mistakes, node, "remove the key for the default",
			       "\"%s\" is an empty list", key->name);
	for (entry = node->first; entry != NULL; entry = entry->next) {
		if (entry->value->kind != CONFIG_KIND_SCALAR) {
			mistake_kind(checker, key, CONFIG_WORD, entry->value);
			continue;
		}
		word = find_word(key, entry->value->text);
		if (word == NULL)
			mistake_word(checker, key, entry->value);
		else
			sum |= word->value;
	}
	put(checker, "%llu", (unsigned long long)sum);
}

static void check_map(struct checker *checker, const struct config_key *key,
		      const struct config_table *table, const struct config_node *node);

static void check_element(struct checker *checker, const struct config_key *key,
			  const struct config_node *node)
{
	if (key->table != NULL)
		check_map(checker, key, key->table, node);
	else
		check_scalar(checker, key, key->item, node);
}

static void check_list(struct checker *checker, const struct config_key *key,
		       const struct config_node *node)
{
	const struct config_entry *entry;

	if (node->kind != CONFIG_KIND_SEQUENCE && key->or_one && !config_node_is_null(node)) {
		put(checker, "[");
		check_element(checker, key, node);
		put(checker, "]");
		return;
	}
	if (node->kind != CONFIG_KIND_SEQUENCE) {
		mistake_kind(checker, key, CONFIG_LIST, node);
		return;
	}
	if (node->first == NULL && key->min > 0)
		config_mistake(checker->mistakes, node, "write at least one",
			       "\"%s\" is an empty list", key->name);
	put(checker, "[");
	for (entry = node->first; entry != NULL && !checker->broken; entry = entry->next) {
		check_element(checker, key, entry->value);
		put(checker, entry->next != NULL ? "," : "");
	}
	put(checker, "]");
}

/* ---- mappings ----------------------------------------------------------------------------- */

static void check_value(struct checker *checker, const struct config_key *key,
			const struct config_node *node)
{
	if (++checker->visits > VISITS_MAX) {
		if (!checker->broken)
			config_mistake(checker->mistakes, node, "use fewer aliases",
				       "the document is too large");
		checker->broken = true;
		return;
	}
	put(checker, "\"%s\":", key->name);
	switch (key->type) {
	case CONFIG_MAP:
		check_map(checker, key, key->table, node);
		break;
	case CONFIG_LIST:
		check_list(checker, key, node);
		break;
	case CONFIG_WORDS:
		check_words(checker, key, node);
		break;
	case CONFIG_EMPTY:
		if (node->kind != CONFIG_KIND_MAPPING || node->first != NULL)
			mistake_kind(checker, key, CONFIG_EMPTY, node);
		put(checker, "1");
		break;
	default:
		check_scalar(checker, key, key->type, node);
		break;
	}
}

static void mistake_unknown(struct checker *checker, const struct config_table *table,
			    const struct config_node *name)
{
	struct config_suggest suggest;
	size_t i;

	config_suggest_init(&suggest, name->text);
	for (i = 0; i < table->n; i++)
		config_suggest_add(&suggest, table->keys[i].name);
	config_mistake(checker->mistakes, name, config_suggest_text(&suggest),
		       "unknown key \"%.100s\" in %s", name->text, table->noun);
}

/* The same key above ENTRY; NULL when there is none. */
static const struct config_node *seen_before(const struct config_node *map,
					     const struct config_entry *entry)
{
	const struct config_entry *other;

	for (other = map->first; other != entry; other = other->next) {
		if (strcmp(other->key->text, entry->key->text) == 0)
			return other->key;
	}
	return NULL;
}

static void check_entry(struct checker *checker, const struct config_table *table,
			const struct config_node *map, const struct config_entry *entry)
{
	const struct config_node *before = seen_before(map, entry);
	const struct config_key *key = config_table_find(table, entry->key->text);

	if (before != NULL) {
		config_mistake(checker->mistakes, entry->key, "keep one of them",
			       "\"%.100s\" is given twice, first in line %u", entry->key->text,
			       before->line);
	} else if (key == NULL) {
		mistake_unknown(checker, table, entry->key);
	} else {
		put(checker, ",");
		check_value(checker, key, entry->value);
	}
}

/* The place first: so every other member is written with a comma before it. */
static void put_place(struct checker *checker, const struct config_table *table,
		      const struct config_node *node)
{
	if (!table->has_place) {
		put(checker, "\"" CONFIG_KEY_LINE "\":0");
		return;
	}
	put(checker, "\"" CONFIG_KEY_LINE "\":%u,\"" CONFIG_KEY_FILE "\":", node->line);
	put_string(checker, node->file);
}

/* Keys that were not written: those that must be, and those whose default is stored. */
static void check_absent(struct checker *checker, const struct config_table *table,
			 const struct config_node *map)
{
	struct config_node stand_in = { .file = map->file, .line = map->line };
	const struct config_key *key;
	char remedy[320];
	size_t i;

	for (i = 0; i < table->n; i++) {
		key = &table->keys[i];
		if (config_node_get(map, key->name) != NULL)
			continue;
		if (key->required) {
			snprintf(remedy, sizeof(remedy), "add \"%s\": %s", key->name, key->doc);
			config_mistake(checker->mistakes, map, remedy, "%s has no \"%s\"",
				       table->noun, key->name);
		} else if (key->filled) {
			stand_in.kind = key->type == CONFIG_MAP ? CONFIG_KIND_MAPPING
								: CONFIG_KIND_SCALAR;
			stand_in.text = key->fallback;
			put(checker, ",");
			check_value(checker, key, &stand_in);
		}
	}
}

/* A table of alternatives: exactly one key, whose index is stored. */
static void check_one_of(struct checker *checker, const struct config_table *table,
			 const struct config_node *map)
{
	const struct config_key *key;

	if (map->first == NULL || map->first->next != NULL) {
		config_mistake(checker->mistakes, map, "start a new \"- \" for each",
			       "%s has %s key, but should have exactly one", table->noun,
			       map->first == NULL ? "no" : "more than one");
		return;
	}
	key = config_table_find(table, map->first->key->text);
	if (key != NULL)
		put(checker, ",\"" CONFIG_KEY_TYPE "\":%td", key - table->keys);
}

/* Keys of which exactly one is written. */
static void check_either(struct checker *checker, const struct config_table *table,
			 const struct config_node *map)
{
	char names[128] = "", remedy[160];
	size_t i, n = 0;

	for (i = 0; i < WEIR_ARRAY_SIZE(table->either) && table->either[i] != NULL; i++) {
		n += config_node_get(map, table->either[i]) != NULL;
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 i == 0 ? "" : ", ", table->either[i]);
	}
	if (i == 0 || n == 1)
		return;
	snprintf(remedy, sizeof(remedy), "write one of %s", names);
	config_mistake(checker->mistakes, map, remedy, "%s has %s of %s", table->noun,
		       n == 0 ? "none" : "more than one", names);
}

static void check_members(struct checker *checker, const struct config_table *table,
			  const struct config_node *map)
{
	const struct config_entry *entry;

	put(checker, "{");
	put_place(checker, table, map);
	if (table->one_of)
		check_one_of(checker, table, map);
	for (entry = map->first; entry != NULL && !checker->broken; entry = entry->next)
		check_entry(checker, table, map, entry);
	check_absent(checker, table, map);
	check_either(checker, table, map);
	put(checker, "}");
}

static void check_map(struct checker *checker, const struct config_key *key,
		      const struct config_table *table, const struct config_node *node)
{
	struct config_node map = { .kind = CONFIG_KIND_MAPPING };
	struct config_node name = { .kind = CONFIG_KIND_SCALAR, .text = table->shorthand };
	struct config_entry entry = { .key = &name, .value = (struct config_node *)node };

	if (node->kind == CONFIG_KIND_MAPPING) {
		check_members(checker, table, node);
		return;
	}
	if (table->shorthand == NULL || node->kind != CONFIG_KIND_SCALAR ||
	    config_node_is_null(node)) {
		mistake_kind(checker, key, CONFIG_MAP, node);
		return;
	}
	map.file = node->file;
	map.line = node->line;
	map.first = &entry;
	map.last = &entry;
	check_members(checker, table, &map);
}

void config_check_tree(const struct config_node *root, struct weir_config_mistakes *mistakes,
		       struct weir_buffer *out)
{
	struct checker checker = { .mistakes = mistakes, .out = out };

	if (root->kind != CONFIG_KIND_MAPPING) {
		config_mistake(mistakes, root, "start with a key, for example \"listeners:\"",
			       "the configuration is %s, but should be a mapping",
			       kinds[root->kind]);
		return;
	}
	check_members(&checker, config_schema_root(), root);
	if (checker.broken && mistakes->n == 0)
		config_mistake(mistakes, NULL, NULL, "out of memory");
}
