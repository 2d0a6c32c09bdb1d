/* SPDX-License-Identifier: MIT */
/* The server and what goes wrong: refusals, failures, clients that go away, its own end. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <weir/metrics.h>

#include "server_rig.h"

/* ---- refusals ---- */

static void what_is_not_understood_is_refused(void **state)
{
	static const struct {
		const char *request;
		const char *answer;
	} table[] = {
		{ "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n" },
		{ "GET /\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n" },
		{ "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n" },
		{ "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n" },
		{ "GET / HTTP/3.7\r\nHost: h\r\n\r\n",
		  "HTTP/1.1 505 HTTP Version Not Supported\r\n" },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		  "HTTP/1.1 501 Not Implemented\r\n" },
		{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n",
		  "HTTP/1.1 400 Bad Request\r\n" },
		{ "GET /hello HT", "HTTP/1.1 400 Bad Request\r\n" },
		{ "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		  "HTTP/1.1 400 Bad Request\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(table); i++) {
		struct visit visit;
		const char *text;

		visit_open(&visit, STAGE_TCP, table[i].request);
		text = visit_run(&visit);
		if (strncmp(text, table[i].answer, strlen(table[i].answer)) != 0)
			fail_msg("%s is answered %s", table[i].request, text);
		assert_non_null(strstr(text, "Connection: close\r\n"));
		assert_int_equal(visit.rig.client_status, 0);
		visit_close(&visit);
	}
}

static void bodies_beyond_the_limit_are_refused(void **state)
{
	static const char *const requests[] = {
		"POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nabc",
		"POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		"6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(requests); i++) {
		struct visit visit;

		visit_open(&visit, STAGE_TCP, requests[i]);
		visit.rig.conf.limits.body_bytes = 10;
		assert_non_null(strstr(visit_run(&visit), "HTTP/1.1 413 Content Too Large\r\n"));
		visit_close(&visit);
	}
}

static void slow_head_is_timed_out(void **state)
{
	struct visit visit;

	(void)state;
	visit_open(&visit, STAGE_TCP, "GET /hello HTTP/1.1\r\nHos");
	visit.rig.stay = true;
	visit.rig.conf.linger_ms = 30;
	visit.rig.conf.head_ms = 30;
	assert_non_null(strstr(visit_run(&visit), "HTTP/1.1 408 Request Timeout\r\n"));
	assert_int_equal(visit.rig.client_status, 0);
	visit_close(&visit);
}

static void slow_body_is_timed_out(void **state)
{
	struct visit visit;

	(void)state;
	visit_open(&visit, STAGE_TCP,
		   "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc");
	visit.rig.stay = true;
	visit.rig.conf.linger_ms = 30;
	visit.rig.conf.body_idle_ms = 30;
	assert_non_null(strstr(visit_run(&visit), "HTTP/1.1 408 Request Timeout\r\n"));
	assert_int_equal(visit.rig.client_status, 0);
	visit_close(&visit);
}

static void idle_connections_end_without_a_word(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct visit visit;

		visit_open(&visit, STAGE_TCP, i ? GET("/hello") : "");
		visit.rig.stay = true;
		visit.rig.conf.linger_ms = 30;
		visit.rig.conf.head_ms = 30;
		visit.rig.conf.keep_alive_ms = 30;
		assert_string_equal(visit_run(&visit), i ? HELLO : "");
		assert_int_equal(visit.rig.client_status, 0);
		assert_int_equal(visit.rig.status, 0);
		visit_close(&visit);
	}
}

/* ---- numbers ---- */

static void assert_counted(struct weir_metrics *metrics, const char *line)
{
	struct weir_buffer text = { 0 };

	assert_int_equal(weir_metrics_format(metrics, &text), 0);
	assert_int_equal(weir_buffer_append(&text, "", 1), 0);
	if (!strstr(weir_buffer_head(&text), line))
		fail_msg("%s is not in\n%s", line, weir_buffer_head(&text));
	weir_buffer_fini(&text);
}

