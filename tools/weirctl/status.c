/* SPDX-License-Identifier: MIT */

/* weirctl status: the daemon on one screen. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/weirctl/api.h"
#include "tools/weirctl/unit.h"

static const struct column columns[] = { { "", false, false }, { "", false, true } };

static void line_add(struct table *table, const char *name, enum tone tone, const char *value)
{
	table_add(table, TONE_DIM, "%s", name);
	table_add(table, tone, "%s", *value ? value : "-");
}

static void status_show(const struct ctl *ctl, const json_t *answer)
{
	const json_t *connections = json_object_get(answer, "connections");
	const json_t *bytes = json_object_get(answer, "bytes");
	const json_t *offload = json_object_get(answer, "offload");
	const char *state = api_string(answer, "state");
	bool is_available = json_is_true(json_object_get(offload, "available"));
	const struct table_look look = {
		.has_color = ctl_has_color(ctl),
		.width = ctl_width(),
		.is_untitled = true,
	};
	char text[512], up[UNIT_TEXT], down[UNIT_TEXT];
	struct table table;

	table_init(&table, columns, WEIR_ARRAY_SIZE(columns));
	line_add(&table, "state", strcmp(state, "running") == 0 ? TONE_GOOD : TONE_WARN, state);
	snprintf(text, sizeof(text), "%s, process %" PRIu64 ", %" PRIu64 " workers",
		 api_string(answer, "version"), api_number(answer, "pid"),
		 api_number(answer, "workers"));
	line_add(&table, "weir", TONE_PLAIN, text);
	line_add(&table, "up for", TONE_PLAIN,
		 unit_duration(up, api_number(answer, "uptime_s") * 1000));
	snprintf(text, sizeof(text), "%s (generation %" PRIu64 ")",
		 api_string(answer, "configuration"), api_number(answer, "generation"));
	line_add(&table, "configuration", TONE_PLAIN, text);
	snprintf(text, sizeof(text), "%" PRIu64 " now, %" PRIu64 " accepted",
		 api_number(connections, "active"), api_number(connections, "accepted"));
	line_add(&table, "connections", TONE_PLAIN, text);
	snprintf(text, sizeof(text), "%s up, %s down",
		 unit_bytes(up, (double)api_number(bytes, "up")),
		 unit_bytes(down, (double)api_number(bytes, "down")));
	line_add(&table, "bytes", TONE_PLAIN, text);
	snprintf(text, sizeof(text), "%s%s%s", is_available ? "available" : "not available",
		 *api_string(offload, "why") ? ": " : "", api_string(offload, "why"));
	line_add(&table, "offload", is_available ? TONE_GOOD : TONE_WARN, text);
	table_print(&table, &look, stdout);
	table_fini(&table);
}

static int status_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	json_t *answer = NULL;
	int status = api_ask(ctl, "GET", "/v1/status", &answer);

	(void)arguments;
	(void)n;
	if (status == 0 && !ctl->is_json)
		status_show(ctl, answer);
	json_decref(answer);
	return status;
}

const struct command command_status = {
	.name = "status",
	.doc = "The daemon on one screen",
	.run = status_run,
};
