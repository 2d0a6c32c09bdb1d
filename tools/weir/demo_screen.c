/* SPDX-License-Identifier: MIT */

#include "tools/weir/demo_screen.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/daemon.h"

#define ROWS	 10
#define EVERY_MS 500

#define DIM   "\033[2m"
#define GREEN "\033[32m"
#define CYAN  "\033[36m"
#define PLAIN "\033[0m"
#define CLEAR "\033[K" /* to the end of the line */

static const char *path_color(enum weir_path path)
{
	return path == WEIR_PATH_COPY ? PLAIN : path == WEIR_PATH_SPLICE ? CYAN : GREEN;
}

static void draw_flow(const struct weir_flow_info *flow)
{
	printf("%6llu  %-6s  %-21s  %s%-8s" PLAIN "  %12llu  %12llu  %6llu.%llus" CLEAR "\n",
	       (unsigned long long)flow->id, flow->listener, flow->client, path_color(flow->path),
	       weir_path_name(flow->path), (unsigned long long)flow->bytes_up,
	       (unsigned long long)flow->bytes_down, (unsigned long long)(flow->age_ms / 1000),
	       (unsigned long long)(flow->age_ms % 1000 / 100));
}

static void draw(struct demo_screen *screen, const struct weir_flow_info *flows, size_t n)
{
	size_t i, shown = WEIR_MIN(n, ROWS);

	if (screen->lines > 0)
		printf("\033[%uA", screen->lines);
	printf(DIM "%6s  %-6s  %-21s  %-8s  %12s  %12s  %9s" PLAIN CLEAR "\n", "flow", "to",
	       "client", "path", "bytes up", "bytes down", "age");
	for (i = 0; i < shown; i++)
		draw_flow(&flows[i]);
	if (n > shown)
		printf(DIM "  and %zu more" PLAIN CLEAR "\n", n - shown);
	else
		printf(DIM "  %zu connections" PLAIN CLEAR "\n", n);
	printf("\033[J");
	fflush(stdout);
	screen->lines = (unsigned)shown + 2;
}

static int screen_main(void *arg)
{
	struct demo_screen *screen = arg;
	struct weir_flow_info *flows;
	int status;
	size_t n;

	do {
		if (weir_daemon_flows(screen->daemon, &flows, &n) == 0) {
			draw(screen, flows, n);
			free(flows);
		}
		status = weir_task_sleep_ms(EVERY_MS);
	} while (status == 0);
	return 0;
}

void demo_screen_start(struct demo_screen *screen, struct weir_daemon *daemon,
		       struct weir_scope *scope)
{
	screen->daemon = daemon;
	screen->lines = 0;
	if (weir_scope_spawn(scope, "screen", screen_main, screen, NULL) < 0)
		fprintf(stderr, "weir demo: the flow table cannot be drawn\n");
}
