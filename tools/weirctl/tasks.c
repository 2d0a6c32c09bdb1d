/* SPDX-License-Identifier: MIT */

/* weirctl tasks: what each task waits for, and since when. */

#include <argp.h>
#include <errno.h>

#include "tools/weirctl/api.h"

/* With stacks or, one less, without. */
static const struct column columns[] = {
	{ "WORKER", true, false }, { "TASK", false, true }, { "WAITS FOR", false, true },
	{ "SINCE", true, false },  { "AGE", true, false },  { "STACK", true, false },
};

static const struct argp_option options[] = {
	{ "stacks", 'k', NULL, 0, "Also how much of its stack each has used", 0 },
	{ 0 },
};

static bool has_stacks;

static int tasks_take(int key, const char *arg)
{
	(void)arg;
	if (key != 'k')
		return -EINVAL;
	has_stacks = true;
	return 0;
}

static int tasks_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	json_t *answer = NULL;
	struct table table;
	int status = api_ask(ctl, "GET", has_stacks ? "/v1/tasks?stacks=1" : "/v1/tasks", &answer);

	(void)arguments;
	(void)n;
	if (status || ctl->is_json)
		goto out;
	status = CTL_USAGE;
	if (!api_is_list(answer))
		goto out;
	table_init(&table, columns, WEIR_ARRAY_SIZE(columns) - !has_stacks);
	for (size_t i = 0; i < json_array_size(answer); i++) {
		const json_t *task = json_array_get(answer, i);

		api_add_number(&table, task, "worker");
		api_add_string(&table, task, "name", TONE_PLAIN);
		api_add_string(&table, task, "what", TONE_PLAIN);
		api_add_duration(&table, task, "since_ms", 1);
		api_add_duration(&table, task, "age_ms", 1);
		if (has_stacks)
			api_add_bytes(&table, task, "stack_bytes");
	}
	status = api_show(ctl, &table);
out:
	json_decref(answer);
	return status;
}

const struct command command_tasks = {
	.name = "tasks",
	.doc = "What each task waits for",
	.options = options,
	.take = tasks_take,
	.run = tasks_run,
};
