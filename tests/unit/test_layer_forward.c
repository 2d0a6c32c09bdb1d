/* SPDX-License-Identifier: MIT */
/* The forward service: results, metrics, refusals, ends. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/layer.h>

#include "stage.h"

static struct stage stage;
static struct weir_metrics *metrics;
static struct pair_connector pair;

static int setup(void **state)
{
	(void)state;
	stage_open(&stage);
	metrics = weir_metrics_new(1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_close(&stage);
	weir_metrics_free(metrics);
	return 0;
}

/* The value of a line of the metrics' text; -1 when there is none. */
static long metric(const char *line)
{
	struct weir_buffer text;
	long value = -1;
	char *found;

	weir_buffer_init(&text);
	assert_int_equal(weir_metrics_format(metrics, &text), 0);
	assert_int_equal(weir_buffer_append(&text, "", 1), 0);
	found = strstr(text.data, line);
	if (found)
		value = strtol(found + strlen(line), NULL, 10);
	weir_buffer_fini(&text);
	return value;
}

#define LABELS "{listener=\"stage\",upstream=\"db\""

static struct weir_service *forward(enum stage_kind kind, unsigned paths, uint64_t idle_ms)
{
	struct weir_forward_conf conf = {
		.connector = pair_connector_init(&pair, kind),
		.upstream = "db",
		.bridge = { .paths = paths, .idle_ms = idle_ms },
		.metrics = metrics,
	};
	struct weir_service *svc = weir_forward_service(&conf, NULL);

	assert_non_null(svc);
	return svc;
}

static int talk_main(void *arg)
{
	enum weir_path path = *(const enum weir_path *)arg;
	struct weir_service *svc = forward(STAGE_TCP, WEIR_PATH_BIT(path), 0);
	struct stage_conn c;
	char data[16];

	stage_connect(&c, svc, STAGE_TCP, NULL);
	assert_int_equal(weir_stream_write(c.peer, "question", 8), 0);
	assert_false(stage_is_over(&c));
	assert_int_equal(weir_stream_read_full(pair.origin, data, 8), 0);
	assert_memory_equal(data, "question", 8);
	/* Seen before the connection is over. */
	assert_int_equal(metric("weir_forward_connections_active" LABELS "} "), 1);
	assert_int_equal(metric("weir_forward_bytes_total" LABELS ",direction=\"up\"} "), 8);
	assert_int_equal(weir_stream_write(pair.origin, "yes", 3), 0);
	assert_int_equal(weir_stream_shutdown(pair.origin), 0);
	assert_int_equal(weir_stream_read_full(c.peer, data, 3), 0);
	assert_int_equal(weir_stream_read(c.peer, data, 1), 0);
	/* Half-closed: the other direction still works. */
	assert_int_equal(weir_stream_write(c.peer, "thanks", 6), 0);
	assert_int_equal(weir_stream_shutdown(c.peer), 0);
	assert_int_equal(weir_stream_read_full(pair.origin, data, 6), 0);
	assert_int_equal(weir_stream_read(pair.origin, data, 1), 0);
	assert_int_equal(stage_finish(&c), 0);

	assert_string_equal(c.conn.result.upstream, "db");
	assert_true(weir_address_is_equal(&c.conn.result.endpoint, weir_stream_local(pair.origin)));
	assert_int_equal(c.conn.result.path, path);
	assert_int_equal(c.conn.result.bytes_up, 14);
	assert_int_equal(c.conn.result.bytes_down, 3);
	assert_true(c.conn.result.connect_ns > 0);
	assert_int_equal(c.conn.result.attempts, 1);
	assert_int_equal(c.conn.result.end, WEIR_END_UPSTREAM);
	weir_stream_close(pair.origin);
	weir_service_free(svc);
	assert_int_equal(pair.freed, 1);

	assert_int_equal(metric("weir_forward_connections_active" LABELS "} "), 0);
	assert_int_equal(metric("weir_forward_connections_total" LABELS "} "), 1);
	assert_int_equal(metric("weir_forward_bytes_total" LABELS ",direction=\"up\"} "), 14);
	assert_int_equal(metric("weir_forward_bytes_total" LABELS ",direction=\"down\"} "), 3);
	assert_int_equal(metric("weir_forward_connect_seconds_count" LABELS "} "), 1);
	assert_int_equal(metric("weir_forward_duration_seconds_count" LABELS "} "), 1);
	assert_int_equal(metric("weir_forward_ends_total" LABELS ",reason=\"upstream_closed\"} "),
			 1);
	assert_int_equal(metric("weir_forward_ends_total" LABELS ",reason=\"error\"} "), 0);
	return 0;
}

