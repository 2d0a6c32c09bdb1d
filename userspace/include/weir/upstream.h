/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_H
#define WEIR_UPSTREAM_H

/*
 * An upstream is a named group of endpoints with a balance, health and limits. It is shared by
 * all workers: endpoint state is atomic, the set of endpoints is replaced as a whole when a
 * name resolves to something else. Health checks and re-resolving run on one worker.
 *
 *	upstream = weir_upstream_new(&conf, error);			once
 *	weir_upstream_start(upstream, scope, tcp, resolver, metrics);	on one worker
 *	connector = weir_upstream_connector(upstream, tcp, ...);	on every worker
 *
 * When no endpoint is healthy (all are unhealthy or ejected), the checks are as likely wrong as
 * the endpoints: then all are used as though healthy, but those that drain. An ejection never
 * takes the last healthy endpoint.
 */

#include <weir/connector.h>
#include <weir/scope.h>

struct weir_metrics;
struct weir_resolver;
struct weir_upstream;

enum weir_balance {
	WEIR_BALANCE_ROUND_ROBIN,	/* weighted, smooth */
	WEIR_BALANCE_RANDOM,		/* weighted */
	WEIR_BALANCE_LEAST_CONNECTIONS, /* power of two choices; of calls the least requests */
	WEIR_BALANCE_RING_HASH,
	WEIR_BALANCE_MAGLEV,
	WEIR_BALANCE_SOURCE_HASH, /* client's address modulo the usable endpoints */
};

#define WEIR_WEIGHT_MAX	  65535
#define WEIR_ATTEMPTS_MAX 16

/* A name stands for all its addresses: each is an endpoint. SRV answers' weights multiply the
 * weight, and their priorities order the endpoints as backup does. */
struct weir_endpoint_conf {
	struct weir_target target;
	unsigned weight; /* 0: 1; at most WEIR_WEIGHT_MAX */
	bool backup;	 /* used only when no other one may be */
};

/* A health check by a request over a new connection, which ends with it. */
struct weir_health_http_conf {
	const char *path;     /* with or without query; NULL: no check by HTTP */
	const char *method;   /* NULL: GET */
	const char *host;     /* NULL: the endpoint's name or address */
	unsigned status_from; /* the expected statuses; 0: 200 */
	unsigned status_to;   /* 0: 299, or status_from if that was said */
};

struct weir_upstream_conf {
	const char *name; /* copied, as everything */
	const struct weir_endpoint_conf *endpoints;
	size_t n_endpoints;
	enum weir_balance balance;
	struct {
		bool tcp;			   /* check by connecting */
		struct weir_health_http_conf http; /* and asking */
		uint64_t interval_ms;		   /* 0: 2000 */
		uint64_t timeout_ms;		   /* 0: 1000 */
		unsigned unhealthy;		   /* failures in a row; 0: 3 */
		unsigned healthy;		   /* successes in a row; 0: 2 */
		unsigned jitter_percent;	   /* of the interval; 0: 10 */
	} health;
	struct {
		unsigned failures;	 /* in a row: connects that failed, calls without any
					  * response; 0: no ejection for these */
		unsigned server_errors;	 /* in a row: 5xx, and the above; 0: none */
		unsigned gateway_errors; /* in a row: 502, 503, 504, and failures; 0: none */
		uint64_t base_ms;	 /* first time; doubles with each ejection; 0: 10000 */
		uint64_t max_ms;	 /* 0: 300000 */
		unsigned max_percent; /* of the endpoints at one time; 0: 50. At least one may be */
	} ejection;
	unsigned attempts;	/* connects on different endpoints; 0: 3, at most 16 */
	uint64_t slow_start_ms; /* after an endpoint came back or was added; 0: none */
	struct {
		unsigned connections; /* per endpoint, all workers together; 0: unlimited */
		unsigned queue;	      /* waiting for one, per worker; 0: nobody waits */
		uint64_t queue_ms;    /* 0: 5000 */
	} limit;
	uint64_t name_hold_ms; /* addresses of a name that has ceased to exist stay in
					 * use so long; 0: 30000. While name servers do not
					 * answer they stay for good */
};

/* NULL with ERROR filled: WEIR_ECONFIG or -ENOMEM. Any thread. */
struct weir_upstream *weir_upstream_new(const struct weir_upstream_conf *conf,
					struct weir_error *error) WEIR_MUST_CHECK;
/* Counted: every view holds one too. */
void weir_upstream_put(struct weir_upstream *upstream);
struct weir_upstream *weir_upstream_get(struct weir_upstream *upstream);
const char *weir_upstream_name(const struct weir_upstream *upstream);

/* Starts health checks (through CONNECTOR) and re-resolving of names as tasks of SCOPE, on its
 * worker; once. The borrowed things outlive the scope. METRICS may be NULL, RESOLVER only when
 * there are no names. 0 or -errno. */
int weir_upstream_start(struct weir_upstream *upstream, struct weir_scope *scope,
			struct weir_connector *connector, struct weir_resolver *resolver,
			struct weir_metrics *metrics) WEIR_MUST_CHECK;

/* A connector of one worker to the upstream (the target given to connect is ignored and may be
 * NULL): picks an endpoint, waits for a free place, connects through INNER (taken over), tries
 * another endpoint when that fails, and records the result in CONN. The stream that it gives
 * returns the endpoint's place when it is closed (weir_stream.on_close), also after the
 * connector was freed. Made on any thread, used and freed on its worker's. METRICS is borrowed
 * and may be NULL.
 *
 * connect() returns WEIR_ENOENDPOINT when no endpoint may be used, WEIR_ERESOLVE when none has
 * an address yet, WEIR_ELIMIT when all places are taken and nobody may wait, WEIR_EQUEUE when
 * the queue is full or the wait was too long, else what the last endpoint failed with. */
struct weir_connector *weir_upstream_connector(struct weir_upstream *upstream,
					       struct weir_connector *inner,
					       struct weir_metrics *metrics,
					       struct weir_error *error) WEIR_MUST_CHECK;

enum weir_endpoint_state {
	WEIR_ENDPOINT_HEALTHY,
	WEIR_ENDPOINT_UNHEALTHY, /* by active checks */
	WEIR_ENDPOINT_EJECTED,	 /* by failures of traffic */
	WEIR_ENDPOINT_UNRESOLVED,
	WEIR_ENDPOINT_DRAINING, /* by an operator: no new connections */
};
const char *weir_endpoint_state_name(enum weir_endpoint_state state);

struct weir_endpoint_info {
	char name[300];		     /* as configured; addresses of one name share it */
	struct weir_address address; /* as resolved */
	enum weir_endpoint_state state;
	unsigned weight;
	bool backup;
	uint64_t active; /* connections now */
	uint64_t total;
	uint64_t failures; /* connects that failed */
	uint64_t ejections;
	uint64_t checks, checks_failed;
	int last_status; /* of the last connect or check */
	uint64_t state_since_ns;
};

/* Calls FN for every endpoint. Any thread; FN must not call back into the upstream. */
void weir_upstream_each(struct weir_upstream *upstream,
			void (*fn)(void *ctx, const struct weir_endpoint_info *info), void *ctx);
/* Takes the endpoint with this configured name out of use, or back. 0 or -ENOENT. Any thread. */
int weir_upstream_set_draining(struct weir_upstream *upstream, const char *endpoint, bool draining);

#endif
