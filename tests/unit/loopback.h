/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_LOOPBACK_H
#define WEIR_TESTS_LOOPBACK_H

/*
 * What network tests share: free ports, a loop with a root scope, and a name server of their own.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/address.h>
#include <weir/scope.h>

/* A port of 127.0.0.1 that is free for TCP and UDP now, below the kernel's ephemeral ones. */
uint16_t loopback_port(void);
/* "127.0.0.1:PORT" as an address. */
struct weir_address loopback_address(uint16_t port);

/* Runs FN(ARG) as a task on a loop made for it, until it and all it started has ended; fails
 * the test when FN does not return 0. */
void loopback_run(weir_task_fn *fn, void *arg);
uint64_t loopback_ms(void);

/* ------------------------------------------------------------------------------------------
 * A name server: a thread that answers by a table, over UDP and TCP
 */

enum name_action {
	NAME_ANSWER,
	NAME_NOT_FOUND,
	NAME_FAIL, /* SERVFAIL */
	NAME_SILENT,
	NAME_TRUNCATE, /* over UDP an empty answer with TC set */
};

enum name_type { NAME_A = 1, NAME_CNAME = 5, NAME_AAAA = 28, NAME_SRV = 33 };

struct name_rule {
	const char *name; /* in small letters */
	enum name_type type;
	enum name_action action;
	uint32_t ttl;
	unsigned delay_ms;
	const char *values[8]; /* addresses; "priority weight port host" of SRV */
	atomic_uint asked;
};

struct name_server;
/* RULES is borrowed; the rule after the last has no name. A name without a rule of the asked
 * type has no such records; a name without any rule does not exist. */
struct name_server *name_server_start(struct name_rule *rules);
void name_server_stop(struct name_server *server);
/* "127.0.0.1:PORT" */
const char *name_server_text(const struct name_server *server);
/* All questions, also those without a rule. */
unsigned name_server_asked(struct name_server *server);

#endif
