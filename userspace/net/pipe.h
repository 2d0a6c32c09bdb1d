/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_PIPE_H
#define WEIR_NET_PIPE_H

/*
 * Pipes for splice(2): of 1 MiB where the kernel lets us, kept by the loop and used again. A
 * flow holds one only while bytes are in it.
 */

#include <weir/loop.h>

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

#endif
