/* SPDX-License-Identifier: MIT */

/* weirctl reload: the configuration anew; a mistake in it keeps the old one. */

#include <inttypes.h>
#include <stdio.h>

#include "tools/weirctl/api.h"

static int reload_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	json_t *answer = NULL;
	int status = api_ask(ctl, "POST", "/v1/reload", &answer);

	(void)arguments;
	(void)n;
	if (status == 0 && !ctl->is_json)
		printf("reloaded, generation %" PRIu64 "\n", api_number(answer, "generation"));
	json_decref(answer);
	return status;
}

const struct command command_reload = {
	.name = "reload",
	.doc = "Read the configuration again",
	.run = reload_run,
};
