/* SPDX-License-Identifier: MIT */
/*
 * discard: reads and forgets until the client ends (RFC 863). Without a timeout of its own: that
 * is a layer's.
 */

#include <weir/layer.h>

#include <stdlib.h>

#include "layer/served.h"

#define DISCARD_SHARE 16 /* reads before other tasks of the worker get their turn */

struct discard {
	struct weir_service svc;
};

static int discard_serve(struct weir_service *svc, struct weir_conn *conn)
{
	char *scratch = weir_loop_scratch(weir_loop_current());
	ssize_t got = 1;
	int status = 0;

	(void)svc;
	for (unsigned reads = 1; !status && got > 0; reads++) {
		got = weir_stream_read(conn->stream, scratch, WEIR_SCRATCH_BYTES);
		if (got > 0)
			conn->result.bytes_up += (uint64_t)got;
		else
			status = (int)got;
		if (!status && reads % DISCARD_SHARE == 0)
			status = weir_task_yield();
	}
	conn->result.end = served_end(status);
	return status;
}

static void discard_free(struct weir_service *svc)
{
	free(weir_container_of(svc, struct discard, svc));
}

static const struct weir_service_ops discard_ops = {
	.name = "discard",
	.needs = WEIR_NEEDS_ALL_BYTES,
	.serve = discard_serve,
	.free = discard_free,
};

struct weir_service *weir_discard_service(struct weir_error *error)
{
	struct discard *discard = calloc(1, sizeof(*discard));

	if (!discard) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	discard->svc.ops = &discard_ops;
	return &discard->svc;
}
