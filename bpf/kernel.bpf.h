/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_KERNEL_BPF_H
#define WEIR_KERNEL_BPF_H

/*
 * The few members of kernel structures that the programs read. Only names matter: offsets are
 * relocated when the programs are loaded (CO-RE).
 */

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock {
	int sk_wmem_queued;
	int sk_sndbuf;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 copied_seq;
	__u32 write_seq;
	__u64 bytes_acked;
};

#pragma clang attribute pop

#endif
