/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_SERVED_H
#define WEIR_LAYER_SERVED_H

#include <errno.h>

#include <weir/bridge.h>

/* How a connection ended that was answered here, without an upstream, from the status of
 * serving it. */
static inline enum weir_end served_end(int status)
{
	switch (status) {
	case 0:
		return WEIR_END_CLIENT;
	case -ECANCELED:
		return WEIR_END_SHUTDOWN;
	case -ETIMEDOUT:
		return WEIR_END_LIFETIME;
	default:
		return WEIR_END_CLIENT_RESET;
	}
}

#endif
