/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BALANCER_H
#define WEIR_BALANCER_H

/*
 * A balancer picks endpoints of an upstream, for one worker. Whoever is served by an endpoint holds
 * a place there meanwhile: the balances and limits of all workers count places.
 *
 *	weir_search_init(&search, key);
 *	status = weir_balancer_pick(balancer, &search, deadline, &place);
 *	... connects, or exchanges a request ...
 *	weir_place_report(&place, WEIR_OUTCOME_SUCCESS, 0);
 *	...
 *	weir_place_give(&place);
 *	weir_search_fini(&search);
 *
 * What is reported ejects endpoints whose traffic fails: see weir_upstream_conf.ejection. An
 * endpoint that was picked is left out by later picks of the same search.
 */

#include <weir/upstream.h>

struct weir_balancer;
struct weir_endpoint;
struct weir_seat;

/* What a place is held for. */
enum weir_load {
	WEIR_LOAD_CONNECTIONS,
	WEIR_LOAD_CALLS,
};

/* One connection's or one call's way to its endpoint. Caller's memory. */
struct weir_search {
	uint64_t key;	    /* what hashes go by; spread well: see weir_search_key() */
	uint64_t preferred; /* the identity of the endpoint to take as long as it is usable and has
			     * a place; 0: none */
	unsigned n_tried;
	struct weir_seat *tried[WEIR_ATTEMPTS_MAX];	    /* private */
	struct weir_endpoint *endpoints[WEIR_ATTEMPTS_MAX]; /* private */
};

struct weir_place {
	const struct weir_target *target; /* the endpoint; valid while the place is held */
	const char *name;		  /* as configured; likewise */
	uint64_t identity;	/* hash of name and address, the same in every process; not 0 */
	struct weir_seat *seat; /* private */
};

/* What has come of it. */
enum weir_outcome {
	WEIR_OUTCOME_SUCCESS,	    /* connected; or a response that is no server error */
	WEIR_OUTCOME_SERVER_ERROR,  /* 5xx, but for those below */
	WEIR_OUTCOME_GATEWAY_ERROR, /* 502, 503, 504 */
	WEIR_OUTCOME_CONNECT,	    /* no connection was made */
	WEIR_OUTCOME_RESET,	    /* it broke, or the peer broke its protocol */
	WEIR_OUTCOME_TIMEOUT,	    /* the response did not come in time */
};
const char *weir_outcome_name(enum weir_outcome outcome);

/* Made on any thread, used and freed on its worker's. METRICS is borrowed and may be NULL. NULL with
 * ERROR when memory is out. */
struct weir_balancer *weir_balancer_new(struct weir_upstream *upstream, enum weir_load load,
					struct weir_metrics *metrics, struct weir_error *error)
	WEIR_MUST_CHECK;
/* Places may be held longer. Accepts NULL. */
void weir_balancer_free(struct weir_balancer *balancer);

/* Whether picking goes by the search's key; else any will do. */
bool weir_balancer_has_keys(const struct weir_balancer *balancer);
/* The same key for the same bytes, in every process. */
uint64_t weir_search_key(const void *data, size_t size);
/* For a client's address; its port does not matter. */
uint64_t weir_search_key_of(const struct weir_address *address);

void weir_search_init(struct weir_search *search, uint64_t key);
void weir_search_fini(struct weir_search *search);
/* Those that were picked may be picked again. */
void weir_search_forget(struct weir_search *search);

/* Picks by the upstream's balance and takes a place, waiting for one if need be. At most
 * WEIR_ATTEMPTS_MAX times for one search. Parks. 0; WEIR_ENOENDPOINT when no endpoint may be used,
 * WEIR_ERESOLVE when none has an address yet, WEIR_ELIMIT when all places are taken and nobody may
 * wait, WEIR_EQUEUE when the queue is full or DEADLINE has come (ns; 0: after limit.queue_ms), -ECANCELED, -ETIMEDOUT. */
int weir_balancer_pick(struct weir_balancer *balancer, struct weir_search *search,
		       uint64_t deadline, struct weir_place *place) WEIR_MUST_CHECK;

/* Takes a place at the endpoint with this ADDRESS, whether there is a free one or not, for a
 * connection that is there already. 0, or -ENOENT when there is no such endpoint. Never parks. */
int weir_balancer_resume(struct weir_balancer *balancer, const struct weir_address *address,
			 struct weir_place *place) WEIR_MUST_CHECK;

/* A connection to the endpoint was made, in NS. */
void weir_place_connected(const struct weir_place *place, uint64_t ns);
/* STATUS says more of a failure: what weir_connect() returned. A failure that is this host's own (no
 * descriptors, no memory) counts but is not held against the endpoint. */
void weir_place_report(const struct weir_place *place, enum weir_outcome outcome, int status);
/* Gives it back. Once. */
void weir_place_give(struct weir_place *place);

#endif
