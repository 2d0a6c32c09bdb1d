/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_PIPE_H
#define WEIR_NET_PIPE_H

/*
 * Pipes for splice(2): of 1 MiB where the kernel lets us, kept by the loop and used again. A
 * flow holds one only while bytes are in it.
 */

#include <sys/types.h>

#include <weir/loop.h>

struct weir_stream;

struct pipe {
	struct weir_list link;
	int read_fd;
	int write_fd;
	size_t capacity; /* bytes */
	size_t size;	 /* bytes in it */
};

/* An empty pipe; NULL when descriptors or memory are out. */
struct pipe *pipe_get(struct weir_loop *loop);
/* Gives it back; one with bytes in it is closed. Accepts NULL. */
void pipe_put(struct weir_loop *loop, struct pipe *pipe);
/* Closes those that are kept: descriptors are out. */
void pipe_trim(struct weir_loop *loop);

/* Moves at most SIZE bytes of a socket into an empty pipe: bytes, 0 at the end of the stream,
 * -EAGAIN, -errno; -EOPNOTSUPP when urgent data came, behind which splice(2) sees nothing: read
 * from now on. FROM has a watch. */
ssize_t pipe_fill(struct pipe *pipe, struct weir_stream *from, size_t size);
/* Moves what is in the pipe into a socket, as much as it takes: bytes, -EAGAIN, -errno. */
ssize_t pipe_drain(struct pipe *pipe, struct weir_stream *to);

#endif
