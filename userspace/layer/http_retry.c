/* SPDX-License-Identifier: MIT */
/*
 * retry: asks the inner service again when it failed, as long as the request can be repeated: its
 * method is idempotent, and what was read of its body was kept. Each attempt starts from the
 * request as it came, with extensions of its own. A budget keeps retries from becoming the load that
 * an ailing service dies of.
 *
 * The body kept is replayed from memory, then read on from where the last attempt stopped.
 */

#include <weir/http_limit.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <weir/buffer.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/token_bucket.h>

#include "layer/http_answer.h"

#define ATTEMPTS	2
#define BODY_BYTES	65536
#define BACKOFF_MS	25
#define MAX_BACKOFF_MS	1000
#define BUDGET_PERCENT	20
#define FREE_PER_SECOND 10

static const uint16_t default_statuses[] = { 502, 503, 504 };

struct retry {
	struct weir_http_service svc;
	unsigned attempts;
	uint16_t *statuses;
	size_t n_statuses;
	bool all_methods;
	uint64_t body_bytes, backoff_ms, max_backoff_ms;
	unsigned budget_percent;
	struct weir_counter *retried, *refused;
	struct weir_token_bucket budget;
	uint64_t random;
};

static const struct weir_token_rate budget_rate = { .per_second = FREE_PER_SECOND,
						    .burst = FREE_PER_SECOND };

/* ---- a body that can be read again ---- */

/* The client's body and what was read of it. Lives in the call's arena. */
struct kept {
	struct weir_body *inner;  /* owned */
	struct weir_buffer bytes; /* from the body's first one */
	uint64_t max;
	struct reader *reader; /* the present attempt's */
	bool reading;	       /* a task is parked in the client's body */
	bool lost;	       /* there was more than may be kept */
	bool has_ended;
	int end; /* what the inner one said at last: 0 or an error */
};

/* The body as one attempt sees it. A task of an earlier attempt may still have its own. */
struct reader {
	struct weir_body body;
	struct kept *kept;
	size_t at; /* in the bytes kept */
};

/* Keeps a piece, if there is room. */
static void kept_add(struct kept *kept, const struct iovec *piece)
{
	kept->lost = kept->lost || weir_buffer_size(&kept->bytes) + piece->iov_len > kept->max ||
		     weir_buffer_append(&kept->bytes, piece->iov_base, piece->iov_len);
	if (!kept->lost)
		kept->reader->at += piece->iov_len;
}

/* The next piece of the client's body. */
static int kept_read(struct kept *kept, struct iovec *piece, bool wait)
{
	int status;

	if (kept->has_ended)
		return kept->end;
	kept->reading = wait;
	status = weir_body_next(kept->inner, piece, wait);
	kept->reading = false;
	if (status > 0) {
		kept_add(kept, piece);
	} else if (status != -EAGAIN && status != -ECANCELED) {
		kept->has_ended = true;
		kept->end = status;
	}
	return status;
}

static int reader_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct reader *reader = weir_container_of(body, struct reader, body);
	struct kept *kept = reader->kept;
	size_t known = weir_buffer_size(&kept->bytes);
	int status;

	if (kept->reader != reader)
		return -ECANCELED;
	if (reader->at < known && !kept->lost) {
		piece->iov_base = weir_buffer_head(&kept->bytes) + reader->at;
		piece->iov_len = known - reader->at;
		reader->at = known;
		return 1;
	}
	status = kept_read(kept, piece, wait);
	if (status == 0)
		body->trailers = kept->inner->trailers;
	return status;
}

/* An attempt lets it go; the call still has it. */
static void reader_free(struct weir_body *body)
{
	(void)body;
}

static const struct weir_body_ops reader_ops = {
	.name = "retry",
	.next = reader_next,
	.free = reader_free,
};

