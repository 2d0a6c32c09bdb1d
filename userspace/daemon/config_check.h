/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_CHECK_H
#define WEIR_DAEMON_CONFIG_CHECK_H

#include <weir/buffer.h>

#include "daemon/config.h"
#include "daemon/config_schema.h"
#include "daemon/config_tree.h"

/* Adds a mistake at NODE (NULL: at FILE without a line). REMEDY is finished text. */
void config_mistake(struct weir_config_mistakes *mistakes, const struct config_node *node,
		    const char *remedy, const char *format, ...) WEIR_PRINTF(4, 5);
/* Adds ERROR as it is. */
void config_mistake_add(struct weir_config_mistakes *mistakes, const struct weir_error *error);

/* Compares the tree with the tables, adds every mistake, and writes the same document to OUT
 * as libcyaml will read it: every value a plain number or string in its final unit. OUT is
 * worth nothing when there were mistakes. */
void config_check_tree(const struct config_node *root, struct weir_config_mistakes *mistakes,
		       struct weir_buffer *out);

/* What needs more than one value to see: unknown upstreams, duplicates, values that do not go
 * together. ROOT says where they are. */
void config_check_sense(const struct weir_config *config, const struct config_node *root,
			struct weir_config_mistakes *mistakes);

#endif
