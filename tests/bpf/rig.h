/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_RIG_H
#define WEIR_TEST_RIG_H

/*
 * Flows for tests: a client and an origin, a bridge between them, all tasks of one loop, over
 * real loopback sockets. Every byte is checked at both ends. Errors are noted, not asserted:
 * cmocka must not jump out of a task.
 *
 *	client <====> front  (bridge)  back <====> origin
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <weir/bridge.h>
#include <weir/offload.h>
#include <weir/scope.h>

/* One end: what it sends, and what it must receive. */
struct peer {
	struct weir_stream *stream;
	struct rig *rig;
	uint64_t send;	 /* bytes; then it shuts down */
	uint64_t expect; /* bytes; then the end must come */
	uint64_t seed;	 /* of what it sends */
	uint64_t expect_seed;
	uint32_t chunk;	       /* writes of at most this; 0: 40000 */
	uint32_t read_chunk;   /* reads of at most this; 0: 50000 */
	unsigned write_nap_us; /* at most, at random, between writes; 0: none */
	unsigned read_nap_us;
	uint64_t got; /* right bytes received */
	int status;   /* of the reader: 0 is an orderly end */
};

struct rig {
	struct weir_kernel *kernel;
	struct weir_offload *offload;
	struct weir_loop *loop;
	int family; /* AF_INET (0) or AF_INET6 */
	/* Makes the connections: NULL is over loopback. The client's comes from the outside. */
	int (*pair)(bool from_outside, int fd[2]);
	struct peer client;
	struct peer origin;
	struct weir_stream *front;
	struct weir_stream *back;
	struct weir_bridge_conf conf;
	struct weir_bridge bridge;
	int bridge_status;
	bool bridge_ended;
	uint64_t ended_ns;
	unsigned uneven; /* sockets of the proxy whose memory the kernel has miscounted */
	/* Called in the main task when everything stands, before data flows; may be NULL. */
	void (*before)(struct rig *rig);
	/* A task beside the flow; cancelled when the bridge has ended. May be NULL. */
	weir_task_fn *beside;
	void *ctx;
	/* NULL: each peer sends and checks as above. */
	weir_task_fn *client_fn;
	weir_task_fn *origin_fn;
	char error[200];
};

/* The process's kernel; NULL and the test is skipped when it is not usable. */
struct weir_kernel *rig_kernel(void);
/* Skips the test with the reason unless the kernel path works. */
#define RIG_NEEDS_KERNEL(kernel)                                    \
	do {                                                        \
		(kernel) = rig_kernel();                            \
		if (!(kernel)) {                                    \
			print_message("%s\n", rig_why_no_kernel()); \
			skip();                                     \
		}                                                   \
	} while (0)
const char *rig_why_no_kernel(void);
int rig_group_teardown(void **state);
/* What the programs have counted under NAME. */
uint64_t rig_stat(const struct weir_kernel *kernel, const char *name);

void rig_note(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes the sockets; in a task. 0 or -errno. */
int rig_open(struct rig *rig);
/* Carries one flow to its end and closes the ends; in a task. */
int rig_flow(struct rig *rig);
/* Runs FN as the main task of a loop of its own with an offload; asserts that it ends. */
void rig_run_main(struct weir_kernel *kernel, weir_task_fn *fn, void *arg,
		  struct weir_offload **offload, struct weir_offload_counts *counts);
/* The same for one flow. */
void rig_run(struct rig *rig);

/* The payload: SIZE bytes from OFFSET of the stream SEED. */
void payload_fill(char *data, size_t size, uint64_t seed, uint64_t offset);
bool payload_is_right(const char *data, size_t size, uint64_t seed, uint64_t offset);
int peer_send(struct peer *peer);
int peer_receive(struct peer *peer);
/* Both at once, and every byte must have come. The argument is the rig. */
int rig_client_both(void *rig);
int rig_origin_both(void *rig);
/* Moves the flow to paths at random until the bridge has ended. The argument is the rig; FLIPS
 * (may be NULL) counts. Naps of 50 to MAX_US + 50 us. */
int rig_flip(struct rig *rig, unsigned max_us, unsigned *flips);

uint64_t rig_random(uint64_t *state);

/* Listens there; ADDRESS gets the port. -1 with errno. */
int rig_listen(struct sockaddr *address, socklen_t size);
/* FD[0], a blocking socket, connects to LISTENER, which accepts FD[1]. The connection may find
 * its way to LISTENER's address through other networks. 0 or -errno; then FD[0] stays open. */
int rig_connect(int listener, int fd[2]);
/* A connected pair over loopback: FD[0] has connected, FD[1] has accepted. 0 or -errno. */
int rig_socket_pair(int family, int fd[2]);

/* Whether the kernel's account of FD's memory has come out even: what a socket with nothing queued
 * holds is whole pages. The kernel itself finds out when it frees the socket, warns once a boot,
 * and says nothing after that. 1; 0; -EAGAIN while something is queued. */
int rig_memory_is_even(int fd);

/* Kernel warnings since the last call, and sockets of the proxy that have ended miscounted
 * (ledger.h): 0 when there is none. */
int rig_kernel_warnings(void);

#endif
