/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs decide.h in the kernel for the tests: sk_skb programs cannot be run with
 * BPF_PROG_TEST_RUN, this one can.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "decide.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("syscall")
int weir_decide(struct weir_decide_case *ctx)
{
	struct weir_decide_case c = *ctx;

	weir_decide_run(&c);
	ctx->cut = c.cut;
	ctx->cut_bytes = c.cut_bytes;
	ctx->gate = c.gate;
	ctx->bound = c.bound;
	ctx->turn = c.turn;
	ctx->tell = c.tell;
	return 0;
}
