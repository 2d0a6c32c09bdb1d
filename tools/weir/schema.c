/* SPDX-License-Identifier: MIT */
/*
 * weir schema: the configuration's JSON Schema.
 */

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/weir/weir.h"

static const struct argp argp = {
	.doc = "Print a JSON Schema (2020-12) of the configuration, for editors.\v"
	       "With the YAML language server: weir schema >weir.schema.json, and as the first line "
	       "of a configuration: # yaml-language-server: $schema=weir.schema.json",
};

int tool_schema(int argc, char **argv)
{
	char *schema;

	tool_parse(&argp, argc, argv, NULL);
	schema = weir_config_json_schema();
	if (schema == NULL || puts(schema) < 0 || fflush(stdout) != 0) {
		fprintf(stderr, "weir schema: cannot write it\n");
		free(schema);
		return EXIT_FAILURE;
	}
	free(schema);
	return EXIT_SUCCESS;
}
