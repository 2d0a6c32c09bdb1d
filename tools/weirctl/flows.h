/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_FLOWS_H
#define WEIRCTL_FLOWS_H

/*
 * The two ways to show flows beside the plain list.
 */

#include "tools/weirctl/api.h"

/* The colour of a path: the better, the greener. */
enum tone flow_path_tone(const char *path);

/* Draws the flows at TARGET again every INTERVAL_MS until Ctrl-C. */
int flows_watch(const struct ctl *ctl, const char *target, uint64_t interval_ms);

/* Lists what the pinned maps of the kernel know, without a daemon. Returns 0, or -errno when
 * there are none. */
int flows_pinned(const struct ctl *ctl, const char *listener);

#endif
