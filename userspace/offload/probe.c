/* SPDX-License-Identifier: MIT */
/*
 * What the machine has, asked by trying: nothing here looks at version numbers.
 */

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <weir/error.h>

#include "offload/kernel.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static bool capability_is_effective(unsigned capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[capability / 32].effective & (1u << (capability % 32));
}

/* CAP_SYS_ADMIN contains CAP_BPF and CAP_PERFMON. */
static bool capability_is_there(unsigned capability)
{
	if (capability_is_effective(capability))
		return true;
	return capability != CAP_NET_ADMIN && capability_is_effective(CAP_SYS_ADMIN);
}

static int probe_capabilities(struct weir_kernel *kernel)
{
	static const struct {
		unsigned number;
		const char *name;
	} needed[] = {
		{ CAP_BPF, "CAP_BPF" },
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		{ CAP_PERFMON, "CAP_PERFMON" },
	};
	char missing[64] = "";

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(needed); i++) {
		if (capability_is_there(needed[i].number))
			continue;
		strcat(missing, " ");
		strcat(missing, needed[i].name);
	}
	if (missing[0]) {
		kernel_result(kernel, "capabilities", WEIR_PROBE_FAILED, "sockmap",
			      "missing:%s (run as root or grant them)", missing);
		return -EPERM;
	}
	kernel_result(kernel, "capabilities", WEIR_PROBE_OK, NULL,
		      "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON");
	return 0;
}

static int probe_btf(struct weir_kernel *kernel)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		kernel_result(kernel, "btf", WEIR_PROBE_FAILED, "sockmap",
			      "/sys/kernel/btf/vmlinux: %s (CONFIG_DEBUG_INFO_BTF)",
			      weir_strerror(-errno));
		return -ENOENT;
	}
	kernel_result(kernel, "btf", WEIR_PROBE_OK, NULL, "/sys/kernel/btf/vmlinux");
	return 0;
}

static int probe_maps(struct weir_kernel *kernel)
{
	static const struct {
		enum bpf_map_type type;
		const char *name;
	} needed[] = {
		{ BPF_MAP_TYPE_SOCKHASH, "sockhash" },
		{ BPF_MAP_TYPE_RINGBUF, "ring buffer" },
	};

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(needed); i++) {
		int there = libbpf_probe_bpf_map_type(needed[i].type, NULL);

		if (there > 0)
			continue;
		kernel_result(kernel, "maps", WEIR_PROBE_FAILED, "sockmap", "no %s: %s",
			      needed[i].name,
			      there ? weir_strerror(there) : "this kernel does not know it");
		return -ENOTSUP;
	}
	kernel_result(kernel, "maps", WEIR_PROBE_OK, NULL, "sockhash, ring buffer");
	return 0;
}

/* Whether the helper calls of the program are allowed where they are made. */
static int probe_helpers(struct weir_kernel *kernel)
{
	static const struct {
		enum bpf_func_id id;
		const char *name;
	} needed[] = {
		{ BPF_FUNC_sk_redirect_hash, "sk_redirect_hash" },
		{ BPF_FUNC_skb_adjust_room, "skb_adjust_room" },
		{ BPF_FUNC_skc_to_tcp_sock, "skc_to_tcp_sock" },
		{ BPF_FUNC_loop, "loop" },
	};

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(needed); i++) {
		int there = libbpf_probe_bpf_helper(BPF_PROG_TYPE_SK_SKB, needed[i].id, NULL);

		if (there == 1)
			continue;
		kernel_result(kernel, "helpers", WEIR_PROBE_FAILED, "sockmap",
			      "no bpf_%s for sk_skb programs", needed[i].name);
		return -ENOTSUP;
	}
	kernel_result(kernel, "helpers", WEIR_PROBE_OK, NULL,
		      "sk_redirect_hash, skb_adjust_room, skc_to_tcp_sock, loop");
	return 0;
}

int probe_machine(struct weir_kernel *kernel)
{
	int status = probe_capabilities(kernel);

	if (!status)
		status = probe_btf(kernel);
	if (!status)
		status = probe_maps(kernel);
	if (!status)
		status = probe_helpers(kernel);
	return status;
}
