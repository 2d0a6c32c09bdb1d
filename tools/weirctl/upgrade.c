/* SPDX-License-Identifier: MIT */

/* weirctl upgrade: the program on disk takes over from the one that runs. */

#include <stdio.h>

#include "tools/weirctl/api.h"

static int upgrade_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	json_t *answer = NULL;
	int status = api_ask(ctl, "POST", "/v1/upgrade", ctl->is_json ? &answer : NULL);

	(void)arguments;
	(void)n;
	if (status == 0 && !ctl->is_json)
		puts("upgraded: another process serves, this one drains");
	json_decref(answer);
	return status;
}

const struct command command_upgrade = {
	.name = "upgrade",
	.doc = "Let the program on disk take over, with listeners and kernel flows",
	.run = upgrade_run,
};
