/* SPDX-License-Identifier: MIT */
/*
 * The way of a call through its attempts:
 *
 *	breaker --> attempt --> response --> client
 *	              ^    |
 *	              +----+ a reason to repeat it, which is configured; a request that may be repeated;
 *	                     attempts left; a place in the budget; a pause
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/forwarded.h>
#include <weir/split.h>
#include <weir/task.h>

#include "proxy/deadline.h"
#include "proxy/reverse_internal.h"

#define NS_PER_S 1e9

/* ------------------------------------------------------------------------------------------
 * Beginning
 */

static uint64_t address_key(struct reverse *reverse, const struct weir_call *call)
{
	const struct weir_address *address = weir_client_address(call);

	if (address)
		return weir_search_key_of(address);
	return ++reverse->random; /* a call of our own: anywhere */
}

static uint64_t passage_key(struct reverse *reverse, const struct weir_call *call)
{
	const struct weir_request *request = &call->request;
	struct weir_text name = weir_text_of(reverse->hash_name);
	const struct weir_header *header;
	struct weir_text value = { 0 };

	switch (reverse->hash_by) {
	case WEIR_HASH_ADDRESS:
		break;
	case WEIR_HASH_HEADER:
		header = weir_headers_find(&request->headers, name, NULL);
		if (header)
			value = header->value;
		break;
	case WEIR_HASH_COOKIE:
		value = weir_cookie_value(&request->headers, name);
		break;
	case WEIR_HASH_PATH:
		return weir_search_key(request->path.data, request->path.size) ^
		       weir_search_key(request->query.data, request->query.size) * 3;
	}
	return value.data ? weir_search_key(value.data, value.size) : address_key(reverse, call);
}

static bool request_may_repeat(const struct reverse *reverse, const struct weir_request *request)
{
	return reverse->retry.unsafe || weir_method_is_idempotent(request->method);
}

/* A body that may have to be sent again is kept. */
static int passage_keep_body(struct passage *passage)
{
	const struct weir_retry_conf *retry = &passage->reverse->retry;
	struct weir_request *request = &passage->call->request;
	struct weir_body *body = request->body;

	passage->has_body = body != NULL;
	if (!body || retry->attempts < 2 ||
	    (body->size != WEIR_BODY_UNKNOWN && body->size > retry->replay_bytes))
		return 0;
	passage->replay = replay_new(&passage->call->arena, body, retry->replay_bytes);
	if (!passage->replay)
		return -ENOMEM;
	request->body = &passage->replay->body;
	return 0;
}

static void passage_on_call_end(struct weir_call *call, void *ctx)
{
	struct passage *passage = ctx;
	struct reverse *reverse = passage->reverse;
	uint64_t ns = weir_loop_now(weir_loop_current()) - passage->started_ns;

	if (passage->attempt)
		attempt_end(passage->attempt);
	if (call->response.status)
		weir_histogram_add(reverse->metrics.duration, (double)ns / NS_PER_S);
	weir_gauge_add(reverse->metrics.active, -1);
	weir_breaker_end_call(reverse->breaker);
}

static struct passage *passage_new(struct reverse *reverse, struct weir_call *call)
{
	struct passage *passage = weir_arena_zalloc(&call->arena, sizeof(*passage));

	if (!passage || weir_call_defer(call, passage_on_call_end, passage))
		return NULL;
	passage->reverse = reverse;
	passage->call = call;
	passage->outer = weir_task_scope();
	passage->started_ns = weir_loop_now(weir_loop_current());
	weir_gauge_add(reverse->metrics.active, 1);
	return passage;
}

/* ------------------------------------------------------------------------------------------
 * Attempts
 */

static int passage_attempt(struct passage *passage, struct attempt **out)
{
	struct attempt *attempt;

	*out = NULL;
	if (hedge_suits(passage))
		return hedge_run(passage, out);
	attempt = weir_arena_zalloc(&passage->call->arena, sizeof(*attempt));
	if (!attempt)
		return -ENOMEM;
	attempt->passage = passage;
	attempt->call = passage->call;
	*out = attempt;
	return attempt_run(attempt);
}

static const char *reason_name(unsigned reason)
{
	switch (reason) {
	case WEIR_RETRY_CONNECT:
		return "connect";
	case WEIR_RETRY_RESET:
		return "reset";
	case WEIR_RETRY_TIMEOUT:
		return "timeout";
	case WEIR_RETRY_502:
		return "502";
	case WEIR_RETRY_503:
		return "503";
	default:
		return "504";
	}
}

