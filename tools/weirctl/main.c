/* SPDX-License-Identifier: MIT */

/*
 * weirctl: the options that all subcommands take, and the table of subcommands. The options may
 * stand before the subcommand or behind it.
 */

#include <argp.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/weirctl/weirctl.h"

const char *argp_program_version = "weirctl " WEIR_VERSION;

static const struct command *const commands[] = {
	&command_status, &command_listeners, &command_upstreams, &command_flows,
	&command_tasks,	 &command_kernel,    &command_maps,	 &command_metrics,
	&command_flow,	 &command_upstream,  &command_log,	 &command_reload,
	&command_drain,	 &command_upgrade,
};

enum { OPTION_PLAIN = 256, OPTION_PIN };

static const struct argp_option common_options[] = {
	{ "socket", 's', "PATH", 0,
	  "The daemon's admin socket (" CTL_SOCKET ", or what WEIR_ADMIN says)", 100 },
	{ "json", 'j', NULL, 0, "Print the daemon's answer as it is", 100 },
	{ "no-color", OPTION_PLAIN, NULL, 0, "No colour on terminals (as with NO_COLOR set)", 100 },
	{ "pin", OPTION_PIN, "DIR", 0, "Where the kernel's maps are pinned (" CTL_PIN ")", 100 },
	{ 0 },
};

static error_t common_take(int key, char *arg, struct argp_state *state)
{
	struct ctl *ctl = state->input;

	switch (key) {
	case 's':
		ctl->socket = arg;
		return 0;
	case 'j':
		ctl->is_json = true;
		return 0;
	case OPTION_PLAIN:
		ctl->is_plain = true;
		return 0;
	case OPTION_PIN:
		ctl->pin = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp common_argp = { .options = common_options, .parser = common_take };

/* ---- a subcommand's arguments ---- */

struct invocation {
	struct ctl *ctl;
	const struct command *command;
	char **arguments;
	unsigned n;
};

static error_t command_take(int key, char *arg, struct argp_state *state)
{
	struct invocation *call = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = call->ctl;
		return 0;
	case ARGP_KEY_ARG:
		if (call->n == call->command->max_arguments)
			argp_error(state, "\"%s\" is too much", arg);
		call->arguments[call->n++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (call->n < call->command->min_arguments)
			argp_error(state, "something is missing: %s %s", call->command->name,
				   call->command->arguments);
		return 0;
	default:
		if (!call->command->take || key >= ARGP_KEY_ARGS || key == ARGP_KEY_NO_ARGS)
			return ARGP_ERR_UNKNOWN;
		if (call->command->take(key, arg) == 0)
			return 0;
		if (arg)
			argp_error(state, "\"%s\" is not understood", arg);
		return ARGP_ERR_UNKNOWN;
	}
}

static int command_run(struct ctl *ctl, const struct command *command, int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ &common_argp, 0, "Options of every command:", 100 },
		{ 0 },
	};
	const struct argp argp = {
		.options = command->options,
		.parser = command_take,
		.args_doc = command->arguments,
		.doc = command->doc,
		.children = children,
	};
	struct invocation call = { .ctl = ctl, .command = command };
	static char name[64]; /* argv keeps it */
	int status;

	snprintf(name, sizeof(name), "weirctl %s", command->name);
	argv[0] = name;
	call.arguments = calloc((size_t)argc + 1, sizeof(*call.arguments));
	if (!call.arguments)
		return CTL_REFUSED;
	argp_parse(&argp, argc, argv, 0, NULL, &call);
	status = command->run(ctl, call.arguments, call.n);
	free(call.arguments);
	return status;
}

/* ---- the command line up to the subcommand ---- */

struct line {
	struct ctl *ctl;
	int command_at; /* in argv; 0: none */
};

static error_t line_take(int key, char *arg, struct argp_state *state)
{
	struct line *line = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = line->ctl;
		return 0;
	case ARGP_KEY_ARG:
		/* The rest is the subcommand's. */
		line->command_at = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of subcommands behind the options, in --help. */
static char *line_help(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)(uintptr_t)text;
	out = open_memstream(&list, &size);
	if (!out)
		return NULL;
	fputs("Commands:\n", out);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(commands); i++) {
		char usage[80];

		snprintf(usage, sizeof(usage), "%s %s", commands[i]->name,
			 commands[i]->arguments ? commands[i]->arguments : "");
		fprintf(out, "  %-34s %s\n", usage, commands[i]->doc);
	}
	fputs("\nExit status: 0; 1 when the daemon says no; 2 for wrong usage or no daemon.\n"
	      "See weirctl(8).",
	      out);
	fclose(out);
	return list;
}

int main(int argc, char **argv)
{
	static const struct argp_child children[] = { { &common_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.parser = line_take,
		.args_doc = "COMMAND [ARGUMENT...]",
		.doc = "Observe and control a running Weir.\v",
		.children = children,
		.help_filter = line_help,
	};
	const char *socket = getenv("WEIR_ADMIN");
	struct ctl ctl = { .socket = socket && *socket ? socket : CTL_SOCKET, .pin = CTL_PIN };
	struct line line = { .ctl = &ctl };
	int status;

	setlocale(LC_CTYPE, "");
	argp_err_exit_status = CTL_USAGE;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &line);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[line.command_at], commands[i]->name) != 0)
			continue;
		status = command_run(&ctl, commands[i], argc - line.command_at,
				     argv + line.command_at);
		/* A full disk or a reader that left must not look like success. */
		if (fflush(stdout) != 0 || ferror(stdout))
			return status ? status : CTL_REFUSED;
		return status;
	}
	fprintf(stderr, "weirctl: there is no command \"%s\"; weirctl --help lists them\n",
		argv[line.command_at]);
	return CTL_USAGE;
}
