/* SPDX-License-Identifier: MIT */
/* Limits on calls: concurrency with its queue, rates by key, load shedding. */

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_limit.h>
#include <weir/loop.h>

#include "http_rig.h"
#include "layer/http_rate_table.h"

static struct rig_script script;
static struct weir_counter refused;
static struct weir_event gate;

/* A call in a task of its own. */
struct asker {
	struct weir_http_service *svc;
	unsigned status;
	struct rig_call call;
};

static int asker_main(void *arg)
{
	struct asker *asker = arg;

	rig_call_init(&asker->call, "GET /", NULL, NULL);
	asker->status = rig_call_handle(&asker->call, asker->svc);
	if (asker->status == 503)
		assert_string_equal(rig_call_field(&asker->call, "retry-after"), "1");
	rig_call_fini(&asker->call);
	return 0;
}

static struct asker askers[4];

static void ask_all(struct weir_scope *scope, struct weir_http_service *svc, int n)
{
	weir_scope_init(scope, NULL);
	for (int i = 0; i < n; i++) {
		askers[i] = (struct asker){ .svc = svc };
		assert_int_equal(weir_scope_spawn(scope, "ask", asker_main, &askers[i], NULL), 0);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(weir_task_yield(), 0);
}

static void finish(struct weir_scope *scope)
{
	weir_event_set(&gate);
	weir_scope_join(scope);
	weir_scope_fini(scope);
	weir_event_clear(&gate);
}

static struct weir_http_service *concurrency(const struct weir_http_concurrency_conf *conf)
{
	struct weir_http_service *svc =
		weir_http_concurrency_layer(rig_script_init(&script), conf, NULL);

	assert_non_null(svc);
	weir_event_init(&gate);
	script.waits = &gate;
	refused.value = 0;
	return svc;
}

static int concurrency_main(void *arg)
{
	struct weir_http_service *svc =
		concurrency(&(struct weir_http_concurrency_conf){ .max = 2, .refused = &refused });
	struct weir_scope scope;

	(void)arg;
	for (int round = 0; round < 2; round++) {
		ask_all(&scope, svc, 3);
		assert_int_equal(askers[2].status, 503);
		finish(&scope);
		assert_int_equal(askers[0].status, 200);
		assert_int_equal(askers[1].status, 200);
	}
	assert_int_equal(refused.value, 2);
	/* A place is taken until the last byte is gone, also by a failure. */
	script.error = -ECONNRESET;
	ask_all(&scope, svc, 2);
	finish(&scope);
	assert_int_equal(askers[0].status, 502);
	script.error = 0;
	ask_all(&scope, svc, 2);
	finish(&scope);
	assert_int_equal(askers[1].status, 200);
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return 0;
}

static void one_call_too_many_is_refused(void **state)
{
	(void)state;
	rig_calls_run(concurrency_main, NULL);
}

static int queue_main(void *arg)
{
	struct weir_http_service *svc = concurrency(&(struct weir_http_concurrency_conf){
		.max = 1, .queue = 2, .queue_ms = 60000, .refused = &refused });
	struct weir_scope scope;

	(void)arg;
	ask_all(&scope, svc, 4);
	assert_int_equal(script.served, 1);
	assert_int_equal(askers[3].status, 503);
	finish(&scope);
	for (int i = 0; i < 3; i++)
		assert_int_equal(askers[i].status, 200);
	weir_http_service_free(svc);
	/* Who waits for too long is refused; who is cancelled leaves no trace. */
	svc = concurrency(&(struct weir_http_concurrency_conf){
		.max = 1, .queue = 2, .queue_ms = 1, .refused = &refused });
	ask_all(&scope, svc, 2);
	while (!askers[1].status)
		assert_int_equal(weir_task_sleep_ms(1), 0);
	assert_int_equal(askers[1].status, 503);
	assert_int_equal(refused.value, 1);
	finish(&scope);
	ask_all(&scope, svc, 1);
	finish(&scope);
	assert_int_equal(askers[0].status, 200);
	weir_http_service_free(svc);
	return 0;
}

static void some_wait_for_a_place(void **state)
{
	(void)state;
	rig_calls_run(queue_main, NULL);
}

/* ---- rates ---- */

static unsigned ask_as(struct weir_http_service *svc, const char *client, const char *field,
		       char *retry_after)
{
	const char *const fields[] = { field, NULL };
	struct rig_call *call = malloc(sizeof(*call));
	unsigned status;

	rig_call_init(call, "GET /", fields, client);
	status = rig_call_handle(call, svc);
	strcpy(retry_after, rig_call_field(call, "retry-after"));
	rig_call_fini(call);
	free(call);
	return status;
}

static int rate_main(void *arg)
{
	struct weir_http_rate_limit_conf conf = { .rate = 0.01, .burst = 2, .refused = &refused };
	struct weir_http_service *svc =
		weir_http_rate_limit_layer(rig_script_init(&script), &conf, NULL);
	char after[32];

	(void)arg;
	refused.value = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask_as(svc, "192.0.2.1:1", NULL, after), i < 2 ? 200 : 429);
	assert_true(atoi(after) > 90 && atoi(after) <= 101);
	assert_int_equal(ask_as(svc, "192.0.2.1:2", NULL, after), 429);
	assert_int_equal(ask_as(svc, "192.0.2.2:1", NULL, after), 200);
	/* An IPv6 network is one client. */
	assert_int_equal(ask_as(svc, "[2001:db8::1]:1", NULL, after), 200);
	assert_int_equal(ask_as(svc, "[2001:db8::2]:1", NULL, after), 200);
	assert_int_equal(ask_as(svc, "[2001:db8::3]:1", NULL, after), 429);
	assert_int_equal(ask_as(svc, "[2001:db8:0:1::3]:1", NULL, after), 200);
	assert_int_equal(refused.value, 3);
	weir_http_service_free(svc);
	conf.key = "{request.x-api-key}";
	conf.burst = 1;
	svc = weir_http_rate_limit_layer(&script.svc, &conf, NULL);
	assert_int_equal(ask_as(svc, "192.0.2.1:1", "X-API-Key: a", after), 200);
	assert_int_equal(ask_as(svc, "192.0.2.2:1", "x-api-key: a", after), 429);
	assert_int_equal(ask_as(svc, "192.0.2.1:1", "X-API-Key: b", after), 200);
	assert_int_equal(ask_as(svc, "192.0.2.1:1", NULL, after), 200);
	assert_int_equal(ask_as(svc, "192.0.2.1:1", NULL, after), 429);
	weir_http_service_free(svc);
	return 0;
}