static bool passage_may_retry(const struct passage *passage, const struct attempt *attempt)
{
	const struct reverse *reverse = passage->reverse;

	if (!(attempt->reason & reverse->retry.on) ||
	    passage->attempts >= reverse->retry.attempts || weir_task_check())
		return false;
	if (attempt->reason != WEIR_RETRY_CONNECT &&
	    !request_may_repeat(reverse, &passage->call->request))
		return false;
	/* Who had no connection took nothing of the body. */
	return !passage->has_body || !attempt->connected ||
	       (passage->replay && !passage->replay->gone);
}

/* A place among the retries, given back by passage_run(). */
static bool passage_begin_retry(struct passage *passage, const struct attempt *attempt)
{
	struct reverse *reverse = passage->reverse;
	enum weir_breaker_verdict verdict = weir_breaker_begin_retry(reverse->breaker);

	if (verdict) {
		reverse_metrics_count_refusal(&reverse->metrics, verdict);
		return false;
	}
	reverse_metrics_count_retry(&reverse->metrics, reason_name(attempt->reason));
	return true;
}

/* Full jitter: those who failed together do not come back together. */
static uint64_t retry_pause_ms(struct reverse *reverse, unsigned retries)
{
	uint64_t most = reverse->retry.backoff_ms;

	for (unsigned i = 1; i < retries && most < reverse->retry.backoff_max_ms; i++)
		most *= 2;
	most = WEIR_MIN(most, reverse->retry.backoff_max_ms);
	reverse->random = reverse->random * 6364136223846793005u + 1442695040888963407u;
	return (reverse->random >> 33) % (most + 1);
}

static int passage_again(struct passage *passage, struct attempt *attempt)
{
	uint64_t pause_ms = retry_pause_ms(passage->reverse, passage->attempts);

	if (!attempt->status)
		attempt_drop(attempt);
	if (passage->replay && !replay_rewind(passage->replay))
		return attempt->status ? attempt->status : WEIR_EPROTO;
	return weir_task_sleep_ms(pause_ms);
}

static int passage_run(struct passage *passage)
{
	bool retrying = false;

	for (;;) {
		struct attempt *attempt;
		int status = passage_attempt(passage, &attempt);

		if (retrying)
			weir_breaker_end_retry(passage->reverse->breaker);
		if (!attempt)
			return status;
		retrying = passage_may_retry(passage, attempt) &&
			   passage_begin_retry(passage, attempt);
		if (!retrying) {
			passage->attempt = status ? NULL : attempt;
			return status;
		}
		status = passage_again(passage, attempt);
		if (status) {
			weir_breaker_end_retry(passage->reverse->breaker);
			return status;
		}
	}
}

/* ------------------------------------------------------------------------------------------
 * The response
 */

static int passage_finish(struct passage *passage)
{
	struct reverse *reverse = passage->reverse;
	struct weir_call *call = passage->call;
	struct weir_body *body = call->response.body;
	int status = sticky_tell(&reverse->sticky, call, passage->search.preferred,
				 passage->attempt->place.identity);

	if (status || !body || !reverse->total_ms)
		return status;
	body = deadline_body(&call->arena, body,
			     passage->started_ns + reverse->total_ms * NS_PER_MS);
	if (!body)
		return -ENOMEM;
	call->response.body = body;
	return 0;
}

/* Bounded by total_ms. */
static int passage_run_bounded(struct passage *passage)
{
	struct weir_scope scope;
	int status;

	if (!passage->reverse->total_ms)
		return passage_run(passage);
	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, passage->reverse->total_ms);
	weir_scope_enter(&scope);
	status = passage_run(passage);
	if (status && weir_scope_check(&scope) == -ETIMEDOUT)
		passage->call->result.why = "total_timeout";
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return status;
}

static int passage_serve(struct passage *passage)
{
	struct reverse *reverse = passage->reverse;
	struct weir_call *call = passage->call;
	uint64_t ns;
	int status;

	weir_search_init(&passage->search, weir_balancer_has_keys(reverse->balancer)
						   ? passage_key(reverse, call)
						   : 0);
	passage->search.preferred = sticky_wish(&reverse->sticky, &call->request);
	status = passage_keep_body(passage);
	if (!status)
		status = passage_run_bounded(passage);
	weir_search_fini(&passage->search);
	reverse_metrics_count(&reverse->metrics, status ? 0 : call->response.status);
	if (status)
		return status;
	ns = weir_now() - passage->started_ns;
	weir_histogram_add(reverse->metrics.latency, (double)ns / NS_PER_S);
	if (passage->replay)
		replay_let_go(passage->replay);
	return passage_finish(passage);
}

/* An origin that knows no CONNECT and says 200 to everything would have the client's next bytes
 * for requests, which nobody here has read. */
