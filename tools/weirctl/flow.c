/* SPDX-License-Identifier: MIT */

/* weirctl flow: ends one flow, or puts it on another path. */

#include <stdio.h>
#include <string.h>
#include <weir/path.h>

#include "tools/weirctl/api.h"

static bool id_is_number(const char *id)
{
	return *id && strspn(id, "0123456789") == strlen(id);
}

static int flow_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	const char *id = arguments[0], *verb = arguments[1];
	enum weir_path path;
	json_t *answer = NULL;
	char target[128];
	int status;

	if (!id_is_number(id)) {
		fprintf(stderr,
			"weirctl: \"%s\" is no number of a flow; weirctl flows lists them\n", id);
		return CTL_USAGE;
	}
	if (strcmp(verb, "close") == 0 && n == 2) {
		api_target(target, sizeof(target), "/v1/flows/%s/close", id, NULL);
	} else if (strcmp(verb, "path") == 0 && n == 3) {
		if (strcmp(arguments[2], "auto") != 0 && weir_path_parse(arguments[2], &path) < 0) {
			fprintf(stderr,
				"weirctl: there is no path \"%s\"; there are copy, splice, sockmap "
				"and auto\n",
				arguments[2]);
			return CTL_USAGE;
		}
		api_target(target, sizeof(target), "/v1/flows/%s/path?path=%s", id, arguments[2]);
	} else {
		fputs("weirctl: what about the flow? flow ID close, or flow ID path "
		      "copy|splice|sockmap|auto\n",
		      stderr);
		return CTL_USAGE;
	}
	status = api_ask(ctl, "POST", target, ctl->is_json ? &answer : NULL);
	json_decref(answer);
	return status;
}

const struct command command_flow = {
	.name = "flow",
	.arguments = "ID close|path PATH",
	.doc = "End a flow, or choose its path",
	.min_arguments = 2,
	.max_arguments = 3,
	.run = flow_run,
};
