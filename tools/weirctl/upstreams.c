/* SPDX-License-Identifier: MIT */

/* weirctl upstreams: one row an endpoint. */

#include <inttypes.h>
#include <string.h>

#include "tools/weirctl/api.h"

static const struct column columns[] = {
	{ "UPSTREAM", false, true }, { "BALANCE", false, false },   { "ENDPOINT", false, true },
	{ "STATE", false, false },   { "SINCE", true, false },	    { "WEIGHT", true, false },
	{ "ACTIVE", true, false },   { "TOTAL", true, false },	    { "FAILED", true, false },
	{ "CHECKS", true, false },   { "LAST ERROR", false, true },
};

static enum tone state_tone(const char *state)
{
	if (strcmp(state, "healthy") == 0 || strcmp(state, "up") == 0)
		return TONE_GOOD;
	if (strcmp(state, "unhealthy") == 0 || strcmp(state, "ejected") == 0)
		return TONE_BAD;
	return TONE_WARN;
}

static void endpoint_add(struct table *table, const json_t *upstream, const json_t *endpoint)
{
	const char *name = api_string(endpoint, "name");
	bool is_backup = json_is_true(json_object_get(endpoint, "backup"));
	uint64_t failed = api_number(endpoint, "checks_failed");

	api_add_string(table, upstream, "name", TONE_PLAIN);
	api_add_string(table, upstream, "balance", TONE_PLAIN);
	if (*name && strcmp(name, api_string(endpoint, "address")) != 0)
		table_add(table, TONE_PLAIN, "%s (%s)", name, api_string(endpoint, "address"));
	else
		api_add_string(table, endpoint, "address", TONE_PLAIN);
	api_add_string(table, endpoint, "state", state_tone(api_string(endpoint, "state")));
	api_add_duration(table, endpoint, "state_since_s", 1000);
	table_add(table, is_backup ? TONE_DIM : TONE_PLAIN, "%" PRIu64 "%s",
		  api_number(endpoint, "weight"), is_backup ? " backup" : "");
	api_add_number(table, endpoint, "active");
	api_add_number(table, endpoint, "total");
	api_add_failures(table, endpoint, "failures");
	if (api_number(endpoint, "checks"))
		table_add(table, failed ? TONE_WARN : TONE_PLAIN, "%" PRIu64 "/%" PRIu64,
			  api_number(endpoint, "checks") - failed, api_number(endpoint, "checks"));
	else
		table_add(table, TONE_DIM, "-");
	api_add_string(table, endpoint, "last_error", TONE_BAD);
}

static int upstreams_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	json_t *answer = NULL;
	struct table table;
	int status = api_ask(ctl, "GET", "/v1/upstreams", &answer);

	(void)arguments;
	(void)n;
	if (status || ctl->is_json)
		goto out;
	status = CTL_USAGE;
	if (!api_is_list(answer))
		goto out;
	table_init(&table, columns, WEIR_ARRAY_SIZE(columns));
	for (size_t i = 0; i < json_array_size(answer); i++) {
		const json_t *upstream = json_array_get(answer, i);
		const json_t *endpoints = json_object_get(upstream, "endpoints");

		for (size_t j = 0; j < json_array_size(endpoints); j++)
			endpoint_add(&table, upstream, json_array_get(endpoints, j));
	}
	status = api_show(ctl, &table);
out:
	json_decref(answer);
	return status;
}

const struct command command_upstreams = {
	.name = "upstreams",
	.doc = "Where connections go, and whether it is well",
	.run = upstreams_run,
};
