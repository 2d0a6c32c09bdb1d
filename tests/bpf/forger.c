/* SPDX-License-Identifier: MIT */

#include "tests/bpf/forger.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bpf/rig.h"

#ifndef TCP_REPAIR_OFF_NO_WP
#define TCP_REPAIR_OFF_NO_WP -1
#endif

static int repair_seq(int fd, int queue, uint32_t *seq)
{
	socklen_t size = sizeof(*seq);

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)))
		return -errno;
	return getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, seq, &size) ? -errno : 0;
}

int forger_open(struct forger *forger, int fd)
{
	int on = 1, off = TCP_REPAIR_OFF_NO_WP;
	socklen_t size = sizeof(forger->from);
	int status;

	*forger = (struct forger){ .raw = -1 };
	getsockname(fd, (struct sockaddr *)&forger->from, &size);
	getpeername(fd, (struct sockaddr *)&forger->to, &size);
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		return -errno;
	status = repair_seq(fd, TCP_SEND_QUEUE, &forger->seq);
	if (!status)
		status = repair_seq(fd, TCP_RECV_QUEUE, &forger->ack);
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
	if (status)
		return status;
	forger->raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	return forger->raw < 0 ? -errno : 0;
}

void forger_close(struct forger *forger)
{
	if (forger->raw >= 0)
		close(forger->raw);
}

static uint32_t sum_words(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	if (size % 2)
		sum += (uint32_t)bytes[size - 1] << 8;
	return sum;
}

static uint16_t forger_checksum(const struct forger *forger, const void *segment, size_t size)
{
	uint32_t sum = sum_words(0, &forger->from.sin_addr, 4);

	sum = sum_words(sum, &forger->to.sin_addr, 4) + IPPROTO_TCP + (uint32_t)size;
	sum = sum_words(sum, segment, size);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Bytes FROM to FROM + SIZE of the client's stream. */
int forger_send(struct forger *forger, uint64_t seed, uint32_t from, uint32_t size, bool fin)
{
	char segment[sizeof(struct tcphdr) + FORGER_MAX];
	struct tcphdr *tcp = (struct tcphdr *)(void *)segment;
	size_t total = sizeof(*tcp) + size;

	memset(tcp, 0, sizeof(*tcp));
	tcp->source = forger->from.sin_port;
	tcp->dest = forger->to.sin_port;
	tcp->seq = htonl(forger->seq + from);
	tcp->ack_seq = htonl(forger->ack);
	tcp->doff = sizeof(*tcp) / 4;
	tcp->psh = 1;
	tcp->fin = fin;
	tcp->ack = 1;
	tcp->window = htons(1000);
	payload_fill(segment + sizeof(*tcp), size, seed, from);
	tcp->check = forger_checksum(forger, segment, total);
	/* Bound to the client's address; the kernel writes the IP header. */
	if (sendto(forger->raw, segment, total, 0, (struct sockaddr *)&forger->to,
		   sizeof(forger->to)) != (ssize_t)total)
		return -errno;
	return 0;
}
