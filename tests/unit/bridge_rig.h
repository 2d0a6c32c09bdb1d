/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BRIDGE_RIG_H
#define WEIR_TESTS_BRIDGE_RIG_H

/*
 * A bridge between two pairs of sockets, with a client and an origin at its far ends, and a
 * payload whose every byte is known.
 */

#include <stdbool.h>
#include <stdint.h>

#include <weir/bridge.h>
#include <weir/scope.h>
#include <weir/stream.h>

/* A client, the bridge's two streams, and an origin: each a task of one loop. */
struct rig {
	struct weir_stream *client;
	struct weir_stream *front;
	struct weir_stream *back;
	struct weir_stream *origin;
	struct weir_bridge_conf conf;
	struct weir_bridge bridge;
	struct weir_scope scope; /* of the bridge's task */
	weir_task_fn *client_fn;
	weir_task_fn *origin_fn;
	uint64_t up, down; /* bytes to send */
	int bridge_status;
};

struct variant {
	const char *name;
	unsigned paths;
	bool adaptive;
	bool tcp;
};

#define N_VARIANTS 5
extern const struct variant variants[N_VARIANTS];

#define EACH_VARIANT(v) for (const struct variant *v = variants; v < variants + N_VARIANTS; v++)

/* The byte of every payload at OFFSET. */
char payload_byte(uint64_t offset);
/* Sends so many bytes of the payload from its start. */
int payload_send(struct weir_stream *stream, uint64_t bytes);
/* Reads until the end; returns the status and the number of right bytes. */
int payload_check(struct weir_stream *stream, uint64_t *got);

/* Runs the rig in a loop of its own until client, origin and bridge have ended. */
void rig_run(struct rig *rig, const struct variant *variant);
/* The same in a task, with the rig's four streams already there. */
int rig_main(void *arg);

#endif
