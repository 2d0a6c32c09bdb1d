/* SPDX-License-Identifier: MIT */
/*
 * Names: one task a name asks for it again whenever the answer's time to live is over, and puts
 * what has changed into a new set.
 *
 * No answer changes nothing: the addresses stay in use. The answer that the name does not exist
 * (any more) is believed when it has been given for the hold time.
 */

#include <errno.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/log.h>
#include <weir/loop.h>

#include "upstream/keeper.h"
#include "upstream/picker.h"

#define NS_PER_MS    1000000u
#define ASK_FIRST_MS 1000 /* after a failure; doubles */
#define ASK_LAST_MS  30000
#define TTL_MIN_S    1

/* ------------------------------------------------------------------------------------------
 * A new set
 */

struct draft {
	struct weir_member *members; /* with references */
	size_t n;
};

static void draft_fini(struct draft *draft)
{
	while (draft->n > 0)
		weir_endpoint_put(draft->members[--draft->n].endpoint);
	free(draft->members);
}

static void draft_add(struct draft *draft, const struct weir_listing *listing,
		      struct weir_endpoint *endpoint, uint32_t weight, uint16_t priority)
{
	draft->members[draft->n++] = (struct weir_member){
		.endpoint = endpoint,
		.weight = weight,
		.backup = listing->backup,
		.priority = priority,
	};
}

static struct weir_endpoint *member_find(const struct weir_member *members, size_t n,
					 size_t listing, const struct weir_address *address)
{
	for (size_t i = 0; i < n; i++)
		if (members[i].endpoint->listing == listing &&
		    weir_address_is_equal(&members[i].endpoint->target.address, address))
			return members[i].endpoint;
	return NULL;
}

/* The endpoint that has the address already, or a new one, which starts slowly unless it is of
 * the first answer. */
static struct weir_endpoint *endpoint_for(struct weir_keeper *keeper, size_t index,
					  const struct weir_target *target)
{
	const struct weir_set *set = keeper->upstream->set;
	const struct weir_listing *listing = &keeper->upstream->listings[index];
	const char *host = target->host[0] ? target->host : listing->target.host;
	struct weir_endpoint *endpoint = member_find(set->members, set->n, index, &target->address);

	if (endpoint)
		return weir_endpoint_get(endpoint);
	endpoint = weir_endpoint_new(listing->name, index, host, &target->address, weir_now());
	if (endpoint && listing->answered)
		endpoint->ramp_from_ns = weir_now();
	return endpoint;
}

static uint32_t weight_of(const struct weir_listing *listing, unsigned answered)
{
	uint64_t weight = (uint64_t)listing->weight * WEIR_MAX(answered, 1);

	return WEIR_MIN(weight, WEIR_PICKER_WEIGHT_MAX);
}

static int draft_answer(struct draft *draft, struct weir_keeper *keeper, size_t index,
			const struct weir_resolved *answer)
{
	const struct weir_listing *listing = &keeper->upstream->listings[index];
	size_t first = draft->n;

	for (size_t i = 0; i < answer->n && draft->n < WEIR_MAGLEV_MEMBERS_MAX; i++) {
		struct weir_endpoint *endpoint;

		/* Two SRV targets may have one address. */
		if (member_find(draft->members + first, draft->n - first, index,
				&answer->targets[i].address))
			continue;
		endpoint = endpoint_for(keeper, index, &answer->targets[i]);
		if (!endpoint)
			return -ENOMEM;
		draft_add(draft, listing, endpoint, weight_of(listing, answer->weights[i]),
			  WEIR_MIN(answer->priorities[i], UINT16_MAX));
	}
	return 0;
}

