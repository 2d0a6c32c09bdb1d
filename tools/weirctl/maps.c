/* SPDX-License-Identifier: MIT */

/* weirctl maps: the pinned maps of the kernel data plane; needs no daemon, only root. */

#include <errno.h>
#include <inttypes.h>
#include <weir/error.h>
#include <weir/offload.h>

#include "tools/weirctl/api.h"
#include "tools/weirctl/unit.h"

static const struct column columns[] = {
	{ "ID", true, false },	    { "MAP", false, false }, { "TYPE", false, false },
	{ "ENTRIES", true, false }, { "OF", true, false },   { "VALUE", true, false },
	{ "MEMORY", true, false },
};

struct maps {
	struct table table;
	json_t *list; /* instead, for --json */
	bool has_failed;
};

static void maps_on_map(void *ctx, const struct weir_pinned_map *map)
{
	struct maps *maps = ctx;
	char text[UNIT_TEXT];

	if (maps->list) {
		json_t *object = json_pack("{ss ss sI sI sI sI sI}", "name", map->name, "type",
					   map->type, "id", (json_int_t)map->id, "entries",
					   (json_int_t)map->entries, "max_entries",
					   (json_int_t)map->max_entries, "value_bytes",
					   (json_int_t)map->value_bytes, "memory_bytes",
					   (json_int_t)map->memory_bytes);

		if (json_array_append_new(maps->list, object) < 0)
			maps->has_failed = true;
		return;
	}
	table_add(&maps->table, TONE_PLAIN, "%" PRIu32, map->id);
	table_add(&maps->table, TONE_PLAIN, "%s", map->name);
	table_add(&maps->table, TONE_PLAIN, "%s", map->type);
	table_add(&maps->table, TONE_PLAIN, "%" PRIu32, map->entries);
	table_add(&maps->table, TONE_PLAIN, "%" PRIu32, map->max_entries);
	table_add(&maps->table, TONE_PLAIN, "%s", unit_bytes(text, map->value_bytes));
	table_add(&maps->table, TONE_PLAIN, "%s", unit_bytes(text, (double)map->memory_bytes));
}

static void maps_say_why_not(const struct ctl *ctl, int status)
{
	if (status == -ENOENT)
		fprintf(stderr,
			"weirctl: no maps of Weir are pinned at %s\n"
			"  They are there while a Weir whose offload is available runs (weirctl status\n"
			"  says so). Another place is said with --pin DIR, as offload.pin says it.\n",
			ctl->pin);
	else if (status == -EPROTO)
		fprintf(stderr, "weirctl: the maps at %s are of another version of Weir\n",
			ctl->pin);
	else
		fprintf(stderr, "weirctl: the maps at %s: %s%s\n", ctl->pin, weir_strerror(status),
			status == -EPERM || status == -EACCES ? "; reading them needs root" : "");
}

static int maps_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	struct maps maps = { 0 };
	int status;

	(void)arguments;
	(void)n;
	table_init(&maps.table, columns, WEIR_ARRAY_SIZE(columns));
	if (ctl->is_json) {
		maps.list = json_array();
		maps.has_failed = !maps.list;
	}
	status = weir_pinned_each_map(ctl->pin, maps_on_map, &maps);
	if (status == 0 && maps.has_failed)
		status = -ENOMEM;
	if (status < 0) {
		maps_say_why_not(ctl, status);
	} else if (maps.list) {
		json_dumpf(maps.list, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		api_show(ctl, &maps.table);
	}
	table_fini(&maps.table);
	json_decref(maps.list);
	return status < 0 ? CTL_USAGE : 0;
}

const struct command command_maps = {
	.name = "maps",
	.doc = "The kernel's maps; works without a daemon",
	.run = maps_run,
};
