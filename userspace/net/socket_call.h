/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_SOCKET_CALL_H
#define WEIR_NET_SOCKET_CALL_H

/*
 * recv(2) and send(2), but that they are no points where a thread can be cancelled: guarding those
 * costs the C library two atomic operations a call, and nobody here cancels threads. Sanitizers are
 * shown the library's own. -1 with errno, as ever.
 */

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weir/base.h>

#if !defined(WEIR_ASAN) && !defined(WEIR_TSAN) && defined(SYS_recvfrom) && defined(SYS_sendto)
#define SOCKET_CALL_BARE 1
#else
#define SOCKET_CALL_BARE 0
#endif

static inline ssize_t socket_call_recv(int fd, void *data, size_t size, int flags)
{
#if SOCKET_CALL_BARE
	return syscall(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
#else
	return recv(fd, data, size, flags);
#endif
}

static inline ssize_t socket_call_send(int fd, const void *data, size_t size, int flags)
{
#if SOCKET_CALL_BARE
	return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
#else
	return send(fd, data, size, flags);
#endif
}

#endif
