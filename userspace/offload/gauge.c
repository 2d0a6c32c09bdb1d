/* SPDX-License-Identifier: MIT */
/*
 * tcpi_bytes_sent and tcpi_bytes_retrans would give the written bytes too, but they count
 * segments that a full local queue refused twice. What is acknowledged plus what is not
 * (SIOCOUTQ: write_seq - snd_una) depends on no event in between.
 */

#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "offload/gauge.h"

#define GAUGE_TRIES	  8
#define STATE_ESTABLISHED 1 /* enum of the kernel's net/tcp_states.h, part of TCP_INFO's ABI */
#define STATE_FIN_WAIT1	  4
#define STATE_FIN_WAIT2	  5
#define STATE_TIME_WAIT	  6
#define STATE_LAST_ACK	  9
#define STATE_CLOSING	  11

static int gauge_info(int fd, struct tcp_info *info)
{
	socklen_t size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) ? -errno : 0;
}

void gauge_barrier(int fd)
{
	struct tcp_info info;

	gauge_info(fd, &info);
}

int gauge_written(int fd, uint64_t *bytes)
{
	struct tcp_info info;
	int queued = 0;
	int status = gauge_info(fd, &info);

	if (status)
		return status;
	if (ioctl(fd, SIOCOUTQ, &queued))
		return -errno;
	*bytes = info.tcpi_bytes_acked + (uint64_t)queued;
	return 0;
}

int gauge_written_exact(int fd, uint64_t *bytes)
{
	struct tcp_info info;
	uint64_t acked;
	int queued = 0;

	for (int i = 0; i < GAUGE_TRIES; i++) {
		int status = gauge_info(fd, &info);

		if (status)
			return status;
		acked = info.tcpi_bytes_acked;
		if (ioctl(fd, SIOCOUTQ, &queued))
			return -errno;
		status = gauge_info(fd, &info);
		if (status)
			return status;
		*bytes = acked + (uint64_t)queued;
		if (info.tcpi_bytes_acked == acked)
			return 0;
	}
	return -EAGAIN;
}

/* After a FIN, which TCP counts as a received byte. */
static bool info_has_fin(const struct tcp_info *info)
{
	return info->tcpi_state != STATE_ESTABLISHED && info->tcpi_state != STATE_FIN_WAIT1 &&
	       info->tcpi_state != STATE_FIN_WAIT2;
}

int gauge_consumed(int fd, uint64_t *bytes)
{
	struct tcp_info info;
	int before, after;

	for (int i = 0; i < GAUGE_TRIES; i++) {
		int status;

		if (ioctl(fd, SIOCINQ, &before))
			return -errno;
		status = gauge_info(fd, &info);
		if (status)
			return status;
		if (ioctl(fd, SIOCINQ, &after))
			return -errno;
		*bytes =
			info.tcpi_bytes_received - (uint64_t)before - (info_has_fin(&info) ? 1 : 0);
		if (before == after)
			return 0;
	}
	return -EAGAIN;
}

int gauge_received(int fd, uint64_t *bytes, bool *fin)
{
	struct tcp_info info;
	int status = gauge_info(fd, &info);

	if (status)
		return status;
	*fin = info_has_fin(&info);
	*bytes = info.tcpi_bytes_received - (*fin ? 1 : 0);
	return 0;
}

/* poll(2) leaves a mark at a socket that is full, without which nobody would be told later. */
size_t gauge_room(int fd)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t size = sizeof(memory);

	if (poll(&writable, 1, 0) != 1)
		return 0;
	if (writable.revents & (POLLERR | POLLHUP) ||
	    getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size))
		return SIZE_MAX;
	if (memory[SK_MEMINFO_SNDBUF] < memory[SK_MEMINFO_WMEM_QUEUED] + 2)
		return 1;
	return (memory[SK_MEMINFO_SNDBUF] - memory[SK_MEMINFO_WMEM_QUEUED]) / 2;
}

int gauge_state(int fd)
{
	struct tcp_info info;

	return gauge_info(fd, &info) ? 0 : info.tcpi_state;
}

bool gauge_has_sent_fin(int fd)
{
	switch (gauge_state(fd)) {
	case STATE_FIN_WAIT1:
	case STATE_FIN_WAIT2:
	case STATE_TIME_WAIT:
	case STATE_LAST_ACK:
	case STATE_CLOSING:
		return true;
	default:
		return false;
	}
}

int gauge_error(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}