static int kept_attempt(struct kept *kept, struct weir_call *call)
{
	struct reader *reader = weir_arena_zalloc(&call->arena, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	reader->body = (struct weir_body){ .ops = &reader_ops, .size = kept->inner->size };
	reader->kept = kept;
	kept->reader = reader;
	call->request.body = &reader->body;
	return 0;
}

static void kept_on_end(struct weir_call *call, void *ctx)
{
	struct kept *kept = ctx;

	(void)call;
	kept->reader = NULL;
	weir_buffer_fini(&kept->bytes);
	weir_body_free(kept->inner);
}

static int kept_wrap(struct retry *retry, struct weir_call *call, struct kept **out)
{
	struct kept *kept = weir_arena_zalloc(&call->arena, sizeof(*kept));

	if (!kept || weir_call_defer(call, kept_on_end, kept))
		return -ENOMEM;
	kept->inner = call->request.body;
	/* From here on it is freed by kept_on_end(). */
	call->request.body = NULL;
	kept->max = retry->body_bytes;
	*out = kept;
	return kept_attempt(kept, call);
}

/* ---- whether to try again ---- */

static bool retry_is_failure(const struct retry *retry, const struct weir_call *call, int status)
{
	if (status < 0)
		return status != -ECANCELED && status != WEIR_EPOLICY && status != WEIR_ERATE;
	for (size_t i = 0; i < retry->n_statuses; i++)
		if (retry->statuses[i] == call->response.status)
			return true;
	return false;
}

static bool retry_is_possible(const struct retry *retry, const struct weir_call *call)
{
	const struct weir_request *request = &call->request;
	const struct weir_body *body = request->body;

	if (retry->attempts < 2 || request->upgrade.data || request->method == WEIR_METHOD_CONNECT)
		return false;
	if (!retry->all_methods && !weir_method_is_idempotent(request->method))
		return false;
	return !body || body->size == WEIR_BODY_UNKNOWN || body->size <= retry->body_bytes;
}

/* Every call pays a part of a retry in; a few a second are free. */
static bool retry_is_affordable(struct retry *retry)
{
	if (weir_token_bucket_take(&retry->budget, &budget_rate, weir_loop_now(weir_loop_current()),
				   1)) {
		http_count(retry->retried, 1);
		return true;
	}
	http_count(retry->refused, 1);
	return false;
}

static void retry_pay(struct retry *retry)
{
	weir_token_bucket_fill(&retry->budget, &budget_rate, weir_loop_now(weir_loop_current()));
	if (retry->budget.tokens < budget_rate.burst)
		weir_token_bucket_charge(&retry->budget, -(double)retry->budget_percent / 100);
}

/* Half of the time is random, so that calls that failed together do not come again together. */
static int retry_pause(struct retry *retry, unsigned attempt)
{
	uint64_t ms = retry->backoff_ms << WEIR_MIN(attempt - 1, 16u);

	ms = WEIR_MIN(ms, retry->max_backoff_ms);
	/* xorshift64: needs to be spread, not secret. */
	retry->random ^= retry->random << 13;
	retry->random ^= retry->random >> 7;
	retry->random ^= retry->random << 17;
	return weir_task_sleep_ms(ms / 2 + retry->random % (ms / 2 + 1));
}

/* ---- attempts ---- */

/* The call as it came, to start each attempt from. */
struct origin {
	struct weir_request request;
	struct weir_extensions extensions;
	struct kept *kept; /* NULL: no body */
};

static int origin_save(struct origin *origin, struct retry *retry, struct weir_call *call)
{
	int status = 0;

	origin->kept = NULL;
	if (call->request.body)
		status = kept_wrap(retry, call, &origin->kept);
	if (status)
		return status;
	origin->request = call->request;
	origin->extensions = call->extensions;
	weir_headers_init(&origin->request.headers, &call->arena);
	return weir_headers_copy(&origin->request.headers, &call->request.headers);
}

static int origin_restore(const struct origin *origin, struct weir_call *call)
{
	weir_call_reset_response(call);
	call->request = origin->request;
	call->extensions = origin->extensions;
	call->result.why = NULL;
	weir_headers_init(&call->request.headers, &call->arena);
	if (origin->kept && kept_attempt(origin->kept, call))
		return -ENOMEM;
	return weir_headers_copy(&call->request.headers, &origin->request.headers);
}

static int retry_again(struct retry *retry, struct weir_call *call, const struct origin *origin,
		       unsigned attempt)
{
	int status = retry_pause(retry, attempt);

	if (!status)
		status = origin_restore(origin, call);
	return status ? status : weir_handle(retry->svc.inner, call);
}

static int retry_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct retry *retry = weir_container_of(svc, struct retry, svc);
	struct origin *origin;
	int status;

	retry_pay(retry);
	if (!retry_is_possible(retry, call))
		return weir_handle(svc->inner, call);
	origin = weir_arena_zalloc(&call->arena, sizeof(*origin));
	if (!origin)
		return -ENOMEM;
	status = origin_save(origin, retry, call);
	if (status)
		return status;
	status = weir_handle(svc->inner, call);
	for (unsigned attempt = 1; attempt < retry->attempts; attempt++) {
		if (!retry_is_failure(retry, call, status) || weir_task_check() ||
		    (origin->kept && (origin->kept->lost || origin->kept->reading)) ||
		    !retry_is_affordable(retry))
			break;
		status = retry_again(retry, call, origin, attempt);
	}
	return status;
}