static void requests_and_refusals_are_counted(void **state)
{
	static const char *const requests[] = {
		GET("/hello") GET("/hello") GET("/elsewhere") "nonsense",
		"POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nabcdefghijk",
		GET("/short"),
	};
	struct weir_metrics *metrics = weir_metrics_new(1);

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(requests); i++) {
		struct visit visit;

		visit_open(&visit, STAGE_TCP, requests[i]);
		visit.rig.conf.metrics = metrics;
		visit.rig.conf.limits.body_bytes = 10;
		server_rig_run(&visit.rig);
		visit_close(&visit);
	}
	assert_counted(metrics, "weir_http_requests_total{listener=\"stage\",class=\"2xx\"} 2\n");
	assert_counted(metrics, "weir_http_requests_total{listener=\"stage\",class=\"4xx\"} 3\n");
	assert_counted(metrics,
		       "weir_http_refused_total{listener=\"stage\",cause=\"malformed\"} 1\n");
	assert_counted(metrics,
		       "weir_http_refused_total{listener=\"stage\",cause=\"body_too_large\"} 1\n");
	assert_counted(metrics, "weir_http_aborted_total{listener=\"stage\"} 1\n");
	assert_counted(metrics, "weir_http_connections_active{listener=\"stage\"} 0\n");
	assert_counted(metrics, "weir_http_request_duration_seconds_count{listener=\"stage\"} 5\n");
	weir_metrics_free(metrics);
}

/* ---- failures ---- */

static void failing_services_are_answered_for(void **state)
{
	(void)state;
	assert_answer(GET("/refused") GET("/hello"),
		      "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\n"
		      "Content-Length: 16\r\n\r\n502 Bad Gateway\n" HELLO);
	assert_answer(GET("/nothing"),
		      "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\n"
		      "Content-Length: 16\r\n\r\n502 Bad Gateway\n");
	/* Its body fails before anything was said. */
	assert_answer(GET("/never") GET("/hello"),
		      "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\n"
		      "Content-Length: 16\r\n\r\n502 Bad Gateway\n" HELLO);
}

static void broken_response_has_no_clean_end(void **state)
{
	struct visit visit;

	(void)state;
	for (enum stage_kind kind = STAGE_TCP; kind <= STAGE_MEMORY; kind++) {
		visit_open(&visit, kind, GET("/short") GET("/hello"));
		server_rig_run(&visit.rig);
		assert_int_equal(visit.rig.client_status, -ECONNRESET);
		assert_int_equal(visit.site.calls, 1);
		assert_int_equal(visit.site.status, -ECONNRESET);
		visit_close(&visit);
	}
}

/* ---- bodies that nobody reads ---- */

static void unread_body_is_skipped_when_it_is_small(void **state)
{
	(void)state;
	assert_answer(
		"POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde" GET("/hello"),
		HELLO HELLO);
	assert_answer("POST /hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "5\r\nabcde\r\n0\r\nX: y\r\n\r\n" GET("/hello"),
		      HELLO HELLO);
}

static void unread_body_ends_the_connection_when_it_is_large(void **state)
{
	char *request = malloc(300100);
	struct visit visit;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int head = snprintf(request, 100, "POST /hello HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n%s",
				    i ? "Transfer-Encoding: chunked" : "Content-Length: 300000",
				    i ? "493e0\r\n" : "");

		memset(request + head, 'x', 300000);
		visit_open(&visit, STAGE_TCP, "");
		visit.rig.request = (struct weir_text){ request, (size_t)head + 300000 };
		assert_non_null(strstr(visit_run(&visit), "HTTP/1.1 200 OK\r\n"));
		/* All of the answer, and no reset. */
		assert_non_null(strstr(server_rig_text(&visit.rig), "\r\n\r\nhello"));
		assert_int_equal(visit.rig.client_status, 0);
		assert_int_equal(visit.site.calls, 1);
		visit_close(&visit);
	}
	free(request);
}

/* ---- clients that go away ---- */

struct leaving {
	struct visit visit;
	struct weir_service *svc;
	struct stage_conn c;
	bool resets;
	bool chases; /* the answer comes in time after all */
};

static int leaving_main(void *arg)
{
	struct leaving *l = arg;
	struct site *site = &l->visit.site;
	char answer[200] = "";

	l->visit.rig.conf.service = weir_http_function(site_handle, site, NULL);
	l->svc = weir_http_server_service(&l->visit.rig.conf, NULL);
	stage_connect(&l->c, l->svc, l->visit.rig.kind, NULL);
	assert_int_equal(weir_stream_write(l->c.peer, GET("/wait"), strlen(GET("/wait"))), 0);
	while (site->waited != 1)
		assert_int_equal(weir_task_yield(), 0);
	if (l->resets) {
		weir_stream_abort(l->c.peer);
		weir_stream_close(l->c.peer);
		l->c.peer = NULL;
	} else {
		assert_int_equal(weir_stream_shutdown(l->c.peer), 0);
	}
	if (l->chases) {
		assert_int_equal(weir_task_sleep_ms(10), 0);
		assert_int_equal(site->waited, 1);
		weir_event_set(&site->event);
		while (weir_stream_read(l->c.peer, answer + strlen(answer),
					sizeof(answer) - 1 - strlen(answer)) > 0)
			;
		assert_non_null(strstr(answer, "\r\n\r\nwaited"));
	}
	assert_int_equal(stage_finish(&l->c), l->chases ? 0 : -ECONNRESET);
	weir_service_free(l->svc);
	return 0;
}

