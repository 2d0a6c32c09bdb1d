/* SPDX-License-Identifier: MIT */
#ifndef WEIR_RUN_H
#define WEIR_RUN_H

/*
 * A whole program around one stack of services: listens, serves every connection, and stops
 * orderly on SIGINT or SIGTERM. What needs more than one worker, listener or configuration
 * uses weir/listener.h itself.
 */

#include <weir/loop.h>
#include <weir/service.h>

struct weir_run_conf {
	const char *name;	      /* of the listener, for logs; NULL: "main" */
	const char *listen;	      /* address in text form (weir/address.h) */
	struct weir_service *service; /* borrowed */
	uint64_t drain_ms;	      /* for connections after the signal; 0: 5000 */
};

/* Runs LOOP on this thread, and takes SIGINT and SIGTERM for that time. After the first signal
 * nothing more is accepted and connections have drain_ms to end; the second one ends them at
 * once. 0 after a signal, or -errno with ERROR filled when it cannot listen. */
int weir_run(struct weir_loop *loop, const struct weir_run_conf *conf, struct weir_error *error)
	WEIR_MUST_CHECK;

#endif
