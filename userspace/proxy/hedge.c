/* SPDX-License-Identifier: MIT */
/*
 * Hedging: when the first attempt has no response after a while, a second one is made, and the first
 * response wins. Each racer exchanges a copy of the call in a task of its own; the winner's response is
 * the call's, the loser is cancelled before the winner's is passed on.
 */

#include <errno.h>

#include <weir/error.h>
#include <weir/task.h>

#include "proxy/reverse_internal.h"

#define RACERS 2

struct racer {
	struct attempt attempt;
	struct weir_call call;	  /* a copy of the passage's */
	struct weir_task *waiter; /* woken when it is done */
	struct weir_scope *scope; /* while it runs */
	enum { RACER_ABSENT, RACER_RUNNING, RACER_DONE } state;
	bool unwanted;
	int status;
};

struct race {
	struct passage *passage;
	struct racer *racers[RACERS];
	uint64_t deadline; /* of the first one alone */
	bool retrying;	   /* the second one is counted by the breaker */
};

bool hedge_suits(const struct passage *passage)
{
	const struct weir_request *request = &passage->call->request;

	return passage->reverse->hedge_ns && weir_method_is_safe(request->method) &&
	       request->method != WEIR_METHOD_CONNECT && !request->body && !request->upgrade.data;
}

/* ------------------------------------------------------------------------------------------
 * Racers
 */

static int racer_run(void *arg)
{
	struct racer *racer = arg;
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	weir_scope_enter(&scope);
	racer->scope = &scope;
	racer->status = racer->unwanted ? -ECANCELED : attempt_run(&racer->attempt);
	racer->scope = NULL;
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	racer->state = RACER_DONE;
	weir_task_wake(racer->waiter);
	return 0;
}

/* The copy's tasks are tasks of the call, whatever scope the caller is in. Nobody is told of interim
 * responses: they may be the loser's. */
static int racer_copy_call(struct racer *racer, struct weir_call *from)
{
	struct weir_call *call = &racer->call;

	weir_call_init(call, from->conn);
	weir_scope_fini(&call->scope);
	weir_scope_init(&call->scope, &from->scope);
	weir_extensions_init(&call->extensions, &from->extensions);
	call->started_ns = from->started_ns;
	call->request = from->request;
	weir_headers_init(&call->request.headers, &call->arena);
	return weir_headers_copy(&call->request.headers, &from->request.headers);
}

static struct racer *racer_new(struct passage *passage)
{
	struct racer *racer = weir_arena_zalloc(&passage->call->arena, sizeof(*racer));

	if (!racer)
		return NULL;
	racer->waiter = weir_task_current();
	racer->attempt.passage = passage;
	racer->attempt.call = &racer->call;
	if (!racer_copy_call(racer, passage->call))
		return racer;
	weir_call_fini(&racer->call);
	return NULL;
}

static int racer_start(struct race *race, size_t i)
{
	struct racer *racer = racer_new(race->passage);
	int status;

	if (!racer)
		return -ENOMEM;
	status = weir_scope_spawn(&race->passage->call->scope, "attempt", racer_run, racer, NULL);
	if (status) {
		weir_call_fini(&racer->call);
		return status;
	}
	racer->state = RACER_RUNNING;
	race->racers[i] = racer;
	return 0;
}

static void racer_stop(struct racer *racer)
{
	racer->unwanted = true;
	if (racer->scope)
		weir_scope_cancel(racer->scope);
	while (racer->state == RACER_RUNNING)
		(void)!weir_task_park_firmly("an attempt's end", WEIR_NEVER);
}

/* One that is done and whose response nobody takes. */
static void racer_discard(struct racer *racer)
{
	if (!racer->status)
		attempt_drop(&racer->attempt);
	weir_call_fini(&racer->call);
}

/* ------------------------------------------------------------------------------------------
 * The race
 */

static bool racer_is(const struct racer *racer, int state)
{
	return racer && (int)racer->state == state;
}

static struct racer *race_winner(const struct race *race)
{
	for (size_t i = 0; i < RACERS; i++)
		if (racer_is(race->racers[i], RACER_DONE) && !race->racers[i]->status)
			return race->racers[i];
	return NULL;
}

static bool race_is_running(const struct race *race)
{
	return racer_is(race->racers[0], RACER_RUNNING) || racer_is(race->racers[1], RACER_RUNNING);
}

/* The second one starts, if it may, when the first has had its time. */
static void race_join(struct race *race)
{
	struct reverse *reverse = race->passage->reverse;
	enum weir_breaker_verdict verdict = weir_breaker_begin_retry(reverse->breaker);

	race->deadline = WEIR_NEVER;
	if (verdict) {
		reverse_metrics_count_refusal(&reverse->metrics, verdict);
		return;
	}
	race->retrying = true;
	(void)!racer_start(race, 1);
}

static int race_wait(struct race *race)
{
	while (race_is_running(race) && !race_winner(race)) {
		int status = weir_task_park("a response", race->deadline);

		if (status && weir_task_check())
			return weir_task_check();
		if (status)
			race_join(race);
	}
	return 0;
}

static void racer_on_call_end(struct weir_call *call, void *ctx)
{
	struct racer *racer = ctx;

	(void)call;
	weir_call_fini(&racer->call);
}

/* The copy lives on, for its response's text and body. */
static int race_adopt(struct race *race, struct racer *racer)
{
	struct weir_call *call = race->passage->call, *copy = &racer->call;

	if (weir_call_defer_last(call, racer_on_call_end, racer))
		return -ENOMEM;
	racer->attempt.parent = call->extensions;
	copy->extensions.parent = &racer->attempt.parent;
	call->extensions = copy->extensions;
	call->response = copy->response;
	copy->response.body = NULL;
	racer->attempt.call = call;
	return 0;
}

static void race_take_result(struct race *race, const struct racer *racer)
{
	struct weir_call *call = race->passage->call;

	call->result.endpoint = racer->call.result.endpoint;
	call->result.connect_ns = racer->call.result.connect_ns;
	call->result.first_byte_ns = racer->call.result.first_byte_ns;
	call->result.why = racer->call.result.why;
	for (size_t i = 0; i < RACERS; i++)
		if (race->racers[i])
			call->result.attempts += race->racers[i]->call.result.attempts;
}

static int race_end(struct race *race, int status, struct attempt **out)
{
	struct racer *winner = race_winner(race);

	for (size_t i = 0; i < RACERS; i++)
		if (race->racers[i] && race->racers[i] != winner)
			racer_stop(race->racers[i]);
	if (race->racers[1] && winner)
		reverse_metrics_count_hedge(&race->passage->reverse->metrics,
					    winner == race->racers[1]);
	if (!winner)
		winner = race->racers[1] ? race->racers[1] : race->racers[0];
	*out = &winner->attempt;
	race_take_result(race, winner);
	if (!status)
		status = winner->status ? winner->status : race_adopt(race, winner);
	for (size_t i = 0; i < RACERS; i++)
		if (race->racers[i] && (race->racers[i] != winner || status))
			racer_discard(race->racers[i]);
	return status;
}

int hedge_run(struct passage *passage, struct attempt **out)
{
	struct race race = {
		.passage = passage,
		.deadline = weir_now() + passage->reverse->hedge_ns,
	};
	int status = racer_start(&race, 0);

	if (status)
		return status;
	status = race_wait(&race);
	status = race_end(&race, status, out);
	if (race.retrying)
		weir_breaker_end_retry(passage->reverse->breaker);
	return status;
}
