/* SPDX-License-Identifier: MIT */
/* Upstreams on real loopback sockets: retries, health, the queue, two workers. */

#include <pthread.h>

#include "upstream_rig.h"

#include "upstream/measure.h"

/* ------------------------------------------------------------------------------------------
 * Choosing and trying again
 */

static int retries_run(void *arg)
{
	const char *labels[] = { "db", NULL, "refused" };
	char text[WEIR_ADDRESS_TEXT];
	unsigned counts[SERVERS] = { 0 };
	struct weir_stream *stream;
	struct weir_conn conn;
	struct rig rig;

	(void)arg;
	rig_servers(&rig, 3);
	rig.endpoints[0].weight = 2;
	rig_upstream(&rig);
	for (unsigned k = 0; k < 40; k++) {
		int port = rig_visit(&rig);

		for (size_t i = 0; i < 3; i++)
			counts[i] += port == rig.ports[i];
	}
	assert_int_equal(counts[0], 20);
	assert_int_equal(counts[1], 10);
	assert_int_equal(counts[2], 10);
	rig_close_server(&rig, 1);
	for (unsigned k = 0; k < 20; k++)
		assert_true(rig_visit(&rig) > 0);
	assert_true(rig_info(&rig, 1).failures > 0);
	assert_int_equal(rig_info(&rig, 1).last_status, -ECONNREFUSED);
	labels[1] = weir_address_format(&rig.endpoints[1].target.address, text);
	assert_int_equal(weir_metrics_sum(rig.metrics, &weir_measure_failures, labels),
			 rig_info(&rig, 1).failures);
	assert_int_equal(weir_metrics_sum(rig.metrics, &weir_measure_retries, labels),
			 rig_info(&rig, 1).failures);
	/* What happened is recorded; the place is held until the stream is closed. */
	assert_int_equal(rig_connect(&rig, &conn, &stream), 0);
	assert_string_equal(conn.result.upstream, "db");
	assert_true(conn.result.connect_ns > 0);
	assert_in_range(conn.result.attempts, 1, 2);
	assert_int_equal(rig_info(&rig, 0).active + rig_info(&rig, 2).active, 1);
	weir_stream_close(stream);
	assert_int_equal(rig_info(&rig, 0).active + rig_info(&rig, 2).active, 0);
	/* All refuse: the reason of the last one, after three different ones. */
	rig_close_server(&rig, 0);
	rig_close_server(&rig, 2);
	assert_int_equal(rig_connect(&rig, &conn, &stream), -ECONNREFUSED);
	assert_int_equal(conn.result.attempts, 3);
	rig_fini(&rig);
	return 0;
}

static void failed_connects_go_elsewhere(void **state)
{
	(void)state;
	loopback_run(retries_run, NULL);
}

static int outlive_run(void *arg)
{
	struct weir_stream *stream;
	struct weir_conn conn;
	struct rig rig;

	(void)arg;
	rig_servers(&rig, 1);
	rig_upstream(&rig);
	assert_int_equal(rig_connect(&rig, &conn, &stream), 0);
	/* The stream gives its place back to an upstream that nobody else holds. */
	weir_connector_free(rig.connector);
	rig.connector = NULL;
	assert_int_equal(rig_info(&rig, 0).active, 1);
	weir_upstream_put(rig.upstream);
	rig.upstream = NULL;
	weir_stream_close(stream);
	rig_fini(&rig);
	return 0;
}

static void streams_outlive_their_connector(void **state)
{
	(void)state;
	loopback_run(outlive_run, NULL);
}

static int backup_run(void *arg)
{
	struct rig rig;

	(void)arg;
	rig_servers(&rig, 2);
	rig.endpoints[1].backup = true;
	rig_upstream(&rig);
	for (unsigned k = 0; k < 10; k++)
		assert_int_equal(rig_visit(&rig), rig.ports[0]);
	rig_close_server(&rig, 0);
	assert_int_equal(rig_visit(&rig), rig.ports[1]);
	rig_open_server(&rig, 0);
	assert_int_equal(rig_visit(&rig), rig.ports[0]);
	/* Draining: the backup serves; both: nobody. */
	assert_int_equal(weir_upstream_set_draining(rig.upstream, "nobody", true), -ENOENT);
	for (size_t i = 0; i < 2; i++) {
		struct weir_endpoint_info info = rig_info(&rig, i);

		assert_int_equal(weir_upstream_set_draining(rig.upstream, info.name, true), 0);
		assert_int_equal(rig_info(&rig, i).state, WEIR_ENDPOINT_DRAINING);
		assert_int_equal(rig_visit(&rig), i ? WEIR_ENOENDPOINT : rig.ports[1]);
	}
	assert_int_equal(weir_upstream_set_draining(rig.upstream, rig_info(&rig, 0).name, false),
			 0);
	assert_int_equal(rig_visit(&rig), rig.ports[0]);
	rig_fini(&rig);
	return 0;
}