static void bytes_and_ends_are_counted_on_copy(void **state)
{
	enum weir_path path = WEIR_PATH_COPY;

	(void)state;
	stage_run(&stage, talk_main, &path);
}

static void bytes_and_ends_are_counted_on_splice(void **state)
{
	enum weir_path path = WEIR_PATH_SPLICE;

	(void)state;
	stage_run(&stage, talk_main, &path);
}

static int refuse_main(void *arg)
{
	struct weir_service *svc = forward(STAGE_TCP, 0, 0);
	static const struct {
		int status;
		const char *line;
	} cases[] = {
		{ -ECONNREFUSED, "weir_forward_refusals_total" LABELS ",cause=\"ECONNREFUSED\"} " },
		{ -ETIMEDOUT, "weir_forward_refusals_total" LABELS ",cause=\"ETIMEDOUT\"} " },
		{ WEIR_ENOENDPOINT,
		  "weir_forward_refusals_total" LABELS ",cause=\"no_endpoint\"} " },
		{ WEIR_EQUEUE, "weir_forward_refusals_total" LABELS ",cause=\"queue\"} " },
	};

	(void)arg;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct stage_conn c;
		char byte;

		pair.status = cases[i].status;
		stage_connect(&c, svc, STAGE_TCP, NULL);
		assert_int_equal(weir_stream_read(c.peer, &byte, 1), -ECONNRESET);
		assert_int_equal(stage_finish(&c), cases[i].status);
		assert_int_equal(metric(cases[i].line), 1);
		assert_string_equal(c.conn.result.upstream, "db");
		assert_int_equal(c.conn.result.end, WEIR_END_ERROR);
		assert_int_equal(c.conn.result.connect_ns, 0);
	}
	assert_int_equal(metric("weir_forward_connections_total" LABELS "} "), 0);
	assert_int_equal(metric("weir_forward_connections_active" LABELS "} "), 0);
	weir_service_free(svc);
	return 0;
}

static void refusals_are_counted_by_cause(void **state)
{
	(void)state;
	stage_run(&stage, refuse_main, NULL);
}

static int reset_main(void *arg)
{
	const bool *by_client = arg;
	struct weir_service *svc = forward(STAGE_TCP, 0, 0);
	struct weir_stream *other;
	struct stage_conn c;
	char byte;

	stage_connect(&c, svc, STAGE_TCP, NULL);
	assert_int_equal(weir_stream_write(c.peer, "x", 1), 0);
	assert_false(stage_is_over(&c));
	assert_int_equal(weir_stream_read(pair.origin, &byte, 1), 1);
	if (*by_client) {
		weir_stream_abort(c.peer);
		weir_stream_close(c.peer);
		c.peer = NULL;
		other = pair.origin;
	} else {
		weir_stream_abort(pair.origin);
		weir_stream_close(pair.origin);
		pair.origin = NULL;
		other = c.peer;
	}
	assert_int_equal(weir_stream_read(other, &byte, 1), -ECONNRESET);
	assert_int_equal(stage_finish(&c), -ECONNRESET);
	assert_int_equal(c.conn.result.end,
			 *by_client ? WEIR_END_CLIENT_RESET : WEIR_END_UPSTREAM_RESET);
	assert_int_equal(metric(*by_client ? "weir_forward_ends_total" LABELS
					     ",reason=\"client_reset\"} "
					   : "weir_forward_ends_total" LABELS
					     ",reason=\"upstream_reset\"} "),
			 1);
	weir_stream_close(pair.origin);
	weir_service_free(svc);
	return 0;
}

