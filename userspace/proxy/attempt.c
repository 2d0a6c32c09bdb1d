/* SPDX-License-Identifier: MIT */
/*
 * One attempt: a place at an endpoint, an exchange, a report. What is published while it runs lies in a
 * set of extensions of its own, so that nothing of a failed attempt is seen later.
 */

#include <errno.h>

#include <weir/error.h>
#include <weir/task.h>

#include "proxy/reverse_internal.h"

static const struct weir_extension_key attempt_key = { "reverse_attempt" };

/* ------------------------------------------------------------------------------------------
 * Beginning and ending
 */

static void attempt_end_pending(struct attempt *attempt)
{
	if (attempt->pending)
		weir_breaker_end_pending(attempt->passage->reverse->breaker);
	attempt->pending = false;
}

void attempt_on_connected(void *ctx, struct weir_call *call)
{
	struct attempt *attempt =
		(struct attempt *)(uintptr_t)weir_extension_find(&call->extensions, &attempt_key);

	(void)ctx;
	attempt->connected = true;
	attempt_end_pending(attempt);
}

static int attempt_begin(struct attempt *attempt)
{
	struct reverse *reverse = attempt->passage->reverse;
	struct weir_call *call = attempt->call;
	enum weir_breaker_verdict verdict = weir_breaker_begin_pending(reverse->breaker);

	attempt->passage->attempts++;
	if (verdict) {
		reverse_metrics_count_refusal(&reverse->metrics, verdict);
		attempt->passage->call->result.why = "circuit_breaker";
		attempt->blameless = true;
		return WEIR_ELIMIT;
	}
	attempt->pending = true;
	attempt->entered = true;
	attempt->parent = call->extensions;
	weir_extensions_init(&call->extensions, &attempt->parent);
	return weir_extension_add(&call->extensions, &call->arena, &attempt_key, attempt);
}

static void attempt_give_place(struct attempt *attempt)
{
	if (attempt->placed)
		weir_place_give(&attempt->place);
	attempt->placed = false;
}

void attempt_end(struct attempt *attempt)
{
	if (attempt->placed && !attempt->status && weir_http_client_body_status(attempt->call)) {
		reverse_metrics_count_broken_body(&attempt->passage->reverse->metrics);
		weir_place_report(&attempt->place, WEIR_OUTCOME_RESET,
				  weir_http_client_body_status(attempt->call));
	}
	attempt_give_place(attempt);
}

/* ------------------------------------------------------------------------------------------
 * The endpoint
 */

static int attempt_pick(struct attempt *attempt)
{
	struct passage *passage = attempt->passage;
	struct weir_balancer *balancer = passage->reverse->balancer;
	int status = weir_balancer_pick(balancer, &passage->search, 0, &attempt->place);

	/* All were tried: one of them again is better than none. */
	if (status == WEIR_ENOENDPOINT && passage->search.n_tried > 0) {
		weir_search_forget(&passage->search);
		status = weir_balancer_pick(balancer, &passage->search, 0, &attempt->place);
	}
	if (status) {
		attempt->blameless = true;
		return status;
	}
	attempt->placed = true;
	return 0;
}

/* Bounded by retry.try_ms. */
static int attempt_exchange(struct attempt *attempt)
{
	struct reverse *reverse = attempt->passage->reverse;
	struct weir_scope scope;
	int status;

	if (!reverse->retry.try_ms)
		return weir_http_client_exchange(reverse->client, attempt->call,
						 attempt->place.target);
	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, reverse->retry.try_ms);
	weir_scope_enter(&scope);
	status = weir_http_client_exchange(reverse->client, attempt->call, attempt->place.target);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return status;
}

/* ------------------------------------------------------------------------------------------
 * What is to be said of it
 */

static enum weir_outcome outcome_of_response(unsigned status)
{
	if (status < 500)
		return WEIR_OUTCOME_SUCCESS;
	return status >= 502 && status <= 504 ? WEIR_OUTCOME_GATEWAY_ERROR
					      : WEIR_OUTCOME_SERVER_ERROR;
}

static enum weir_outcome outcome_of_failure(const struct attempt *attempt)
{
	if (!attempt->connected)
		return WEIR_OUTCOME_CONNECT;
	return attempt->status == -ETIMEDOUT ? WEIR_OUTCOME_TIMEOUT : WEIR_OUTCOME_RESET;
}

/* Failures that say nothing about the endpoint: our own queue, memory, the client's end. */
static bool failure_is_ours(const struct attempt *attempt)
{
	const struct passage *passage = attempt->passage;

	return attempt->blameless || weir_scope_check(passage->outer) ||
	       weir_http_client_broke_source(attempt->call) || attempt->status == WEIR_EQUEUE ||
	       attempt->status == -ENOMEM || attempt->status == -EINVAL ||
	       attempt->status == -ECANCELED;
}

static void attempt_report(struct attempt *attempt)
{
	const struct weir_call *call = attempt->call;

	if (attempt->status && failure_is_ours(attempt)) {
		attempt->blameless = true;
		return;
	}
	if (call->result.connect_ns && attempt->connected)
		weir_place_connected(&attempt->place, call->result.connect_ns);
	if (attempt->status)
		weir_place_report(&attempt->place, outcome_of_failure(attempt), attempt->status);
	else
		weir_place_report(&attempt->place, outcome_of_response(call->response.status), 0);
}

static const char *why_of(const struct attempt *attempt)
{
	switch (outcome_of_failure(attempt)) {
	case WEIR_OUTCOME_CONNECT:
		return "upstream_connect";
	case WEIR_OUTCOME_TIMEOUT:
		return "upstream_timeout";
	default:
		return attempt->status == WEIR_EPROTO ? "upstream_protocol" : "upstream_reset";
	}
}

void attempt_drop(struct attempt *attempt)
{
	struct weir_call *call = attempt->call;

	weir_call_reset_response(call);
	weir_http_client_settle(call);
	attempt_end(attempt);
	if (attempt->entered)
		call->extensions = attempt->parent;
	attempt->entered = false;
}

static unsigned reason_of_failure(const struct attempt *attempt)
{
	if (attempt->blameless)
		return 0;
	if (!attempt->connected || !weir_http_client_has_sent(attempt->call))
		return WEIR_RETRY_CONNECT;
	return attempt->status == -ETIMEDOUT ? WEIR_RETRY_TIMEOUT : WEIR_RETRY_RESET;
}

static unsigned reason_of_response(const struct weir_call *call)
{
	switch (call->tunnel ? 0 : call->response.status) {
	case 502:
		return WEIR_RETRY_502;
	case 503:
		return WEIR_RETRY_503;
	case 504:
		return WEIR_RETRY_504;
	default:
		return 0;
	}
}

int attempt_run(struct attempt *attempt)
{
	struct weir_call *call = attempt->call;

	call->result.why = NULL;
	attempt->status = attempt_begin(attempt);
	if (!attempt->status)
		attempt->status = attempt_pick(attempt);
	if (!attempt->status) {
		attempt->status = attempt_exchange(attempt);
		attempt_report(attempt);
	}
	attempt_end_pending(attempt);
	attempt->reason = attempt->status ? reason_of_failure(attempt) : reason_of_response(call);
	if (!attempt->status)
		return 0;
	if (!attempt->blameless && !call->result.why)
		call->result.why = why_of(attempt);
	attempt_drop(attempt);
	return attempt->status;
}
