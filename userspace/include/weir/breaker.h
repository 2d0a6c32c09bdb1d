/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BREAKER_H
#define WEIR_BREAKER_H

/*
 * A circuit breaker: how much may be under way to one upstream at one time, all workers together.
 * What is over a limit is refused at once, so that a slow upstream does not take the proxy with it.
 */

#include <stdbool.h>

#include <weir/base.h>

struct weir_breaker;

/* Zero means the default in parentheses. */
struct weir_breaker_conf {
	uint32_t calls;		 /* from the first attempt to the response's end (unlimited) */
	uint32_t pending;	 /* calls without a connection yet (unlimited) */
	uint32_t retries;	 /* attempts but the first ones (unlimited) */
	uint32_t budget_percent; /* retries, of the calls under way (20); over 100: no budget */
	uint32_t budget_min;	 /* retries that the budget always allows (3) */
};

enum weir_breaker_verdict {
	WEIR_BREAKER_GO,
	WEIR_BREAKER_CALLS,
	WEIR_BREAKER_PENDING,
	WEIR_BREAKER_RETRIES,
	WEIR_BREAKER_BUDGET,
	WEIR_BREAKER_VERDICTS,
};
/* "calls", "pending", "retries", "budget". */
const char *weir_breaker_verdict_name(enum weir_breaker_verdict verdict);

/* CONF may be NULL. NULL when memory is out. Any thread, as all that follows. */
struct weir_breaker *weir_breaker_new(const struct weir_breaker_conf *conf) WEIR_MUST_CHECK;
struct weir_breaker *weir_breaker_get(struct weir_breaker *breaker);
/* Accepts NULL. */
void weir_breaker_put(struct weir_breaker *breaker);

/* Each GO is ended once by its counterpart. */
enum weir_breaker_verdict weir_breaker_begin_call(struct weir_breaker *breaker) WEIR_MUST_CHECK;
void weir_breaker_end_call(struct weir_breaker *breaker);
enum weir_breaker_verdict weir_breaker_begin_pending(struct weir_breaker *breaker) WEIR_MUST_CHECK;
void weir_breaker_end_pending(struct weir_breaker *breaker);
enum weir_breaker_verdict weir_breaker_begin_retry(struct weir_breaker *breaker) WEIR_MUST_CHECK;
void weir_breaker_end_retry(struct weir_breaker *breaker);

#endif
