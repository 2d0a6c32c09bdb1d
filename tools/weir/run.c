/* SPDX-License-Identifier: MIT */
/*
 * weir run: the daemon in the foreground.
 */

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "tools/weir/weir.h"

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" TOOL_CONFIG ")", 0 },
	{ 0 },
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	const char **path = state->input;

	switch (key) {
	case 'c':
		*path = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument \"%s\"; the configuration is -c FILE", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = on_option,
	.doc = "Carry connections as a configuration says, in the foreground.\v"
	       "SIGHUP reads the configuration again, SIGTERM and SIGINT drain and end, a second "
	       "one ends at once, SIGUSR1 reopens log files.",
};

int tool_run(int argc, char **argv)
{
	struct weir_config_mistakes mistakes = { 0 };
	struct weir_daemon_conf conf = { .path = TOOL_CONFIG };
	int status;

	tool_parse(&argp, argc, argv, &conf.path);
	status = weir_daemon_run(&conf, &mistakes);
	tool_print_mistakes(&mistakes);
	weir_config_mistakes_fini(&mistakes);
	return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
