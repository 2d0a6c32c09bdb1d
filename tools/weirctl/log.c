/* SPDX-License-Identifier: MIT */

/* weirctl log: the level of the daemon's log, until the next reload. */

#include <stdio.h>
#include <weir/log.h>

#include "tools/weirctl/api.h"

static int log_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	enum weir_log_level level;
	json_t *answer = NULL;
	char target[64];
	int status;

	(void)n;
	if (weir_log_level_parse(arguments[0], &level) < 0) {
		fprintf(stderr,
			"weirctl: there is no level \"%s\"; there are error, warn, info and "
			"debug\n",
			arguments[0]);
		return CTL_USAGE;
	}
	api_target(target, sizeof(target), "/v1/log?level=%s", weir_log_level_name(level), NULL);
	status = api_ask(ctl, "POST", target, ctl->is_json ? &answer : NULL);
	json_decref(answer);
	return status;
}

const struct command command_log = {
	.name = "log",
	.arguments = "error|warn|info|debug",
	.doc = "How much the daemon says",
	.min_arguments = 1,
	.max_arguments = 1,
	.run = log_run,
};
