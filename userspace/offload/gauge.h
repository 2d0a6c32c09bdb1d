/* SPDX-License-Identifier: MIT */
#ifndef WEIR_OFFLOAD_GAUGE_H
#define WEIR_OFFLOAD_GAUGE_H

/*
 * What a TCP socket has taken in and put out, as the kernel counts it, so that it can be
 * compared with what the verdict program and userspace count. Every call takes the socket's
 * lock: segments that were being received are received before it returns.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Waits for whatever is being received on FD right now: a barrier against the verdict. */
void gauge_barrier(int fd);

/* Bytes written to FD ever, on the scale of tcpi_bytes_acked: those acknowledged and those that
 * are not. Never more than the truth; less while acknowledgements come in between the two
 * questions. 0 or -errno. */
int gauge_written(int fd, uint64_t *bytes);
/* The same when nobody else writes: exact. 0, -EAGAIN while the socket does not stand still. */
int gauge_written_exact(int fd, uint64_t *bytes);

/* Bytes of FD that left TCP's receive queue, to userspace or by the verdict. Exact. 0, -EAGAIN
 * while the socket does not stand still, or -errno. */
int gauge_consumed(int fd, uint64_t *bytes);
/* Bytes received on FD ever; *FIN whether the end came: it is not counted. 0 or -errno. */
int gauge_received(int fd, uint64_t *bytes, bool *fin);

/* How many bytes FD surely takes now: half of what is free of its send buffer, because segments cost
 * more than their bytes. 0: none, and whoever watches FD sees when that changes. A broken one takes
 * any number, to say so. */
size_t gauge_room(int fd);

/* Of TCP, as in TCP_INFO; 0 when it cannot be asked. */
int gauge_state(int fd);
/* Whether the end of what was written to FD is on its way. */
bool gauge_has_sent_fin(int fd);

/* SO_ERROR, which is cleared by that: 0 or -errno. */
int gauge_error(int fd);

#endif
