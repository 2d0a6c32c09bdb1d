/* SPDX-License-Identifier: MIT */
/* See server_rig.h. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge_rig.h"
#include "server_rig.h"

struct client {
	struct server_rig *rig;
	struct weir_stream *stream;
};

static int client_send(void *arg)
{
	struct client *client = arg;
	struct server_rig *rig = client->rig;
	size_t first = rig->split ? rig->split : rig->request.size;
	int status = weir_stream_write(client->stream, rig->request.data, first);

	for (int i = 0; i < 4 && !status; i++)
		status = weir_task_yield();
	if (!status)
		status = weir_stream_write(client->stream, rig->request.data + first,
					   rig->request.size - first);
	if (!status && !rig->stay)
		status = weir_stream_shutdown(client->stream);
	return 0; /* a server that refuses may close early */
}

static void client_receive(struct client *client)
{
	struct weir_buffer *response = &client->rig->response;
	ssize_t got;

	do {
		assert_int_equal(weir_buffer_reserve(response, 65536), 0);
		got = weir_stream_read(client->stream, weir_buffer_tail(response), 65535);
		if (got > 0)
			weir_buffer_commit(response, (size_t)got);
	} while (got > 0);
	*weir_buffer_tail(response) = '\0';
	client->rig->client_status = (int)got;
}

static int server_rig_main(void *arg)
{
	struct server_rig *rig = arg;
	struct weir_service *svc;
	struct stage_conn c;
	struct client client = { .rig = rig };
	struct weir_scope scope;

	rig->conf.service = weir_http_function(rig->fn, rig->ctx, NULL);
	svc = weir_http_server_service(&rig->conf, NULL);
	assert_non_null(svc);
	stage_connect(&c, svc, rig->kind, NULL);
	client.stream = c.peer;
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "client", client_send, &client, NULL), 0);
	client_receive(&client);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	rig->status = stage_finish(&c);
	weir_service_free(svc);
	return 0;
}

void server_rig_run(struct server_rig *rig)
{
	struct stage stage;

	stage_open(&stage);
	stage_run(&stage, server_rig_main, rig);
	stage_close(&stage);
}

void server_rig_fini(struct server_rig *rig)
{
	weir_buffer_fini(&rig->response);
}

const char *server_rig_text(struct server_rig *rig)
{
	char *text = weir_buffer_head(&rig->response);
	char *date;

	while ((date = strstr(text, "Date: ")) != NULL) {
		char *end = strstr(date, "\r\n");

		assert_non_null(end);
		memmove(date, end + 2, strlen(end + 2) + 1);
	}
	return text;
}

/* ---- a body that is made as it goes ---- */

struct payload {
	struct weir_body body;
	uint64_t at;
	uint64_t size;
	size_t piece;
	bool rested; /* others had their turn since the last piece */
	char *data;
};

static int payload_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct payload *payload = weir_container_of(body, struct payload, body);
	size_t n = (size_t)WEIR_MIN(payload->piece, payload->size - payload->at);
	int status;

	if (n == 0)
		return 0;
	if (!payload->rested) {
		if (!wait)
			return -EAGAIN;
		status = weir_task_yield();
		if (status)
			return status;
	}
	payload->rested = false;
	for (size_t i = 0; i < n; i++)
		payload->data[i] = payload_byte(payload->at + i);
	payload->at += n;
	*piece = (struct iovec){ payload->data, n };
	return 1;
}

static void payload_free(struct weir_body *body)
{
	(void)body;
}

static const struct weir_body_ops payload_ops = {
	.name = "payload",
	.next = payload_next,
	.free = payload_free,
};

struct weir_body *payload_body(struct weir_arena *arena, uint64_t size, size_t piece, bool says)
{
	struct payload *payload = weir_arena_zalloc(arena, sizeof(*payload));

	assert_non_null(payload);
	payload->body.ops = &payload_ops;
	payload->body.size = says ? size : WEIR_BODY_UNKNOWN;
	payload->size = size;
	payload->piece = piece;
	payload->data = weir_arena_alloc(arena, piece);
	assert_non_null(payload->data);
	return &payload->body;
}

/* ---- the site ---- */

