/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_GENERATION_H
#define WEIR_DAEMON_GENERATION_H

/*
 * One configuration at work: its upstreams, which all workers share, and a stack set on each
 * worker. A reload builds a generation beside the present one; when all workers have built
 * theirs, listeners move; the old one is freed when its last connection has ended.
 *
 *	generation_new() -> generation_build() -> generation_listen() -> generation_retire()
 *	                         |                                             |
 *	                         `-- a mistake: generation_retire() -----------+--> freed
 */

#include "daemon/process.h"
#include "daemon/stack_http.h"

struct generation;
struct http_forward;
struct weir_breaker;

/* What layers of one listener share between workers; one member for each layer. */
union layer_shared {
	struct weir_limit_shared *limit;
	struct weir_source_limit_shared *source_limit;
};

/* The part of one worker. Only that worker touches it. */
struct stack_set {
	struct weir_list link; /* in worker->stacks */
	struct generation *generation;
	struct worker *worker;
	struct weir_scope scope; /* root of its connections */
	struct weir_task *end;	 /* waits for them; NULL: could not be started */
	bool retiring;
	struct weir_resolver *resolver;
	struct stack *stacks;	       /* one for each listener of the configuration */
	struct http_forward *forwards; /* what HTTP routes share */
	struct weir_post gone;	       /* tells control */
	int status;		       /* of the last step */
	struct weir_error error;
};

/* One listener on one worker. */
struct stack {
	const struct weir_config_listener *conf;
	struct worker *worker;
	struct weir_service *service;
	struct weir_listener *listener; /* NULL while it does not listen */
	int fd;				/* a duplicate of the process's socket; -1: none */
	uint64_t accept_errors_seen;	/* already in the metrics */
	struct listener_metrics *metrics;
};

/* On the control loop. */
struct generation {
	struct weir_list link; /* in daemon->generations */
	struct weir_daemon *daemon;
	unsigned id;
	struct weir_config *config;	  /* owned */
	struct weir_upstream **upstreams; /* in the order of the configuration */
	struct weir_breaker **breakers;	  /* likewise */
	union layer_shared **shared;	  /* [listener][layer] */
	struct http_shared_list http_shared;
	struct stack_set *sets; /* one for each worker */
	unsigned sets_left;	/* not yet gone */
	struct weir_task *end;	/* frees it when none is left */

	/* Health checks and names. */
	struct weir_scope checks;
	struct weir_resolver *resolver;
	struct weir_connector **connectors; /* one for each upstream, for its checks */
};

/* Takes CONFIG over in every case. NULL with ERROR. In a task of the control loop. */
struct generation *generation_new(struct weir_daemon *daemon, struct weir_config *config,
				  struct weir_error *error) WEIR_MUST_CHECK;
/* Makes the stacks of all workers. 0 or a negative status with ERROR; then retire it. */
int generation_build(struct generation *generation, struct weir_error *error) WEIR_MUST_CHECK;
/* Starts to listen on all workers, and starts health checks. As above. */
int generation_listen(struct generation *generation, struct weir_error *error) WEIR_MUST_CHECK;
/* Stops listening; connections go on. It is freed when they have ended, and then
 * daemon->changed is set. */
void generation_retire(struct generation *generation);
/* Brings the counts of failed accepts up to date. Parks. */
void generation_count_errors(struct generation *generation);
/* Ends the connections of all generations. */
void generations_cancel(struct weir_daemon *daemon);

/* ---- stack.c: on the worker's loop -------------------------------------------------------- */

/* The service for one listener: layers around a forward or an HTTP server. NULL with ERROR. */
struct weir_service *stack_build(struct stack_set *set, uint32_t listener, struct weir_error *error)
	WEIR_MUST_CHECK;
/* The paths that connections may take of which PATHS was said (0: nothing): a set of
 * WEIR_PATH_BIT(). */
unsigned stack_paths(const struct weir_config *config, unsigned paths);
/* A connector for one upstream's sockets. NULL with ERROR. */
struct weir_connector *stack_connector(const struct weir_config_upstream *conf,
				       struct weir_resolver *resolver, struct weir_error *error)
	WEIR_MUST_CHECK;
/* The service that speaks HTTP on a listener. NULL with ERROR. */
struct weir_service *stack_http_build(struct stack_set *set, uint32_t listener,
				      struct weir_error *error) WEIR_MUST_CHECK;
/* Frees what routes share. No stack of the set is left. */
void stack_http_fini(struct stack_set *set);
/* A resolver as the configuration says. NULL with ERROR. */
struct weir_resolver *stack_resolver(const struct weir_config *config, struct weir_loop *loop,
				     struct weir_error *error) WEIR_MUST_CHECK;

#endif
