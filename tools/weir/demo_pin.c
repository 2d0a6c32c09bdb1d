/* SPDX-License-Identifier: MIT */

#include "tools/weir/demo_pin.h"

#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BPF_FOLDER "/sys/fs/bpf"

static bool machine_has_bpffs(void)
{
	struct statfs fs;

	return statfs(BPF_FOLDER, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

void demo_pin_open(struct demo_pin *pin)
{
	*pin = (struct demo_pin){ 0 };
	if (geteuid() != 0)
		return;
	if (machine_has_bpffs()) {
		snprintf(pin->folder, sizeof(pin->folder), BPF_FOLDER "/weir-demo-%d",
			 (int)getpid());
		return;
	}
	snprintf(pin->mount, sizeof(pin->mount), "/tmp/weir-demo-%d.bpf", (int)getpid());
	if (mkdir(pin->mount, 0700) == 0 && mount("weir", pin->mount, "bpf", 0, NULL) == 0) {
		snprintf(pin->folder, sizeof(pin->folder), "%s/weir", pin->mount);
		return;
	}
	rmdir(pin->mount);
	pin->mount[0] = '\0';
}

void demo_pin_close(struct demo_pin *pin)
{
	if (pin->mount[0] == '\0')
		return;
	umount2(pin->mount, MNT_DETACH);
	rmdir(pin->mount);
}
