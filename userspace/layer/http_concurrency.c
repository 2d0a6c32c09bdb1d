/* SPDX-License-Identifier: MIT */
/*
 * concurrency: so many calls at one time, from their head to their last byte, counted over all
 * workers. One too many waits in a bounded queue, or is refused. A place that becomes free goes to
 * the first one in the queue directly, so nobody who comes now overtakes it.
 */

#include <weir/http_limit.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/wait_queue.h>

#include "layer/http_answer.h"

#define QUEUE_MS 1000

struct weir_http_concurrency_shared {
	atomic_uint references;
	pthread_mutex_t lock;
	uint64_t active;	      /* with the lock */
	struct weir_wait_queue queue; /* with the lock */
};

struct concurrency {
	struct weir_http_service svc;
	uint64_t max;
	uint32_t queue;
	uint64_t queue_ns;
	struct weir_http_concurrency_shared *shared; /* counted */
	struct weir_counter *refused;
};

/* ---- what is shared ---- */

struct weir_http_concurrency_shared *weir_http_concurrency_shared_new(void)
{
	struct weir_http_concurrency_shared *shared = calloc(1, sizeof(*shared));

	if (!shared)
		return NULL;
	atomic_init(&shared->references, 1);
	pthread_mutex_init(&shared->lock, NULL);
	weir_wait_queue_init(&shared->queue);
	return shared;
}

struct weir_http_concurrency_shared *weir_http_concurrency_shared_get(
	struct weir_http_concurrency_shared *shared)
{
	atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
	return shared;
}

void weir_http_concurrency_shared_put(struct weir_http_concurrency_shared *shared)
{
	if (!shared || atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&shared->lock);
	free(shared);
}

/* 0 with a place taken. */
static int shared_take(struct weir_http_concurrency_shared *shared,
		       const struct concurrency *concurrency)
{
	uint64_t deadline = weir_loop_now(weir_loop_current()) + concurrency->queue_ns;
	int status = WEIR_ELIMIT;

	pthread_mutex_lock(&shared->lock);
	if (shared->active < concurrency->max && shared->queue.waiting == 0) {
		shared->active++;
		status = 0;
	} else if (shared->queue.waiting < concurrency->queue) {
		return weir_wait_queue_wait(&shared->queue, &shared->lock, "concurrency limit",
					    deadline);
	}
	pthread_mutex_unlock(&shared->lock);
	return status;
}

static void shared_give(struct weir_http_concurrency_shared *shared)
{
	pthread_mutex_lock(&shared->lock);
	if (!weir_wait_queue_wake(&shared->queue))
		shared->active--;
	pthread_mutex_unlock(&shared->lock);
}

/* ---- the layer ---- */

static void concurrency_on_end(struct weir_call *call, void *ctx)
{
	struct concurrency *concurrency = ctx;

	(void)call;
	shared_give(concurrency->shared);
}

static int concurrency_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct concurrency *concurrency = weir_container_of(svc, struct concurrency, svc);
	int status = shared_take(concurrency->shared, concurrency);

	/* A deadline further out is somebody else's to answer for. */
	if (status == -ECANCELED || (status == -ETIMEDOUT && weir_task_check()))
		return status;
	if (status) {
		http_count(concurrency->refused, 1);
		return http_refuse_until(call, 503, "concurrency_limit", 1);
	}
	if (weir_call_defer(call, concurrency_on_end, concurrency)) {
		shared_give(concurrency->shared);
		return -ENOMEM;
	}
	return weir_handle(svc->inner, call);
}

static void concurrency_free(struct weir_http_service *svc)
{
	struct concurrency *concurrency = weir_container_of(svc, struct concurrency, svc);

	weir_http_concurrency_shared_put(concurrency->shared);
	free(concurrency);
}

static const struct weir_http_ops concurrency_ops = {
	.name = "concurrency",
	.handle = concurrency_handle,
	.free = concurrency_free,
};

static int concurrency_configure(struct concurrency *concurrency,
				 const struct weir_http_concurrency_conf *conf,
				 struct weir_error *error)
{
	if (conf->max == 0)
		return http_layer_refuse(error, "allow at least 1 call",
					 "a limit of 0 calls serves nobody");
	if (conf->queue_ms && !conf->queue)
		return http_layer_refuse(error, "say how many may wait",
					 "a time to wait means nothing without a queue");
	concurrency->max = conf->max;
	concurrency->queue = conf->queue;
	concurrency->queue_ns = (conf->queue_ms ? conf->queue_ms : QUEUE_MS) * 1000000;
	concurrency->refused = conf->refused;
	concurrency->shared = conf->shared ? weir_http_concurrency_shared_get(conf->shared)
					   : weir_http_concurrency_shared_new();
	return concurrency->shared ? 0 : http_layer_memory(error);
}

struct weir_http_service *weir_http_concurrency_layer(struct weir_http_service *inner,
						      const struct weir_http_concurrency_conf *conf,
						      struct weir_error *error)
{
	struct concurrency *concurrency =
		http_layer_new(sizeof(*concurrency), &concurrency_ops, inner, error);

	if (!concurrency)
		return NULL;
	return http_layer_done(&concurrency->svc, concurrency_configure(concurrency, conf, error));
}
