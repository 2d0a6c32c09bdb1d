/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOOL_H
#define WEIR_TOOL_H

/*
 * The subcommands of `weir`: one file each. A subcommand parses its own arguments (ARGV[0] is
 * its name) and returns the exit status: 0, 1 for a mistake of the configuration or a failure,
 * 2 for wrong usage.
 */

#include "daemon/config.h"

struct argp;

/* Of argp_usage() and argp_error(). */
#define EXIT_USAGE 2

/* argp_parse() with "weir NAME" as the program's name in messages. Ends the process on wrong
 * usage. */
void tool_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Prints the mistakes to stderr, one a line. */
void tool_print_mistakes(const struct weir_config_mistakes *mistakes);

/* Where the configuration is when nobody says. */
#define TOOL_CONFIG "/etc/weir/weir.yaml"

int tool_run(int argc, char **argv);
int tool_check(int argc, char **argv);
int tool_schema(int argc, char **argv);
int tool_serve(int argc, char **argv);
int tool_send(int argc, char **argv);
int tool_demo(int argc, char **argv);

#endif
