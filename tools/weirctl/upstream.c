/* SPDX-License-Identifier: MIT */

/* weirctl upstream: takes an endpoint out for new connections, and back. */

#include <stdio.h>
#include <string.h>

#include "tools/weirctl/api.h"

static int upstream_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	const char *format;
	json_t *answer = NULL;
	char target[1024];
	int status;

	(void)n;
	if (strcmp(arguments[1], "drain") == 0) {
		format = "/v1/upstreams/%s/endpoints/%s/drain";
	} else if (strcmp(arguments[1], "resume") == 0) {
		format = "/v1/upstreams/%s/endpoints/%s/resume";
	} else {
		fprintf(stderr, "weirctl: \"%s\" is not understood; drain or resume\n",
			arguments[1]);
		return CTL_USAGE;
	}
	api_target(target, sizeof(target), format, arguments[0], arguments[2]);
	status = api_ask(ctl, "POST", target, ctl->is_json ? &answer : NULL);
	json_decref(answer);
	return status;
}

const struct command command_upstream = {
	.name = "upstream",
	.arguments = "NAME drain|resume ENDPOINT",
	.doc = "Give an endpoint no new connections, or again",
	.min_arguments = 3,
	.max_arguments = 3,
	.run = upstream_run,
};
