/* SPDX-License-Identifier: MIT */

/*
 * weirctl kernel: what this kernel can do for us, as the daemon found out, and what its programs
 * counted. Without a daemon, the counters of the pinned maps.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <weir/offload.h>

#include "tools/weirctl/api.h"

static const struct column probe_columns[] = {
	{ "PROBE", false, false },
	{ "RESULT", false, false },
	{ "WHAT WAS SEEN", false, true },
	{ "SO THERE IS NO", false, true },
};

static const struct column counter_columns[] = { { "COUNTER", false, false },
						 { "VALUE", true, false } };

static enum tone probe_tone(const char *status)
{
	if (strcmp(status, "ok") == 0)
		return TONE_GOOD;
	return strcmp(status, "failed") == 0 ? TONE_BAD : TONE_PLAIN;
}

static void probes_show(const struct ctl *ctl, const json_t *list)
{
	struct table table;

	table_init(&table, probe_columns, WEIR_ARRAY_SIZE(probe_columns));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *probe = json_array_get(list, i);

		api_add_string(&table, probe, "name", TONE_PLAIN);
		api_add_string(&table, probe, "status", probe_tone(api_string(probe, "status")));
		api_add_string(&table, probe, "reason", TONE_PLAIN);
		api_add_string(&table, probe, "disables", TONE_WARN);
	}
	api_show(ctl, &table);
}

static void counter_add(void *ctx, const char *name, uint64_t value)
{
	struct table *table = ctx;

	table_add(table, TONE_PLAIN, "%s", name);
	table_add(table, value ? TONE_PLAIN : TONE_DIM, "%" PRIu64, value);
}

static void counters_show(const struct ctl *ctl, json_t *counters)
{
	struct table table;
	const char *name;
	json_t *value;

	table_init(&table, counter_columns, WEIR_ARRAY_SIZE(counter_columns));
	json_object_foreach(counters, name, value)
	{
		if (json_is_integer(value))
			counter_add(&table, name, api_number(counters, name));
	}
	api_show(ctl, &table);
}

static void counter_pack(void *ctx, const char *name, uint64_t value)
{
	json_object_set_new(ctx, name, json_integer((json_int_t)value));
}

/* 0, or -errno when there are no maps. */
static int kernel_pinned(const struct ctl *ctl)
{
	json_t *counters = json_object();
	int status = weir_pinned_each_stat(ctl->pin, counter_pack, counters);

	if (status == 0)
		fprintf(stderr, "weirctl: these counters are read from the kernel's maps at %s\n",
			ctl->pin);
	if (status == 0 && ctl->is_json) {
		json_dumpf(counters, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (status == 0) {
		counters_show(ctl, counters);
	}
	json_decref(counters);
	return status;
}

static int kernel_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	json_t *answer = NULL, *probes, *counters;
	char why[512];
	int status = api_try(ctl, "/v1/kernel", &answer, why, sizeof(why));

	(void)arguments;
	(void)n;
	if (status && *why) {
		fprintf(stderr, "weirctl: %s\n", why);
		if (kernel_pinned(ctl) == 0)
			return 0;
		api_print_advice(ctl);
	}
	if (status || ctl->is_json)
		goto out;
	probes = json_is_array(answer) ? answer : json_object_get(answer, "probes");
	counters = json_object_get(answer, "counters");
	probes_show(ctl, probes);
	if (json_object_size(counters)) {
		putchar('\n');
		counters_show(ctl, counters);
	}
out:
	json_decref(answer);
	return status;
}

const struct command command_kernel = {
	.name = "kernel",
	.doc = "What this kernel can do for Weir",
	.run = kernel_run,
};
