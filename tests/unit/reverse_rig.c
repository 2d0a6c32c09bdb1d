/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "reverse_rig.h"

void reverse_rig_init(struct reverse_rig *f, size_t n)
{
	memset(f, 0, sizeof(*f));
	f->n = n;
	for (size_t i = 0; i < n; i++) {
		origin_init(&f->origins[i], STAGE_MEMORY);
		f->endpoints[i].target.address = loopback_address((uint16_t)(ORIGIN_PORT + i));
	}
	f->group.name = "app";
	f->group.endpoints = f->endpoints;
	f->group.n_endpoints = n;
	f->conf.retry.backoff_ms = 1;
	f->conf.retry.backoff_max_ms = 1;
}

void reverse_rig_open(struct reverse_rig *f)
{
	f->metrics = weir_metrics_new(1);
	f->upstream = weir_upstream_new(&f->group, NULL);
	assert_non_null(f->upstream);
	f->conf.upstream = f->upstream;
	f->conf.metrics = f->metrics;
	f->conf.client.connector = origin_connector(f->origins, f->n);
	f->svc = weir_http_reverse_service(&f->conf, NULL);
	assert_non_null(f->svc);
}

static void on_info(void *ctx, const struct weir_endpoint_info *info)
{
	struct weir_endpoint_info *infos = ctx;

	infos[weir_address_port(&info->address) - ORIGIN_PORT] = *info;
}

struct weir_endpoint_info reverse_rig_endpoint(struct reverse_rig *f, size_t i)
{
	struct weir_endpoint_info infos[ORIGINS];

	weir_upstream_each(f->upstream, on_info, infos);
	return infos[i];
}

void reverse_rig_close(struct reverse_rig *f)
{
	for (size_t i = 0; i < f->n; i++)
		assert_int_equal(reverse_rig_endpoint(f, i).active, 0);
	weir_http_service_free(f->svc);
	for (size_t i = 0; i < f->n; i++)
		origin_fini(&f->origins[i]);
	weir_breaker_put(f->conf.breaker);
	weir_upstream_put(f->upstream);
	weir_metrics_free(f->metrics);
}

static void trip_ask(const struct trip *trip, struct weir_call *call)
{
	struct weir_request *request = &call->request;

	request->method_text = weir_text_of(trip->method ? trip->method : "GET");
	request->method = weir_method_parse(request->method_text);
	request->scheme = WEIR_TEXT("http");
	request->authority = WEIR_TEXT("app.example");
	request->path = WEIR_TEXT("/");
	request->keep_alive = true;
	if (trip->cookie)
		assert_int_equal(weir_headers_add_id(&request->headers, WEIR_HEADER_COOKIE,
						     weir_text_of(trip->cookie)),
				 0);
	if (!trip->body)
		return;
	request->body = weir_text_body(&call->arena, weir_text_of(trip->body));
	assert_non_null(request->body);
}

static void trip_read(struct trip *trip, struct weir_call *call)
{
	struct weir_text cookie =
		weir_headers_value(&call->response.headers, WEIR_HEADER_SET_COOKIE);
	struct weir_buffer body = { 0 };

	trip->code = call->response.status;
	snprintf(trip->set_cookie, sizeof(trip->set_cookie), "%.*s", WEIR_TEXT_ARGS(cookie));
	if (!call->response.body)
		return;
	trip->body_status = weir_body_read_all(call->response.body, &body, 1 << 20);
	snprintf(trip->text, sizeof(trip->text), "%.*s", (int)weir_buffer_size(&body),
		 body.data ? weir_buffer_head(&body) : "");
	weir_buffer_fini(&body);
}

void trip_run(struct reverse_rig *f, struct trip *trip)
{
	struct weir_call call;

	weir_call_init(&call, NULL);
	trip_ask(trip, &call);
	trip->status = weir_handle(f->svc, &call);
	if (!trip->status)
		trip_read(trip, &call);
	trip->attempts = call.result.attempts;
	trip->port = weir_address_port(&call.result.endpoint);
	trip->why = call.result.why;
	assert_string_equal(call.result.upstream, "app");
	weir_call_fini(&call);
}

struct trip trip_get(struct reverse_rig *f)
{
	struct trip trip = { 0 };

	trip_run(f, &trip);
	return trip;
}

int64_t reverse_rig_counted(struct reverse_rig *f, const char *family, const char *label)
{
	struct weir_buffer out = { 0 };
	char line[200];
	const char *at;
	int64_t value = 0;

	snprintf(line, sizeof(line), "%s{upstream=\"app\"%s%s} ", family, *label ? "," : "", label);
	assert_int_equal(weir_metrics_format(f->metrics, &out), 0);
	assert_int_equal(weir_buffer_append(&out, "", 1), 0);
	at = strstr(weir_buffer_head(&out), line);
	if (at)
		value = strtoll(at + strlen(line), NULL, 10);
	weir_buffer_fini(&out);
	return value;
}

int guest_run(void *arg)
{
	struct guest *guest = arg;

	trip_run(guest->rig, &guest->trip);
	return 0;
}
