/* SPDX-License-Identifier: MIT */
/*
 * The states of an endpoint, all changed by endpoint_move():
 *
 *	              checks fail
 *	HEALTHY ----------------------> UNHEALTHY
 *	 |    ^ <-----------------------      ^
 *	 |    |       checks pass             |
 *	 |    |                               | checks fail
 *	 |    +---------- EJECTED ------------+
 *	 |   time is over    ^
 *	 +-------------------+
 *	     traffic fails
 *
 *	any of these, and UNRESOLVED ---> DRAINING	an operator drains it
 *	DRAINING ---> UNRESOLVED, UNHEALTHY or HEALTHY	and resumes it: by what is known then
 *
 * UNRESOLVED is a placeholder for a name without an address: it takes no connections, and
 * endpoints with addresses take its place. Checks go on in every state; while an operator drains
 * an endpoint they are only remembered.
 *
 * An ejection is twice as long as the one before. For every healthy time as long as the last
 * ejection, one doubling is forgotten.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "upstream/endpoint.h"
#include "upstream/mix.h"

#define NS_PER_MS      1000000u
#define RAMP_FIRST     10 /* per cent of the weight at the start of a slow start */
#define BIT(state)     (1u << (state))
#define BIT_ANY_HEALTH (BIT(WEIR_ENDPOINT_HEALTHY) | BIT(WEIR_ENDPOINT_UNHEALTHY))

const char *weir_outcome_name(enum weir_outcome outcome)
{
	static const char *const names[] = {
		[WEIR_OUTCOME_SUCCESS] = "success",
		[WEIR_OUTCOME_SERVER_ERROR] = "server_error",
		[WEIR_OUTCOME_GATEWAY_ERROR] = "gateway_error",
		[WEIR_OUTCOME_CONNECT] = "connect",
		[WEIR_OUTCOME_RESET] = "reset",
		[WEIR_OUTCOME_TIMEOUT] = "timeout",
	};

	return outcome < WEIR_ARRAY_SIZE(names) ? names[outcome] : "unknown";
}

