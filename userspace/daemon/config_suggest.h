/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_SUGGEST_H
#define WEIR_DAEMON_CONFIG_SUGGEST_H

/*
 * "did you mean ...?" for a word that is not one of a set. Caller's memory, no allocation.
 */

#include <weir/base.h>

struct config_suggest {
	const char *wrong;
	const char *best;
	unsigned distance;
	char all[256]; /* the whole set, cut */
};

void config_suggest_init(struct config_suggest *suggest, const char *wrong);
/* WORD is borrowed. */
void config_suggest_add(struct config_suggest *suggest, const char *word);
/* The remedy: the nearest word when there is one, else the whole set. */
const char *config_suggest_text(struct config_suggest *suggest);

#endif