static int draft_placeholder(struct draft *draft, struct weir_keeper *keeper, size_t index)
{
	const struct weir_listing *listing = &keeper->upstream->listings[index];
	const struct weir_set *set = keeper->upstream->set;
	const struct weir_address none = { .size = 0 };
	struct weir_endpoint *endpoint = member_find(set->members, set->n, index, &none);

	if (endpoint)
		weir_endpoint_get(endpoint);
	else
		endpoint = weir_endpoint_new(listing->name, index, listing->target.host, NULL,
					     weir_now());
	if (!endpoint)
		return -ENOMEM;
	draft_add(draft, listing, endpoint, listing->weight, 0);
	return 0;
}

/* Everything of other listings stays. */
static int draft_init(struct draft *draft, struct weir_keeper *keeper, size_t index,
		      const struct weir_resolved *answer)
{
	const struct weir_set *set = keeper->upstream->set;

	draft->n = 0;
	draft->members = calloc(set->n + (answer ? answer->n : 0) + 1, sizeof(*draft->members));
	if (!draft->members)
		return -ENOMEM;
	for (size_t i = 0; i < set->n; i++) {
		if (set->members[i].endpoint->listing == index)
			continue;
		draft->members[draft->n] = set->members[i];
		weir_endpoint_get(draft->members[draft->n++].endpoint);
	}
	if (answer && answer->n)
		return draft_answer(draft, keeper, index, answer);
	return draft_placeholder(draft, keeper, index);
}

/* An operator may have asked for draining while the set was built. With the lock held. */
static void set_keep_draining(struct weir_upstream *upstream, struct weir_set *set, size_t index)
{
	if (!upstream->listings[index].draining)
		return;
	for (size_t i = 0; i < set->n; i++)
		if (set->members[i].endpoint->listing == index)
			weir_endpoint_drain(set->members[i].endpoint, true, weir_now());
}

/* Puts SET in place of the present one, whose reference is returned. */
static struct weir_set *upstream_swap(struct weir_upstream *upstream, struct weir_set *set,
				      size_t index)
{
	struct weir_listing *listing = &upstream->listings[index];
	struct weir_set *old = upstream->set;

	pthread_mutex_lock(&upstream->lock);
	set_keep_draining(upstream, set, index);
	upstream->set = set;
	upstream->unanswered -= !listing->answered;
	listing->answered = true;
	weir_upstream_changed(upstream);
	pthread_mutex_unlock(&upstream->lock);
	return old;
}

static int keeper_check_new(struct weir_keeper *keeper, const struct weir_set *old)
{
	const struct weir_set *set = keeper->upstream->set;
	int status = 0;

	for (size_t i = 0; i < set->n && !status; i++) {
		struct weir_endpoint *endpoint = set->members[i].endpoint;

		if (endpoint->target.address.size &&
		    !member_find(old->members, old->n, endpoint->listing,
				 &endpoint->target.address))
			status = weir_keeper_check(keeper, endpoint);
	}
	return status;
}

int weir_keeper_replace(struct weir_keeper *keeper, size_t listing,
			const struct weir_resolved *answer)
{
	struct weir_upstream *upstream = keeper->upstream;
	struct weir_set *set, *old;
	struct draft draft;
	int status = draft_init(&draft, keeper, listing, answer);

	if (status)
		goto out;
	if (upstream->listings[listing].answered &&
	    weir_set_is_equal(upstream->set, draft.members, draft.n))
		goto out;
	set = weir_set_new(upstream->conf.balance, draft.members, draft.n);
	if (!set) {
		status = -ENOMEM;
		goto out;
	}
	old = upstream_swap(upstream, set, listing);
	weir_log(WEIR_LOG_INFO, upstream->object, "addresses of a name have changed",
		 WEIR_LOG_STR("endpoint", upstream->listings[listing].name),
		 WEIR_LOG_UINT("addresses", answer ? answer->n : 0),
		 WEIR_LOG_UINT("endpoints", set->n));
	status = keeper_check_new(keeper, old);
	weir_set_put(old);
out:
	draft_fini(&draft);
	return status;
}

/* ------------------------------------------------------------------------------------------
 * Asking
 */

