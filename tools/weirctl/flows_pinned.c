/* SPDX-License-Identifier: MIT */

/*
 * What the kernel's pinned maps know of flows: one row a direction. They are there while the daemon
 * is, and stay when it was killed.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <weir/error.h>
#include <weir/offload.h>

#include "tools/weirctl/flows.h"
#include "tools/weirctl/unit.h"

static const struct column columns[] = {
	{ "ID", true, false },	   { "WAY", false, false },    { "LISTENER", false, true },
	{ "FROM", false, true },   { "TO", false, true },      { "UPSTREAM", false, true },
	{ "STATE", false, false }, { "PATH", false, false },   { "REDIRECTED", true, false },
	{ "PASSED", true, false }, { "TRIMMED", true, false }, { "SPILLS", true, false },
	{ "OWNER", true, false },
};

struct pinned {
	struct table table;
	json_t *list; /* instead, for --json */
	const char *listener;
	bool has_failed;
};

static void pinned_add_row(struct table *table, const struct weir_pinned_flow *flow)
{
	char text[UNIT_TEXT];

	table_add(table, TONE_PLAIN, "%" PRIu64, flow->id);
	table_add(table, TONE_PLAIN, "%s", flow->way);
	table_add(table, TONE_PLAIN, "%s", flow->listener);
	table_add(table, TONE_PLAIN, "%s", flow->from);
	table_add(table, TONE_PLAIN, "%s", flow->to);
	table_add(table, TONE_PLAIN, "%s", flow->upstream);
	table_add(table, TONE_PLAIN, "%s", flow->state);
	table_add(table, flow_path_tone(flow->path), "%s", flow->path);
	table_add(table, TONE_PLAIN, "%s", unit_bytes(text, (double)flow->redirected_bytes));
	table_add(table, TONE_PLAIN, "%s", unit_bytes(text, (double)flow->passed_bytes));
	table_add(table, TONE_PLAIN, "%s", unit_bytes(text, (double)flow->trimmed_bytes));
	table_add(table, TONE_PLAIN, "%" PRIu64, flow->spills);
	table_add(table, TONE_PLAIN, "%" PRIu32, flow->owner);
}

static json_t *pinned_json(const struct weir_pinned_flow *flow)
{
	return json_pack("{sI ss ss ss ss ss ss ss sI sI sI sI sI sI sI sI}", "id",
			 (json_int_t)flow->id, "way", flow->way, "state", flow->state, "path",
			 flow->path, "listener", flow->listener, "upstream", flow->upstream, "from",
			 flow->from, "to", flow->to, "owner", (json_int_t)flow->owner,
			 "redirected_bytes", (json_int_t)flow->redirected_bytes,
			 "redirected_segments", (json_int_t)flow->redirected_segments,
			 "passed_bytes", (json_int_t)flow->passed_bytes, "passed_segments",
			 (json_int_t)flow->passed_segments, "trimmed_bytes",
			 (json_int_t)flow->trimmed_bytes, "before_bytes",
			 (json_int_t)flow->before_bytes, "spills", (json_int_t)flow->spills);
}

static void pinned_on_flow(void *ctx, const struct weir_pinned_flow *flow)
{
	struct pinned *pinned = ctx;

	if (pinned->listener && strcmp(pinned->listener, flow->listener) != 0)
		return;
	if (!pinned->list)
		pinned_add_row(&pinned->table, flow);
	else if (json_array_append_new(pinned->list, pinned_json(flow)) < 0)
		pinned->has_failed = true;
}

int flows_pinned(const struct ctl *ctl, const char *listener)
{
	struct pinned pinned = { .listener = listener };
	int status;

	table_init(&pinned.table, columns, WEIR_ARRAY_SIZE(columns));
	if (ctl->is_json) {
		pinned.list = json_array();
		pinned.has_failed = !pinned.list;
	}
	status = weir_pinned_each_flow(ctl->pin, pinned_on_flow, &pinned);
	if (status == 0 && pinned.has_failed)
		status = -ENOMEM;
	if (status == 0) {
		fprintf(stderr, "weirctl: these flows are read from the kernel's maps at %s\n",
			ctl->pin);
		if (pinned.list) {
			json_dumpf(pinned.list, stdout, JSON_COMPACT);
			putchar('\n');
		} else {
			api_show(ctl, &pinned.table);
		}
	} else if (status != -ENOENT) {
		fprintf(stderr, "weirctl: the kernel's maps at %s: %s\n", ctl->pin,
			status == -EPROTO ? "they are of another version of Weir"
					  : weir_strerror(status));
	}
	table_fini(&pinned.table);
	json_decref(pinned.list);
	return status;
}