static void rates_are_kept_by_key(void **state)
{
	(void)state;
	rig_calls_run(rate_main, NULL);
}

static int shared_rate_main(void *arg)
{
	struct weir_http_rate_shared *shared = weir_http_rate_shared_new();
	struct weir_http_rate_limit_conf conf = { .rate = 0.01, .shared = shared };
	struct weir_http_service *a =
		weir_http_rate_limit_layer(rig_script_init(&script), &conf, NULL);
	struct weir_http_service *b = weir_http_rate_limit_layer(&script.svc, &conf, NULL);
	char after[32];

	(void)arg;
	weir_http_rate_shared_put(shared);
	assert_int_equal(ask_as(a, NULL, NULL, after), 200);
	assert_int_equal(ask_as(b, NULL, NULL, after), 429);
	weir_http_service_free(a);
	assert_int_equal(ask_as(b, NULL, NULL, after), 429);
	weir_http_service_free(b);
	weir_http_rate_shared_put(NULL);
	return 0;
}

static void workers_share_a_rate(void **state)
{
	(void)state;
	rig_calls_run(shared_rate_main, NULL);
}

static void the_table_is_bounded(void **state)
{
	const struct weir_token_rate rate = { .per_second = 1, .burst = 1 };
	struct http_rate_table *table = http_rate_table_new();
	char key[32];
	uint64_t when;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct weir_text text = { key, (size_t)snprintf(key, sizeof(key), "key %d", i) };

		assert_int_equal(http_rate_table_take(table, text, &rate, 100, 1, &when), 0);
		/* One that is used again and again stays, whatever comes. */
		assert_int_equal(http_rate_table_take(table, WEIR_TEXT("key 0"), &rate, 100, 1,
						      &when),
				 WEIR_ERATE);
		assert_int_equal(when, 1000000001);
	}
	assert_int_equal(http_rate_table_size(table), 100);
	/* After a flood, memory goes back as others come. */
	for (int i = 0; i < 100; i++) {
		struct weir_text text = { key, (size_t)snprintf(key, sizeof(key), "new %d", i) };

		assert_int_equal(http_rate_table_take(table, text, &rate, 100,
						      (uint64_t)(i + 2) * 2000000000, &when),
				 0);
	}
	assert_true(http_rate_table_size(table) <= 3);
	http_rate_table_free(table);
	http_rate_table_free(NULL);
}

