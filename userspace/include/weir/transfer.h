/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TRANSFER_H
#define WEIR_TRANSFER_H

/*
 * One direction, so many bytes and not one more: what a bridge is for two streams until they end,
 * a transfer is for a part of one that has more after it.
 */

#include <weir/stream.h>

struct weir_transfer {
	struct weir_stream *to;
	struct weir_stream *from; /* NULL: from the file */
	int fd;
	uint64_t offset;       /* in the file */
	uint64_t size;	       /* bytes to move; at least 1 */
	uint64_t idle_ms;      /* nothing moves for so long: -ETIMEDOUT; 0: no limit */
	uint64_t from_idle_ms; /* the same, while FROM is waited for; 0: as idle_ms */
	uint64_t moved;	       /* bytes that TO has taken, also after a failure */
	uint64_t taken;	       /* bytes that the source has lost; after a failure maybe more */
	bool broke_source;     /* whose fault a failure is */
};

/* Moves them: by splice(2) or sendfile(2) where both ends are descriptors, else through userspace.
 * Parks. 0; WEIR_EPROTO when the source ended early; -ECONNRESET, -EPIPE, -ETIMEDOUT, -ECANCELED,
 * -errno. */
int weir_transfer_run(struct weir_transfer *transfer) WEIR_MUST_CHECK;

#endif
