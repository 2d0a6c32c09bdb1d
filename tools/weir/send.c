/* SPDX-License-Identifier: MIT */
/*
 * weir send: one HTTP request from the command line. The options are curl's, as far as they go.
 */

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/headers.h>

#include "tools/weir/send.h"
#include "tools/weir/weir.h"

#define READ_BYTES 65536

/* Options without a letter. */
enum { KEY_CA_FILE = 0x100, KEY_KEY_FILE };

static const struct argp_option options[] = {
	{ "request", 'X', "METHOD", 0, "The method: GET, or POST when there is data", 0 },
	{ "header", 'H', "'NAME: VALUE'", 0,
	  "A header field; without a value it is left out. May be repeated", 0 },
	{ "data", 'd', "TEXT|@FILE", 0,
	  "The request's body, as it is; @- is standard input. Several are joined by &", 0 },
	{ "output", 'o', "FILE", 0, "Write the body to a file", 0 },
	{ "include", 'i', NULL, 0, "Write the response's head, too", 0 },
	{ "verbose", 'v', NULL, 0, "Say on standard error what is sent and what comes", 0 },
	{ "location", 'L', NULL, 0, "Follow redirections, at most ten", 0 },
	{ "insecure", 'k', NULL, 0, "https: take any certificate", 0 },
	{ "cacert", KEY_CA_FILE, "FILE", 0,
	  "https: trust these certificates (PEM) instead of the system's", 0 },
	{ "cert", 'E', "FILE", 0, "https: show this certificate (PEM, with its chain)", 0 },
	{ "key", KEY_KEY_FILE, "FILE", 0, "https: its key, if it is not in the same file", 0 },
	{ "proxy", 'x', "URL", 0, "Ask through an HTTP proxy", 0 },
	{ 0 },
};

/* What frames a message is decided by who writes it. */
static bool is_ours(struct weir_text name)
{
	static const enum weir_header_id ids[] = {
		WEIR_HEADER_CONTENT_LENGTH, WEIR_HEADER_TRANSFER_ENCODING, WEIR_HEADER_CONNECTION,
		WEIR_HEADER_KEEP_ALIVE,	    WEIR_HEADER_PROXY_CONNECTION,  WEIR_HEADER_TE,
		WEIR_HEADER_TRAILER,	    WEIR_HEADER_UPGRADE,
	};

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(ids); i++)
		if (weir_header_id(name) == ids[i])
			return true;
	return false;
}

static void add_header(struct send_arguments *arguments, const char *text, struct argp_state *state)
{
	struct weir_text name, value;

	if (!weir_text_split(weir_text_of(text), ':', &name, &value))
		argp_error(state, "\"%s\" is no header field; write it as 'Name: value'", text);
	value = weir_text_trim(value);
	if (!weir_header_is_valid(name, value))
		argp_error(state, "\"%s\" is no header field", text);
	if (is_ours(name))
		argp_error(state, "%.*s is written by weir itself", WEIR_TEXT_ARGS(name));
	if (arguments->n_headers == SEND_HEADERS_MAX)
		argp_error(state, "more than %d header fields", SEND_HEADERS_MAX);
	arguments->headers[arguments->n_headers++] =
		(struct send_header){ .name = name, .value = value };
}

static int read_all(int fd, struct weir_buffer *out)
{
	ssize_t n;

	do {
		if (weir_buffer_reserve(out, READ_BYTES))
			return -ENOMEM;
		n = read(fd, weir_buffer_tail(out), READ_BYTES);
		if (n > 0)
			weir_buffer_commit(out, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int read_file(const char *name, struct weir_buffer *out)
{
	int fd = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
	int status;

	if (fd < 0)
		return -errno;
	status = read_all(fd, out);
	close(fd);
	return status;
}

static void add_data(struct send_arguments *arguments, const char *text, struct argp_state *state)
{
	int status = 0;

	if (arguments->has_data)
		status = weir_buffer_append(&arguments->data, "&", 1);
	if (!status && text[0] == '@')
		status = read_file(text + 1, &arguments->data);
	else if (!status)
		status = weir_buffer_append(&arguments->data, text, strlen(text));
	if (status)
		argp_failure(state, EXIT_FAILURE, 0, "%s: %s", text, weir_strerror(status));
	arguments->has_data = true;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct send_arguments *arguments = state->input;

	switch (key) {
	case 'X':
		arguments->method = arg;
		if (!weir_header_is_valid(weir_text_of(arg), WEIR_TEXT("")))
			argp_error(state, "\"%s\" is no method", arg);
		return 0;
	case 'H':
		add_header(arguments, arg, state);
		return 0;
	case 'd':
		add_data(arguments, arg, state);
		return 0;
	case 'o':
		arguments->output = arg;
		return 0;
	case 'i':
		arguments->include = true;
		return 0;
	case 'v':
		arguments->verbose = true;
		return 0;
	case 'L':
		arguments->follow = true;
		return 0;
	case 'k':
		arguments->insecure = true;
		return 0;
	case 'E':
		arguments->cert_file = arg;
		return 0;
	case KEY_CA_FILE:
		arguments->ca_file = arg;
		return 0;
	case KEY_KEY_FILE:
		arguments->key_file = arg;
		return 0;
	case 'x':
		arguments->proxy = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->url)
			argp_error(state, "one URL, please");
		arguments->url = arg;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->url)
			argp_error(state, "which URL?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = on_option,
	.args_doc = "URL",
	.doc = "Send an HTTP request and write the body of the response.\v"
	       "URL is http://HOST[:PORT][/PATH][?QUERY], or the same with https://; http:// may be "
	       "left out. The exit status is 0 when a response came as a whole, whatever its status.",
};

int tool_send(int argc, char **argv)
{
	static struct send_arguments arguments; /* large: off the stack */
	struct weir_error error;
	char text[1024];
	int status;

	tool_parse(&argp, argc, argv, &arguments);
	signal(SIGPIPE, SIG_IGN);
	weir_error_init(&error);
	status = send_run(&arguments, &error);
	if (status < 0)
		fprintf(stderr, "weir send: %s\n", weir_error_format(&error, text, sizeof(text)));
	weir_buffer_fini(&arguments.data);
	return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
