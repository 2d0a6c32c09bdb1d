/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DEMO_SCREEN_H
#define WEIR_DEMO_SCREEN_H

#include <weir/scope.h>

struct weir_daemon;

/* The flow table on the terminal, drawn again in its place twice a second. */
struct demo_screen {
	struct weir_daemon *daemon;
	unsigned lines; /* drawn the last time */
};

/* Draws in a task of SCOPE until that is cancelled. */
void demo_screen_start(struct demo_screen *screen, struct weir_daemon *daemon,
		       struct weir_scope *scope);

#endif
