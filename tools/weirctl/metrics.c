/* SPDX-License-Identifier: MIT */

/* weirctl metrics: Prometheus' text, for people with grep. */

#include "tools/weirctl/api.h"

static int metrics_run(const struct ctl *ctl, char **arguments, unsigned n)
{
	(void)arguments;
	(void)n;
	return api_print(ctl, "/metrics");
}

const struct command command_metrics = {
	.name = "metrics",
	.doc = "All numbers, in Prometheus' text format",
	.run = metrics_run,
};
