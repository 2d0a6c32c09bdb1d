/* SPDX-License-Identifier: MIT */
/*
 * Looks at TCP sockets in the moment in which the kernel gives their memory back: whatever is left
 * on their account then was miscounted. See ledger.h.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__s64 counter;
} atomic64_t;

typedef struct {
	atomic_t refs;
} refcount_t;

struct sock_common {
	atomic64_t skc_cookie;
};

struct sock {
	struct sock_common __sk_common;
	struct {
		atomic_t rmem_alloc;
	} sk_backlog;
	int sk_forward_alloc;
	int sk_wmem_queued;
	refcount_t sk_wmem_alloc;
};

#pragma clang attribute pop

/* Cookies of the sockets that count. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u64);
} ledger_ours SEC(".maps");

/* The same the other way round, from there on. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u64);
} ledger_going SEC(".maps");

__u64 ledger_gone;
__u64 ledger_uneven;
__s32 ledger_rest[4]; /* of the last uneven one: forward, received, queued, being sent */

SEC("tp_btf/tcp_destroy_sock")
int ledger_go(__u64 *args)
{
	struct sock *sk = (struct sock *)args[0];
	__u64 cookie = (__u64)sk->__sk_common.skc_cookie.counter;
	__u64 address = (__u64)sk;

	if (bpf_map_lookup_elem(&ledger_ours, &cookie))
		bpf_map_update_elem(&ledger_going, &address, &cookie, BPF_ANY);
	return 0;
}

SEC("tp_btf/kmem_cache_free")
int ledger_free(__u64 *args)
{
	__u64 address = args[1];
	__u64 *cookie = bpf_map_lookup_elem(&ledger_going, &address);
	const struct sock *sk = (const struct sock *)address;
	__s32 rest[4];

	if (!cookie)
		return 0;
	rest[0] = BPF_CORE_READ(sk, sk_forward_alloc);
	rest[1] = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
	rest[2] = BPF_CORE_READ(sk, sk_wmem_queued);
	rest[3] = BPF_CORE_READ(sk, sk_wmem_alloc.refs.counter);
	if (rest[0] || rest[1] || rest[2] || rest[3]) {
		__sync_fetch_and_add(&ledger_uneven, 1);
		__builtin_memcpy(ledger_rest, rest, sizeof(rest));
	}
	__sync_fetch_and_add(&ledger_gone, 1);
	bpf_map_delete_elem(&ledger_ours, cookie);
	bpf_map_delete_elem(&ledger_going, &address);
	return 0;
}
