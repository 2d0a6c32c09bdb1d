/* SPDX-License-Identifier: MIT */
/*
 * The verdict program's counters, by name.
 */

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "offload/kernel.h"
#include "offload/stats.h"

#define STAT(name)                                                          \
	{                                                                   \
#name, offsetof(struct weir_stats, name) / sizeof(uint64_t) \
	}

static const struct {
	const char *name;
	size_t index;
} stats[] = {
	STAT(redirected_segments),
	STAT(redirected_bytes),
	STAT(passed_segments),
	STAT(passed_bytes),
	STAT(trimmed_segments),
	STAT(trimmed_bytes),
	STAT(spill_inflight),
	STAT(spill_sndbuf),
	STAT(pass_shut),
	STAT(pass_other),
	STAT(pass_foreign),
	STAT(pass_peer_gone),
	STAT(pass_gap),
	STAT(pass_behind),
	STAT(put_off),
	STAT(drop_fin),
	STAT(drop_stale),
	STAT(drop_untrimmed),
	STAT(events),
	STAT(events_lost),
};

int stats_each(int fd, void (*fn)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	int cpus = libbpf_num_possible_cpus();
	struct weir_stats *each;
	uint32_t zero = 0;
	int status = 0;

	if (cpus < 0)
		return cpus;
	each = calloc((size_t)cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &zero, each))
		status = -errno;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(stats) && !status; i++) {
		uint64_t sum = 0;

		for (int cpu = 0; cpu < cpus; cpu++)
			sum += ((const uint64_t *)&each[cpu])[stats[i].index];
		fn(ctx, stats[i].name, sum);
	}
	free(each);
	return status;
}

int weir_kernel_each_stat(const struct weir_kernel *kernel,
			  void (*fn)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	return kernel->usable ? stats_each(kernel->stats, fn, ctx) : -ENOTSUP;
}
