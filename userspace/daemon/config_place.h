/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_PLACE_H
#define WEIR_DAEMON_CONFIG_PLACE_H

#include <weir/base.h>

/* Where something was written. */
struct weir_config_place {
	char *file; /* NULL: it was not */
	uint32_t line;
};

#endif
