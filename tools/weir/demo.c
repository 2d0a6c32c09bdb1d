/* SPDX-License-Identifier: MIT */
/*
 * weir demo: two origins (an echo service, a tiny web page) and a Weir in front of them, in one
 * process, without configuration, root or free ports that one has to know. On a terminal the
 * flow table is drawn live; else the log is written.
 */

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/layer.h>
#include <weir/listener.h>

#include "daemon/daemon.h"
#include "tools/weir/demo_guest.h"
#include "tools/weir/demo_pin.h"
#include "tools/weir/demo_screen.h"
#include "tools/weir/demo_web.h"
#include "tools/weir/weir.h"

enum origin_name { ORIGIN_ECHO, ORIGIN_WEB, ORIGIN_COUNT };

/* An origin and the port that clients use. */
struct origin {
	struct weir_service *service;
	int fd;
	uint16_t port;	/* of the origin */
	uint16_t front; /* of Weir's listener before it */
	struct weir_listener *listener;
};

struct demo {
	struct origin origins[ORIGIN_COUNT];
	uint16_t metrics;
	char socket[64];
	struct demo_pin pin;
	struct demo_screen screen;
	bool is_terminal;
};

static const struct argp argp = {
	.doc = "Show Weir at work: an echo service and a tiny web page behind it.\v"
	       "Needs no configuration and no root; takes other ports when the usual ones are in "
	       "use. As root a guest of its own shows how a connection moves into the kernel and "
	       "back. Ctrl-C ends it.",
};

/* The first free port of 127.0.0.1 from PORT on; the socket stays open in *FD. 0: there is none. */
static uint16_t find_port(uint16_t port, int *fd)
{
	struct weir_address address;
	char text[32];
	int i;

	for (i = 0; i < 200; i++, port++) {
		snprintf(text, sizeof(text), "127.0.0.1:%u", port);
		if (weir_address_parse(&address, text) < 0)
			continue;
		*fd = weir_listen(&address, 0, false, NULL);
		if (*fd >= 0)
			return port;
	}
	return 0;
}

/* Takes PORT before other demos that start now and have not opened it yet either; until the process
 * ends. */
static bool claim_port(uint16_t port)
{
	struct weir_address address;
	char text[48];

	snprintf(text, sizeof(text), "unix:@weir-demo-%u", port);
	return weir_address_parse(&address, text) == 0 &&
	       weir_listen(&address, 0, false, NULL) >= 0;
}

/* A port that Weir will listen on itself. */
static uint16_t find_front(uint16_t port)
{
	int fd;

	for (port = find_port(port, &fd); port != 0; port = find_port(port + 1, &fd)) {
		close(fd);
		if (claim_port(port))
			break;
	}
	return port;
}

static bool demo_find_ports(struct demo *demo)
{
	struct origin *echo = &demo->origins[ORIGIN_ECHO], *web = &demo->origins[ORIGIN_WEB];

	echo->port = find_port(7101, &echo->fd);
	web->port = find_port(8101, &web->fd);
	echo->front = find_front(7001);
	web->front = find_front(8001);
	demo->metrics = find_front(9901);
	return echo->port != 0 && web->port != 0 && echo->front != 0 && web->front != 0 &&
	       demo->metrics != 0;
}

static char *demo_configuration(const struct demo *demo)
{
	char *text, offload[128] = "";

	if (demo->pin.folder[0] != '\0')
		snprintf(offload, sizeof(offload), "offload: { pin: \"%s\" }\n", demo->pin.folder);
	if (asprintf(&text,
		     "admin: { socket: \"%s\", metrics: \"127.0.0.1:%u\" }\n"
		     "shutdown: { deadline: 1s }\n%s"
		     "listeners:\n"
		     "  - { name: echo, address: \"127.0.0.1:%u\", layers: [ { access_log: {} } ], "
		     "tcp: { to: echo } }\n"
		     "  - { name: web, address: \"127.0.0.1:%u\", layers: [ { access_log: {} } ], "
		     "tcp: { to: web } }\n"
		     "upstreams:\n"
		     "  - { name: echo, endpoints: [ \"127.0.0.1:%u\" ] }\n"
		     "  - { name: web, endpoints: [ \"127.0.0.1:%u\" ] }\n",
		     demo->socket, demo->metrics, offload, demo->origins[ORIGIN_ECHO].front,
		     demo->origins[ORIGIN_WEB].front, demo->origins[ORIGIN_ECHO].port,
		     demo->origins[ORIGIN_WEB].port) < 0)
		return NULL;
	return text;
}

/* How one calls the weirctl that lies beside this program: as short as it gets. Owned by the
 * caller; NULL when there is none. */
