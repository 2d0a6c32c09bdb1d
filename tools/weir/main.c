/* SPDX-License-Identifier: MIT */
/*
 * weir: finds the subcommand and hands over.
 */

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/weir/weir.h"

const char *argp_program_version = "weir " WEIR_VERSION;

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", tool_run, "carry connections as a configuration says" },
	{ "check", tool_check, "say what is wrong with a configuration" },
	{ "schema", tool_schema, "print a JSON Schema of the configuration, for editors" },
	{ "serve", tool_serve, "be a ready-made service: echo, discard, http, fs" },
	{ "send", tool_send, "send an HTTP request" },
	{ "demo", tool_demo, "show Weir at work, without a configuration" },
};

static void print_help(FILE *to)
{
	size_t i;

	fprintf(to, "Usage: weir COMMAND [OPTION...]\n"
		    "A proxy that lets the kernel carry the bytes.\n\n");
	for (i = 0; i < WEIR_ARRAY_SIZE(commands); i++)
		fprintf(to, "  weir %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(to, "\n  weir COMMAND --help   what a command takes\n"
		    "  weir --version        print the version\n"
		    "\nSee weir(8), weir.yaml(5); weirctl(8) observes a running Weir.\n");
}

void tool_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	static char name[64];

	snprintf(name, sizeof(name), "weir %s", argv[0]);
	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(argp, argc, argv, 0, NULL, input);
}

void tool_print_mistakes(const struct weir_config_mistakes *mistakes)
{
	char text[1024];
	size_t i;

	for (i = 0; i < mistakes->n; i++)
		fprintf(stderr, "%s\n", weir_error_format(&mistakes->list[i], text, sizeof(text)));
	if (mistakes->left_off > 0)
		fprintf(stderr, "and %zu more mistakes\n", mistakes->left_off);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	size_t i;

	if (word == NULL) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		puts(argp_program_version);
		return EXIT_SUCCESS;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0 || strcmp(word, "help") == 0) {
		print_help(stdout);
		return EXIT_SUCCESS;
	}
	for (i = 0; i < WEIR_ARRAY_SIZE(commands); i++) {
		if (strcmp(word, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "weir: there is no command \"%s\"; weir --help lists them\n", word);
	return EXIT_USAGE;
}
