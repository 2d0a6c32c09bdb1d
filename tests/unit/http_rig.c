/* SPDX-License-Identifier: MIT */
#include "http_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- bodies ---- */

static int rig_body_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct rig_body *rig = weir_container_of(body, struct rig_body, body);

	rig->asked++;
	while (*rig->pieces && **rig->pieces == '\0') {
		if (!wait)
			return -EAGAIN;
		rig->pieces++;
	}
	if (!*rig->pieces)
		return rig->end;
	piece->iov_base = (char *)(uintptr_t)*rig->pieces;
	piece->iov_len = strlen(*rig->pieces);
	rig->pieces++;
	return 1;
}

static void rig_body_free(struct weir_body *body)
{
	weir_container_of(body, struct rig_body, body)->freed++;
}

static const struct weir_body_ops rig_body_ops = {
	.name = "rig",
	.next = rig_body_next,
	.free = rig_body_free,
};

struct weir_body *rig_body_init(struct rig_body *body, const char *const *pieces, uint64_t size)
{
	memset(body, 0, sizeof(*body));
	body->body = (struct weir_body){ .ops = &rig_body_ops, .size = size };
	body->pieces = pieces;
	return &body->body;
}

static uint64_t pieces_size(const char *const *pieces)
{
	uint64_t size = 0;

	for (; *pieces; pieces++)
		size += strlen(*pieces);
	return size;
}

/* ---- calls ---- */

static void add_fields(struct weir_headers *headers, const char *const *fields)
{
	for (; fields && *fields; fields++) {
		struct weir_text name, value;

		assert_true(weir_text_split(weir_text_of(*fields), ':', &name, &value));
		assert_int_equal(weir_headers_add(headers, name, weir_text_trim(value)), 0);
	}
}

void rig_call_init(struct rig_call *rig, const char *line, const char *const *fields,
		   const char *client)
{
	struct weir_request *request = &rig->call.request;
	struct weir_text target;

	memset(rig, 0, sizeof(*rig));
	assert_int_equal(weir_address_parse(&rig->conn.peer, client ? client : "192.0.2.1:4711"),
			 0);
	rig->conn.id = 1;
	rig->conn.listener = "rig";
	weir_arena_init(&rig->conn.arena, 0);
	weir_extensions_init(&rig->conn.extensions, NULL);
	weir_call_init(&rig->call, &rig->conn);
	assert_true(weir_text_split(weir_text_of(line), ' ', &request->method_text, &target));
	request->method = weir_method_parse(request->method_text);
	assert_int_equal(weir_request_set_target(request, target), 0);
	if (!request->scheme.data)
		request->scheme = WEIR_TEXT("http");
	if (!request->authority.data)
		request->authority = WEIR_TEXT("rig.example");
	request->keep_alive = true;
	add_fields(&request->headers, fields);
}

void rig_call_body(struct rig_call *rig, const char *const *pieces, bool chunked)
{
	rig->call.request.body = rig_body_init(&rig->request_body, pieces,
					       chunked ? WEIR_BODY_UNKNOWN : pieces_size(pieces));
}

unsigned rig_call_handle(struct rig_call *rig, struct weir_http_service *svc)
{
	struct weir_call *call = &rig->call;

	rig->status = weir_handle(svc, call);
	if (rig->status)
		assert_int_equal(weir_call_refuse(call, weir_http_status(rig->status),
						  weir_error_name(rig->status)),
				 0);
	assert_true(call->response.status >= 100);
	if (call->request.method == WEIR_METHOD_HEAD)
		assert_null(call->response.body);
	return call->response.status;
}

const char *rig_call_text(struct rig_call *rig)
{
	struct weir_body *body = rig->call.response.body;

	if (body && weir_buffer_size(&rig->text) == 0) {
		rig->end = weir_body_read_all(body, &rig->text, 64 << 20);
		if (!rig->end && body->size != WEIR_BODY_UNKNOWN)
			assert_int_equal(weir_buffer_size(&rig->text), body->size);
	}
	rig->call.result.response_bytes = weir_buffer_size(&rig->text);
	assert_int_equal(weir_buffer_append(&rig->text, "", 1), 0);
	rig->text.tail--;
	return weir_buffer_head(&rig->text);
}

