/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_H
#define WEIR_LAYER_H

/*
 * The layers and innermost services for connections that come with Weir. All constructors
 * follow weir/service.h: they take over INNER in every case; NULL gives NULL.
 */

#include <weir/connector.h>
#include <weir/log.h>
#include <weir/metrics.h>
#include <weir/service.h>

/* ------------------------------------------------------------------------------------------
 * Limits. With several workers the counts are shared through an object that the caller makes
 * once; NULL: this worker counts for itself.
 */

struct weir_limit_shared;
struct weir_limit_shared *weir_limit_shared_new(void) WEIR_MUST_CHECK;
struct weir_limit_shared *weir_limit_shared_get(struct weir_limit_shared *shared);
void weir_limit_shared_put(struct weir_limit_shared *shared);

struct weir_limit_conf {
	uint64_t max;			  /* connections at one time; at least 1 */
	struct weir_limit_shared *shared; /* gets a reference */
	struct weir_counter *refused;	  /* may be NULL */
};

/* Refuses with WEIR_ELIMIT what would be one too many. */
struct weir_service *weir_limit_layer(struct weir_service *inner,
				      const struct weir_limit_conf *conf, struct weir_error *error)
	WEIR_MUST_CHECK;

struct weir_source_limit_shared;
struct weir_source_limit_shared *weir_source_limit_shared_new(void) WEIR_MUST_CHECK;
struct weir_source_limit_shared *weir_source_limit_shared_get(
	struct weir_source_limit_shared *shared);
void weir_source_limit_shared_put(struct weir_source_limit_shared *shared);

struct weir_source_limit_conf {
	uint64_t max;	  /* connections at one time from one address; 0: unlimited */
	double rate;	  /* new connections a second from one address; 0: unlimited */
	uint64_t burst;	  /* at once before the rate counts; 0: the rate, at least 1 */
	unsigned prefix4; /* bits of an IPv4 address that make a source; 0: 32 */
	unsigned prefix6; /* of an IPv6 address; 0: 64 */
	/* Remembered at one time; 0: 65536. The one that is idle for longest goes; one with a
	 * connection never does, so all that are connected may be more. */
	size_t max_sources;
	struct weir_source_limit_shared *shared;
	struct weir_counter *refused;	   /* may be NULL */
	struct weir_counter *refused_rate; /* may be NULL */
};

/* Refuses with WEIR_ELIMIT or WEIR_ERATE. Unix peers count as one source. */
struct weir_service *weir_source_limit_layer(struct weir_service *inner,
					     const struct weir_source_limit_conf *conf,
					     struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Time
 */

struct weir_timeout_conf {
	uint64_t lifetime_ms; /* of everything inside; at least 1 */
};

/* Bounds what is inside by a scope's deadline; returns -ETIMEDOUT when it passed. */
struct weir_service *weir_timeout_layer(struct weir_service *inner,
					const struct weir_timeout_conf *conf,
					struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Access log: one line a connection, when it has ended
 */

struct weir_access_log_conf {
	const char *path; /* file to append to; NULL: the process log, level info */
	enum weir_log_format format;
};

struct weir_service *weir_access_log_layer(struct weir_service *inner,
					   const struct weir_access_log_conf *conf,
					   struct weir_error *error) WEIR_MUST_CHECK;
/* Reopens the files of all access logs of the process (SIGUSR1). Any thread, but not from a
 * signal handler. */
void weir_access_log_reopen(void);

/* ------------------------------------------------------------------------------------------
 * Bandwidth
 */

struct weir_bandwidth_conf {
	uint64_t upload;   /* bytes a second from each client; 0: unlimited */
	uint64_t download; /* to each client; 0: unlimited */
	uint64_t burst;	   /* bytes at once; 0: a tenth of a second's worth, at least 16 KiB */
};

/* Publishes limits that weir_forward_service() keeps; the senders are slowed by TCP itself. */
struct weir_service *weir_bandwidth_layer(struct weir_service *inner,
					  const struct weir_bandwidth_conf *conf,
					  struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Innermost services
 */

struct weir_forward_conf {
	struct weir_connector *connector; /* taken over in every case */
	struct weir_target to;		  /* for connectors that need one; may be empty */
	const char *upstream;		  /* name for logs; copied; may be NULL */
	struct weir_bridge_conf bridge;	  /* idle timeout, lifetime, paths; its hooks are unused */
	struct weir_metrics *metrics;	  /* borrowed; may be NULL */
};

/* Connects and carries bytes both ways until both are done. */
struct weir_service *weir_forward_service(const struct weir_forward_conf *conf,
					  struct weir_error *error) WEIR_MUST_CHECK;

/* Sends back what it reads (RFC 862). */
struct weir_service *weir_echo_service(struct weir_error *error) WEIR_MUST_CHECK;
/* Reads and forgets (RFC 863). */
struct weir_service *weir_discard_service(struct weir_error *error) WEIR_MUST_CHECK;

#endif