static void retry_free(struct weir_http_service *svc)
{
	struct retry *retry = weir_container_of(svc, struct retry, svc);

	free(retry->statuses);
	free(retry);
}

static const struct weir_http_ops retry_ops = {
	.name = "retry",
	.handle = retry_handle,
	.free = retry_free,
};

/* ---- configuration ---- */

static int retry_statuses(struct retry *retry, const struct weir_http_retry_conf *conf,
			  struct weir_error *error)
{
	const uint16_t *statuses = conf->n_statuses ? conf->statuses : default_statuses;
	size_t n = conf->n_statuses ? conf->n_statuses : WEIR_ARRAY_SIZE(default_statuses);

	for (size_t i = 0; i < n; i++)
		if (statuses[i] < 400 || statuses[i] > 599)
			return http_layer_refuse(error, "name statuses from 400 to 599",
						 "%u is no failure", statuses[i]);
	retry->statuses = calloc(n, sizeof(*statuses));
	if (!retry->statuses)
		return http_layer_memory(error);
	memcpy(retry->statuses, statuses, n * sizeof(*statuses));
	retry->n_statuses = n;
	return 0;
}

static int retry_configure(struct retry *retry, const struct weir_http_retry_conf *conf,
			   struct weir_error *error)
{
	retry->attempts = conf->attempts ? conf->attempts : ATTEMPTS;
	retry->all_methods = conf->all_methods;
	retry->body_bytes = conf->body_bytes ? conf->body_bytes : BODY_BYTES;
	retry->backoff_ms = conf->backoff_ms ? conf->backoff_ms : BACKOFF_MS;
	retry->max_backoff_ms = conf->max_backoff_ms ? conf->max_backoff_ms : MAX_BACKOFF_MS;
	retry->budget_percent = conf->budget_percent ? conf->budget_percent : BUDGET_PERCENT;
	retry->retried = conf->retried;
	retry->refused = conf->refused;
	weir_token_bucket_init(&retry->budget, &budget_rate, 0);
	if (getrandom(&retry->random, sizeof(retry->random), 0) != sizeof(retry->random))
		return weir_error_set(error, -EIO, "there are no random numbers");
	retry->random |= 1;
	if (retry->attempts > 10 || retry->budget_percent > 100)
		return http_layer_refuse(error, "at most 10 attempts, at most 100 percent",
					 "so many retries would be an attack");
	return retry_statuses(retry, conf, error);
}

struct weir_http_service *weir_http_retry_layer(struct weir_http_service *inner,
						const struct weir_http_retry_conf *conf,
						struct weir_error *error)
{
	struct retry *retry = http_layer_new(sizeof(*retry), &retry_ops, inner, error);

	if (!retry)
		return NULL;
	return http_layer_done(&retry->svc, retry_configure(retry, conf, error));
}