static char *find_weirctl(void)
{
	char *self = realpath("/proc/self/exe", NULL);
	char *here = get_current_dir_name();
	size_t length = here ? strlen(here) : 0;
	const char *from = self;
	char *path = NULL;

	if (!self)
		goto out;
	*strrchr(self, '/') = '\0';
	if (here && strncmp(self, here, length) == 0 && self[length] == '/')
		from = self + length + 1;
	if (asprintf(&path, "%s/weirctl", from) < 0)
		path = NULL;
	if (path && access(path, X_OK) != 0) {
		free(path);
		path = NULL;
	}
out:
	free(self);
	free(here);
	return path;
}

/* Who carries, and what shows it. */
static void demo_print_paths(const struct weir_daemon *daemon)
{
	const char *why = NULL, *pin = NULL;

	if (!weir_daemon_has_kernel(daemon, &why, &pin)) {
		printf("Connections are copied and spliced, because the kernel's path is not there: "
		       "%s.\n\n",
		       why ? why : "it is not known why");
		return;
	}
	puts("A guest of the demo's own talks (the kernel carries: sockmap), sends bulk (splice), and "
	     "begins again.");
	if (pin)
		printf("The kernel's own view of it:\n\n"
		       "  bpftool map dump pinned %s/weir_flows\n",
		       pin);
	putchar('\n');
}

static void demo_print(const struct demo *demo, const struct weir_daemon *daemon)
{
	char *weirctl = find_weirctl();

	printf("Weir " WEIR_VERSION " carries connections. Try in another terminal:\n\n"
	       "  nc -N 127.0.0.1 %u                  what you type comes back\n"
	       "  curl http://127.0.0.1:%u/           a tiny web page\n"
	       "  curl http://127.0.0.1:%u/metrics    what Weir counts\n"
	       "  %s -s %s flows\n"
	       "                                      connections as they are now\n\n",
	       demo->origins[ORIGIN_ECHO].front, demo->origins[ORIGIN_WEB].front, demo->metrics,
	       weirctl ? weirctl : "weirctl", demo->socket);
	demo_print_paths(daemon);
	puts("Ctrl-C ends it.\n");
	fflush(stdout);
	free(weirctl);
}

/* In a task of the control loop: the origins live there too. */
static void on_ready(struct weir_daemon *daemon, struct weir_scope *scope, void *ctx)
{
	static const char *const names[ORIGIN_COUNT] = { "echo origin", "web origin" };
	struct demo *demo = ctx;
	int i;

	for (i = 0; i < ORIGIN_COUNT; i++) {
		struct weir_listener_conf conf = {
			.name = names[i],
			.fd = demo->origins[i].fd,
			.service = demo->origins[i].service,
		};

		demo->origins[i].listener = weir_listener_open(scope, &conf, NULL);
	}
	demo_print(demo, daemon);
	demo_guest_start(scope, demo->origins[ORIGIN_ECHO].front);
	if (demo->is_terminal)
		demo_screen_start(&demo->screen, daemon, scope);
}

static int demo_run(struct demo *demo)
{
	struct weir_daemon_conf conf = {
		.text = demo_configuration(demo),
		.on_ready = on_ready,
		.ctx = demo,
		.quiet = demo->is_terminal,
	};
	struct weir_config_mistakes mistakes = { 0 };
	int status;

	if (conf.text == NULL)
		return -ENOMEM;
	status = weir_daemon_run(&conf, &mistakes);
	tool_print_mistakes(&mistakes);
	weir_config_mistakes_fini(&mistakes);
	free((char *)conf.text);
	return status;
}

static void demo_fini(struct demo *demo)
{
	int i;

	for (i = 0; i < ORIGIN_COUNT; i++) {
		weir_listener_close(demo->origins[i].listener);
		weir_service_free(demo->origins[i].service);
		if (demo->origins[i].fd >= 0)
			close(demo->origins[i].fd);
	}
}

int tool_demo(int argc, char **argv)
{
	struct demo demo = { .origins = { { .fd = -1 }, { .fd = -1 } } };
	int status = -1;

	tool_parse(&argp, argc, argv, NULL);
	demo.is_terminal = isatty(STDOUT_FILENO);
	snprintf(demo.socket, sizeof(demo.socket), "/tmp/weir-demo-%d.sock", (int)getpid());
	demo_pin_open(&demo.pin);
	demo.origins[ORIGIN_ECHO].service = weir_echo_service(NULL);
	demo.origins[ORIGIN_WEB].service = demo_web_service();
	if (demo.origins[ORIGIN_ECHO].service == NULL || demo.origins[ORIGIN_WEB].service == NULL)
		fprintf(stderr, "weir demo: out of memory\n");
	else if (!demo_find_ports(&demo))
		fprintf(stderr, "weir demo: no free ports on 127.0.0.1\n");
	else
		status = demo_run(&demo);
	demo_fini(&demo);
	demo_pin_close(&demo.pin);
	return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
