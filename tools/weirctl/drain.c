/* SPDX-License-Identifier: MIT */

/* weirctl drain: no new connections, and an end when the present ones are done. */

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "tools/weirctl/api.h"
#include "tools/weirctl/unit.h"

static const struct argp_option options[] = {
	{ "deadline", 'd', "DURATION", 0,
	  "Cut off what is not done after so long (shutdown.deadline of the configuration)", 0 },
	{ 0 },
};

static bool has_deadline;
static uint64_t deadline_ms;

static int drain_take(int key, const char *arg)
{
	if (key != 'd')
		return -EINVAL;
	has_deadline = true;
	return unit_parse_duration(arg, &deadline_ms);
}

static int drain_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	char target[64] = "/v1/drain";
	json_t *answer = NULL;
	int status;

	(void)arguments;
	(void)n;
	if (has_deadline)
		snprintf(target, sizeof(target), "/v1/drain?deadline_ms=%" PRIu64, deadline_ms);
	status = api_ask(ctl, "POST", target, ctl->is_json ? &answer : NULL);
	if (status == 0 && !ctl->is_json)
		puts("draining");
	json_decref(answer);
	return status;
}

const struct command command_drain = {
	.name = "drain",
	.doc = "Finish what goes on, take nothing new, and end",
	.options = options,
	.take = drain_take,
	.run = drain_run,
};
