/* SPDX-License-Identifier: MIT */
/*
 * Pinned maps: names in a bpffs under which the maps outlive the process and tools find them.
 * Maps of another ABI version, and half-made ones, are thrown away: what still uses them keeps
 * them through its own descriptors.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <weir/error.h>

#include "verdict.skel.h"
#include "offload/kernel.h"

_Static_assert(WEIR_KERNEL_MAPS == 7, "as many as there are names");

const char *const pin_names[] = { "weir_meta",	"weir_flows", "weir_slots",  "weir_stats",
				  "weir_socks", "weir_rings", "weir_events", NULL };

char *pin_path(char *path, const char *folder, const char *map)
{
	snprintf(path, 320, "%s/%s", folder, map);
	return path;
}

static void pin_remove_all(const char *folder)
{
	char path[320];

	for (size_t i = 0; pin_names[i]; i++)
		unlink(pin_path(path, folder, pin_names[i]));
}

void pin_remove(const struct weir_kernel *kernel)
{
	if (!kernel->pin[0])
		return;
	pin_remove_all(kernel->pin);
	rmdir(kernel->pin);
}

/* Whether FOLDER is, or can be made, on a bpffs. 0 or -errno. */
static int pin_folder(const char *folder)
{
	struct statfs fs;

	if (mkdir(folder, 0700) && errno != EEXIST)
		return -errno;
	if (statfs(folder, &fs))
		return -errno;
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	rmdir(folder); /* empty when we made it; else it stays */
	return -EMEDIUMTYPE;
}

/* 0 when the maps with this meta map are ours to use; -ESTALE when they are of another ABI. */
static int meta_check(struct weir_kernel *kernel, int fd)
{
	struct weir_meta meta;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(fd, &zero, &meta))
		return -errno;
	if (meta.abi != WEIR_ABI || meta.slot_bytes != sizeof(struct weir_slot) ||
	    meta.flow_bytes != sizeof(struct weir_flow)) {
		kernel->other_abi = meta.abi;
		return -ESTALE;
	}
	kernel->n_slots = 2 * meta.flows_max;
	return 0;
}

/* The same for what is pinned; -ENOENT when nothing is. */
static int pin_check(struct weir_kernel *kernel, const char *folder)
{
	char path[320];
	int fd = bpf_obj_get(pin_path(path, folder, "weir_meta"));
	int status;

	if (fd < 0)
		return -errno;
	status = meta_check(kernel, fd);
	close(fd);
	return status;
}

static int map_reuse(struct weir_kernel *kernel, size_t i, int fd)
{
	return bpf_map__reuse_fd(bpf_object__find_map_by_name(kernel->verdict->obj, pin_names[i]),
				 fd);
}

static int pin_reuse_maps(struct weir_kernel *kernel, const char *folder)
{
	char path[320];

	for (size_t i = 0; pin_names[i]; i++) {
		int fd = bpf_obj_get(pin_path(path, folder, pin_names[i]));
		int status;

		if (fd < 0)
			return -errno;
		status = map_reuse(kernel, i, fd);
		close(fd);
		if (status)
			return status;
	}
	return 0;
}

int pin_reuse_held(struct weir_kernel *kernel, const int *maps)
{
	int status = 0;

	for (size_t i = 0; pin_names[i]; i++) {
		if (maps[i] < 0)
			return -ENOENT;
	}
	status = meta_check(kernel, maps[0]);
	for (size_t i = 0; pin_names[i] && !status; i++)
		status = map_reuse(kernel, i, maps[i]);
	return status;
}

/* The lock keeps two starting daemons apart; it goes with the descriptor. */
static int pin_lock(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

int pin_reuse(struct weir_kernel *kernel, const char *folder, bool strict)
{
	int status = pin_folder(folder);
	int lock;

	if (status) {
		kernel_result(kernel, "pin", WEIR_PROBE_FAILED, "tools when the daemon is down",
			      status == -EMEDIUMTYPE ? "%s is not on a bpffs (mount -t bpf bpf "
						       "/sys/fs/bpf)"
						     : "%s: %s",
			      folder, weir_strerror(status));
		return -EMEDIUMTYPE;
	}
	snprintf(kernel->pin, sizeof(kernel->pin), "%s", folder);
	/* What was held is what was pinned: the same maps, or newer ones. */
	if (kernel->n_slots)
		return 0;
	lock = pin_lock(folder);
	status = pin_check(kernel, folder);
	if (!status)
		status = pin_reuse_maps(kernel, folder);
	if (status && !(status == -ESTALE && strict)) {
		pin_remove_all(folder);
		kernel->n_slots = 0;
	}
	if (lock >= 0)
		close(lock);
	if (status == -ESTALE)
		kernel_result(kernel, "pin", WEIR_PROBE_INFO, NULL,
			      "maps of ABI %u %s, this is ABI %u", kernel->other_abi,
			      strict ? "are in use" : "are thrown away", WEIR_ABI);
	return status;
}

int pin_save(struct weir_kernel *kernel)
{
	char path[320];
	int lock, status = 0;

	if (!kernel->pin[0])
		return 0;
	lock = pin_lock(kernel->pin);
	for (size_t i = 0; pin_names[i] && !status; i++) {
		struct bpf_map *map =
			bpf_object__find_map_by_name(kernel->verdict->obj, pin_names[i]);

		if (access(pin_path(path, kernel->pin, pin_names[i]), F_OK))
			status = bpf_obj_pin(bpf_map__fd(map), path) ? -errno : 0;
	}
	if (lock >= 0)
		close(lock);
	if (status)
		kernel_result(kernel, "pin", WEIR_PROBE_FAILED, "tools when the daemon is down",
			      "%s: %s", kernel->pin, weir_strerror(status));
	else
		kernel_result(kernel, "pin", WEIR_PROBE_OK, NULL, "%s", kernel->pin);
	return status;
}
