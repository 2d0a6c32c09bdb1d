/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_ENDPOINT_H
#define WEIR_UPSTREAM_ENDPOINT_H

/*
 * An endpoint: one address, what is known of its health, and how many connections it has.
 *
 * Counted, because a connection to an endpoint outlives the set that it was picked from. The
 * counters of traffic are atomic and written by every worker; everything under "health" is
 * guarded by the upstream's lock and changed by events, in endpoint.c alone.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include <weir/balancer.h>
#include <weir/upstream.h>

#define WEIR_ENDPOINT_NAME 300

/* What decides over states; part of the upstream's configuration with defaults filled in. */
struct weir_health_rules {
	unsigned unhealthy; /* failed checks in a row */
	unsigned healthy;   /* passed checks in a row */
	uint64_t ejection_base_ms;
	uint64_t ejection_max_ms;
};

struct weir_endpoint {
	/* Fixed. */
	_Atomic unsigned references;
	size_t listing; /* which line of the configuration it came from */
	char name[WEIR_ENDPOINT_NAME];
	struct weir_target target; /* with an address, but for one in WEIR_ENDPOINT_UNRESOLVED */
	uint64_t identity;	   /* hash of name and address, the same in every process */

	/* Traffic: any worker. A line of their own, away from what is only read. */
	_Alignas(64) _Atomic uint64_t active; /* places taken: connections and calls */
	_Atomic uint64_t total;
	_Atomic uint64_t failures;
	_Atomic unsigned failures_in_row;	/* no answer came */
	_Atomic unsigned server_errors_in_row;	/* 5xx, or no answer */
	_Atomic unsigned gateway_errors_in_row; /* 502, 503, 504, or no answer */
	_Atomic int last_status;

	/* Health: under the upstream's lock. */
	_Alignas(64) enum weir_endpoint_state state;
	uint64_t since_ns;     /* of the state */
	uint64_t ramp_from_ns; /* slow start began; 0: long ago */
	uint64_t ejected_until_ns;
	uint64_t ejected_for_ns;   /* length of the last ejection */
	unsigned ejections_in_row; /* how far its length has grown */
	uint64_t ejections;
	uint64_t checks;
	uint64_t checks_failed;
	unsigned checks_in_row; /* that contradict checks_say_no */
	bool checks_say_no;
};

/* ADDRESS NULL: none is known yet. HOST is the name that TLS would ask for; may be "". The first
 * reference is the caller's. NULL when memory is out. */
struct weir_endpoint *weir_endpoint_new(const char *name, size_t listing, const char *host,
					const struct weir_address *address, uint64_t now)
	WEIR_MUST_CHECK;
struct weir_endpoint *weir_endpoint_get(struct weir_endpoint *endpoint);
/* Accepts NULL. */
void weir_endpoint_put(struct weir_endpoint *endpoint);

/* ------------------------------------------------------------------------------------------
 * Traffic. No lock.
 */

/* Takes a place. LIMIT 0: there is always one. */
bool weir_endpoint_take(struct weir_endpoint *endpoint, uint64_t limit) WEIR_MUST_CHECK;
void weir_endpoint_give(struct weir_endpoint *endpoint);

/* How many times in a row, the last one included. */
struct weir_rows {
	unsigned failures;
	unsigned server_errors;
	unsigned gateway_errors;
};

/* Remembers an outcome; STATUS is a failure's, else 0. */
struct weir_rows weir_endpoint_report(struct weir_endpoint *endpoint, enum weir_outcome outcome,
				      int status);

/* ------------------------------------------------------------------------------------------
 * Health: events. All under the upstream's lock; true when the state has changed.
 */

bool weir_endpoint_checked(struct weir_endpoint *endpoint, const struct weir_health_rules *rules,
			   int status, uint64_t now);
/* Its traffic failed too often. Whether it may go is for the caller to know. */
bool weir_endpoint_eject(struct weir_endpoint *endpoint, const struct weir_health_rules *rules,
			 uint64_t now);
/* Ends an ejection whose time is over. */
bool weir_endpoint_settle(struct weir_endpoint *endpoint, uint64_t now);
bool weir_endpoint_drain(struct weir_endpoint *endpoint, bool draining, uint64_t now);

/* Percent of its weight that counts at NOW, 1 ... 100. */
uint32_t weir_endpoint_ramp(const struct weir_endpoint *endpoint, uint64_t slow_start_ms,
			    uint64_t now);
/* When PANIC, bad health does not matter. */
bool weir_endpoint_is_usable(const struct weir_endpoint *endpoint, bool panic);

#endif