const char *weir_endpoint_state_name(enum weir_endpoint_state state)
{
	static const char *const names[] = {
		[WEIR_ENDPOINT_HEALTHY] = "healthy",   [WEIR_ENDPOINT_UNHEALTHY] = "unhealthy",
		[WEIR_ENDPOINT_EJECTED] = "ejected",   [WEIR_ENDPOINT_UNRESOLVED] = "unresolved",
		[WEIR_ENDPOINT_DRAINING] = "draining",
	};

	return state < WEIR_ARRAY_SIZE(names) ? names[state] : "unknown";
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

/* The name is often the address itself: the two hashes must not cancel out. Never 0. */
static uint64_t identity_of(const char *name, const struct weir_address *address)
{
	char text[WEIR_ADDRESS_TEXT];
	uint64_t identity = weir_mix_text(name);

	if (address)
		identity = weir_mix(weir_mix(identity) ^
				    weir_mix_text(weir_address_format(address, text)));
	return identity ? identity : 1;
}

struct weir_endpoint *weir_endpoint_new(const char *name, size_t listing, const char *host,
					const struct weir_address *address, uint64_t now)
{
	struct weir_endpoint *endpoint =
		aligned_alloc(_Alignof(struct weir_endpoint), sizeof(*endpoint));

	if (!endpoint)
		return NULL;
	memset(endpoint, 0, sizeof(*endpoint));
	atomic_init(&endpoint->references, 1);
	endpoint->listing = listing;
	snprintf(endpoint->name, sizeof(endpoint->name), "%s", name);
	snprintf(endpoint->target.host, sizeof(endpoint->target.host), "%s", host);
	if (address) {
		endpoint->target.address = *address;
		endpoint->target.port = weir_address_port(address);
	}
	endpoint->identity = identity_of(name, address);
	endpoint->state = address ? WEIR_ENDPOINT_HEALTHY : WEIR_ENDPOINT_UNRESOLVED;
	endpoint->since_ns = now;
	return endpoint;
}

struct weir_endpoint *weir_endpoint_get(struct weir_endpoint *endpoint)
{
	atomic_fetch_add_explicit(&endpoint->references, 1, memory_order_relaxed);
	return endpoint;
}

void weir_endpoint_put(struct weir_endpoint *endpoint)
{
	if (endpoint && atomic_fetch_sub(&endpoint->references, 1) == 1)
		free(endpoint);
}

/* ------------------------------------------------------------------------------------------
 * Traffic
 */

/* Sequentially consistent, as the giving: see the queue, where who finds no place announces
 * itself and looks again, and who gives one looks for the announced. */
bool weir_endpoint_take(struct weir_endpoint *endpoint, uint64_t limit)
{
	uint64_t active = atomic_load(&endpoint->active);

	if (!limit) {
		atomic_fetch_add(&endpoint->active, 1);
		return true;
	}
	while (active < limit)
		if (atomic_compare_exchange_weak(&endpoint->active, &active, active + 1))
			return true;
	return false;
}

void weir_endpoint_give(struct weir_endpoint *endpoint)
{
	uint64_t before = atomic_fetch_sub(&endpoint->active, 1);

	assert(before > 0);
}

static unsigned row_add(_Atomic unsigned *row)
{
	return atomic_fetch_add_explicit(row, 1, memory_order_relaxed) + 1;
}

/* Read first: these lines are shared by all workers and hardly ever change. */
static unsigned row_end(_Atomic unsigned *row)
{
	if (atomic_load_explicit(row, memory_order_relaxed))
		atomic_store_explicit(row, 0, memory_order_relaxed);
	return 0;
}

static void endpoint_answered(struct weir_endpoint *endpoint)
{
	atomic_fetch_add_explicit(&endpoint->total, 1, memory_order_relaxed);
	row_end(&endpoint->failures_in_row);
	if (atomic_load_explicit(&endpoint->last_status, memory_order_relaxed))
		atomic_store_explicit(&endpoint->last_status, 0, memory_order_relaxed);
}

struct weir_rows weir_endpoint_report(struct weir_endpoint *endpoint, enum weir_outcome outcome,
				      int status)
{
	struct weir_rows rows = { 0 };

	switch (outcome) {
	case WEIR_OUTCOME_SUCCESS:
		endpoint_answered(endpoint);
		row_end(&endpoint->server_errors_in_row);
		row_end(&endpoint->gateway_errors_in_row);
		return rows;
	case WEIR_OUTCOME_SERVER_ERROR:
		endpoint_answered(endpoint);
		row_end(&endpoint->gateway_errors_in_row);
		rows.server_errors = row_add(&endpoint->server_errors_in_row);
		return rows;
	case WEIR_OUTCOME_GATEWAY_ERROR:
		endpoint_answered(endpoint);
		break;
	case WEIR_OUTCOME_CONNECT:
	case WEIR_OUTCOME_RESET:
	case WEIR_OUTCOME_TIMEOUT:
		atomic_fetch_add_explicit(&endpoint->failures, 1, memory_order_relaxed);
		atomic_store_explicit(&endpoint->last_status, status, memory_order_relaxed);
		rows.failures = row_add(&endpoint->failures_in_row);
		break;
	}
	rows.server_errors = row_add(&endpoint->server_errors_in_row);
	rows.gateway_errors = row_add(&endpoint->gateway_errors_in_row);
	return rows;
}

/* ------------------------------------------------------------------------------------------
 * Health
 */

static void endpoint_move(struct weir_endpoint *endpoint, enum weir_endpoint_state to, uint64_t now)
{
	static const unsigned from[] = {
		[WEIR_ENDPOINT_HEALTHY] = BIT(WEIR_ENDPOINT_UNHEALTHY) |
					  BIT(WEIR_ENDPOINT_EJECTED) | BIT(WEIR_ENDPOINT_DRAINING),
		[WEIR_ENDPOINT_UNHEALTHY] = BIT(WEIR_ENDPOINT_HEALTHY) |
					    BIT(WEIR_ENDPOINT_EJECTED) |
					    BIT(WEIR_ENDPOINT_DRAINING),
		[WEIR_ENDPOINT_EJECTED] = BIT(WEIR_ENDPOINT_HEALTHY),
		[WEIR_ENDPOINT_UNRESOLVED] = BIT(WEIR_ENDPOINT_DRAINING),
		[WEIR_ENDPOINT_DRAINING] = BIT_ANY_HEALTH | BIT(WEIR_ENDPOINT_EJECTED) |
					   BIT(WEIR_ENDPOINT_UNRESOLVED),
	};

	assert(from[to] & BIT(endpoint->state));
	if (to == WEIR_ENDPOINT_HEALTHY) {
		endpoint->ramp_from_ns = now;
		row_end(&endpoint->failures_in_row);
		row_end(&endpoint->server_errors_in_row);
		row_end(&endpoint->gateway_errors_in_row);
	}
	endpoint->state = to;
	endpoint->since_ns = now;
}

/* The verdict turns when enough checks in a row contradict it. True when it has turned. */
static bool endpoint_judge(struct weir_endpoint *endpoint, const struct weir_health_rules *rules,
			   bool failed)
{
	unsigned enough = failed ? rules->unhealthy : rules->healthy;

	if (failed == endpoint->checks_say_no) {
		endpoint->checks_in_row = 0;
		return false;
	}
	if (++endpoint->checks_in_row < enough)
		return false;
	endpoint->checks_in_row = 0;
	endpoint->checks_say_no = failed;
	return true;
}

bool weir_endpoint_checked(struct weir_endpoint *endpoint, const struct weir_health_rules *rules,
			   int status, uint64_t now)
{
	endpoint->checks++;
	endpoint->checks_failed += status != 0;
	if (status)
		atomic_store_explicit(&endpoint->last_status, status, memory_order_relaxed);
	if (!endpoint_judge(endpoint, rules, status != 0))
		return false;
	if (endpoint->state == WEIR_ENDPOINT_DRAINING)
		return false;
	endpoint_move(endpoint,
		      endpoint->checks_say_no ? WEIR_ENDPOINT_UNHEALTHY : WEIR_ENDPOINT_HEALTHY,
		      now);
	return true;
}

/* Two threads' clock readings may cross. */
static uint64_t elapsed_ns(uint64_t from, uint64_t now)
{
	return now > from ? now - from : 0;
}

/* How long the next ejection is, with the healthy time since the last one taken into account. */
static uint64_t ejection_next_ns(struct weir_endpoint *endpoint,
				 const struct weir_health_rules *rules, uint64_t now)
{
	uint64_t base = rules->ejection_base_ms * NS_PER_MS;
	uint64_t max = rules->ejection_max_ms * NS_PER_MS;
	uint64_t length = base;

	if (endpoint->ejected_for_ns) {
		uint64_t forgotten = elapsed_ns(endpoint->since_ns, now) / endpoint->ejected_for_ns;

		endpoint->ejections_in_row -= WEIR_MIN(endpoint->ejections_in_row, forgotten);
	}
	for (unsigned i = 0; i < endpoint->ejections_in_row && length < max; i++)
		length *= 2;
	return WEIR_MIN(length, max);
}

bool weir_endpoint_eject(struct weir_endpoint *endpoint, const struct weir_health_rules *rules,
			 uint64_t now)
{
	if (endpoint->state != WEIR_ENDPOINT_HEALTHY)
		return false;
	endpoint->ejected_for_ns = ejection_next_ns(endpoint, rules, now);
	endpoint->ejected_until_ns = now + endpoint->ejected_for_ns;
	endpoint->ejections_in_row++;
	endpoint->ejections++;
	endpoint_move(endpoint, WEIR_ENDPOINT_EJECTED, now);
	return true;
}

bool weir_endpoint_settle(struct weir_endpoint *endpoint, uint64_t now)
{
	if (endpoint->state != WEIR_ENDPOINT_EJECTED || now < endpoint->ejected_until_ns)
		return false;
	endpoint_move(endpoint, WEIR_ENDPOINT_HEALTHY, now);
	return true;
}

bool weir_endpoint_drain(struct weir_endpoint *endpoint, bool draining, uint64_t now)
{
	enum weir_endpoint_state to = WEIR_ENDPOINT_HEALTHY;

	if (draining == (endpoint->state == WEIR_ENDPOINT_DRAINING))
		return false;
	if (draining)
		to = WEIR_ENDPOINT_DRAINING;
	else if (!endpoint->target.address.size)
		to = WEIR_ENDPOINT_UNRESOLVED;
	else if (endpoint->checks_say_no)
		to = WEIR_ENDPOINT_UNHEALTHY;
	endpoint_move(endpoint, to, now);
	return true;
}

uint32_t weir_endpoint_ramp(const struct weir_endpoint *endpoint, uint64_t slow_start_ms,
			    uint64_t now)
{
	uint64_t length = slow_start_ms * NS_PER_MS;
	uint64_t age = elapsed_ns(endpoint->ramp_from_ns, now);

	if (!length || !endpoint->ramp_from_ns || age >= length)
		return 100;
	return WEIR_MAX(age * 100 / length, RAMP_FIRST);
}

bool weir_endpoint_is_usable(const struct weir_endpoint *endpoint, bool panic)
{
	switch (endpoint->state) {
	case WEIR_ENDPOINT_HEALTHY:
		return true;
	case WEIR_ENDPOINT_UNHEALTHY:
	case WEIR_ENDPOINT_EJECTED:
		return panic;
	case WEIR_ENDPOINT_UNRESOLVED:
	case WEIR_ENDPOINT_DRAINING:
		return false;
	}
	return false;
}
