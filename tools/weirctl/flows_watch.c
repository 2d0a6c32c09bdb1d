/* SPDX-License-Identifier: MIT */

/*
 * weirctl flows --watch: the flows with their speed, again and again. On a terminal each picture
 * replaces the one before and fits; else they follow one another. A daemon that restarts is found
 * again.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/weirctl/flows.h"
#include "tools/weirctl/rate.h"
#include "tools/weirctl/screen.h"
#include "tools/weirctl/unit.h"

static const struct column columns[] = {
	{ "ID", true, false },
	{ "LISTENER", false, true },
	{ "CLIENT", false, true },
	{ "ENDPOINT", false, true },
	{ "PATH", false, false },
	{ "UP/S", true, false },
	{ "DOWN/S", true, false },
	{ "UP", true, false },
	{ "DOWN", true, false },
	{ "AGE", true, false },
	{ "WHY NOT BETTER", false, true },
};

struct watch {
	const struct ctl *ctl;
	struct screen screen;
	json_t *answer; /* what RATES borrows from */
	struct rates rates;
};

static double clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void flow_add(struct table *table, const struct rate *rate)
{
	const json_t *flow = rate->flow;
	char text[UNIT_TEXT];

	api_add_number(table, flow, "id");
	api_add_string(table, flow, "listener", TONE_PLAIN);
	api_add_string(table, flow, "client", TONE_PLAIN);
	api_add_string(table, flow, "endpoint", TONE_PLAIN);
	api_add_string(table, flow, "path", flow_path_tone(api_string(flow, "path")));
	table_add(table, rate->up >= 1 ? TONE_HEAD : TONE_DIM, "%s", unit_rate(text, rate->up));
	table_add(table, rate->down >= 1 ? TONE_HEAD : TONE_DIM, "%s", unit_rate(text, rate->down));
	api_add_bytes(table, flow, "bytes_up");
	api_add_bytes(table, flow, "bytes_down");
	api_add_duration(table, flow, "age_ms", 1);
	api_add_string(table, flow, "why", TONE_DIM);
}

/* One line of sums above the table. */
static void head_print(const struct watch *watch, const char *eol)
{
	char line[256], up_text[UNIT_TEXT], down_text[UNIT_TEXT];
	double up = 0, down = 0;
	int width = watch->screen.is_terminal ? (int)watch->screen.columns : (int)sizeof(line);

	for (size_t i = 0; i < watch->rates.n; i++) {
		up += watch->rates.list[i].up;
		down += watch->rates.list[i].down;
	}
	snprintf(line, sizeof(line), "%zu flows, %s up, %s down", watch->rates.n,
		 unit_rate(up_text, up), unit_rate(down_text, down));
	printf("%.*s%s", width, line, eol);
}

static int watch_draw(const struct watch *watch)
{
	const struct screen *screen = &watch->screen;
	struct table_look look = { .has_color = ctl_has_color(watch->ctl) };
	struct rate *sorted = rates_sorted(&watch->rates);
	size_t n = watch->rates.n;
	struct table table;

	if (!sorted)
		return CTL_REFUSED;
	if (screen->is_terminal) {
		look.width = screen->columns;
		look.eol = SCREEN_EOL;
		/* The sums, the titles, and the line that the cursor rests on. */
		look.max_rows = screen->rows > 4 ? screen->rows - 3 : 1;
		n = WEIR_MIN(n, look.max_rows);
	}
	table_init(&table, columns, WEIR_ARRAY_SIZE(columns));
	for (size_t i = 0; i < n; i++)
		flow_add(&table, &sorted[i]);
	screen_begin(screen);
	head_print(watch, look.eol ? look.eol : "\n");
	table_print(&table, &look, stdout);
	if (!screen->is_terminal)
		putchar('\n');
	screen_end(screen);
	table_fini(&table);
	free(sorted);
	return 0;
}

/* Keeps the new answer and its rates, and lets go of the ones before. */
static int watch_take(struct watch *watch, json_t *answer)
{
	struct rates rates;
	int status = rates_take(&rates, &watch->rates, answer, clock_seconds());

	rates_fini(&watch->rates);
	json_decref(watch->answer);
	watch->rates = rates;
	watch->answer = answer;
	return status < 0 ? CTL_REFUSED : 0;
}

static void watch_say_lost(const struct watch *watch, const char *why)
{
	const struct screen *screen = &watch->screen;

	screen_begin(screen);
	if (screen->is_terminal)
		printf("%.*s%s", (int)screen->columns, why, SCREEN_EOL);
	else
		fprintf(stderr, "weirctl: %s\n", why);
	screen_end(screen);
}

static int watch_once(struct watch *watch, const char *target, bool is_first)
{
	json_t *answer = NULL;
	char why[512];
	int status = api_try(watch->ctl, target, &answer, why, sizeof(why));

	if (status && *why && !is_first) {
		watch_say_lost(watch, why);
		return 0;
	}
	if (status && *why) {
		screen_stop(&watch->screen);
		watch->screen.is_terminal = false;
		fprintf(stderr, "weirctl: %s\n", why);
		api_print_advice(watch->ctl);
	}
	if (status)
		return status;
	if (watch->ctl->is_json) {
		json_decref(answer);
		return fflush(stdout) == 0 ? 0 : CTL_REFUSED;
	}
	if (!api_is_list(answer)) {
		json_decref(answer);
		return CTL_USAGE;
	}
	status = watch_take(watch, answer);
	return status ? status : watch_draw(watch);
}

int flows_watch(const struct ctl *ctl, const char *target, uint64_t interval_ms)
{
	struct watch watch = { .ctl = ctl };
	int status;

	screen_start(&watch.screen);
	if (ctl->is_json && watch.screen.is_terminal) {
		/* Lines for a program, or a person who reads them one after the other. */
		screen_stop(&watch.screen);
		watch.screen.is_terminal = false;
	}
	status = watch_once(&watch, target, true);
	while (status == 0 && screen_wait(&watch.screen, interval_ms))
		status = watch_once(&watch, target, false);
	screen_stop(&watch.screen);
	rates_fini(&watch.rates);
	json_decref(watch.answer);
	return status;
}