static void backups_and_draining(void **state)
{
	(void)state;
	loopback_run(backup_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Health
 */

static int ejection_run(void *arg)
{
	struct rig rig;

	(void)arg;
	rig_servers(&rig, 2);
	rig.conf.ejection.failures = 2;
	rig.conf.ejection.base_ms = 300;
	rig_upstream(&rig);
	rig_close_server(&rig, 0);
	for (unsigned k = 0; k < 4; k++)
		assert_int_equal(rig_visit(&rig), rig.ports[1]);
	assert_int_equal(rig_info(&rig, 0).state, WEIR_ENDPOINT_EJECTED);
	assert_int_equal(rig_info(&rig, 0).ejections, 1);
	assert_int_equal(rig_info(&rig, 0).failures, 2);
	/* The last healthy one stays whatever it does. */
	rig_close_server(&rig, 1);
	for (unsigned k = 0; k < 5; k++)
		assert_int_equal(rig_visit(&rig), -ECONNREFUSED);
	assert_int_equal(rig_info(&rig, 1).state, WEIR_ENDPOINT_HEALTHY);
	rig_open_server(&rig, 0);
	rig_await(&rig, 0, WEIR_ENDPOINT_HEALTHY);
	assert_int_equal(rig_visit(&rig), rig.ports[0]);
	rig_fini(&rig);
	return 0;
}

static void failing_endpoints_are_ejected(void **state)
{
	(void)state;
	loopback_run(ejection_run, NULL);
}

static int checks_run(void *arg)
{
	struct weir_connector *tcp = tcp_new();
	struct weir_scope scope;
	struct rig rig;

	(void)arg;
	rig_servers(&rig, 2);
	rig.conf.health.tcp = true;
	rig.conf.health.interval_ms = 20;
	rig.conf.health.unhealthy = 2;
	rig_upstream(&rig);
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_upstream_start(rig.upstream, &scope, tcp, NULL, rig.metrics), 0);
	assert_int_equal(weir_upstream_start(rig.upstream, &scope, tcp, NULL, rig.metrics),
			 -EALREADY);
	rig_close_server(&rig, 0);
	rig_await(&rig, 0, WEIR_ENDPOINT_UNHEALTHY);
	for (unsigned k = 0; k < 10; k++)
		assert_int_equal(rig_visit(&rig), rig.ports[1]);
	assert_int_equal(rig_info(&rig, 0).failures, 0);
	assert_true(rig_info(&rig, 0).checks_failed >= 2);
	/* None is healthy: all are tried all the same. */
	rig_close_server(&rig, 1);
	rig_await(&rig, 1, WEIR_ENDPOINT_UNHEALTHY);
	assert_int_equal(rig_visit(&rig), -ECONNREFUSED);
	assert_true(rig_info(&rig, 0).failures > 0 && rig_info(&rig, 1).failures > 0);
	rig_open_server(&rig, 0);
	rig_await(&rig, 0, WEIR_ENDPOINT_HEALTHY);
	assert_int_equal(rig_visit(&rig), rig.ports[0]);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	weir_connector_free(tcp);
	rig_fini(&rig);
	return 0;
}

static void checks_take_out_and_bring_back(void **state)
{
	(void)state;
	loopback_run(checks_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * The queue
 */

struct guest {
	struct rig *rig;
	struct weir_stream *stream;
	unsigned *order; /* counts who got a place */
	unsigned place;
	int status;
};

static int guest_run(void *arg)
{
	struct guest *guest = arg;
	struct weir_conn conn;

	guest->status = rig_connect(guest->rig, &conn, &guest->stream);
	if (!guest->status)
		guest->place = ++*guest->order;
	return 0;
}

static int queue_run(void *arg)
{
	const char *const labels[] = { "db", weir_error_name(WEIR_EQUEUE) };
	struct guest guests[4] = { 0 };
	struct weir_stream *stream;
	struct weir_scope scope;
	struct weir_conn conn;
	unsigned order = 0;
	struct rig rig;

	(void)arg;
	rig_servers(&rig, 1);
	rig.conf.limit.connections = 1;
	rig.conf.limit.queue = 3;
	rig.conf.limit.queue_ms = 1000;
	rig_upstream(&rig);
	assert_int_equal(rig_connect(&rig, &conn, &stream), 0);
	weir_scope_init(&scope, NULL);
	for (size_t i = 0; i < 4; i++) {
		guests[i].rig = &rig;
		guests[i].order = &order;
		assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guests[i], NULL), 0);
	}
	assert_int_equal(weir_task_sleep_ms(20), 0);
	/* Three wait, the fourth is too many. */
	assert_int_equal(guests[3].status, WEIR_EQUEUE);
	assert_int_equal(order, 0);
	weir_stream_close(stream);
	for (size_t i = 0; i < 2; i++) {
		for (unsigned k = 0; k < 50 && !guests[i].place; k++)
			assert_int_equal(weir_task_sleep_ms(10), 0);
		assert_int_equal(guests[i].place, i + 1);
		assert_int_equal(rig_info(&rig, 0).active, 1);
		if (i == 0)
			weir_stream_close(guests[i].stream);
	}
	/* The third waits in vain. */
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(guests[2].status, WEIR_EQUEUE);
	assert_int_equal(weir_metrics_sum(rig.metrics, &weir_measure_refused, labels), 2);
	weir_stream_close(guests[1].stream);
	assert_int_equal(rig_info(&rig, 0).active, 0);
	assert_true(rig_visit(&rig) > 0);
	rig_fini(&rig);
	return 0;
}

static void places_are_given_in_order(void **state)
{
	(void)state;
	loopback_run(queue_run, NULL);
}

static int limit_run(void *arg)
{
	struct guest guest = { 0 };
	struct weir_stream *stream;
	struct weir_scope scope;
	struct weir_conn conn;
	unsigned order = 0;
	struct rig rig;

	(void)arg;
	rig_servers(&rig, 1);
	rig.conf.limit.connections = 1;
	rig_upstream(&rig);
	assert_int_equal(rig_connect(&rig, &conn, &stream), 0);
	assert_int_equal(rig_visit(&rig), WEIR_ELIMIT);
	weir_stream_close(stream);
	weir_connector_free(rig.connector);
	weir_upstream_put(rig.upstream);
	weir_metrics_free(rig.metrics);
	/* Who is cancelled while waiting leaves nothing behind. */
	rig.conf.limit.queue = 1;
	rig_upstream(&rig);
	assert_int_equal(rig_connect(&rig, &conn, &stream), 0);
	guest = (struct guest){ .rig = &rig, .order = &order };
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "guest", guest_run, &guest, NULL), 0);
	assert_int_equal(weir_task_sleep_ms(10), 0);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(guest.status, -ECANCELED);
	weir_stream_close(stream);
	assert_int_equal(rig_info(&rig, 0).active, 0);
	assert_true(rig_visit(&rig) > 0);
	rig_fini(&rig);
	return 0;
}

