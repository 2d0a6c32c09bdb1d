/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_SCHEMA_H
#define WEIR_DAEMON_CONFIG_SCHEMA_H

/*
 * The tables that say what a configuration may hold. Everything follows from them: what is
 * checked, which members libcyaml fills, the JSON Schema for editors.
 */

#include <cyaml/cyaml.h>
#include <stdbool.h>

#include <weir/base.h>

enum config_type {
	CONFIG_NAME,	 /* of a thing of ours: letters, digits, "_", "-", "."; -> char * */
	CONFIG_TEXT,	 /* any text that is not empty -> char * */
	CONFIG_FILE,	 /* path -> char * */
	CONFIG_ADDRESS,	 /* weir_address_parse() -> char * */
	CONFIG_TARGET,	 /* weir_target_parse() -> char * */
	CONFIG_SOURCE,	 /* weir_config_source() -> char * */
	CONFIG_COUNT,	 /* whole number, or one of words -> unsigned */
	CONFIG_NUMBER,	 /* -> double */
	CONFIG_BOOL,	 /* -> bool */
	CONFIG_DURATION, /* -> unsigned milliseconds */
	CONFIG_SECONDS,	 /* a duration of whole seconds -> unsigned seconds */
	CONFIG_SIZE,	 /* -> unsigned bytes */
	CONFIG_PERCENT,	 /* -> unsigned */
	CONFIG_WORD,	 /* one of words -> its value, unsigned or enum */
	CONFIG_WORDS,	 /* list of words -> their values, or-ed: unsigned */
	CONFIG_EMPTY,	 /* {} -> bool, true when there */
	CONFIG_MAP,	 /* table -> struct, inline */
	CONFIG_LIST,	 /* of item -> pointer and count */
};

struct config_word {
	const char *name;
	uint64_t value;
};

struct config_key {
	const char *name;
	enum config_type type;
	bool required;
	bool filled;	       /* when absent, the fallback is stored (a map is as if empty) */
	uint32_t offset;       /* of the member */
	uint32_t size;	       /* of the member; of a list: of one element */
	uint32_t count_offset; /* of a list */
	uint64_t min, max;     /* of numbers, after conversion; max 0: as the member allows */
	const struct config_word *words;
	size_t n_words;
	const struct config_table *table; /* of a map, or of the maps in a list */
	enum config_type item;		  /* of a list without table: a kind of text, or a count */
	bool or_one;			  /* of a list: an element alone stands for a list of it */
	const char *fallback;		  /* the default, for people; NULL: there is none */
	const char *doc;
};

struct config_table {
	const char *noun; /* "a listener": for messages */
	const struct config_key *keys;
	size_t n;
	uint32_t size;	       /* of the struct */
	bool has_place;	       /* starts with a struct weir_config_place */
	const char *shorthand; /* a scalar instead of the mapping is the value of this key */
	const char *either[6]; /* exactly one of these keys; NULL after the last */
	bool one_of;	       /* exactly one key; its index goes to the member "(type)" */
	uint32_t type_offset;
};

/* Keys that the checker adds for libcyaml; nobody can write them. */
#define CONFIG_KEY_FILE "(file)"
#define CONFIG_KEY_LINE "(line)"
#define CONFIG_KEY_TYPE "(type)"

const struct config_table *config_schema_root(void);

/* The same tables in libcyaml's form, made at the first call. NULL when memory is out. */
const cyaml_schema_value_t *config_schema_cyaml(void);

/* The key with this name; NULL when the table has none. */
const struct config_key *config_table_find(const struct config_table *table, const char *name);

#endif
