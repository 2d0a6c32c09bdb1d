/* SPDX-License-Identifier: MIT */

/*
 * weirctl flows: one row a flow. Without a daemon, the flows that go on in the kernel.
 */

#include "tools/weirctl/flows.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/weirctl/unit.h"

#define WATCH_MS     1000
#define WATCH_MIN_MS 50

static const struct column columns[] = {
	{ "ID", true, false },
	{ "LISTENER", false, true },
	{ "CLIENT", false, true },
	{ "UPSTREAM", false, true },
	{ "ENDPOINT", false, true },
	{ "PATH", false, false },
	{ "UP", true, false },
	{ "DOWN", true, false },
	{ "AGE", true, false },
	{ "IDLE", true, false },
	{ "AVERAGE", true, false },
	{ "SPILLS", true, false },
	{ "WHY NOT BETTER", false, true },
};

static const struct argp_option options[] = {
	{ "listener", 'l', "NAME", 0, "Only the flows of this listener", 0 },
	{ "watch", 'w', "INTERVAL", OPTION_ARG_OPTIONAL,
	  "Draw again every INTERVAL (1s), the fastest flow first, until Ctrl-C", 0 },
	{ 0 },
};

static const char *only_listener;
static bool is_watching;
static uint64_t watch_ms = WATCH_MS;

static int interval_take(const char *text)
{
	if (unit_parse_duration(text, &watch_ms) < 0 || watch_ms < WATCH_MIN_MS ||
	    watch_ms > 86400000)
		return -EINVAL;
	return 0;
}

static int flows_take(int key, const char *arg)
{
	switch (key) {
	case 'l':
		only_listener = arg;
		return 0;
	case 'w':
		is_watching = true;
		return arg ? interval_take(arg) : 0;
	default:
		return -EINVAL;
	}
}

enum tone flow_path_tone(const char *path)
{
	if (strcmp(path, "sockmap") == 0)
		return TONE_GOOD;
	return strcmp(path, "copy") == 0 ? TONE_DIM : TONE_PLAIN;
}

/* Both ways, since the flow began; --watch shows the speed now. */
static void average_add(struct table *table, const json_t *flow)
{
	double bytes =
		(double)api_number(flow, "bytes_up") + (double)api_number(flow, "bytes_down");
	uint64_t age_ms = api_number(flow, "age_ms");
	char text[UNIT_TEXT];

	table_add(table, TONE_PLAIN, "%s",
		  unit_rate(text, bytes * 1e3 / (double)WEIR_MAX(age_ms, 1)));
}

static void flow_add(struct table *table, const json_t *flow)
{
	api_add_number(table, flow, "id");
	api_add_string(table, flow, "listener", TONE_PLAIN);
	api_add_string(table, flow, "client", TONE_PLAIN);
	api_add_string(table, flow, "upstream", TONE_PLAIN);
	api_add_string(table, flow, "endpoint", TONE_PLAIN);
	api_add_string(table, flow, "path", flow_path_tone(api_string(flow, "path")));
	api_add_bytes(table, flow, "bytes_up");
	api_add_bytes(table, flow, "bytes_down");
	api_add_duration(table, flow, "age_ms", 1);
	api_add_duration(table, flow, "idle_ms", 1);
	average_add(table, flow);
	api_add_number(table, flow, "spills");
	api_add_string(table, flow, "why", TONE_DIM);
}

static int flows_list(const struct ctl *ctl, const char *target)
{
	json_t *answer = NULL;
	struct table table;
	char why[512];
	int status = api_try(ctl, target, &answer, why, sizeof(why));

	if (status && *why) {
		fprintf(stderr, "weirctl: %s\n", why);
		if (flows_pinned(ctl, only_listener) == 0)
			return 0;
		api_print_advice(ctl);
	}
	if (status || ctl->is_json)
		goto out;
	status = CTL_USAGE;
	if (!api_is_list(answer))
		goto out;
	table_init(&table, columns, WEIR_ARRAY_SIZE(columns));
	for (size_t i = 0; i < json_array_size(answer); i++)
		flow_add(&table, json_array_get(answer, i));
	status = api_show(ctl, &table);
out:
	json_decref(answer);
	return status;
}

static int flows_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	char target[512] = "/v1/flows";

	if (n == 1 && (!is_watching || interval_take(arguments[0]) < 0)) {
		fprintf(stderr,
			"weirctl: \"%s\" is not understood; an interval such as 2s goes "
			"with --watch\n",
			arguments[0]);
		return CTL_USAGE;
	}
	if (only_listener)
		api_target(target, sizeof(target), "/v1/flows?listener=%s", only_listener, NULL);
	return is_watching ? flows_watch(ctl, target, watch_ms) : flows_list(ctl, target);
}

const struct command command_flows = {
	.name = "flows",
	.arguments = "[--watch [INTERVAL]]",
	.doc = "What is carried now, how, and why not better",
	.max_arguments = 1,
	.options = options,
	.take = flows_take,
	.run = flows_run,
};