static void resets_are_passed_on(void **state)
{
	bool by_client = true;

	(void)state;
	stage_run(&stage, reset_main, &by_client);
	by_client = false;
	stage_run(&stage, reset_main, &by_client);
}

static int idle_main(void *arg)
{
	struct weir_service *svc = forward(STAGE_TCP, 0, 40);
	struct stage_conn c;

	(void)arg;
	stage_connect(&c, svc, STAGE_TCP, NULL);
	assert_int_equal(stage_finish(&c), WEIR_EIDLE);
	assert_int_equal(c.conn.result.end, WEIR_END_IDLE);
	assert_int_equal(metric("weir_forward_ends_total" LABELS ",reason=\"idle\"} "), 1);
	weir_stream_close(pair.origin);
	weir_service_free(svc);
	return 0;
}

static void idle_flows_end(void **state)
{
	(void)state;
	stage_run(&stage, idle_main, NULL);
}

/* One service behind two listeners, both busy: each is counted under its own name. */
static int listeners_main(void *arg)
{
	struct weir_service *svc = forward(STAGE_TCP, 0, 0);
	struct weir_stream *origins[2];
	struct stage_conn conns[2];

	(void)arg;
	for (int i = 0; i < 2; i++) {
		stage_connect(&conns[i], svc, STAGE_TCP, NULL);
		conns[i].conn.listener = i ? "other" : "stage";
		assert_false(stage_is_over(&conns[i]));
		origins[i] = pair.origin;
	}
	assert_int_equal(metric("weir_forward_connections_active" LABELS "} "), 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(weir_stream_shutdown(conns[i].peer), 0);
		assert_int_equal(weir_stream_shutdown(origins[i]), 0);
		assert_int_equal(stage_finish(&conns[i]), 0);
		weir_stream_close(origins[i]);
	}
	assert_int_equal(metric("weir_forward_connections_active" LABELS "} "), 0);
	assert_int_equal(
		metric("weir_forward_connections_active{listener=\"other\",upstream=\"db\"} "), 0);
	assert_int_equal(
		metric("weir_forward_connections_total{listener=\"other\",upstream=\"db\"} "), 1);
	weir_service_free(svc);
	return 0;
}

static void listeners_are_told_apart(void **state)
{
	(void)state;
	stage_run(&stage, listeners_main, NULL);
}

/* Without metrics, names, or sockets. */
static int bare_main(void *arg)
{
	struct weir_forward_conf conf = { .connector = pair_connector_init(&pair, STAGE_MEMORY) };
	struct weir_service *svc = weir_forward_service(&conf, NULL);
	struct stage_conn c;
	char data[4];

	(void)arg;
	stage_connect(&c, svc, STAGE_MEMORY, "10.0.0.1:1");
	c.conn.listener = NULL;
	assert_int_equal(weir_stream_write(c.peer, "ping", 4), 0);
	assert_int_equal(weir_stream_shutdown(c.peer), 0);
	assert_false(stage_is_over(&c));
	assert_int_equal(weir_stream_read_full(pair.origin, data, 4), 0);
	assert_int_equal(weir_stream_shutdown(pair.origin), 0);
	assert_int_equal(stage_finish(&c), 0);
	assert_null(c.conn.result.upstream);
	assert_int_equal(c.conn.result.path, WEIR_PATH_COPY);
	assert_non_null(c.conn.result.why);
	weir_stream_close(pair.origin);
	weir_service_free(svc);
	assert_null(weir_forward_service(&(struct weir_forward_conf){ 0 }, NULL));
	return 0;
}

static void little_is_enough(void **state)
{
	(void)state;
	stage_run(&stage, bare_main, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bytes_and_ends_are_counted_on_copy, setup,
						teardown),
		cmocka_unit_test_setup_teardown(bytes_and_ends_are_counted_on_splice, setup,
						teardown),
		cmocka_unit_test_setup_teardown(refusals_are_counted_by_cause, setup, teardown),
		cmocka_unit_test_setup_teardown(resets_are_passed_on, setup, teardown),
		cmocka_unit_test_setup_teardown(idle_flows_end, setup, teardown),
		cmocka_unit_test_setup_teardown(listeners_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(little_is_enough, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
