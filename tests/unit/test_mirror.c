/* SPDX-License-Identifier: MIT */
/* Shadow traffic: what is copied, what is not, and that the real call never waits. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/mirror.h>

#include "http_rig.h"

static struct rig_script real, shadow;
static struct rig_call call;
static struct weir_counter sent, dropped;

static struct weir_http_service *mirror_of(const struct weir_mirror_conf *like)
{
	struct weir_mirror_conf conf = *like;
	struct weir_http_service *svc;

	memset(&sent, 0, sizeof(sent));
	memset(&dropped, 0, sizeof(dropped));
	conf.shadow = rig_script_init(&shadow);
	conf.sent = &sent;
	conf.dropped = &dropped;
	svc = weir_http_mirror_layer(rig_script_init(&real), &conf, NULL);
	assert_non_null(svc);
	real.reads = true;
	shadow.reads = true;
	return svc;
}

/* Asks with a body (PIECES, or none). */
static void ask(struct weir_http_service *svc, const char *line, const char *const *pieces,
		bool chunked)
{
	static const char *const fields[] = { "X-A: b", "Expect: 100-continue", NULL };

	rig_call_init(&call, line, fields, NULL);
	if (pieces)
		rig_call_body(&call, pieces, chunked);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	rig_call_fini(&call);
}

/* Until the tasks of the layer have run as far as they can. */
static void settle(void)
{
	for (int i = 0; i < 20; i++)
		assert_int_equal(weir_task_yield(), 0);
}

static int copies_main(void *arg)
{
	static const char *const pieces[] = { "hello, ", "", "world", NULL };
	struct weir_http_service *svc = mirror_of(&(struct weir_mirror_conf){ 0 });

	(void)arg;
	ask(svc, "GET http://h/a?b=c", NULL, false);
	assert_int_equal(shadow.served, 0); /* later, in a task of its own */
	settle();
	assert_int_equal(shadow.served, 1);
	assert_string_equal(shadow.seen_target, "GET http://h/a?b=c");
	assert_non_null(strstr(shadow.seen_fields, "X-A: b\n"));
	assert_null(strstr(shadow.seen_fields, "Expect"));
	ask(svc, "POST http://h/", pieces, false);
	ask(svc, "PUT http://h/", pieces, true);
	settle();
	assert_int_equal(shadow.served, 3);
	assert_string_equal(shadow.seen_body, "hello, world");
	assert_string_equal(real.seen_body, "hello, world");
	assert_int_equal(sent.value, 3);
	assert_int_equal(dropped.value, 0);
	weir_http_service_free(svc);
	assert_int_equal(real.freed + shadow.freed, 2);
	return 0;
}

static void requests_are_copied(void **state)
{
	(void)state;
	rig_calls_run(copies_main, NULL);
}

static int large_main(void *arg)
{
	static const char *const pieces[] = { "0123456789", "0123456789", NULL };
	struct weir_http_service *svc = mirror_of(&(struct weir_mirror_conf){ .max_bytes = 15 });

	(void)arg;
	ask(svc, "POST /", pieces, false);
	ask(svc, "POST /", pieces, true);
	settle();
	assert_string_equal(real.seen_body, "01234567890123456789");
	assert_int_equal(shadow.served, 0);
	assert_int_equal(dropped.value, 2);
	/* A real service that reads nothing leaves nothing to copy. */
	real.reads = false;
	ask(svc, "POST /", pieces + 1, false);
	settle();
	assert_int_equal(shadow.served, 0);
	assert_int_equal(dropped.value, 3);
	weir_http_service_free(svc);
	return 0;
}

static void large_bodies_are_not_copied(void **state)
{
	(void)state;
	rig_calls_run(large_main, NULL);
}

static int slow_main(void *arg)
{
	struct weir_http_service *svc = mirror_of(&(struct weir_mirror_conf){ .max_active = 2 });
	struct weir_event never = { 0 };

	(void)arg;
	weir_event_init(&never);
	shadow.waits = &never;
	for (int i = 0; i < 5; i++)
		ask(svc, "GET /", NULL, false);
	settle();
	assert_int_equal(real.served, 5);
	assert_int_equal(shadow.served, 2);
	assert_int_equal(dropped.value, 3);
	/* Ends the two that wait. */
	weir_http_service_free(svc);
	assert_int_equal(shadow.freed, 1);
	return 0;
}

static void a_slow_shadow_slows_nobody(void **state)
{
	(void)state;
	rig_calls_run(slow_main, NULL);
}

static int timeout_main(void *arg)
{
	struct weir_http_service *svc =
		mirror_of(&(struct weir_mirror_conf){ .max_active = 1, .timeout_ms = 1 });
	struct weir_event never = { 0 };

	(void)arg;
	weir_event_init(&never);
	shadow.waits = &never;
	ask(svc, "GET /", NULL, false);
	while (sent.value < 2) {
		assert_int_equal(weir_task_sleep_ms(1), 0);
		ask(svc, "GET /", NULL, false);
	}
	weir_http_service_free(svc);
	return 0;
}

static void copies_have_their_time(void **state)
{
	(void)state;
	rig_calls_run(timeout_main, NULL);
}

static int share_main(void *arg)
{
	struct weir_http_service *svc = mirror_of(&(struct weir_mirror_conf){ .percent = 25 });

	(void)arg;
	for (int i = 0; i < 4000; i++) {
		ask(svc, "GET /", NULL, false);
		settle();
	}
	/* Ten standard deviations. */
	assert_in_range(shadow.served, 726, 1274);
	weir_http_service_free(svc);
	return 0;
}

static void a_part_of_the_calls_is_copied(void **state)
{
	(void)state;
	rig_calls_run(share_main, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_copied),
		cmocka_unit_test(large_bodies_are_not_copied),
		cmocka_unit_test(a_slow_shadow_slows_nobody),
		cmocka_unit_test(copies_have_their_time),
		cmocka_unit_test(a_part_of_the_calls_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
