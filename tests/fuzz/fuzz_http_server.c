/* SPDX-License-Identifier: MIT */
/*
 * The whole server over memory streams: what strangers send, in one piece and cut into many, gets
 * the same answers. The first byte says where to cut.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>
#include <weir/error.h>
#include <weir/http_server.h>
#include <weir/scope.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weir_loop *loop;
static struct weir_service *server;

/* ---- what is served ---- */

static int answer_sum(struct weir_call *call)
{
	struct weir_buffer body = { 0 };
	char text[64];
	unsigned sum = 0;
	int status = 0;

	if (call->request.body)
		status = weir_body_read_all(call->request.body, &body, 1 << 20);
	for (size_t i = 0; i < weir_buffer_size(&body); i++)
		sum = sum * 31 + (unsigned char)weir_buffer_head(&body)[i];
	snprintf(text, sizeof(text), "%zu %u\n", weir_buffer_size(&body), sum);
	weir_buffer_fini(&body);
	return status ? status : weir_call_respond(call, 200, "text/plain", weir_text_of(text));
}

static void tunnel_close(struct weir_tunnel *tunnel)
{
	weir_stream_close(tunnel->stream);
}

static int echo(void *arg)
{
	struct weir_stream *stream = arg;
	char data[256];
	ssize_t got;

	while ((got = weir_stream_read(stream, data, sizeof(data))) > 0) {
		if (weir_stream_write(stream, data, (size_t)got))
			break;
	}
	weir_stream_close(stream);
	return 0;
}

static int answer_tunnel(struct weir_call *call)
{
	struct weir_tunnel *tunnel = weir_arena_zalloc(&call->arena, sizeof(*tunnel));
	struct weir_stream *ends[2];

	if (!tunnel || weir_memory_stream_pair(ends, 0))
		abort();
	if (weir_scope_spawn(&call->scope, "echo", echo, ends[1], NULL))
		abort();
	*tunnel = (struct weir_tunnel){ .stream = ends[0], .close = tunnel_close };
	call->tunnel = tunnel;
	call->response.status = call->request.upgrade.size ? 101 : 200;
	call->response.upgrade = call->request.upgrade;
	return 0;
}

static int drop(void *arg)
{
	return weir_body_skip(arg, UINT64_MAX);
}

/* Answers while a task of the call's reads the body. */
static int answer_early(struct weir_call *call)
{
	if (call->request.body &&
	    weir_scope_spawn(&call->scope, "drop", drop, call->request.body, NULL))
		abort();
	return weir_task_yield() ? -ECANCELED
				 : weir_call_respond(call, 200, NULL, WEIR_TEXT("early"));
}

static int answer(struct weir_call *call, void *ctx)
{
	const struct weir_request *request = &call->request;

	(void)ctx;
	assert(request->path.size > 0 || request->form == WEIR_TARGET_AUTHORITY);
	if (request->method == WEIR_METHOD_CONNECT || request->upgrade.size > 0)
		return answer_tunnel(call);
	/* Nobody reads the body of these. */
	if (weir_text_has_prefix(request->path, WEIR_TEXT("/skip")))
		return weir_call_refuse(call, 404, "no_route");
	if (weir_text_has_prefix(request->path, WEIR_TEXT("/early")))
		return answer_early(call);
	return answer_sum(call);
}

/* ---- one connection ---- */

struct connection {
	const uint8_t *data;
	size_t size;
	unsigned cut; /* 0: in one piece */
	struct weir_stream *client;
	struct weir_conn conn;
	struct weir_buffer answers;
};

static int serve(void *arg)
{
	struct connection *c = arg;
	int status = weir_serve(server, &c->conn);

	if (status)
		weir_conn_abort(&c->conn);
	weir_stream_close(c->conn.stream);
	return 0;
}

