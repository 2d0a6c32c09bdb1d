/* SPDX-License-Identifier: MIT */
/*
 * weir serve: ready-made services, to try a network or a proxy with. One thread.
 */

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/layer.h>
#include <weir/listener.h>
#include <weir/loop.h>
#include <weir/signals.h>
#include <weir/sync.h>

#include "tools/weir/serve.h"
#include "tools/weir/weir.h"

static struct weir_service *serve_echo(const struct serve_arguments *arguments,
				       struct weir_error *error)
{
	(void)arguments;
	return weir_echo_service(error);
}

static struct weir_service *serve_discard(const struct serve_arguments *arguments,
					  struct weir_error *error)
{
	(void)arguments;
	return weir_discard_service(error);
}

static const struct service {
	const char *name;
	struct weir_service *(*make)(const struct serve_arguments *arguments,
				     struct weir_error *error);
	const char *address;
	bool has_folder;
} services[] = {
	{ "echo", serve_echo, "127.0.0.1:7007", false },
	{ "discard", serve_discard, "127.0.0.1:7009", false },
	{ "http", serve_http, "127.0.0.1:7080", false },
	{ "fs", serve_fs, "127.0.0.1:7081", true },
};

/* Blocked until the process ends. */
static const int end_signals[] = { SIGINT, SIGTERM, 0 };

struct request {
	const struct service *service;
	struct serve_arguments arguments;
};

struct server {
	struct weir_loop *loop;
	struct weir_scope scope; /* connections */
	struct weir_service *service;
	int fd;
	struct weir_event stop;
	struct weir_signals signals;
	struct weir_error error;
	int status;
};

static void choose_service(struct request *request, const char *name, struct argp_state *state)
{
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(services); i++) {
		if (strcmp(services[i].name, name) == 0)
			request->service = &services[i];
	}
	if (request->service == NULL)
		argp_error(state,
			   "there is no service \"%s\"; there are echo, discard, http and fs",
			   name);
}

static error_t on_argument(char *arg, struct argp_state *state)
{
	struct request *request = state->input;

	if (request->service == NULL)
		choose_service(request, arg, state);
	else if (request->service->has_folder && request->arguments.folder == NULL)
		request->arguments.folder = arg;
	else if (request->arguments.address == NULL)
		request->arguments.address = arg;
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

static void check_end(const struct request *request, struct argp_state *state)
{
	if (request->service == NULL)
		argp_error(state, "which service? echo, discard, http or fs");
	else if (request->service->has_folder && request->arguments.folder == NULL)
		argp_error(state, "which folder? weir serve %s FOLDER", request->service->name);
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct request *request = state->input;

	switch (key) {
	case 'l':
		request->arguments.listing = true;
		return 0;
	case 'v':
		request->arguments.verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		return on_argument(arg, state);
	case ARGP_KEY_END:
		check_end(request, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "list", 'l', NULL, 0, "fs: a page for a folder without index.html", 0 },
	{ "verbose", 'v', NULL, 0, "http, fs: an access log on standard error", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = on_option,
	.args_doc = "echo|discard|http [ADDRESS]\nfs FOLDER [ADDRESS]",
	.doc = "Be a ready-made service.\v"
	       "echo sends back what it reads (127.0.0.1:7007), discard reads and forgets "
	       "(127.0.0.1:7009), http answers by path: /status/N, /bytes/N, /stream/N, /drop/N, "
	       "/events/N, /delay/MS, /redirect/N, /echo, all others with the request "
	       "(127.0.0.1:7080), fs gives out the files of a folder (127.0.0.1:7081). ADDRESS is "
	       "\"IP:PORT\", \"PORT\" or \"unix:/path\".",
};

static void on_signal(void *ctx, int number)
{
	struct server *server = ctx;

	(void)number;
	weir_event_set(&server->stop);
}

/* Until a signal comes. */
static int server_wait(struct server *server)
{
	int status = weir_signals_open(&server->signals, end_signals, on_signal, server);

	if (status)
		return weir_error_set(&server->error, status, "cannot take signals: %s",
				      weir_strerror(status));
	return weir_event_wait(&server->stop, "signals", WEIR_NEVER);
}

static int server_main(void *arg)
{
	struct server *server = arg;
	const struct weir_listener_conf conf = {
		.name = "serve",
		.fd = server->fd,
		.service = server->service,
	};
	struct weir_listener *listener;

	weir_scope_init(&server->scope, NULL);
	listener = weir_listener_open(&server->scope, &conf, &server->error);
	if (listener != NULL) {
		server->status = server_wait(server);
		weir_listener_stop(listener);
	} else {
		server->status = server->error.status;
	}
	weir_scope_cancel(&server->scope);
	weir_scope_join(&server->scope);
	weir_scope_fini(&server->scope);
	weir_signals_close(&server->signals);
	weir_listener_close(listener);
	return 0;
}

static int serve(struct server *server, const char *address, struct weir_error *error)
{
	struct weir_loop_conf conf = { 0 };
	struct weir_address where;
	struct weir_scope root;
	int status;

	if (weir_address_parse(&where, address) < 0)
		return weir_error_set(error, WEIR_ECONFIG, "\"%s\" is no address", address);
	server->fd = weir_listen(&where, 0, false, error);
	if (server->fd < 0)
		return server->fd;
	server->loop = weir_loop_new(&conf, error);
	if (server->loop == NULL)
		return error->status;
	printf("serving on %s\n", address);
	fflush(stdout);
	weir_event_init(&server->stop);
	weir_scope_init_root(&root, server->loop);
	status = weir_scope_spawn(&root, "serve", server_main, server, NULL);
	if (status == 0)
		status = weir_loop_run(server->loop);
	weir_scope_fini(&root);
	if (status == 0 && server->error.status < 0)
		*error = server->error;
	if (weir_address_is_unix(&where) && where.un.sun_path[0] != '\0')
		unlink(where.un.sun_path);
	return status < 0 ? status : server->status;
}

int tool_serve(int argc, char **argv)
{
	struct request request = { 0 };
	struct server server = { .fd = -1 };
	struct weir_error error;
	char text[1024];
	int status;

	tool_parse(&argp, argc, argv, &request);
	signal(SIGPIPE, SIG_IGN);
	weir_signals_block(end_signals);
	weir_error_init(&error);
	server.service = request.service->make(&request.arguments, &error);
	if (request.arguments.address == NULL)
		request.arguments.address = request.service->address;
	status = server.service == NULL ? -1 : serve(&server, request.arguments.address, &error);
	if (status < 0)
		fprintf(stderr, "weir serve: %s\n", weir_error_format(&error, text, sizeof(text)));
	weir_loop_free(server.loop);
	weir_service_free(server.service);
	if (server.fd >= 0)
		close(server.fd);
	return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
