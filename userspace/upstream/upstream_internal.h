/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_INTERNAL_H
#define WEIR_UPSTREAM_INTERNAL_H

/*
 * What the files of this room know of an upstream.
 *
 * One lock guards the set, the health of endpoints and the queue. A connection that gets a place
 * at once never takes it: workers keep a picture of the set and see by the version that it is
 * old.
 */

#include <pthread.h>

#include <weir/balancer.h>
#include <weir/list.h>
#include <weir/upstream.h>

#include "upstream/set.h"

/* A line of the configuration: one address, or a name that stands for some. */
struct weir_listing {
	char name[WEIR_ENDPOINT_NAME];
	struct weir_target target;
	uint32_t weight;
	bool backup;
	bool draining; /* under the lock */
	bool answered; /* a name: some answer has come; under the lock */
};

struct weir_upstream {
	_Atomic unsigned references;
	char *name;
	char *object;			/* "upstream NAME", for logs */
	struct weir_upstream_conf conf; /* defaults filled in; name and endpoints are not kept */
	struct weir_health_rules rules;
	struct weir_health_http_conf check; /* texts owned; path NULL: none */
	struct weir_listing *listings;
	size_t n_listings;
	_Atomic bool started;

	_Atomic uint64_t version; /* counts changes of the set and of states */
	_Atomic unsigned waiting; /* length of the queue */
	pthread_mutex_t lock;
	struct weir_set *set;
	struct weir_list waiters; /* first come, first served */
	size_t unanswered;	  /* names without any answer so far */
};

static inline bool weir_listing_is_name(const struct weir_listing *listing)
{
	return listing->target.address.size == 0;
}

/* ------------------------------------------------------------------------------------------
 * health.c: what happens to endpoints. Each takes the lock.
 */

/* Ends ejections whose time is over. */
void weir_upstream_settle(struct weir_upstream *upstream);
/* A check of ENDPOINT ended with STATUS. */
void weir_upstream_checked(struct weir_upstream *upstream, struct weir_endpoint *endpoint,
			   int status);
/* Traffic to ENDPOINT had an outcome: takes the lock only when that is one failure too many in a
 * row. True when it was ejected for it. */
bool weir_upstream_reported(struct weir_upstream *upstream, struct weir_endpoint *endpoint,
			    enum weir_outcome outcome, int status);
/* With the lock held: workers shall look again, and the queue too. */
void weir_upstream_changed(struct weir_upstream *upstream);

/* ------------------------------------------------------------------------------------------
 * queue.c: waiting for a free place
 */

/* Parks until some endpoint, but not one of SKIP, has a place for the caller, who then holds it
 * and a reference. First come, first served, over all workers. 0; WEIR_EQUEUE after DEADLINE;
 * WEIR_ENOENDPOINT when no endpoint may be used any more; -ECANCELED, -ETIMEDOUT of the scope. */
int weir_queue_wait(struct weir_upstream *upstream, struct weir_endpoint *const *skip,
		    size_t n_skip, uint64_t deadline, struct weir_endpoint **endpoint)
	WEIR_MUST_CHECK;
/* With the lock held: gives free places to those who wait. */
void weir_queue_serve(struct weir_upstream *upstream);
/* Gives a place back, to who waits for one if anybody does. */
void weir_queue_give(struct weir_upstream *upstream, struct weir_endpoint *endpoint);

#endif