static int send_all(void *arg)
{
	struct connection *c = arg;
	unsigned cut = c->cut;
	size_t at = 0;
	int status = 0;

	while (at < c->size && !status) {
		size_t n = cut ? WEIR_MIN(c->size - at, (size_t)(1 + cut % 61)) : c->size - at;

		status = weir_stream_write(c->client, c->data + at, n);
		at += n;
		cut = cut ? cut * 75 + 74 : 0;
		for (int i = 0; i < 3 && !status && c->cut; i++)
			status = weir_task_yield();
	}
	if (!status)
		(void)!weir_stream_shutdown(c->client);
	return 0;
}

static int connect_and_read(void *arg)
{
	struct connection *c = arg;
	struct weir_scope scope;
	ssize_t got;

	weir_scope_init(&scope, NULL);
	if (weir_scope_spawn(&scope, "conn", serve, c, NULL) ||
	    weir_scope_spawn(&scope, "client", send_all, c, NULL))
		abort();
	do {
		if (weir_buffer_reserve(&c->answers, 4096))
			abort();
		got = weir_stream_read(c->client, weir_buffer_tail(&c->answers), 4096);
		if (got > 0)
			weir_buffer_commit(&c->answers, (size_t)got);
	} while (got > 0);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	return 0;
}

static void connection_run(struct connection *c)
{
	struct weir_scope root;
	struct weir_stream *ends[2];

	if (weir_memory_stream_pair(ends, 1 << 20))
		abort();
	c->client = ends[0];
	c->conn = (struct weir_conn){ .id = 1, .listener = "fuzz", .stream = ends[1] };
	weir_arena_init(&c->conn.arena, 0);
	weir_extensions_init(&c->conn.extensions, NULL);
	weir_scope_init_root(&root, loop);
	if (weir_scope_spawn(&root, "test", connect_and_read, c, NULL) || weir_loop_run(loop))
		abort();
	weir_scope_fini(&root);
	weir_stream_close(c->client);
	weir_arena_fini(&c->conn.arena);
}

/* Without what the time of arrival decides. */
static size_t without(char *text, size_t size, const char *begin, const char *end)
{
	char *at;

	while ((at = memmem(text, size, begin, strlen(begin))) != NULL) {
		size_t left = size - (size_t)(at - text);
		char *stop = memmem(at, left, end, strlen(end));

		if (!stop) /* a tunnel's echo of the same words */
			break;
		stop += strlen(end);
		memmove(at, stop, size - (size_t)(stop - text));
		size -= (size_t)(stop - at);
	}
	return size;
}

static size_t connection_normalise(struct connection *c)
{
	char *text = weir_buffer_head(&c->answers);
	size_t size = weir_buffer_size(&c->answers);

	if (size == 0)
		return 0;
	assert(size >= 9 && memcmp(text, "HTTP/1.1 ", 9) == 0);
	size = without(text, size, "\r\nDate: ", " GMT");
	return without(text, size, "HTTP/1.1 100 Continue", "\r\n\r\n");
}

static void set_up(void)
{
	struct weir_http_server_conf conf = { .linger_ms = 1, .limits.body_bytes = 100000 };

	loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, NULL);
	conf.service = weir_http_function(answer, NULL, NULL);
	server = weir_http_server_service(&conf, NULL);
	if (!loop || !server)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct connection whole = { 0 }, cut = { 0 };
	size_t sizes[2];

	if (!loop)
		set_up();
	if (size == 0)
		return 0;
	whole.data = cut.data = data + 1;
	whole.size = cut.size = size - 1;
	cut.cut = data[0] + 1u;
	connection_run(&whole);
	connection_run(&cut);
	sizes[0] = connection_normalise(&whole);
	sizes[1] = connection_normalise(&cut);
	/* An early answer may be out before the body turns out to be broken, or not. */
	if (!memmem(data, size, "/early", 6)) {
		assert(sizes[0] == sizes[1]);
		assert(sizes[0] == 0 || memcmp(weir_buffer_head(&whole.answers),
					       weir_buffer_head(&cut.answers), sizes[0]) == 0);
	}
	weir_buffer_fini(&whole.answers);
	weir_buffer_fini(&cut.answers);
	return 0;
}