static int reverse_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct reverse *reverse = weir_container_of(svc, struct reverse, svc);
	enum weir_breaker_verdict verdict;
	struct passage *passage;

	reverse_metrics_prepare(&reverse->metrics);
	call->result.upstream = weir_upstream_name(reverse->upstream);
	if (call->request.method == WEIR_METHOD_CONNECT)
		return weir_call_refuse(call, 501, "connect");
	verdict = weir_breaker_begin_call(reverse->breaker);
	if (verdict) {
		reverse_metrics_count_refusal(&reverse->metrics, verdict);
		call->result.why = "circuit_breaker";
		return WEIR_ELIMIT;
	}
	passage = passage_new(reverse, call);
	if (!passage) {
		weir_breaker_end_call(reverse->breaker);
		return -ENOMEM;
	}
	return passage_serve(passage);
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

static void reverse_free(struct weir_http_service *svc)
{
	struct reverse *reverse = weir_container_of(svc, struct reverse, svc);

	weir_http_client_free(reverse->client);
	weir_balancer_free(reverse->balancer);
	weir_breaker_put(reverse->breaker);
	weir_upstream_put(reverse->upstream);
	sticky_fini(&reverse->sticky);
	free(reverse->hash_name);
	free(reverse);
}

static const struct weir_http_ops reverse_ops = {
	.name = "reverse",
	.handle = reverse_handle,
	.free = reverse_free,
};

#define OR_DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static void retry_fill(struct weir_retry_conf *retry)
{
	OR_DEFAULT(retry->attempts, 2);
	OR_DEFAULT(retry->on, WEIR_RETRY_CONNECT | WEIR_RETRY_RESET);
	OR_DEFAULT(retry->backoff_ms, 25);
	OR_DEFAULT(retry->backoff_max_ms, 250);
	OR_DEFAULT(retry->replay_bytes, 65536);
	if (retry->on == WEIR_RETRY_NEVER)
		retry->attempts = 1;
}

static int conf_check(const struct weir_reverse_conf *conf, struct weir_error *error)
{
	if (conf->retry.attempts > WEIR_ATTEMPTS_MAX) {
		weir_error_remedy(error, "use at most %d", WEIR_ATTEMPTS_MAX);
		return weir_error_set(error, WEIR_ECONFIG, "%u attempts are too many",
				      conf->retry.attempts);
	}
	if ((conf->hash.by == WEIR_HASH_HEADER || conf->hash.by == WEIR_HASH_COOKIE) &&
	    !conf->hash.name) {
		weir_error_remedy(error, "write the name of a header or cookie");
		return weir_error_set(error, WEIR_ECONFIG, "a hash by what?");
	}
	return 0;
}

/* Takes the connector over. */
static int reverse_open(struct reverse *reverse, const struct weir_reverse_conf *conf,
			struct weir_error *error)
{
	struct weir_http_client_conf client = conf->client;

	client.metrics = conf->metrics;
	client.name = weir_upstream_name(conf->upstream);
	client.on_connected = attempt_on_connected;
	client.ctx = NULL;
	reverse->client = weir_http_client_new(&client, error);
	reverse->balancer =
		weir_balancer_new(conf->upstream, WEIR_LOAD_CALLS, conf->metrics, error);
	reverse->breaker = conf->breaker ? weir_breaker_get(conf->breaker) : weir_breaker_new(NULL);
	reverse->hash_name = conf->hash.name ? strdup(conf->hash.name) : NULL;
	if (!reverse->client || !reverse->balancer || !reverse->breaker ||
	    (conf->hash.name && !reverse->hash_name))
		return weir_error_set(error, -ENOMEM, "out of memory");
	return sticky_init(&reverse->sticky, &conf->sticky, error);
}

struct weir_http_service *weir_http_reverse_service(const struct weir_reverse_conf *conf,
						    struct weir_error *error)
{
	struct reverse *reverse;

	if (!conf->client.connector)
		return NULL;
	reverse = calloc(1, sizeof(*reverse));
	if (!reverse || conf_check(conf, error)) {
		if (!reverse)
			weir_error_set(error, -ENOMEM, "out of memory");
		weir_connector_free(conf->client.connector);
		free(reverse);
		return NULL;
	}
	reverse->svc.ops = &reverse_ops;
	reverse->upstream = weir_upstream_get(conf->upstream);
	reverse->retry = conf->retry;
	retry_fill(&reverse->retry);
	reverse->hedge_ns = conf->hedge.delay_ms * NS_PER_MS;
	reverse->total_ms = conf->total_ms;
	reverse->hash_by = conf->hash.by;
	reverse->random = weir_now();
	reverse->metrics.metrics = conf->metrics;
	reverse->metrics.upstream = weir_upstream_name(conf->upstream);
	if (!reverse_open(reverse, conf, error))
		return &reverse->svc;
	reverse_free(&reverse->svc);
	return NULL;
}