const char *rig_call_field(struct rig_call *rig, const char *name)
{
	const struct weir_header *field = NULL;
	const char *text = "";

	while ((field = weir_headers_find(&rig->call.response.headers, weir_text_of(name), field)))
		text = weir_arena_printf(&rig->call.arena, "%s%s%.*s", text, *text ? "|" : "",
					 WEIR_TEXT_ARGS(field->value));
	return text;
}

void rig_call_fini(struct rig_call *rig)
{
	bool had_body = rig->request_body.body.ops;

	weir_call_fini(&rig->call);
	weir_arena_fini(&rig->conn.arena);
	weir_buffer_fini(&rig->text);
	/* Whoever took it over has freed it, and once. */
	if (had_body)
		assert_int_equal(rig->request_body.freed, 1);
}

unsigned rig_ask(struct weir_http_service *svc, const char *line, const char *const *fields)
{
	struct rig_call *rig = malloc(sizeof(*rig));
	unsigned status;

	rig_call_init(rig, line, fields, NULL);
	status = rig_call_handle(rig, svc);
	rig_call_fini(rig);
	free(rig);
	return status;
}

/* ---- the script ---- */

static void script_see(struct rig_script *script, const struct weir_call *call)
{
	const struct weir_request *request = &call->request;
	const struct weir_header *field = NULL;
	size_t at = 0;

	script->seen_fields[0] = '\0';
	while ((field = weir_headers_next(&request->headers, field)) &&
	       at < sizeof(script->seen_fields))
		at += (size_t)snprintf(script->seen_fields + at, sizeof(script->seen_fields) - at,
				       "%.*s: %.*s\n", WEIR_TEXT_ARGS(field->name),
				       WEIR_TEXT_ARGS(field->value));
	snprintf(script->seen_target, sizeof(script->seen_target), "%.*s %.*s://%.*s%.*s%s%.*s",
		 WEIR_TEXT_ARGS(request->method_text), WEIR_TEXT_ARGS(request->scheme),
		 WEIR_TEXT_ARGS(request->authority), WEIR_TEXT_ARGS(request->path),
		 request->query.data ? "?" : "", WEIR_TEXT_ARGS(request->query));
}

static int script_read(struct rig_script *script, struct weir_call *call)
{
	struct weir_buffer text = { 0 };
	int status = 0;

	if (call->request.body)
		status = weir_body_read_all(call->request.body, &text,
					    sizeof(script->seen_body) - 1);
	if (weir_buffer_size(&text))
		memcpy(script->seen_body, weir_buffer_head(&text), weir_buffer_size(&text));
	script->seen_body[weir_buffer_size(&text)] = '\0';
	weir_buffer_fini(&text);
	return status;
}

static int script_answer(struct rig_script *script, struct weir_call *call)
{
	struct weir_response *response = &call->response;

	response->status = script->status ? script->status : 200;
	response->announced = WEIR_BODY_UNKNOWN;
	add_fields(&response->headers, script->fields);
	if (!script->pieces)
		return 0;
	if (call->request.method == WEIR_METHOD_HEAD) {
		response->announced = script->unknown ? WEIR_BODY_UNKNOWN
						      : pieces_size(script->pieces);
		return 0;
	}
	response->body =
		rig_body_init(&script->body, script->pieces,
			      script->unknown ? WEIR_BODY_UNKNOWN : pieces_size(script->pieces));
	return 0;
}

static int script_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct rig_script *script = weir_container_of(svc, struct rig_script, svc);
	int status = 0;

	script->served++;
	if (script->hook)
		script->hook(script, call);
	script_see(script, call);
	if (script->reads)
		status = script_read(script, call);
	if (!status && script->waits)
		status = weir_event_wait(script->waits, "script", WEIR_NEVER);
	if (!status)
		status = script->error;
	return status ? status : script_answer(script, call);
}

static void script_free(struct weir_http_service *svc)
{
	weir_container_of(svc, struct rig_script, svc)->freed++;
}

static const struct weir_http_ops script_ops = {
	.name = "script",
	.handle = script_handle,
	.free = script_free,
};

struct weir_http_service *rig_script_init(struct rig_script *script)
{
	memset(script, 0, sizeof(*script));
	script->svc.ops = &script_ops;
	return &script->svc;
}

void rig_calls_run(int (*fn)(void *arg), void *arg)
{
	struct stage stage;

	stage_open(&stage);
	stage_run(&stage, fn, arg);
	stage_close(&stage);
}
