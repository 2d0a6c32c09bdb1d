/* SPDX-License-Identifier: MIT */

/* The traffic tool's command line; load.h says what it does. */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "load.h"

static const char usage[] =
	"load origin ADDRESS...            serve until stdin ends\n"
	"load echo --to ADDRESS [options]  messages that come back\n"
	"load transfer --to ADDRESS [...]  payload up, down or both at once\n"
	"  -c N    sessions at one time (1)\n"
	"  -n N    sessions altogether (-c; with -t: as many as there is time for)\n"
	"  -t S    seconds after which nothing new starts\n"
	"  -T S    give up when nothing moves for so long (20)\n"
	"  echo:      -r N messages a session (0: until -t), -s BYTES of a message (1),\n"
	"             -x close after the last one without a half-close,\n"
	"             -H one message, \"ready\", and one more when stdin ends\n"
	"  transfer:  -u BYTES, -d BYTES up and down; -u until: as much as -t allows\n"
	"             -w BYTES of a write (65536), -v check every byte\n";

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (end == text || *end)
		die("%s: not a number", text);
	return value;
}

static uint64_t seconds(const char *text)
{
	return (uint64_t)(strtod(text, NULL) * 1e9);
}

static void client_option(struct client_conf *conf, int option, const char *value)
{
	switch (option) {
	case 'a':
		address_parse(&conf->to, value);
		break;
	case 'c':
		conf->concurrent = (unsigned)number(value);
		break;
	case 'n':
		conf->sessions = number(value);
		break;
	case 't':
		conf->time_ns = seconds(value);
		break;
	case 'T':
		conf->stuck_ns = seconds(value);
		break;
	case 'r':
		conf->requests = number(value);
		break;
	case 's':
		conf->size = (uint32_t)number(value);
		break;
	case 'x':
		conf->abrupt = true;
		break;
	case 'H':
		conf->hold = true;
		break;
	case 'u':
		conf->up = strcmp(value, "until") == 0 ? LOAD_UNKNOWN : number(value);
		break;
	case 'd':
		conf->down = number(value);
		break;
	case 'w':
		conf->write_size = (uint32_t)number(value);
		break;
	case 'v':
		conf->verify = true;
		break;
	default:
		die("see `load` for the options");
	}
}

static int client_command(int argc, char **argv, enum load_kind kind)
{
	static const struct option longs[] = { { "to", required_argument, NULL, 'a' }, { 0 } };
	struct client_conf conf = {
		.kind = kind,
		.concurrent = 1,
		.stuck_ns = 20 * 1000000000ull,
		.requests = 1,
		.size = 1,
		.write_size = 65536,
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:n:t:T:r:s:xHu:d:w:v", longs, NULL)) != -1)
		client_option(&conf, option, optarg);
	if (conf.to.size == 0)
		die("--to ADDRESS is missing");
	if (conf.size == 0 || conf.size > LOAD_BUFFER - sizeof(struct load_request) ||
	    conf.write_size == 0 || conf.write_size > LOAD_BUFFER)
		die("sizes are 1 to %d", LOAD_BUFFER - (int)sizeof(struct load_request));
	if (!conf.time_ns && (conf.requests == 0 || conf.up == LOAD_UNKNOWN))
		die("-t is missing");
	return client_main(&conf);
}

int main(int argc, char **argv)
{
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (argc >= 3 && strcmp(argv[1], "origin") == 0)
		return origin_main(argv + 2, (unsigned)argc - 2);
	if (argc >= 3 && strcmp(argv[1], "echo") == 0)
		return client_command(argc - 1, argv + 1, LOAD_ECHO);
	if (argc >= 3 && strcmp(argv[1], "transfer") == 0)
		return client_command(argc - 1, argv + 1, LOAD_TRANSFER);
	fputs(usage, stderr);
	return 2;
}
