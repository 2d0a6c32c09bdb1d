/* SPDX-License-Identifier: MIT */
/*
 * limit: so many connections at one time, and no more. One too many is refused at once and
 * counted; nobody waits. The count is shared by the workers (and by an old and a new
 * configuration, whose maxima may differ) as one atomic number.
 */

#include <weir/layer.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct weir_limit_shared {
	_Atomic uint64_t active;
	atomic_uint references;
};

struct limit {
	struct weir_service svc;
	uint64_t max;
	struct weir_limit_shared *shared; /* counted */
	struct weir_counter *refused;	  /* borrowed; may be NULL */
};

struct weir_limit_shared *weir_limit_shared_new(void)
{
	struct weir_limit_shared *shared = calloc(1, sizeof(*shared));

	if (shared)
		atomic_init(&shared->references, 1);
	return shared;
}

struct weir_limit_shared *weir_limit_shared_get(struct weir_limit_shared *shared)
{
	atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
	return shared;
}

void weir_limit_shared_put(struct weir_limit_shared *shared)
{
	if (shared && atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1)
		free(shared);
}

/* Never counts above MAX (but for what is resumed), so that who is refused takes no place from another one meanwhile. */
static bool shared_take(struct weir_limit_shared *shared, uint64_t max)
{
	uint64_t active = atomic_load_explicit(&shared->active, memory_order_relaxed);

	do {
		if (active >= max)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&shared->active, &active, active + 1, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static int limit_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct limit *limit = weir_container_of(svc, struct limit, svc);
	int status;

	if (!shared_take(limit->shared, conn->resumed ? UINT64_MAX : limit->max)) {
		if (limit->refused)
			weir_counter_add(limit->refused, 1);
		return WEIR_ELIMIT;
	}
	status = weir_serve(svc->inner, conn);
	atomic_fetch_sub_explicit(&limit->shared->active, 1, memory_order_relaxed);
	return status;
}

static void limit_free(struct weir_service *svc)
{
	struct limit *limit = weir_container_of(svc, struct limit, svc);

	weir_limit_shared_put(limit->shared);
	free(limit);
}

static const struct weir_service_ops limit_ops = {
	.name = "limit",
	.needs = WEIR_NEEDS_NOTHING,
	.resumes = true,
	.serve = limit_serve,
	.free = limit_free,
};

static int limit_check(const struct weir_limit_conf *conf, struct weir_error *error)
{
	if (conf->max > 0)
		return 0;
	weir_error_remedy(error, "allow at least 1 connection");
	return weir_error_set(error, WEIR_ECONFIG, "a limit of 0 connections serves nobody");
}

struct weir_service *weir_limit_layer(struct weir_service *inner,
				      const struct weir_limit_conf *conf, struct weir_error *error)
{
	struct limit *limit = NULL;

	if (!inner || limit_check(conf, error))
		goto err;
	limit = calloc(1, sizeof(*limit));
	if (!limit)
		goto err_memory;
	limit->svc = (struct weir_service){ .ops = &limit_ops, .inner = inner };
	limit->max = conf->max;
	limit->refused = conf->refused;
	limit->shared = conf->shared ? weir_limit_shared_get(conf->shared)
				     : weir_limit_shared_new();
	if (!limit->shared)
		goto err_memory;
	return &limit->svc;
err_memory:
	weir_error_set(error, -ENOMEM, "out of memory");
err:
	free(limit);
	weir_service_free(inner);
	return NULL;
}
