/* SPDX-License-Identifier: MIT */

/*
 * A set holds a handful of facts, so it is a list, newest first: adding is one allocation, and
 * the first match is the newest.
 */

#include <errno.h>

#include <weir/extension.h>

struct weir_extension {
	struct weir_extension *older;
	const struct weir_extension_key *key;
	const void *value; /* borrowed */
};

void weir_extensions_init(struct weir_extensions *set, const struct weir_extensions *parent)
{
	set->parent = parent;
	set->first = NULL;
}

int weir_extension_add(struct weir_extensions *set, struct weir_arena *arena,
		       const struct weir_extension_key *key, const void *value)
{
	struct weir_extension *extension = weir_arena_alloc(arena, sizeof(*extension));

	if (!extension)
		return -ENOMEM;
	extension->older = set->first;
	extension->key = key;
	extension->value = value;
	set->first = extension;
	return 0;
}

const void *weir_extension_find(const struct weir_extensions *set,
				const struct weir_extension_key *key)
{
	for (; set; set = set->parent) {
		for (const struct weir_extension *extension = set->first; extension;
		     extension = extension->older) {
			if (extension->key == key)
				return extension->value;
		}
	}
	return NULL;
}
