/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Holds a stream for the few microseconds in which its socket leaves the map.
 *
 * The kernel takes a socket out of a map without its lock: a segment that comes at that moment
 * is acknowledged and lost. With this filter on the socket such a segment is not received at
 * all, the sender sends it again. Acknowledgements and resets go on.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TCP_OFFSET 12 /* data offset and flags, RFC 9293 section 3.1 */
#define TCP_FIN	   0x01

SEC("socket")
int weir_hold(struct __sk_buff *skb)
{
	__u8 bytes[2];
	__u32 header;

	/* The segment starts with its TCP header here. */
	if (bpf_skb_load_bytes(skb, TCP_OFFSET, bytes, sizeof(bytes)))
		return 0;
	header = (bytes[0] >> 4) * 4;
	if (skb->len > header || (bytes[1] & TCP_FIN))
		return 0;
	return -1;
}
