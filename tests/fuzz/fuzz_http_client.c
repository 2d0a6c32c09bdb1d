/* SPDX-License-Identifier: MIT */
/*
 * The whole client over memory streams: what an origin answers, in one piece and cut into many, means
 * the same. The first byte says how the client asks, the second where the answer is cut.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>
#include <weir/error.h>
#include <weir/http_client.h>
#include <weir/scope.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS 2 /* one after the other: the second may be on a kept connection */

/* How the client asks: bits of the first byte. */
#define ASK_METHOD  3u /* GET, HEAD, POST, CONNECT */
#define ASK_UPGRADE 4u
#define ASK_EXPECTS 8u
#define ASK_LEAVES  16u /* does not read the response's body */
#define ASK_LONG    32u /* with a body that does not come at once */

struct origin {
	struct weir_connector connector;
	struct weir_scope scope;
	const uint8_t *data;
	size_t size;
	unsigned cut; /* 0: in one piece */
};

struct reply {
	int status, body_status;
	unsigned code, informed;
	bool has_body, has_tunnel;
	bool amid; /* a 101 came before the request was complete */
	struct weir_buffer body;
};

/* ---- the origin ---- */

struct play {
	struct origin *origin;
	struct weir_stream *stream;
};

static int origin_say(const struct play *play)
{
	const struct origin *origin = play->origin;
	unsigned cut = origin->cut;
	size_t at = 0;
	int status = 0;

	while (at < origin->size && !status) {
		size_t left = origin->size - at;
		size_t n = cut ? WEIR_MIN(left, (size_t)(1 + cut % 61)) : left;

		status = weir_stream_write(play->stream, origin->data + at, n);
		at += n;
		cut = cut ? cut * 75 + 74 : 0;
		for (int i = 0; i < 3 && !status && origin->cut; i++)
			status = weir_task_yield();
	}
	return status;
}

/* Says all of it, hears what there is, and ends when the client does or has nothing to say. */
static int origin_run(void *arg)
{
	struct play *play = arg;
	char text[4096];

	(void)!origin_say(play);
	for (int i = 0; i < 8; i++)
		if (weir_task_yield() ||
		    play->stream->ops->readv(play->stream, &(struct iovec){ text, sizeof(text) }, 1,
					     false) == 0)
			break;
	weir_stream_close(play->stream);
	free(play);
	return 0;
}

static int origin_connect(struct weir_connector *connector, struct weir_conn *conn,
			  const struct weir_target *to, struct weir_stream **out)
{
	struct origin *origin = weir_container_of(connector, struct origin, connector);
	struct play *play = malloc(sizeof(*play));
	struct weir_stream *ends[2];

	(void)conn;
	(void)to;
	if (!play || weir_memory_stream_pair(ends, 0))
		abort();
	*play = (struct play){ .origin = origin, .stream = ends[1] };
	if (weir_scope_spawn(&origin->scope, "origin", origin_run, play, NULL))
		abort();
	*out = ends[0];
	return 0;
}

static void origin_free(struct weir_connector *connector)
{
	(void)connector;
}

static const struct weir_connector_ops origin_ops = {
	.name = "origin",
	.connect = origin_connect,
	.free = origin_free,
};

/* ---- the client ---- */

/* A body that comes piece by piece. */
struct drip {
	struct weir_body body;
	unsigned left;
};

static int drip_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	static char drop[] = "drip"; /* outlives the call, as a piece must */
	struct drip *drip = weir_container_of(body, struct drip, body);
	int status;

	if (!drip->left)
		return 0;
	if (!wait)
		return -EAGAIN;
	status = weir_task_yield();
	if (status)
		return status;
	drip->left--;
	*piece = (struct iovec){ drop, sizeof(drop) - 1 };
	return 1;
}

static void drip_free(struct weir_body *body)
{
	(void)body;
}

static const struct weir_body_ops drip_ops = {
	.name = "drip",
	.next = drip_next,
	.free = drip_free,
};

static unsigned *informed;

static int on_inform(struct weir_call *call, unsigned status, const struct weir_headers *headers)
{
	(void)call;
	assert(headers && status >= 102 && status <= 199);
	++*informed;
	return 0;
}