/* ---- load ---- */

static void burn(struct rig_script *self, struct weir_call *call)
{
	uint64_t until = weir_now() + 3000000;

	(void)self;
	(void)call;
	while (weir_now() < until)
		;
}

static int shed_main(void *arg)
{
	struct weir_http_shed_conf conf = { .delay_ms = 4, .interval_ms = 20, .refused = &refused };
	struct weir_http_service *svc = weir_http_shed_layer(rig_script_init(&script), &conf, NULL);
	int served_when_overloaded = 0;

	(void)arg;
	refused.value = 0;
	script.hook = burn;
	/* Iterations of 12 ms each: four calls of 3 ms. After 20 ms of that, the late ones go. */
	for (int i = 0; i < 8; i++) {
		for (int j = 0; j < 4; j++) {
			unsigned status = rig_ask(svc, "GET /", NULL);

			served_when_overloaded += refused.value > 0 && status == 200;
			if (i == 0)
				assert_int_equal(status, 200);
		}
		assert_int_equal(weir_task_yield(), 0);
	}
	assert_true(refused.value > 0);
	assert_true(served_when_overloaded > 0);
	/* Work is short again: everybody is served. */
	script.hook = NULL;
	assert_int_equal(weir_task_yield(), 0);
	assert_int_equal(rig_ask(svc, "GET /", NULL), 200);
	assert_int_equal(weir_task_yield(), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(rig_ask(svc, "GET /", NULL), 200);
	weir_http_service_free(svc);
	return 0;
}

static void an_overloaded_worker_sheds(void **state)
{
	(void)state;
	rig_calls_run(shed_main, NULL);
}

static int shed_active_main(void *arg)
{
	struct weir_http_shed_conf conf = { .max_active = 1, .refused = &refused };
	struct weir_http_service *svc = weir_http_shed_layer(rig_script_init(&script), &conf, NULL);
	struct weir_scope scope;

	(void)arg;
	weir_event_init(&gate);
	script.waits = &gate;
	for (int i = 0; i < 2; i++) {
		ask_all(&scope, svc, 2);
		finish(&scope);
		assert_int_equal(askers[0].status, 200);
		assert_int_equal(askers[1].status, 503);
	}
	weir_http_service_free(svc);
	return 0;
}

static void a_full_worker_sheds(void **state)
{
	(void)state;
	rig_calls_run(shed_active_main, NULL);
}

static void mistakes_are_said(void **state)
{
	const double rates[] = { 0, -1, NAN, INFINITY };
	struct weir_error error = { 0 };

	(void)state;
	rig_script_init(&script);
	assert_null(weir_http_concurrency_layer(&script.svc,
						&(struct weir_http_concurrency_conf){ 0 }, &error));
	assert_true(error.message[0] && error.remedy[0]);
	assert_null(weir_http_concurrency_layer(
		&script.svc, &(struct weir_http_concurrency_conf){ .max = 1, .queue_ms = 1 },
		&error));
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(rates); i++)
		assert_null(weir_http_rate_limit_layer(
			&script.svc, &(struct weir_http_rate_limit_conf){ .rate = rates[i] },
			&error));
	assert_null(weir_http_rate_limit_layer(
		&script.svc, &(struct weir_http_rate_limit_conf){ .rate = 1, .key = "{x}" },
		&error));
	assert_int_equal(script.freed, 7);
	assert_null(weir_http_shed_layer(NULL, &(struct weir_http_shed_conf){ 0 }, &error));
	weir_http_concurrency_shared_put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_call_too_many_is_refused),
		cmocka_unit_test(some_wait_for_a_place),
		cmocka_unit_test(rates_are_kept_by_key),
		cmocka_unit_test(workers_share_a_rate),
		cmocka_unit_test(the_table_is_bounded),
		cmocka_unit_test(an_overloaded_worker_sheds),
		cmocka_unit_test(a_full_worker_sheds),
		cmocka_unit_test(mistakes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
