/* SPDX-License-Identifier: MIT */
/*
 * Three counts, shared by all workers. They are taken first and given back when that was too many: a
 * limit is never passed, and at the limit two that come together may both be refused.
 */

#include <stdatomic.h>
#include <stdlib.h>

#include <weir/breaker.h>

struct weir_breaker {
	_Atomic unsigned references;
	struct weir_breaker_conf conf; /* defaults filled in */
	_Alignas(64) _Atomic uint32_t calls;
	_Atomic uint32_t pending;
	_Atomic uint32_t retries;
};

const char *weir_breaker_verdict_name(enum weir_breaker_verdict verdict)
{
	static const char *const names[] = {
		[WEIR_BREAKER_GO] = "go",	    [WEIR_BREAKER_CALLS] = "calls",
		[WEIR_BREAKER_PENDING] = "pending", [WEIR_BREAKER_RETRIES] = "retries",
		[WEIR_BREAKER_BUDGET] = "budget",
	};

	return verdict < WEIR_ARRAY_SIZE(names) ? names[verdict] : "unknown";
}

struct weir_breaker *weir_breaker_new(const struct weir_breaker_conf *conf)
{
	struct weir_breaker *breaker =
		aligned_alloc(_Alignof(struct weir_breaker), sizeof(*breaker));

	if (!breaker)
		return NULL;
	*breaker = (struct weir_breaker){ .references = 1 };
	if (conf)
		breaker->conf = *conf;
	if (!breaker->conf.budget_percent)
		breaker->conf.budget_percent = 20;
	if (!breaker->conf.budget_min)
		breaker->conf.budget_min = 3;
	return breaker;
}

struct weir_breaker *weir_breaker_get(struct weir_breaker *breaker)
{
	atomic_fetch_add_explicit(&breaker->references, 1, memory_order_relaxed);
	return breaker;
}

void weir_breaker_put(struct weir_breaker *breaker)
{
	if (breaker && atomic_fetch_sub(&breaker->references, 1) == 1)
		free(breaker);
}

static void count_give(_Atomic uint32_t *count)
{
	atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
}

static bool count_take(_Atomic uint32_t *count, uint32_t max)
{
	if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) < max)
		return true;
	count_give(count);
	return false;
}

static uint32_t or_unlimited(uint32_t max)
{
	return max ? max : UINT32_MAX;
}

enum weir_breaker_verdict weir_breaker_begin_call(struct weir_breaker *breaker)
{
	return count_take(&breaker->calls, or_unlimited(breaker->conf.calls)) ? WEIR_BREAKER_GO
									      : WEIR_BREAKER_CALLS;
}

void weir_breaker_end_call(struct weir_breaker *breaker)
{
	count_give(&breaker->calls);
}

enum weir_breaker_verdict weir_breaker_begin_pending(struct weir_breaker *breaker)
{
	return count_take(&breaker->pending, or_unlimited(breaker->conf.pending))
		       ? WEIR_BREAKER_GO
		       : WEIR_BREAKER_PENDING;
}

void weir_breaker_end_pending(struct weir_breaker *breaker)
{
	count_give(&breaker->pending);
}

static uint32_t retry_budget(const struct weir_breaker *breaker)
{
	uint64_t calls = atomic_load_explicit(&breaker->calls, memory_order_relaxed);
	uint64_t share = calls * breaker->conf.budget_percent / 100;

	if (breaker->conf.budget_percent > 100)
		return UINT32_MAX;
	return (uint32_t)WEIR_MAX(share, breaker->conf.budget_min);
}

enum weir_breaker_verdict weir_breaker_begin_retry(struct weir_breaker *breaker)
{
	uint32_t max = or_unlimited(breaker->conf.retries), budget = retry_budget(breaker);

	if (count_take(&breaker->retries, WEIR_MIN(max, budget)))
		return WEIR_BREAKER_GO;
	return max <= budget ? WEIR_BREAKER_RETRIES : WEIR_BREAKER_BUDGET;
}

void weir_breaker_end_retry(struct weir_breaker *breaker)
{
	count_give(&breaker->retries);
}
