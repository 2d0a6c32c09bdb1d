/* SPDX-License-Identifier: MIT */
/* The pool of a client: lending, keeping, limits, queues, and connections that die in it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include <weir/error.h>

#include "http/http_pool.h"
#include "loopback.h"
#include "origin.h"

static const struct origin_step stalls[] = { { ORIGIN_STALL, NULL, 0 } };
static const struct origin_step refuses[] = { { ORIGIN_REFUSE, NULL, 0 } };
/* Ends, or says something, when nobody has asked: once the client wrote a byte. */
static const struct origin_step closes[] = { { ORIGIN_READ, NULL, 1 }, { ORIGIN_CLOSE, NULL, 0 } };
static const struct origin_step resets[] = { { ORIGIN_READ, NULL, 1 }, { ORIGIN_RESET, NULL, 0 } };
static const struct origin_step babbles[] = {
	{ ORIGIN_READ, NULL, 1 },
	{ ORIGIN_WRITE, "HTTP/1.1 408 Late\r\n\r\n", 0 },
	{ ORIGIN_STALL, NULL, 0 },
};

static enum stage_kind kind;

struct fixture {
	struct origin origin;
	struct http_pool *pool;
	struct weir_metrics *metrics;
	struct weir_target to;
};

static void fixture_open(struct fixture *f, struct http_pool_conf *conf)
{
	f->metrics = weir_metrics_new(1);
	f->to = (struct weir_target){ .address = loopback_address(80), .port = 80 };
	conf->connector = origin_connector(&f->origin, 1);
	conf->metrics = f->metrics;
	conf->name = "app";
	conf->max_idle = conf->max_idle ? conf->max_idle : 8;
	conf->idle_ms = conf->idle_ms ? conf->idle_ms : 60000;
	f->pool = http_pool_new(conf);
	assert_non_null(f->pool);
}

static void fixture_close(struct fixture *f)
{
	http_pool_free(f->pool);
	origin_fini(&f->origin);
	weir_metrics_free(f->metrics);
}

static struct http_pooled *get(struct fixture *f, bool fresh)
{
	struct http_pooled *pooled;

	assert_int_equal(http_pool_get(f->pool, NULL, &f->to, fresh, &pooled), 0);
	return pooled;
}

/* ------------------------------------------------------------------------------------------
 * Lending
 */

static int lend_run(void *arg)
{
	struct http_pool_conf conf = { .max_idle = 2, .max_requests = 3 };
	struct http_pooled *a, *b, *c;
	struct fixture f = { 0 };

	(void)arg;
	origin_init(&f.origin, kind);
	origin_script(&f.origin, stalls);
	fixture_open(&f, &conf);
	a = get(&f, false);
	assert_int_equal(a->requests, 1);
	assert_true(a->connect_ns > 0);
	b = get(&f, false);
	assert_ptr_not_equal(a, b);
	c = get(&f, false);
	http_pool_put(a, true);
	http_pool_put(b, true);
	assert_int_equal(http_pool_idle(f.pool), 2);
	/* A third one has no room; the last used one is lent first. */
	http_pool_put(c, true);
	assert_int_equal(http_pool_idle(f.pool), 2);
	assert_ptr_equal(get(&f, false), b);
	assert_int_equal(b->requests, 2);
	assert_int_equal(b->connect_ns, 0);
	assert_true(http_pool_may_keep(b));
	http_pool_put(b, true);
	assert_ptr_equal(get(&f, false), b);
	/* Used up. */
	assert_false(http_pool_may_keep(b));
	http_pool_put(b, true);
	assert_int_equal(http_pool_idle(f.pool), 1);
	b = get(&f, true);
	assert_int_equal(b->requests, 1);
	assert_int_equal(f.origin.connects, 4);
	/* Not fit to be kept. */
	http_pool_put(b, false);
	assert_int_equal(http_pool_idle(f.pool), 1);
	assert_int_equal(http_pool_sites(f.pool), 1);
	fixture_close(&f);
	return 0;
}

static void connections_are_lent_and_kept(void **state)
{
	(void)state;
	loopback_run(lend_run, NULL);
}

