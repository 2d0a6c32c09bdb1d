/* SPDX-License-Identifier: MIT */
/*
 * weir run: the daemon in the foreground, under a keeper.
 */

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/keeper/keeper.h"
#include "daemon/keeper_link.h"
#include "tools/weir/weir.h"

#define RESTARTS   10
#define BACKOFF_MS 5000

enum { OPTION_NO_KEEPER = 256, OPTION_RESTARTS, OPTION_BACKOFF };

struct arguments {
	const char *path;
	bool no_keeper;
	unsigned restarts;
	unsigned backoff_ms;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" TOOL_CONFIG ")", 0 },
	{ "no-keeper", OPTION_NO_KEEPER, NULL, 0,
	  "One process: nothing outlives it, nothing starts it again", 0 },
	{ "restarts", OPTION_RESTARTS, "N", 0,
	  "How often a daemon that dies within 10 s is started again in a row (10); 0: always", 0 },
	{ "backoff", OPTION_BACKOFF, "MS", 0,
	  "Longest time in milliseconds from a death to the next start (5000)", 0 },
	{ 0 },
};

static unsigned number(const char *arg, struct argp_state *state)
{
	char *end;
	unsigned long value = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end != '\0' || value > UINT32_MAX)
		argp_error(state, "\"%s\" is no number", arg);
	return (unsigned)value;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'c':
		arguments->path = arg;
		return 0;
	case OPTION_NO_KEEPER:
		arguments->no_keeper = true;
		return 0;
	case OPTION_RESTARTS:
		arguments->restarts = number(arg, state);
		return 0;
	case OPTION_BACKOFF:
		arguments->backoff_ms = number(arg, state);
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

static int run_daemon(const char *path)
{
	struct weir_config_mistakes mistakes = { 0 };
	struct weir_daemon_conf conf = { .path = path };
	int status;

	status = weir_daemon_run(&conf, &mistakes);
	tool_print_mistakes(&mistakes);
	weir_config_mistakes_fini(&mistakes);
	return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The keeper runs this same program, which then finds itself kept. */
static int run_keeper(const struct arguments *arguments)
{
	char *argv[] = { "weir", "run", "-c", (char *)(uintptr_t)arguments->path, NULL };
	const struct weir_keeper_conf conf = {
		.argv = argv,
		.restarts = arguments->restarts,
		.backoff_ms = arguments->backoff_ms,
	};

	return weir_keeper_run(&conf);
}

int tool_run(int argc, char **argv)
{
	struct arguments arguments = {
		.path = TOOL_CONFIG,
		.restarts = RESTARTS,
		.backoff_ms = BACKOFF_MS,
	};

	tool_parse(&argp, argc, argv, &arguments);
	if (arguments.no_keeper || keeper_link_is_set())
		return run_daemon(arguments.path);
	return run_keeper(&arguments);
}
