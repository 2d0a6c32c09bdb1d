/* SPDX-License-Identifier: MIT */
#ifndef WEIR_OFFLOAD_STATS_H
#define WEIR_OFFLOAD_STATS_H

#include <stdint.h>

/* Sums weir_stats (map FD) over CPUs and calls FN for each counter. 0 or -errno. */
int stats_each(int fd, void (*fn)(void *ctx, const char *name, uint64_t value), void *ctx);

#endif