static int leave(enum stage_kind kind, bool resets, bool chases, uint64_t hangup_ms)
{
	struct leaving l = { .resets = resets, .chases = chases };
	struct stage stage;

	visit_open(&l.visit, kind, "");
	l.visit.rig.conf.hangup_ms = hangup_ms;
	stage_open(&stage);
	stage_run(&stage, leaving_main, &l);
	stage_close(&stage);
	return l.visit.site.waited;
}

static void reset_cancels_the_call_at_once(void **state)
{
	(void)state;
	assert_int_equal(leave(STAGE_TCP, true, false, 600000), -ECANCELED);
	assert_int_equal(leave(STAGE_MEMORY, true, false, 600000), -ECANCELED);
}

static void end_of_the_client_cancels_the_call_after_a_while(void **state)
{
	(void)state;
	assert_int_equal(leave(STAGE_TCP, false, false, 20), -ECANCELED);
	assert_int_equal(leave(STAGE_MEMORY, false, false, 20), -ECANCELED);
}

static void client_that_only_sends_no_more_gets_its_answer(void **state)
{
	(void)state;
	assert_int_equal(leave(STAGE_TCP, false, true, 600000), 0);
	assert_int_equal(leave(STAGE_MEMORY, false, true, 600000), 0);
}

/* ---- the end of the server ---- */

static int drain_main(void *arg)
{
	struct visit *visit = arg;
	struct weir_service *svc;
	struct stage_conn idle, busy;
	char answer[300] = "";

	visit->rig.conf.service = weir_http_function(site_handle, &visit->site, NULL);
	svc = weir_http_server_service(&visit->rig.conf, NULL);
	stage_connect(&idle, svc, STAGE_TCP, NULL);
	stage_connect(&busy, svc, STAGE_TCP, NULL);
	assert_int_equal(weir_stream_write(busy.peer, GET("/wait"), strlen(GET("/wait"))), 0);
	while (visit->site.waited != 1)
		assert_int_equal(weir_task_yield(), 0);
	weir_service_drain(svc);
	/* The idle one ends by itself; the other one with its answer. */
	assert_int_equal(weir_stream_read(idle.peer, answer, sizeof(answer)), 0);
	assert_int_equal(stage_finish(&idle), 0);
	assert_false(busy.ended);
	weir_event_set(&visit->site.event);
	assert_true(weir_stream_read(busy.peer, answer, sizeof(answer) - 1) > 0);
	assert_non_null(strstr(answer, "Connection: close\r\n\r\nwaited"));
	assert_int_equal(weir_stream_shutdown(busy.peer), 0);
	assert_int_equal(stage_finish(&busy), 0);
	weir_service_free(svc);
	return 0;
}

static void draining_ends_idle_connections_and_lets_calls_end(void **state)
{
	struct visit visit;
	struct stage stage;

	(void)state;
	visit_open(&visit, STAGE_TCP, "");
	stage_open(&stage);
	stage_run(&stage, drain_main, &visit);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_understood_is_refused),
		cmocka_unit_test(bodies_beyond_the_limit_are_refused),
		cmocka_unit_test(slow_head_is_timed_out),
		cmocka_unit_test(slow_body_is_timed_out),
		cmocka_unit_test(idle_connections_end_without_a_word),
		cmocka_unit_test(requests_and_refusals_are_counted),
		cmocka_unit_test(failing_services_are_answered_for),
		cmocka_unit_test(broken_response_has_no_clean_end),
		cmocka_unit_test(unread_body_is_skipped_when_it_is_small),
		cmocka_unit_test(unread_body_ends_the_connection_when_it_is_large),
		cmocka_unit_test(reset_cancels_the_call_at_once),
		cmocka_unit_test(end_of_the_client_cancels_the_call_after_a_while),
		cmocka_unit_test(client_that_only_sends_no_more_gets_its_answer),
		cmocka_unit_test(draining_ends_idle_connections_and_lets_calls_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