static int targets_run(void *arg)
{
	struct http_pool_conf conf = { 0 };
	struct http_pooled *pooled[40];
	struct fixture f = { 0 };

	(void)arg;
	origin_init(&f.origin, STAGE_MEMORY);
	origin_script(&f.origin, stalls);
	fixture_open(&f, &conf);
	for (size_t i = 0; i < 40; i++) {
		f.to = (struct weir_target){ .address = loopback_address((uint16_t)(i / 2 + 1)) };
		/* Who has a name is asked for by it, also at the same address. */
		strcpy(f.to.host, i % 2 ? "b.example" : "");
		pooled[i] = get(&f, false);
		assert_int_equal(pooled[i]->requests, 1);
	}
	assert_int_equal(http_pool_sites(f.pool), 40);
	for (size_t i = 0; i < 40; i++)
		http_pool_put(pooled[i], i >= 20);
	assert_int_equal(http_pool_sites(f.pool), 20);
	f.to = (struct weir_target){ .port = 80 };
	strcpy(f.to.host, "c.example");
	pooled[0] = get(&f, false);
	f.to.port = 81;
	pooled[1] = get(&f, false);
	http_pool_put(pooled[0], true);
	http_pool_put(pooled[1], true);
	f.to.port = 80;
	assert_ptr_equal(get(&f, false), pooled[0]);
	http_pool_put(pooled[0], false);
	assert_int_equal(f.origin.connects, 42);
	fixture_close(&f);
	return 0;
}

