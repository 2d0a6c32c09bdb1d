/* SPDX-License-Identifier: MIT */
/*
 * What tools read from the pinned maps when no daemon answers.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "offload/kernel.h"
#include "offload/stats.h"

static const char *const way_names[] = { "up", "down" };
static const char *const state_names[] = { "new",     "passing", "redirected",
					   "spilled", "ended",	 "broken" };

static const char *name_of(const char *const *names, size_t n, uint32_t value)
{
	return value < n ? names[value] : "unknown";
}

static int pinned_open(const char *pin, const char *map)
{
	char path[320];
	int fd = bpf_obj_get(pin_path(path, pin, map));

	return fd < 0 ? -errno : fd;
}

/* 0 when the maps under PIN have this program's layout. */
static int pinned_check(const char *pin)
{
	struct weir_meta meta;
	uint32_t zero = 0;
	int fd = pinned_open(pin, "weir_meta");
	int status;

	if (fd < 0)
		return fd;
	status = bpf_map_lookup_elem(fd, &zero, &meta) ? -errno : 0;
	close(fd);
	if (!status && meta.abi != WEIR_ABI)
		status = -EPROTO;
	return status;
}

/* Who has it now: it may have been adopted. */
static uint32_t flow_owner(int slots, const struct weir_flow *flow)
{
	struct weir_slot slot;

	if (slots < 0 || bpf_map_lookup_elem(slots, &flow->slot, &slot) || !slot.owner)
		return flow->owner;
	return slot.owner;
}

static void flow_show(uint64_t cookie, const struct weir_flow *flow, uint32_t owner,
		      void (*fn)(void *ctx, const struct weir_pinned_flow *flow), void *ctx)
{
	struct weir_pinned_flow shown = {
		.id = flow->id,
		.way = name_of(way_names, WEIR_ARRAY_SIZE(way_names), flow->way),
		.state = name_of(state_names, WEIR_ARRAY_SIZE(state_names), flow->state),
		.path = flow->path == WEIR_FLOW_SOCKMAP ? "sockmap" : "copy",
		.listener = flow->listener,
		.upstream = flow->upstream,
		.from = flow->from,
		.to = flow->to,
		.cookie = cookie,
		.netns_cookie = flow->netns_cookie,
		.owner = owner,
		.before_bytes = flow->before_bytes,
		.redirected_bytes = flow->redirected_bytes,
		.redirected_segments = flow->redirected_segments,
		.passed_bytes = flow->passed_bytes,
		.passed_segments = flow->passed_segments,
		.trimmed_bytes = flow->trimmed_bytes,
		.spills = flow->spills,
		.started_ns = flow->started_ns,
		.last_ns = flow->last_ns,
	};

	fn(ctx, &shown);
}

int weir_pinned_each_flow(const char *pin,
			  void (*fn)(void *ctx, const struct weir_pinned_flow *flow), void *ctx)
{
	struct weir_flow flow;
	uint64_t key;
	int fd, slots, status = pinned_check(pin);

	if (status)
		return status;
	fd = pinned_open(pin, "weir_flows");
	if (fd < 0)
		return fd;
	slots = pinned_open(pin, "weir_slots");
	for (status = bpf_map_get_next_key(fd, NULL, &key); !status;
	     status = bpf_map_get_next_key(fd, &key, &key)) {
		if (!bpf_map_lookup_elem(fd, &key, &flow))
			flow_show(key, &flow, flow_owner(slots, &flow), fn, ctx);
	}
	if (slots >= 0)
		close(slots);
	close(fd);
	return 0;
}

int weir_pinned_each_stat(const char *pin, void (*fn)(void *ctx, const char *name, uint64_t value),
			  void *ctx)
{
	int fd, status = pinned_check(pin);

	if (status)
		return status;
	fd = pinned_open(pin, "weir_stats");
	if (fd < 0)
		return fd;
	status = stats_each(fd, fn, ctx);
	close(fd);
	return status;
}

/* ------------------------------------------------------------------------------------------
 * Maps
 */

static uint32_t map_entries(int fd, const struct bpf_map_info *info)
{
	uint32_t n = 0;
	uint64_t key;

	if (info->key_size != sizeof(key))
		return 0;
	for (int status = bpf_map_get_next_key(fd, NULL, &key); !status;
	     status = bpf_map_get_next_key(fd, &key, &key))
		n++;
	return n;
}

/* The kernel tells it in text only. */
static uint64_t map_memory(int fd)
{
	char line[128], path[64];
	unsigned long long bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	}
	fclose(file);
	return bytes;
}

static const char *map_type_name(uint32_t type)
{
	switch (type) {
	case BPF_MAP_TYPE_HASH:
		return "hash";
	case BPF_MAP_TYPE_ARRAY:
		return "array";
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return "percpu_array";
	case BPF_MAP_TYPE_SOCKHASH:
		return "sockhash";
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		return "array_of_maps";
	default:
		return "other";
	}
}

static int map_show(const char *pin, const char *name,
		    void (*fn)(void *ctx, const struct weir_pinned_map *map), void *ctx)
{
	struct bpf_map_info info = { 0 };
	struct weir_pinned_map shown = { .name = name };
	uint32_t size = sizeof(info);
	int fd = pinned_open(pin, name);
	int status;

	if (fd < 0)
		return fd;
	status = bpf_obj_get_info_by_fd(fd, &info, &size) ? -errno : 0;
	if (!status) {
		shown.type = map_type_name(info.type);
		shown.id = info.id;
		shown.max_entries = info.max_entries;
		shown.value_bytes = info.value_size;
		shown.entries = map_entries(fd, &info);
		shown.memory_bytes = map_memory(fd);
		fn(ctx, &shown);
	}
	close(fd);
	return status;
}

int weir_pinned_each_map(const char *pin, void (*fn)(void *ctx, const struct weir_pinned_map *map),
			 void *ctx)
{
	int status = pinned_check(pin);

	for (const char *const *name = pin_names; *name && !status; name++)
		status = map_show(pin, *name, fn, ctx);
	return status;
}
