/* SPDX-License-Identifier: MIT */
/*
 * Loading: from the objects in the skeletons to attached programs and mapped maps, and back.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <weir/error.h>
#include <weir/log.h>
#include <weir/loop.h>

#include "hold.skel.h"
#include "verdict.skel.h"
#include "offload/kernel.h"

#define LOAD_INFLIGHT_BYTES (256u << 10)

/* libbpf's own words go to the debug log: what matters is said by a result. */
static int load_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[256];
	int n;

	if (level == LIBBPF_DEBUG || !weir_log_enabled(WEIR_LOG_DEBUG))
		return 0;
	n = vsnprintf(line, sizeof(line), format, args);
	if (n > 0 && (size_t)n < sizeof(line) && line[n - 1] == '\n')
		line[n - 1] = '\0';
	weir_log(WEIR_LOG_DEBUG, "kernel", line);
	return n;
}

static int load_size(struct weir_kernel *kernel, const struct weir_kernel_conf *conf)
{
	uint32_t flows = conf->flows ? conf->flows : WEIR_FLOWS_MAX;
	struct verdict_bpf *verdict = kernel->verdict;
	int status;

	/* Maps that are reused keep their size. */
	if (kernel->n_slots)
		return 0;
	kernel->fresh = true;
	kernel->n_slots = 2 * flows;
	status = bpf_map__set_max_entries(verdict->maps.weir_socks, kernel->n_slots);
	if (!status)
		status = bpf_map__set_max_entries(verdict->maps.weir_flows, kernel->n_slots);
	if (!status)
		status = bpf_map__set_max_entries(verdict->maps.weir_slots, kernel->n_slots);
	return status;
}

static void *load_map_memory(int fd, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static size_t page_round(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

static int load_memory(struct weir_kernel *kernel)
{
	const struct verdict_bpf *verdict = kernel->verdict;

	kernel->slots_bytes = page_round(kernel->n_slots * sizeof(struct weir_slot));
	kernel->slots = load_map_memory(bpf_map__fd(verdict->maps.weir_slots), kernel->slots_bytes);
	kernel->meta = load_map_memory(bpf_map__fd(verdict->maps.weir_meta),
				       page_round(sizeof(struct weir_meta)));
	kernel->rings = load_map_memory(bpf_map__fd(verdict->maps.weir_rings),
					page_round(WEIR_RINGS * sizeof(struct weir_ring)));
	kernel->lanes = calloc(kernel->n_slots, sizeof(kernel->lanes[0]));
	return kernel->slots && kernel->meta && kernel->rings && kernel->lanes ? 0 : -ENOMEM;
}

/* The version last: whoever finds it finds all of it. */
static void load_describe(struct weir_kernel *kernel)
{
	struct weir_meta *meta = kernel->meta;

	meta->inflight_bytes = kernel->inflight_bytes;
	if (meta->abi == WEIR_ABI)
		return;
	meta->flows_max = kernel->n_slots / 2;
	meta->slot_bytes = sizeof(struct weir_slot);
	meta->flow_bytes = sizeof(struct weir_flow);
	meta->made_ns = weir_now();
	snprintf(meta->build, sizeof(meta->build), "%s", WEIR_VERSION);
	__atomic_store_n(&meta->abi, WEIR_ABI, __ATOMIC_RELEASE);
}

/* What the errno of a failed load usually means to an operator. */
static const char *load_explain(int status)
{
	switch (status) {
	case -EPERM:
		return "needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
	case -EINVAL:
		return "a helper or map type is missing in this kernel, or CAP_PERFMON";
	case -ESTALE:
		return "the maps in use are of another ABI";
	case -ENOENT:
	case -ESRCH:
		return "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)";
	default:
		return weir_strerror(status);
	}
}

/* 0, or -ESTALE when the maps are somebody's and do not fit. */
static int load_reuse(struct weir_kernel *kernel, const struct weir_kernel_conf *conf)
{
	int status = conf->maps ? pin_reuse_held(kernel, conf->maps) : -ENOENT;

	if (status == -ESTALE && conf->strict)
		return status;
	if (status)
		kernel->n_slots = 0;
	if (!conf->pin || !conf->pin[0])
		return 0;
	status = pin_reuse(kernel, conf->pin, conf->strict);
	return status == -ESTALE && conf->strict ? status : 0;
}

static int load_verdict(struct weir_kernel *kernel, const struct weir_kernel_conf *conf)
{
	int status;

	kernel->verdict = verdict_bpf__open();
	if (!kernel->verdict)
		return -errno;
	status = load_reuse(kernel, conf);
	if (status)
		return status;
	status = load_size(kernel, conf);
	if (!status)
		status = verdict_bpf__load(kernel->verdict);
	if (status)
		return status;
	kernel->socks = bpf_map__fd(kernel->verdict->maps.weir_socks);
	kernel->flows = bpf_map__fd(kernel->verdict->maps.weir_flows);
	kernel->stats = bpf_map__fd(kernel->verdict->maps.weir_stats);
	kernel->events = bpf_map__fd(kernel->verdict->maps.weir_events);
	return 0;
}

static int load_attach(struct weir_kernel *kernel)
{
	int prog = bpf_program__fd(kernel->verdict->progs.weir_verdict);

	return bpf_prog_attach(prog, kernel->socks, BPF_SK_SKB_STREAM_VERDICT, 0) ? -errno : 0;
}

static void load_hold(struct weir_kernel *kernel)
{
	kernel->hold_prog = -1;
	kernel->hold = hold_bpf__open_and_load();
	if (kernel->hold)
		kernel->hold_prog = bpf_program__fd(kernel->hold->progs.weir_hold);
}

int kernel_load(struct weir_kernel *kernel, const struct weir_kernel_conf *conf)
{
	int status;

	libbpf_set_print(load_print);
	kernel->pid = (uint32_t)getpid();
	kernel->inflight_bytes = conf->inflight_bytes ? conf->inflight_bytes : LOAD_INFLIGHT_BYTES;
	kernel->hold_prog = -1;
	status = load_verdict(kernel, conf);
	if (status) {
		kernel_result(kernel, "load", WEIR_PROBE_FAILED, "sockmap", "%s",
			      load_explain(status));
		return status;
	}
	status = load_attach(kernel);
	if (!status)
		status = load_memory(kernel);
	if (status) {
		kernel_result(kernel, "attach", WEIR_PROBE_FAILED, "sockmap", "%s",
			      weir_strerror(status));
		return status;
	}
	kernel_result(kernel, "load", WEIR_PROBE_OK, NULL, "verdict program attached, %u flows",
		      kernel->n_slots / 2);
	load_hold(kernel);
	load_describe(kernel);
	slots_sweep(kernel);
	pin_save(kernel);
	return 0;
}

void kernel_unload(struct weir_kernel *kernel)
{
	if (kernel->slots)
		munmap(kernel->slots, kernel->slots_bytes);
	if (kernel->meta)
		munmap(kernel->meta, page_round(sizeof(struct weir_meta)));
	if (kernel->rings)
		munmap(kernel->rings, page_round(WEIR_RINGS * sizeof(struct weir_ring)));
	free(kernel->lanes);
	hold_bpf__destroy(kernel->hold);
	verdict_bpf__destroy(kernel->verdict);
	kernel->slots = NULL;
	kernel->meta = NULL;
	kernel->rings = NULL;
	kernel->lanes = NULL;
	kernel->hold = NULL;
	kernel->verdict = NULL;
}