static void limits_without_queue_and_cancelled_waits(void **state)
{
	(void)state;
	loopback_run(limit_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Two workers
 */

#define GUESTS 8
#define VISITS 60

struct crowd {
	struct rig *rig;
	struct weir_connector *connector;
	unsigned served;
};

static int crowd_guest(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned k = 0; k < VISITS; k++) {
		struct weir_conn conn = { .peer = loopback_address(1) };
		struct weir_stream *stream;

		if (weir_connect(crowd->connector, &conn, NULL, &stream))
			continue;
		crowd->served++;
		if (weir_task_yield())
			return -1;
		weir_stream_close(stream);
	}
	return 0;
}

static int crowd_run(void *arg)
{
	struct crowd *crowd = arg;
	struct weir_scope scope;
	int status = 0;

	crowd->connector =
		weir_upstream_connector(crowd->rig->upstream, tcp_new(), crowd->rig->metrics, NULL);
	weir_scope_init(&scope, NULL);
	for (unsigned k = 0; k < GUESTS && !status; k++)
		status = weir_scope_spawn(&scope, "guest", crowd_guest, crowd, NULL);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	weir_connector_free(crowd->connector);
	return status;
}

static void *crowd_thread(void *arg)
{
	loopback_run(crowd_run, arg);
	return NULL;
}

static void two_workers_share_an_upstream(void **state)
{
	struct crowd crowds[2] = { 0 };
	pthread_t threads[2];
	struct rig rig;
	char name[300];

	(void)state;
	rig_servers(&rig, 3);
	rig.conf.balance = WEIR_BALANCE_LEAST_CONNECTIONS;
	rig.conf.limit.connections = 3;
	rig.conf.limit.queue = GUESTS;
	rig.conf.ejection.failures = 2;
	rig.conf.ejection.base_ms = 5;
	rig.conf.slow_start_ms = 20;
	rig_upstream(&rig);
	rig_close_server(&rig, 2);
	snprintf(name, sizeof(name), "%s", rig_info(&rig, 1).name);
	for (size_t i = 0; i < 2; i++) {
		crowds[i].rig = &rig;
		pthread_create(&threads[i], NULL, crowd_thread, &crowds[i]);
	}
	for (unsigned k = 0; k < 50; k++) {
		weir_upstream_set_draining(rig.upstream, name, k % 2 == 0);
		for (size_t i = 0; i < 3; i++)
			assert_true(rig_info(&rig, i).active <= 3);
		usleep(1000);
	}
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	/* All were served, in spite of the one that refuses, and all places are free again. */
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(crowds[i].served, GUESTS * VISITS);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(rig_info(&rig, i).active, 0);
	assert_int_equal(rig_info(&rig, 0).total + rig_info(&rig, 1).total, 2 * GUESTS * VISITS);
	assert_true(rig_info(&rig, 2).ejections > 0);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_connects_go_elsewhere),
		cmocka_unit_test(streams_outlive_their_connector),
		cmocka_unit_test(backups_and_draining),
		cmocka_unit_test(failing_endpoints_are_ejected),
		cmocka_unit_test(checks_take_out_and_bring_back),
		cmocka_unit_test(places_are_given_in_order),
		cmocka_unit_test(limits_without_queue_and_cancelled_waits),
		cmocka_unit_test(two_workers_share_an_upstream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
