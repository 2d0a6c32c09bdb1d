/* SPDX-License-Identifier: MIT */
/* Metrics of calls: what is counted under which labels. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <weir/http_layer.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;

static void set_route(struct rig_script *self, struct weir_call *one)
{
	(void)self;
	one->result.route = one->request.path.size > 1 ? "shop" : NULL;
	one->result.request_bytes = 3;
}

static void assert_line(struct weir_buffer *text, const char *line)
{
	if (!strstr(weir_buffer_head(text), line))
		fail_msg("no '%s' in:\n%s", line, weir_buffer_head(text));
}

static int count_main(void *arg)
{
	static const char *const pieces[] = { "hello", NULL };
	struct weir_metrics *metrics = weir_metrics_new(1);
	struct weir_http_metrics_conf conf = { .metrics = metrics, .listener = "web" };
	struct weir_http_service *svc =
		weir_http_metrics_layer(rig_script_init(&script), &conf, NULL);
	struct weir_buffer text = { 0 };

	(void)arg;
	script.hook = set_route;
	script.pieces = pieces;
	for (int i = 0; i < 3; i++) {
		rig_call_init(&call, i < 2 ? "GET /a" : "PURGE /b", NULL, NULL);
		script.status = i == 1 ? 404 : 200;
		rig_call_handle(&call, svc);
		rig_call_text(&call);
		if (i == 0) {
			assert_int_equal(weir_metrics_format(metrics, &text), 0);
			assert_int_equal(weir_buffer_append(&text, "", 1), 0);
			assert_line(&text, "weir_http_route_active{listener=\"web\"} 1\n");
			weir_buffer_clear(&text);
		}
		rig_call_fini(&call);
	}
	rig_ask(svc, "GET /", NULL);
	assert_int_equal(weir_metrics_format(metrics, &text), 0);
	assert_int_equal(weir_buffer_append(&text, "", 1), 0);
	assert_line(&text, "weir_http_route_requests_total{listener=\"web\",route=\"shop\","
			   "method=\"GET\",class=\"2xx\"} 1\n");
	assert_line(&text, "weir_http_route_requests_total{listener=\"web\",route=\"shop\","
			   "method=\"GET\",class=\"4xx\"} 1\n");
	assert_line(&text, "weir_http_route_requests_total{listener=\"web\",route=\"shop\","
			   "method=\"other\",class=\"2xx\"} 1\n");
	assert_line(&text, "weir_http_route_requests_total{listener=\"web\",route=\"\","
			   "method=\"GET\",class=\"2xx\"} 1\n");
	assert_line(&text,
		    "weir_http_route_duration_seconds_count{listener=\"web\",route=\"shop\"} "
		    "3\n");
	assert_line(&text, "weir_http_route_response_bytes_total{listener=\"web\",route=\"shop\"} "
			   "15\n");
	assert_line(&text, "weir_http_route_request_bytes_total{listener=\"web\",route=\"shop\"} "
			   "9\n");
	assert_line(&text, "weir_http_route_active{listener=\"web\"} 0\n");
	weir_buffer_fini(&text);
	weir_http_service_free(svc);
	weir_metrics_free(metrics);
	return 0;
}

static void calls_are_counted_where_they_end(void **state)
{
	(void)state;
	rig_calls_run(count_main, NULL);
}

static int nobody_main(void *arg)
{
	struct weir_http_service *svc = weir_http_metrics_layer(
		rig_script_init(&script), &(struct weir_http_metrics_conf){ 0 }, NULL);

	(void)arg;
	assert_int_equal(rig_ask(svc, "GET /", NULL), 200);
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return 0;
}

static void without_a_registry_nobody_reads(void **state)
{
	(void)state;
	rig_calls_run(nobody_main, NULL);
	assert_null(weir_http_metrics_layer(NULL, &(struct weir_http_metrics_conf){ 0 }, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_counted_where_they_end),
		cmocka_unit_test(without_a_registry_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