static void ask(struct weir_call *call, unsigned how, struct drip *drip)
{
	static const enum weir_method methods[] = { WEIR_METHOD_GET, WEIR_METHOD_HEAD,
						    WEIR_METHOD_POST, WEIR_METHOD_CONNECT };
	struct weir_request *request = &call->request;

	request->method = methods[how & ASK_METHOD];
	request->method_text = weir_method_text(request->method);
	request->authority = WEIR_TEXT("a:80");
	request->path = WEIR_TEXT("/");
	request->keep_alive = true;
	if (request->method == WEIR_METHOD_CONNECT)
		request->form = WEIR_TARGET_AUTHORITY;
	if (how & ASK_UPGRADE)
		request->upgrade = WEIR_TEXT("x");
	if (request->method != WEIR_METHOD_POST)
		return;
	request->expects_continue = how & ASK_EXPECTS;
	*drip = (struct drip){
		.body = { .ops = &drip_ops, .size = WEIR_BODY_UNKNOWN },
		.left = 3,
	};
	request->body = how & ASK_LONG ? &drip->body
				       : weir_text_body(&call->arena, WEIR_TEXT("hello"));
}

static void check_response(const struct weir_call *call)
{
	const struct weir_response *response = &call->response;
	const struct weir_header *field = NULL;

	assert(response->status == 101 || (response->status >= 200 && response->status <= 999));
	assert(!response->body || (!weir_status_is_bodiless(response->status) &&
				   call->request.method != WEIR_METHOD_HEAD));
	while ((field = weir_headers_next(&response->headers, field)))
		assert(weir_header_is_valid(field->name, field->value));
}

static void exchange(struct weir_http_client *client, unsigned how, struct reply *reply)
{
	const struct weir_target to = { .host = "a", .port = 80 };
	struct weir_call call;
	struct drip drip;

	weir_call_init(&call, NULL);
	informed = &reply->informed;
	call.inform = on_inform;
	ask(&call, how, &drip);
	reply->status = weir_http_client_exchange(client, &call, &to);
	reply->amid = call.result.why && !strcmp(call.result.why, "an upgrade amid a request");
	if (!reply->status) {
		check_response(&call);
		reply->code = call.response.status;
		reply->has_tunnel = call.tunnel != NULL;
		reply->has_body = call.response.body != NULL;
		if (reply->has_body && !(how & ASK_LEAVES))
			reply->body_status =
				weir_body_read_all(call.response.body, &reply->body, 1 << 20);
	}
	weir_call_fini(&call);
}

/* ---- one input ---- */

struct trial {
	struct origin origin;
	unsigned how;
	struct reply replies[CALLS];
};

static int trial_run(void *arg)
{
	struct trial *trial = arg;
	struct weir_http_client_conf conf = {
		.connector = &trial->origin.connector,
		.continue_ms = 1,
	};
	struct weir_http_client *client = weir_http_client_new(&conf, NULL);

	if (!client)
		abort();
	weir_scope_init(&trial->origin.scope, NULL);
	for (size_t i = 0; i < CALLS; i++)
		exchange(client, trial->how, &trial->replies[i]);
	weir_http_client_free(client);
	weir_scope_cancel(&trial->origin.scope);
	weir_scope_join(&trial->origin.scope);
	weir_scope_fini(&trial->origin.scope);
	return 0;
}

static void trial_do(struct trial *trial, struct weir_loop *loop)
{
	struct weir_scope root;

	weir_scope_init_root(&root, loop);
	if (weir_scope_spawn(&root, "trial", trial_run, trial, NULL) || weir_loop_run(loop))
		abort();
	weir_scope_fini(&root);
}

/* Of the first call: what comes later depends on when the end of the stream is seen. So does
 * whether a request is complete when its upgrade is answered. */
static void check_same(const struct reply *a, const struct reply *b)
{
	size_t size = weir_buffer_size(&a->body);

	if (a->amid || b->amid)
		return;
	assert(!a->status == !b->status);
	assert(a->code == b->code && a->informed == b->informed);
	assert(a->has_body == b->has_body && a->has_tunnel == b->has_tunnel);
	assert(!a->body_status == !b->body_status);
	assert(a->body_status || size == weir_buffer_size(&b->body));
	assert(a->body_status || size == 0 ||
	       memcmp(weir_buffer_head(&a->body), weir_buffer_head(&b->body), size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct weir_loop *loop;
	struct trial whole = { .origin.connector.ops = &origin_ops }, cut;

	if (!loop)
		loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, NULL);
	if (!loop || size < 2 || size > 8192)
		return 0;
	whole.how = data[0];
	whole.origin.data = data + 2;
	whole.origin.size = size - 2;
	cut = whole;
	cut.origin.cut = data[1] + 1u;
	trial_do(&whole, loop);
	trial_do(&cut, loop);
	check_same(&whole.replies[0], &cut.replies[0]);
	for (size_t i = 0; i < CALLS; i++) {
		weir_buffer_fini(&whole.replies[i].body);
		weir_buffer_fini(&cut.replies[i].body);
	}
	return 0;
}
