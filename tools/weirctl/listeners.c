/* SPDX-License-Identifier: MIT */

/* weirctl listeners: one row a listener. */

#include "tools/weirctl/api.h"

static const struct column columns[] = {
	{ "NAME", false, true },   { "ADDRESS", false, true },	{ "TO", false, true },
	{ "ACTIVE", true, false }, { "ACCEPTED", true, false }, { "REFUSED", true, false },
	{ "ERRORS", true, false },
};

static int listeners_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	json_t *answer = NULL;
	struct table table;
	int status = api_ask(ctl, "GET", "/v1/listeners", &answer);

	(void)arguments;
	(void)n;
	if (status || ctl->is_json)
		goto out;
	status = CTL_USAGE;
	if (!api_is_list(answer))
		goto out;
	table_init(&table, columns, WEIR_ARRAY_SIZE(columns));
	for (size_t i = 0; i < json_array_size(answer); i++) {
		const json_t *listener = json_array_get(answer, i);

		api_add_string(&table, listener, "name", TONE_PLAIN);
		api_add_string(&table, listener, "address", TONE_PLAIN);
		api_add_string(&table, listener, "to", TONE_PLAIN);
		api_add_number(&table, listener, "active");
		api_add_number(&table, listener, "accepted");
		api_add_failures(&table, listener, "refused");
		api_add_failures(&table, listener, "accept_errors");
	}
	status = api_show(ctl, &table);
out:
	json_decref(answer);
	return status;
}

const struct command command_listeners = {
	.name = "listeners",
	.doc = "Where clients connect to",
	.run = listeners_run,
};
