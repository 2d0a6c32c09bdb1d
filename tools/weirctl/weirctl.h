/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_H
#define WEIRCTL_H

/*
 * What the subcommands share: the options that all take, the table of subcommands, and asking the
 * daemon. A subcommand returns the exit status: 0, 1 when the daemon says no, 2 for wrong usage or
 * when no daemon can be asked. One thread, short-lived: blocking calls, file-local state.
 */

#include <jansson.h>
#include <stdbool.h>
#include <weir/base.h>

#define CTL_REFUSED 1
#define CTL_USAGE   2

#define CTL_SOCKET "/run/weir/admin.sock"
#define CTL_PIN	   "/sys/fs/bpf/weir"

struct argp_option;

struct ctl {
	const char *socket; /* path of the admin socket */
	const char *pin;    /* folder of the pinned maps */
	bool is_json;
	bool is_plain; /* no colour, whatever the output is */
};

struct command {
	const char *name;
	const char *arguments; /* for the usage line; NULL: none */
	const char *doc;       /* one line, also for the list */
	unsigned min_arguments;
	unsigned max_arguments;
	const struct argp_option *options; /* beside those that all take; NULL: none */
	/* 0, or -EINVAL for an argument that is none. May be NULL without options. */
	int (*take)(int key, const char *arg);
	int (*run)(const struct ctl *ctl, char **arguments, unsigned n);
};

extern const struct command command_drain;
extern const struct command command_flow;
extern const struct command command_flows;
extern const struct command command_kernel;
extern const struct command command_listeners;
extern const struct command command_log;
extern const struct command command_maps;
extern const struct command command_metrics;
extern const struct command command_reload;
extern const struct command command_status;
extern const struct command command_tasks;
extern const struct command command_upgrade;
extern const struct command command_upstream;
extern const struct command command_upstreams;

#endif
