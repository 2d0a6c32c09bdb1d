/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_SENSE_H
#define WEIR_DAEMON_CONFIG_SENSE_H

/*
 * What the files that judge values together share.
 */

#include "daemon/config_check.h"

struct sense {
	const struct weir_config *config;
	struct weir_config_mistakes *mistakes;
	const struct config_node *listeners; /* lists of the tree, in the same order */
	const struct config_node *upstreams;
};

/* The value of KEY when it was written, else the mapping itself. */
const struct config_node *config_place(const struct config_node *map, const char *key);
/* Element INDEX of a list, or what stands for a list of one. */
const struct config_node *config_element(const struct config_node *list, size_t index);
/* A mistake at NODE unless there is an upstream NAME. */
void config_check_upstream_name(struct sense *sense, const char *name,
				const struct config_node *node);

/* ---- config_sense_http.c ------------------------------------------------------------------ */

/* NODE is the value of "http". */
void config_check_http(struct sense *sense, const struct weir_config_listener *listener,
		       const struct config_node *node);
/* NODE is an upstream. */
void config_check_upstream_http(struct sense *sense, const struct weir_config_upstream *upstream,
				const struct config_node *node);

#endif