struct ask {
	struct weir_keeper *keeper; /* counted */
	size_t listing;
	int status;		   /* of the last question */
	uint64_t missing_since_ns; /* the name does not exist since; 0: it does */
	uint64_t pause_ms;
};

/* Said once, when it begins or turns into something else. */
static void ask_log(const struct ask *ask, int status)
{
	const struct weir_upstream *upstream = ask->keeper->upstream;

	if (status == ask->status)
		return;
	weir_log(status ? WEIR_LOG_WARN : WEIR_LOG_INFO, upstream->object,
		 status ? "name cannot be resolved" : "name can be resolved again",
		 WEIR_LOG_STR("endpoint", upstream->listings[ask->listing].name),
		 WEIR_LOG_STR("error", status ? weir_strerror(status) : NULL));
}

/* Whether the addresses have outlived their name. The first answer is believed at once: there is
 * nothing to hold. */
static bool ask_is_over(struct ask *ask, int status)
{
	const struct weir_upstream *upstream = ask->keeper->upstream;
	uint64_t now = weir_now();

	if (status != WEIR_ERESOLVE)
		return false;
	if (!ask->missing_since_ns)
		ask->missing_since_ns = now;
	return !upstream->listings[ask->listing].answered ||
	       now - ask->missing_since_ns >= upstream->conf.name_hold_ms * NS_PER_MS;
}

static int ask_failed(struct ask *ask, int status)
{
	struct weir_upstream *upstream = ask->keeper->upstream;
	uint64_t longest = ASK_LAST_MS;

	if (ask_is_over(ask, status))
		return weir_keeper_replace(ask->keeper, ask->listing, NULL);
	if (status != WEIR_ERESOLVE)
		ask->missing_since_ns = 0;
	else
		longest = WEIR_MIN(longest, upstream->conf.name_hold_ms);
	ask->pause_ms = WEIR_MIN(ask->pause_ms * 2, longest);
	return 0;
}

static int ask_succeeded(struct ask *ask, const struct weir_resolved *resolved)
{
	ask->missing_since_ns = 0;
	ask->pause_ms = ASK_FIRST_MS;
	return weir_keeper_replace(ask->keeper, ask->listing, resolved);
}

/* Asks once; returns how long to wait before asking again. */
static uint64_t ask_once(struct ask *ask)
{
	struct weir_keeper *keeper = ask->keeper;
	struct weir_resolved resolved;
	uint64_t wait_ms;
	int status, kept;

	status = weir_resolve(keeper->resolver, &keeper->upstream->listings[ask->listing].target,
			      &resolved);
	if (status && weir_task_check())
		return 0; /* no answer, but the end */
	ask_log(ask, status);
	ask->status = status;
	if (status) {
		wait_ms = ask->pause_ms;
		kept = ask_failed(ask, status);
	} else {
		wait_ms = WEIR_MAX(resolved.ttl_s, TTL_MIN_S) * 1000ull;
		kept = ask_succeeded(ask, &resolved);
		weir_resolved_fini(&resolved);
	}
	if (kept)
		weir_log(WEIR_LOG_ERROR, keeper->upstream->object, "endpoints cannot be replaced",
			 WEIR_LOG_STATUS(kept));
	return wait_ms;
}

static int ask_run(void *arg)
{
	struct ask *ask = arg;
	int status = weir_task_check();

	while (!status)
		status = weir_task_sleep_ms(ask_once(ask));
	weir_keeper_put(ask->keeper);
	free(ask);
	return 0;
}

int weir_keeper_ask(struct weir_keeper *keeper, size_t listing)
{
	struct ask *ask = malloc(sizeof(*ask));
	int status;

	if (!ask)
		return -ENOMEM;
	*ask = (struct ask){ .keeper = keeper, .listing = listing, .pause_ms = ASK_FIRST_MS };
	status = weir_scope_spawn(keeper->scope, "resolve", ask_run, ask, NULL);
	if (status) {
		free(ask);
		return status;
	}
	keeper->references++; /* of the task, which runs later */
	return 0;
}