static void targets_are_kept_apart(void **state)
{
	(void)state;
	loopback_run(targets_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Connections that die
 */

static const struct origin_step *const deaths[] = { closes, resets, babbles };

static int death_run(void *arg)
{
	const struct origin_step *death = arg;
	struct http_pool_conf conf = { 0 };
	struct http_pooled *pooled;
	struct fixture f = { 0 };

	origin_init(&f.origin, kind);
	origin_script(&f.origin, death);
	origin_script(&f.origin, stalls);
	fixture_open(&f, &conf);
	pooled = get(&f, false);
	assert_int_equal(weir_stream_write(pooled->stream, "x", 1), 0);
	http_pool_put(pooled, true);
	assert_int_equal(http_pool_idle(f.pool), 1);
	/* It has ended when it is asked for. */
	origin_settle();
	pooled = get(&f, false);
	assert_int_equal(pooled->requests, 1);
	assert_int_equal(f.origin.connects, 2);
	http_pool_put(pooled, true);
	assert_int_equal(http_pool_idle(f.pool), 1);
	fixture_close(&f);
	return 0;
}

static void dead_ones_are_not_lent(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(deaths); i++)
		loopback_run(death_run, (void *)(uintptr_t)deaths[i]);
}

static int sweep_run(void *arg)
{
	struct http_pool_conf conf = { .idle_ms = 1200 };
	struct http_pooled *a, *b;
	struct fixture f = { 0 };

	(void)arg;
	origin_init(&f.origin, kind);
	origin_script(&f.origin, closes);
	origin_script(&f.origin, stalls);
	fixture_open(&f, &conf);
	a = get(&f, false);
	b = get(&f, false);
	assert_int_equal(weir_stream_write(a->stream, "x", 1), 0);
	http_pool_put(a, true);
	http_pool_put(b, true);
	/* What its peer has ended goes at the next look, the other one when it is too old; with the
	 * last one goes what is known of the target. */
	for (unsigned k = 0; k < 500 && http_pool_idle(f.pool) > 1; k++)
		assert_int_equal(weir_task_sleep_ms(10), 0);
	assert_int_equal(http_pool_idle(f.pool), 1);
	assert_int_equal(http_pool_sites(f.pool), 1);
	for (unsigned k = 0; k < 1000 && http_pool_idle(f.pool) > 0; k++)
		assert_int_equal(weir_task_sleep_ms(10), 0);
	assert_int_equal(http_pool_idle(f.pool), 0);
	assert_int_equal(http_pool_sites(f.pool), 0);
	fixture_close(&f);
	return 0;
}

static void idle_ones_are_swept(void **state)
{
	(void)state;
	loopback_run(sweep_run, NULL);
}

static int refuse_run(void *arg)
{
	struct http_pool_conf conf = { .max_connections = 1 };
	struct http_pooled *pooled;
	struct fixture f = { 0 };

	(void)arg;
	origin_init(&f.origin, STAGE_MEMORY);
	origin_script(&f.origin, refuses);
	origin_script(&f.origin, stalls);
	fixture_open(&f, &conf);
	assert_int_equal(http_pool_get(f.pool, NULL, &f.to, false, &pooled), -ECONNREFUSED);
	assert_int_equal(http_pool_sites(f.pool), 0);
	/* Its place is free again. */
	http_pool_put(get(&f, false), false);
	assert_int_equal(http_pool_sites(f.pool), 0);
	fixture_close(&f);
	return 0;
}

static void refused_connects_leave_nothing(void **state)
{
	(void)state;
	loopback_run(refuse_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * The queue
 */

struct guest {
	struct fixture *f;
	struct http_pooled *pooled;
	unsigned *order;
	unsigned place;
	int status;
	bool fresh;
};

static int guest_run(void *arg)
{
	struct guest *guest = arg;

	guest->status =
		http_pool_get(guest->f->pool, NULL, &guest->f->to, guest->fresh, &guest->pooled);
	guest->place = ++*guest->order;
	return 0;
}

static int queue_run(void *arg)
{
	struct http_pool_conf conf = { .max_connections = 1, .queue = 3, .queue_ms = 60000 };
	struct guest guests[4] = { 0 };
	struct weir_scope scope;
	struct fixture f = { 0 };
	struct http_pooled *pooled;
	unsigned order = 0;

	(void)arg;
	origin_init(&f.origin, kind);
	origin_script(&f.origin, stalls);
	fixture_open(&f, &conf);
	pooled = get(&f, false);
	weir_scope_init(&scope, NULL);
	for (size_t i = 0; i < 4; i++) {
		guests[i] = (struct guest){ .f = &f, .order = &order, .fresh = i == 2 };
		assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guests[i], NULL), 0);
	}
	assert_int_equal(weir_task_yield(), 0);
	/* One too many. */
	assert_int_equal(guests[3].status, WEIR_EQUEUE);
	assert_int_equal(order, 1);
	/* The connection itself is handed on; then its place; who wants a fresh one gets that. */
	http_pool_put(pooled, true);
	assert_int_equal(weir_task_yield(), 0);
	assert_int_equal(guests[0].place, 2);
	assert_ptr_equal(guests[0].pooled, pooled);
	assert_int_equal(f.origin.connects, 1);
	http_pool_put(guests[0].pooled, false);
	while (!guests[1].place)
		assert_int_equal(weir_task_yield(), 0);
	assert_int_equal(guests[1].status, 0);
	assert_int_equal(f.origin.connects, 2);
	http_pool_put(guests[1].pooled, true);
	weir_scope_join(&scope);
	assert_int_equal(guests[2].status, 0);
	assert_int_equal(guests[2].pooled->requests, 1);
	assert_int_equal(f.origin.connects, 3);
	/* With all connections idle, one goes to make room. */
	http_pool_put(guests[2].pooled, true);
	pooled = get(&f, true);
	assert_int_equal(f.origin.connects, 4);
	assert_int_equal(http_pool_idle(f.pool), 0);
	http_pool_put(pooled, true);
	weir_scope_fini(&scope);
	fixture_close(&f);
	return 0;
}

static void waiters_are_served_in_order(void **state)
{
	(void)state;
	loopback_run(queue_run, NULL);
}

static int patience_run(void *arg)
{
	struct http_pool_conf conf = { .max_connections = 1, .queue = 3, .queue_ms = 30 };
	struct http_pooled *pooled, *none;
	struct guest guest = { 0 };
	struct weir_scope scope;
	struct fixture f = { 0 };
	unsigned order = 0;

	(void)arg;
	origin_init(&f.origin, STAGE_MEMORY);
	origin_script(&f.origin, stalls);
	fixture_open(&f, &conf);
	pooled = get(&f, false);
	assert_int_equal(http_pool_get(f.pool, NULL, &f.to, false, &none), WEIR_EQUEUE);
	/* Who goes away while it waits is not served. */
	weir_scope_init(&scope, NULL);
	guest = (struct guest){ .f = &f, .order = &order };
	assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guest, NULL), 0);
	assert_int_equal(weir_task_yield(), 0);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(guest.status, -ECANCELED);
	http_pool_put(pooled, true);
	assert_int_equal(http_pool_idle(f.pool), 1);
	fixture_close(&f);
	return 0;
}

static void patience_ends(void **state)
{
	(void)state;
	loopback_run(patience_run, NULL);
}

static int use_tcp(void **state)
{
	(void)state;
	kind = STAGE_TCP;
	return 0;
}

int main(void)
{
	const struct CMUnitTest memory[] = {
		cmocka_unit_test(targets_are_kept_apart),
		cmocka_unit_test(refused_connects_leave_nothing),
		cmocka_unit_test(patience_ends),
	};
	const struct CMUnitTest both[] = {
		cmocka_unit_test(connections_are_lent_and_kept),
		cmocka_unit_test(dead_ones_are_not_lent),
		cmocka_unit_test(idle_ones_are_swept),
		cmocka_unit_test(waiters_are_served_in_order),
	};
	int failed;

	kind = STAGE_MEMORY;
	failed = cmocka_run_group_tests_name("http_pool", memory, NULL, NULL);
	failed += cmocka_run_group_tests_name("http_pool, memory", both, NULL, NULL);
	failed += cmocka_run_group_tests_name("http_pool, tcp", both, use_tcp, NULL);
	return failed;
}
