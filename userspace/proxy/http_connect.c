/* SPDX-License-Identifier: MIT */
/*
 * Asking a proxy for a tunnel. Of what the proxy sends no byte behind the head of its answer is read:
 * that is the target's.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>
#include <weir/error.h>
#include <weir/h1.h>
#include <weir/http_connect.h>
#include <weir/scope.h>

#define TIMEOUT_MS  10000u
#define PEEK_BYTES  1024u
#define INTERIM_MAX 8u /* 1xx before the answer */

struct http_connect {
	struct weir_connector connector;
	struct weir_http_connect_conf conf;
};

/* One question to the proxy. */
struct question {
	struct http_connect *outer;
	const struct weir_target *to;
	struct weir_stream *stream;
	struct weir_arena arena;
	struct weir_buffer head; /* of the request, then of the answer */
	struct weir_h1_parser parser;
};

/* ------------------------------------------------------------------------------------------
 * Asking
 */

/* host:port as the request's target has it. */
static int question_authority(struct question *question, struct weir_text *authority)
{
	char text[WEIR_HOST_MAX + 16];
	const char *copy;

	if (question->to->is_service || weir_address_is_unix(&question->to->address))
		return -EINVAL;
	copy = weir_arena_strdup(&question->arena,
				 weir_target_format(question->to, text, sizeof(text)));
	*authority = weir_text_of(copy);
	return copy ? 0 : -ENOMEM;
}

static int question_fill(struct question *question, struct weir_request *request)
{
	const char *authorization = question->outer->conf.authorization;
	int status;

	weir_request_init(request, &question->arena);
	request->method = WEIR_METHOD_CONNECT;
	request->method_text = weir_method_text(WEIR_METHOD_CONNECT);
	request->form = WEIR_TARGET_AUTHORITY;
	status = question_authority(question, &request->authority);
	if (!status)
		status = weir_headers_add_id(&request->headers, WEIR_HEADER_HOST,
					     request->authority);
	if (!status && authorization)
		status = weir_headers_add(&request->headers, WEIR_TEXT("Proxy-Authorization"),
					  weir_text_of(authorization));
	return status;
}

static int question_send(struct question *question)
{
	const struct weir_h1_plan plan = { .keep_alive = true };
	struct weir_request request;
	int status = question_fill(question, &request);

	if (!status)
		status = weir_h1_write_request(&question->head, &request, &plan);
	if (!status)
		status = weir_stream_write(question->stream, weir_buffer_head(&question->head),
					   weir_buffer_size(&question->head));
	weir_buffer_clear(&question->head);
	return status == -EPIPE ? -ECONNRESET : status;
}

/* ------------------------------------------------------------------------------------------
 * The answer
 */

/* Where the head ends in its first SIZE bytes, or 0. Only what came after AT is new. */
static size_t head_end(const char *data, size_t size, size_t at)
{
	size_t from = at > 3 ? at - 3 : 0;
	const char *end = memmem(data + from, size - from, "\r\n\r\n", 4);

	return end ? (size_t)(end - data) + 4 : 0;
}

/* Takes what is there of the head off the stream, and nothing else. 1 when the head ends there. */
static int answer_take(struct question *question)
{
	struct weir_buffer *head = &question->head;
	size_t before = weir_buffer_size(head), end;
	ssize_t got;
	int status;

	if (weir_buffer_reserve(head, PEEK_BYTES))
		return -ENOMEM;
	got = weir_stream_peek(question->stream, weir_buffer_tail(head), PEEK_BYTES);
	if (got <= 0)
		return got == 0 ? -ECONNRESET : (int)got;
	end = head_end(weir_buffer_head(head), before + (size_t)got, before);
	if (end)
		got = (ssize_t)(end - before);
	status = weir_stream_read_full(question->stream, weir_buffer_tail(head), (size_t)got);
	if (status)
		return status;
	weir_buffer_commit(head, (size_t)got);
	return end > 0;
}

/* Parsed as it comes, so that a proxy without an end is refused at the parser's limits. */
static int answer_read(struct question *question, struct weir_response *response)
{
	size_t head_size;
	int status = 0;

	weir_response_init(response, &question->arena);
	while (status == 0) {
		status = answer_take(question);
		if (status < 0)
			return status;
		status = weir_h1_parse_response(&question->parser,
						weir_buffer_head(&question->head),
						weir_buffer_size(&question->head),
						WEIR_METHOD_CONNECT, response, &head_size);
	}
	return status < 0 ? status : 0;
}

/* Up to the final answer. */
static int question_await(struct question *question)
{
	const struct weir_http_connect_conf *conf = &question->outer->conf;
	struct weir_response response = { 0 };
	int status = 0;

	for (unsigned n = 0; !status && response.status < 200; n++) {
		if (n == INTERIM_MAX || response.status == 101)
			return WEIR_EPROTO;
		weir_buffer_clear(&question->head);
		status = answer_read(question, &response);
	}
	if (status)
		return status;
	if (conf->on_answer)
		conf->on_answer(conf->ctx, question->to, &response);
	return response.status / 100 == 2 ? 0 : WEIR_EPROXY;
}

static int question_ask(struct question *question)
{
	struct weir_scope scope;
	int status;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, question->outer->conf.timeout_ms);
	weir_scope_enter(&scope);
	status = question_send(question);
	if (!status)
		status = question_await(question);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return status;
}

/* ------------------------------------------------------------------------------------------
 * The connector
 */

static int connect_connect(struct weir_connector *connector, struct weir_conn *conn,
			   const struct weir_target *to, struct weir_stream **out)
{
	struct http_connect *outer = weir_container_of(connector, struct http_connect, connector);
	struct question question = { .outer = outer, .to = to };
	int status = weir_connect(connector->inner, conn, &outer->conf.proxy, &question.stream);

	if (status)
		return status;
	weir_arena_init(&question.arena, 0);
	weir_h1_parser_init(&question.parser, true, NULL);
	status = question_ask(&question);
	weir_buffer_fini(&question.head);
	weir_arena_fini(&question.arena);
	if (status) {
		weir_stream_close(question.stream);
		return status;
	}
	*out = question.stream;
	return 0;
}

static void connect_free(struct weir_connector *connector)
{
	struct http_connect *outer = weir_container_of(connector, struct http_connect, connector);

	free((void *)(uintptr_t)outer->conf.authorization);
	free(outer);
}

static const struct weir_connector_ops connect_ops = {
	.name = "http_connect",
	.connect = connect_connect,
	.free = connect_free,
};

struct weir_connector *weir_http_connect_connector(struct weir_connector *inner,
						   const struct weir_http_connect_conf *conf,
						   struct weir_error *error)
{
	struct http_connect *outer;

	if (!inner)
		return NULL;
	outer = calloc(1, sizeof(*outer));
	if (!outer)
		goto err;
	outer->connector.ops = &connect_ops;
	outer->conf = *conf;
	outer->conf.timeout_ms = conf->timeout_ms ? conf->timeout_ms : TIMEOUT_MS;
	if (conf->authorization) {
		outer->conf.authorization = strdup(conf->authorization);
		if (!outer->conf.authorization)
			goto err;
	}
	outer->connector.inner = inner;
	return &outer->connector;
err:
	free(outer);
	weir_connector_free(inner);
	weir_error_set(error, -ENOMEM, "out of memory");
	return NULL;
}
