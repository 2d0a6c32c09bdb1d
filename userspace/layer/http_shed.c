/* SPDX-License-Identifier: MIT */
/*
 * shed: refuses calls while a worker has more to do than it can. What tells is how long an
 * iteration of its loop takes: that is how long whoever arrives waits for a turn. One long iteration
 * is no overload (the idea of CoDel, RFC 8289): for an interval every one must have been long.
 * Then those calls are refused whose turn comes late in an iteration; the first ones are served, so
 * the worker goes on doing as much as it can in that time.
 */

#include <weir/http_limit.h>

#include <errno.h>
#include <stdlib.h>

#include <weir/loop.h>

#include "layer/http_answer.h"

#define DELAY_MS    20
#define INTERVAL_MS 100

struct shed {
	struct weir_http_service svc;
	uint64_t delay_ns, interval_ns, max_active;
	unsigned retry_after_s;
	struct weir_counter *refused;
	uint64_t active;
	uint64_t turn_ns;	/* when the iteration began that the last call came in */
	uint64_t longest_ns;	/* and how far into it a call came */
	uint64_t late_since_ns; /* every iteration from then on was long; 0: the last one was not */
};

/* A new iteration: judges the one before. */
static void shed_turn(struct shed *shed, uint64_t turn)
{
	bool was_long = shed->longest_ns >= shed->delay_ns;
	/* Nobody called for a while: there were iterations that nobody measured. */
	bool was_idle = turn >= shed->turn_ns + shed->longest_ns + shed->interval_ns;

	if (!was_long || was_idle)
		shed->late_since_ns = 0;
	else if (shed->late_since_ns == 0)
		shed->late_since_ns = shed->turn_ns;
	shed->turn_ns = turn;
	shed->longest_ns = 0;
}

/* Whether this call is one too many. NOW is the clock's, not the loop's. */
static bool shed_is_late(struct shed *shed, uint64_t now)
{
	uint64_t turn = weir_loop_now(weir_loop_current());

	if (turn != shed->turn_ns)
		shed_turn(shed, turn);
	shed->longest_ns = WEIR_MAX(shed->longest_ns, now - turn);
	return shed->late_since_ns && turn >= shed->late_since_ns + shed->interval_ns &&
	       now - turn >= shed->delay_ns;
}

static void shed_on_end(struct weir_call *call, void *ctx)
{
	struct shed *shed = ctx;

	(void)call;
	shed->active--;
}

static int shed_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct shed *shed = weir_container_of(svc, struct shed, svc);
	bool full = shed->max_active && shed->active >= shed->max_active;

	if (full || shed_is_late(shed, weir_now())) {
		http_count(shed->refused, 1);
		return http_refuse_until(call, 503, "overload", shed->retry_after_s);
	}
	if (weir_call_defer(call, shed_on_end, shed))
		return -ENOMEM;
	shed->active++;
	return weir_handle(svc->inner, call);
}

static void shed_free(struct weir_http_service *svc)
{
	free(weir_container_of(svc, struct shed, svc));
}

static const struct weir_http_ops shed_ops = {
	.name = "shed",
	.handle = shed_handle,
	.free = shed_free,
};

struct weir_http_service *weir_http_shed_layer(struct weir_http_service *inner,
					       const struct weir_http_shed_conf *conf,
					       struct weir_error *error)
{
	struct shed *shed = http_layer_new(sizeof(*shed), &shed_ops, inner, error);

	if (!shed)
		return NULL;
	shed->delay_ns = (conf->delay_ms ? conf->delay_ms : DELAY_MS) * 1000000;
	shed->interval_ns = (conf->interval_ms ? conf->interval_ms : INTERVAL_MS) * 1000000;
	shed->max_active = conf->max_active;
	shed->retry_after_s = conf->retry_after_s ? conf->retry_after_s : 1;
	shed->refused = conf->refused;
	return &shed->svc;
}
