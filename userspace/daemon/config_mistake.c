/* SPDX-License-Identifier: MIT */
/*
 * The list of mistakes: one run shows all of them, up to a bound.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/config_check.h"

void config_mistake_add(struct weir_config_mistakes *mistakes, const struct weir_error *error)
{
	struct weir_error *list;

	if (mistakes->n == WEIR_CONFIG_MISTAKES_MAX) {
		mistakes->left_off++;
		return;
	}
	list = reallocarray(mistakes->list, mistakes->n + 1, sizeof(*list));
	if (list == NULL) {
		mistakes->left_off++;
		return;
	}
	mistakes->list = list;
	list[mistakes->n++] = *error;
}

void config_mistake(struct weir_config_mistakes *mistakes, const struct config_node *node,
		    const char *remedy, const char *format, ...)
{
	struct weir_error error;
	char message[sizeof(error.message)];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	weir_error_init(&error);
	if (node != NULL)
		weir_error_at(&error, node->file, node->line);
	if (remedy != NULL)
		weir_error_remedy(&error, "%s", remedy);
	weir_error_set(&error, WEIR_ECONFIG, "%s", message);
	config_mistake_add(mistakes, &error);
}

void weir_config_mistakes_fini(struct weir_config_mistakes *mistakes)
{
	free(mistakes->list);
	*mistakes = (struct weir_config_mistakes){ 0 };
}
