/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a configuration: it is read or there is a mistake, never neither or both.
 */

#include <stdlib.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_config_mistakes mistakes = { 0 };
	struct weir_config *config;

	config = weir_config_parse((const char *)data, size, "fuzz", &mistakes);
	if ((config != NULL) != (mistakes.n == 0))
		abort();
	weir_config_free(config);
	weir_config_mistakes_fini(&mistakes);
	return 0;
}