static void site_on_end(struct weir_call *call, void *ctx)
{
	struct site *site = ctx;

	site->request_bytes = call->result.request_bytes;
	site->response_bytes = call->result.response_bytes;
	site->status = call->result.status;
}

static struct weir_body *broken_body(struct weir_arena *arena, bool at_once);

static int site_echo(struct weir_call *call)
{
	call->response.status = 200;
	call->response.body = call->request.body;
	call->request.body = NULL;
	return 0;
}

static int site_wait(struct weir_call *call, struct site *site)
{
	site->waited = 1;
	site->waited = weir_event_wait(&site->event, "test", WEIR_NEVER);
	return site->waited ? site->waited
			    : weir_call_respond(call, 200, NULL, WEIR_TEXT("waited"));
}

static int site_trailers(struct weir_call *call)
{
	call->response.status = 200;
	call->response.body = payload_body(&call->arena, 10, 5, false);
	call->response.body->trailers = weir_arena_alloc(&call->arena, sizeof(struct weir_headers));
	weir_headers_init(call->response.body->trailers, &call->arena);
	return weir_headers_add(call->response.body->trailers, WEIR_TEXT("X-Sum"), WEIR_TEXT("42"));
}

static int site_read(struct weir_call *call)
{
	struct weir_buffer body = { 0 };
	char text[64];
	int status = 0;

	if (call->request.body)
		status = weir_body_read_all(call->request.body, &body, 10000000);
	snprintf(text, sizeof(text), "%zu", weir_buffer_size(&body));
	weir_buffer_fini(&body);
	return status ? status : weir_call_respond(call, 200, NULL, weir_text_of(text));
}

static int site_drop(void *arg)
{
	return weir_body_skip(arg, UINT64_MAX);
}

/* Answers while a task of the call's reads the body. */
static int site_early(struct weir_call *call)
{
	assert_int_equal(
		weir_scope_spawn(&call->scope, "drop", site_drop, call->request.body, NULL), 0);
	assert_int_equal(weir_task_yield(), 0);
	return weir_call_respond(call, 200, NULL, WEIR_TEXT("early"));
}

static int site_inform(struct weir_call *call)
{
	struct weir_headers headers;

	weir_headers_init(&headers, &call->arena);
	assert_int_equal(weir_headers_add(&headers, WEIR_TEXT("Link"), WEIR_TEXT("</a>")), 0);
	assert_int_equal(weir_call_inform(call, 103, &headers), 0);
	return weir_call_respond(call, 200, NULL, WEIR_TEXT("late"));
}

static int site_file(struct weir_call *call)
{
	char path[] = "/tmp/weir-server-XXXXXX", *data = malloc(1 << 20);
	int fd = mkstemp(path);

	assert_true(fd >= 0 && data);
	unlink(path);
	for (size_t i = 0; i < 1 << 20; i++)
		data[i] = payload_byte(i);
	assert_int_equal(write(fd, data, 1 << 20), 1 << 20);
	free(data);
	call->response.status = 200;
	call->response.body = weir_file_body(&call->arena, fd, 0, 1 << 20);
	return 0;
}

struct site_tunnel {
	struct weir_tunnel tunnel;
	struct site *site;
};

static void site_tunnel_close(struct weir_tunnel *tunnel)
{
	weir_stream_close(tunnel->stream);
}

/* The far side answers what it gets. */
static int site_origin(void *arg)
{
	struct site *site = arg;
	size_t had = 0;
	ssize_t got;

	while ((got = weir_stream_read(site->origin, site->early + had,
				       sizeof(site->early) - 1 - had)) > 0) {
		assert_int_equal(weir_stream_write(site->origin, site->early + had, (size_t)got),
				 0);
		had += (size_t)got;
	}
	weir_stream_close(site->origin);
	return 0;
}

static int site_upgrade(struct weir_call *call, struct site *site)
{
	struct site_tunnel *tunnel = weir_arena_zalloc(&call->arena, sizeof(*tunnel));
	struct weir_stream *ends[2];

	stage_pair(ends, STAGE_TCP);
	site->origin = ends[1];
	assert_int_equal(weir_scope_spawn(&call->scope, "origin", site_origin, site, NULL), 0);
	tunnel->tunnel.stream = ends[0];
	tunnel->tunnel.early = WEIR_TEXT("welcome ");
	tunnel->tunnel.close = site_tunnel_close;
	call->tunnel = &tunnel->tunnel;
	if (call->request.method == WEIR_METHOD_CONNECT) {
		call->response.status = 200;
		return 0;
	}
	call->response.status = 101;
	call->response.upgrade = call->request.upgrade;
	return 0;
}

