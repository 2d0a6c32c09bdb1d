/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_SCREEN_H
#define WEIRCTL_SCREEN_H

/*
 * A terminal that is drawn on again and again, and given back as it was however this ends: by
 * Ctrl-C, a signal, or Ctrl-Z (and taken again afterwards).
 */

#include <stdbool.h>
#include <stdint.h>

struct screen {
	bool is_terminal; /* else nothing is drawn in place */
	unsigned rows;
	unsigned columns;
};

void screen_start(struct screen *screen);
void screen_stop(struct screen *screen);

/* Before and after a picture: it replaces the one before. Lines end with SCREEN_EOL. */
void screen_begin(const struct screen *screen);
void screen_end(const struct screen *screen);
#define SCREEN_EOL "\033[K\n"

/* Waits for MS, less when the terminal changes its size. Whether to go on: false after Ctrl-C and
 * other signals that end. */
bool screen_wait(struct screen *screen, uint64_t ms);

#endif
