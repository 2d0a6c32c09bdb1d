/* SPDX-License-Identifier: MIT */
/*
 * rate_limit: so many calls a second with the same key, which a template makes of the call (the
 * client's network, a header field, the user, the route). Over it a call is refused at once, and
 * told when the next one may come.
 */

#include <weir/http_limit.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "layer/http_answer.h"
#include "layer/http_rate_table.h"
#include "layer/http_template.h"

#define KEYS_DEFAULT 65536
#define KEY_MAX	     4096

struct weir_http_rate_shared {
	struct http_rate_table *table;
	atomic_uint references;
};

struct rate_limit {
	struct weir_http_service svc;
	struct weir_token_rate rate;
	struct http_template *key;
	size_t max_keys;
	struct weir_http_rate_shared *shared; /* counted */
	struct weir_counter *refused;
};

struct weir_http_rate_shared *weir_http_rate_shared_new(void)
{
	struct weir_http_rate_shared *shared = calloc(1, sizeof(*shared));

	if (!shared)
		return NULL;
	atomic_init(&shared->references, 1);
	shared->table = http_rate_table_new();
	if (!shared->table) {
		free(shared);
		return NULL;
	}
	return shared;
}

struct weir_http_rate_shared *weir_http_rate_shared_get(struct weir_http_rate_shared *shared)
{
	atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
	return shared;
}

void weir_http_rate_shared_put(struct weir_http_rate_shared *shared)
{
	if (!shared || atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1)
		return;
	http_rate_table_free(shared->table);
	free(shared);
}

static int rate_limit_take(const struct rate_limit *limit, const struct weir_call *call,
			   uint64_t now, uint64_t *when)
{
	struct weir_text key = { .data = weir_loop_scratch(weir_loop_current()) };

	key.size = http_template_write(limit->key, call, NULL, HTTP_ESCAPE_FIELD,
				       weir_loop_scratch(weir_loop_current()), KEY_MAX);
	return http_rate_table_take(limit->shared->table, key, &limit->rate, limit->max_keys, now,
				    when);
}

static int rate_limit_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct rate_limit *limit = weir_container_of(svc, struct rate_limit, svc);
	uint64_t now = weir_loop_now(weir_loop_current()), when = 0, wait_ns;
	int status = rate_limit_take(limit, call, now, &when);

	if (!status)
		return weir_handle(svc->inner, call);
	if (status != WEIR_ERATE)
		return status;
	http_count(limit->refused, 1);
	wait_ns = when > now ? when - now : 0;
	return http_refuse_until(call, 429, "rate_limit", wait_ns / 1000000000 + 1);
}

static void rate_limit_free(struct weir_http_service *svc)
{
	struct rate_limit *limit = weir_container_of(svc, struct rate_limit, svc);

	http_template_free(limit->key);
	weir_http_rate_shared_put(limit->shared);
	free(limit);
}

static const struct weir_http_ops rate_limit_ops = {
	.name = "rate_limit",
	.handle = rate_limit_handle,
	.free = rate_limit_free,
};

static int rate_limit_configure(struct rate_limit *limit,
				const struct weir_http_rate_limit_conf *conf,
				struct weir_error *error)
{
	if (!isfinite(conf->rate) || conf->rate <= 0)
		return http_layer_refuse(error, "say a number of calls a second, such as 50 or 0.5",
					 "the rate is not a rate");
	limit->rate = (struct weir_token_rate){
		.per_second = conf->rate,
		.burst = conf->burst ? (double)conf->burst : fmax(conf->rate, 1),
	};
	limit->max_keys = conf->max_keys ? conf->max_keys : KEYS_DEFAULT;
	limit->refused = conf->refused;
	limit->key = http_template_new(conf->key ? conf->key : "{network}", "the rate limit's key",
				       error);
	if (!limit->key)
		return WEIR_ECONFIG;
	limit->shared = conf->shared ? weir_http_rate_shared_get(conf->shared)
				     : weir_http_rate_shared_new();
	return limit->shared ? 0 : http_layer_memory(error);
}

struct weir_http_service *weir_http_rate_limit_layer(struct weir_http_service *inner,
						     const struct weir_http_rate_limit_conf *conf,
						     struct weir_error *error)
{
	struct rate_limit *limit = http_layer_new(sizeof(*limit), &rate_limit_ops, inner, error);

	if (!limit)
		return NULL;
	return http_layer_done(&limit->svc, rate_limit_configure(limit, conf, error));
}