static bool path_is(const struct weir_call *call, const char *path)
{
	return weir_text_is_equal(call->request.path, weir_text_of(path));
}

int site_handle(struct weir_call *call, void *ctx)
{
	struct site *site = ctx;

	site->calls++;
	assert_int_equal(weir_call_defer(call, site_on_end, site), 0);
	if (path_is(call, "/hello"))
		return weir_call_respond(call, 200, "text/plain", WEIR_TEXT("hello"));
	if (path_is(call, "/echo"))
		return site_echo(call);
	if (path_is(call, "/read"))
		return site_read(call);
	if (path_is(call, "/wait"))
		return site_wait(call, site);
	if (path_is(call, "/trailers"))
		return site_trailers(call);
	if (path_is(call, "/early"))
		return site_early(call);
	if (path_is(call, "/inform"))
		return site_inform(call);
	if (path_is(call, "/file"))
		return site_file(call);
	if (path_is(call, "/empty"))
		return weir_call_respond(call, 204, NULL, (struct weir_text){ 0 });
	if (path_is(call, "/same"))
		return weir_call_respond(call, 304, NULL, (struct weir_text){ 0 });
	if (path_is(call, "/refused"))
		return -ECONNREFUSED;
	if (path_is(call, "/upgrade") || call->request.method == WEIR_METHOD_CONNECT)
		return site_upgrade(call, site);
	call->response.status = 200;
	if (path_is(call, "/stream"))
		call->response.body = payload_body(&call->arena, 200000, 7000, false);
	else if (path_is(call, "/large"))
		call->response.body = payload_body(&call->arena, 3000000, 70000, true);
	else if (path_is(call, "/short"))
		call->response.body = broken_body(&call->arena, false);
	else if (path_is(call, "/never"))
		call->response.body = broken_body(&call->arena, true);
	else if (path_is(call, "/nothing"))
		call->response.status = 0;
	else
		return weir_call_refuse(call, 404, "no_route");
	return 0;
}

/* Says 100 bytes, gives 10 of them or none, and fails. */
struct broken {
	struct weir_body body;
	bool given;
};

static int broken_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct broken *broken = weir_container_of(body, struct broken, body);

	(void)wait;
	if (broken->given)
		return -ECONNRESET;
	broken->given = true;
	*piece = (struct iovec){ (char *)(uintptr_t) "0123456789", 10 };
	return 1;
}

static void broken_free(struct weir_body *body)
{
	(void)body;
}

static const struct weir_body_ops broken_ops = {
	.name = "broken",
	.next = broken_next,
	.free = broken_free,
};

static struct weir_body *broken_body(struct weir_arena *arena, bool at_once)
{
	struct broken *broken = weir_arena_zalloc(arena, sizeof(*broken));

	broken->body.ops = &broken_ops;
	broken->body.size = 100;
	broken->given = at_once;
	return &broken->body;
}

/* ---- one connection ---- */

void visit_open(struct visit *visit, enum stage_kind kind, const char *request)
{
	memset(visit, 0, sizeof(*visit));
	weir_event_init(&visit->site.event);
	visit->rig.kind = kind;
	visit->rig.fn = site_handle;
	visit->rig.ctx = &visit->site;
	visit->rig.request = weir_text_of(request);
}

const char *visit_run(struct visit *visit)
{
	server_rig_run(&visit->rig);
	return server_rig_text(&visit->rig);
}

void visit_close(struct visit *visit)
{
	server_rig_fini(&visit->rig);
}

void assert_answer(const char *request, const char *answer)
{
	for (enum stage_kind kind = STAGE_TCP; kind <= STAGE_MEMORY; kind++) {
		struct visit visit;

		visit_open(&visit, kind, request);
		assert_string_equal(visit_run(&visit), answer);
		assert_int_equal(visit.rig.client_status, 0);
		assert_int_equal(visit.rig.status, 0);
		visit_close(&visit);
	}
}
