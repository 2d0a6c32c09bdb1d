/* SPDX-License-Identifier: MIT */
/*
 * weir check: what is wrong with a configuration, without starting anything.
 */

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/weir/weir.h"

struct arguments {
	const char *path;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" TOOL_CONFIG ")", 0 },
	{ "quiet", 'q', NULL, 0, "Say nothing when all is well", 0 },
	{ 0 },
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'c':
	case ARGP_KEY_ARG:
		arguments->path = arg;
		return 0;
	case 'q':
		arguments->quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = on_option,
	.args_doc = "[FILE]",
	.doc = "Say what is wrong with a configuration, all of it, and start nothing.\v"
	       "Exit status: 0 when it is right, 1 when it is not, 2 for wrong usage.",
};

int tool_check(int argc, char **argv)
{
	struct arguments arguments = { .path = TOOL_CONFIG };
	struct weir_config_mistakes mistakes = { 0 };
	struct weir_config *config;

	tool_parse(&argp, argc, argv, &arguments);
	config = weir_config_load(arguments.path, &mistakes);
	tool_print_mistakes(&mistakes);
	weir_config_mistakes_fini(&mistakes);
	if (config == NULL)
		return EXIT_FAILURE;
	if (!arguments.quiet)
		printf("%s: right: %u listeners, %u upstreams\n", arguments.path,
		       config->listeners_count, config->upstreams_count);
	weir_config_free(config);
	return EXIT_SUCCESS;
}
