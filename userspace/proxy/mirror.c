/* SPDX-License-Identifier: MIT */
/*
 * mirror: the copy of a request has memory of its own from the start, because the real one may
 * be gone before it is sent. It waits beside the real body until that has been read, then a task
 * of the layer's own scope sends it.
 *
 *	copy_new --no body--> copy_send --> (task) copy_serve --> copy_free
 *	    `----> tee around the body --end--^
 *	                 `--too large, broken, not read to its end--> copy_free
 */

#include <weir/mirror.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include <weir/buffer.h>
#include <weir/loop.h>

#define ANSWER_MAX (1u << 20) /* bytes of an answer that are read to keep its connection */

struct mirror {
	struct weir_http_service svc;
	struct weir_http_service *shadow;
	struct weir_mirror_conf conf;
	unsigned active;
	uint64_t random;
	bool started; /* scope is initialised */
	struct weir_scope scope;
};

struct copy {
	struct mirror *mirror;
	struct weir_arena arena;
	struct weir_request request;
	struct weir_buffer body;
	bool has_body;
};

/* Around the real request's body; in the real call's arena. */
struct tee {
	struct weir_body body;
	struct weir_body *inner;
	struct copy *copy; /* NULL once it is sent or given up */
};

/* ---- the copy ----------------------------------------------------------------------------- */

static void count(struct weir_counter *counter)
{
	if (counter)
		weir_counter_add(counter, 1);
}

static void copy_free(struct copy *copy)
{
	if (!copy)
		return;
	copy->mirror->active--;
	weir_buffer_fini(&copy->body);
	weir_arena_fini(&copy->arena);
	free(copy);
}

static struct weir_text copy_text(struct copy *copy, struct weir_text text)
{
	if (text.data)
		text.data = weir_arena_strndup(&copy->arena, text.data, text.size);
	return text;
}

static int copy_head(struct copy *copy, const struct weir_request *from)
{
	struct weir_request *request = &copy->request;

	weir_request_init(request, &copy->arena);
	request->method = from->method;
	request->version = from->version;
	request->form = from->form;
	request->method_text = copy_text(copy, from->method_text);
	request->scheme = copy_text(copy, from->scheme);
	request->authority = copy_text(copy, from->authority);
	request->path = copy_text(copy, from->path);
	request->query = copy_text(copy, from->query);
	request->keep_alive = true;
	if (!request->method_text.data || !request->path.data)
		return -ENOMEM;
	if (weir_headers_copy(&request->headers, &from->headers) < 0)
		return -ENOMEM;
	/* The body is here already. */
	weir_headers_del_id(&request->headers, WEIR_HEADER_EXPECT);
	return 0;
}

/* NULL when there is no room for it. */
static struct copy *copy_new(struct mirror *mirror, const struct weir_call *call)
{
	struct copy *copy;

	if (mirror->active >= mirror->conf.max_active)
		return NULL;
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return NULL;
	mirror->active++;
	copy->mirror = mirror;
	weir_arena_init(&copy->arena, 0);
	copy->has_body = call->request.body != NULL;
	if (copy_head(copy, &call->request) < 0) {
		copy_free(copy);
		return NULL;
	}
	return copy;
}

static int copy_exchange(struct copy *copy, struct weir_call *call)
{
	struct weir_text body = { weir_buffer_head(&copy->body), weir_buffer_size(&copy->body) };
	int status;

	call->request = copy->request;
	if (copy->has_body) {
		call->request.body = weir_text_body(&call->arena, body);
		if (!call->request.body)
			return -ENOMEM;
	}
	status = weir_handle(copy->mirror->shadow, call);
	if (status == 0 && call->response.body)
		status = weir_body_skip(call->response.body, ANSWER_MAX);
	return status;
}

static int copy_serve(void *arg)
{
	struct copy *copy = arg;
	struct weir_call *call;
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, copy->mirror->conf.timeout_ms);
	weir_scope_enter(&scope);
	call = weir_arena_alloc(&copy->arena, sizeof(*call));
	if (call) {
		weir_call_init(call, NULL);
		(void)copy_exchange(copy, call);
		weir_call_fini(call);
	}
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	copy_free(copy);
	return 0;
}

/* Takes COPY over. */
static void copy_send(struct copy *copy)
{
	struct mirror *mirror = copy->mirror;

	if (!mirror->started) {
		weir_scope_init_root(&mirror->scope, weir_loop_current());
		mirror->started = true;
	}
	if (weir_scope_spawn(&mirror->scope, "mirror", copy_serve, copy, NULL) == 0) {
		count(mirror->conf.sent);
		return;
	}
	count(mirror->conf.dropped);
	copy_free(copy);
}

/* ---- the real body ------------------------------------------------------------------------ */

static void tee_give_up(struct tee *tee)
{
	if (!tee->copy)
		return;
	count(tee->copy->mirror->conf.dropped);
	copy_free(tee->copy);
	tee->copy = NULL;
}

static void tee_piece(struct tee *tee, const struct iovec *piece)
{
	struct copy *copy = tee->copy;

	if (!copy)
		return;
	if (piece->iov_len > copy->mirror->conf.max_bytes - weir_buffer_size(&copy->body) ||
	    weir_buffer_append(&copy->body, piece->iov_base, piece->iov_len) < 0)
		tee_give_up(tee);
}

static int tee_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct tee *tee = weir_container_of(body, struct tee, body);
	int status = weir_body_next(tee->inner, piece, wait);

	body->trailers = tee->inner->trailers;
	if (status == 1) {
		tee_piece(tee, piece);
	} else if (status == 0 && tee->copy) {
		copy_send(tee->copy);
		tee->copy = NULL;
	} else if (status != -EAGAIN) {
		tee_give_up(tee);
	}
	return status;
}

/* With nothing left to copy the kernel may move the rest. */
static int tee_source(struct weir_body *body, struct weir_body_source *source)
{
	struct tee *tee = weir_container_of(body, struct tee, body);

	return tee->copy ? -EOPNOTSUPP : weir_body_source(tee->inner, source);
}

static void tee_moved(struct weir_body *body, uint64_t size, int status)
{
	struct tee *tee = weir_container_of(body, struct tee, body);

	tee->inner->ops->moved(tee->inner, size, status);
}

static void tee_free(struct weir_body *body)
{
	struct tee *tee = weir_container_of(body, struct tee, body);

	tee_give_up(tee);
	weir_body_free(tee->inner);
}

static const struct weir_body_ops tee_ops = {
	.name = "mirror",
	.next = tee_next,
	.source = tee_source,
	.moved = tee_moved,
	.free = tee_free,
};

static int tee_put(struct weir_call *call, struct copy *copy)
{
	struct weir_body *inner = call->request.body;
	struct tee *tee = weir_arena_zalloc(&call->arena, sizeof(*tee));

	if (!tee)
		return -ENOMEM;
	tee->body.ops = &tee_ops;
	tee->body.size = inner->size;
	tee->inner = inner;
	tee->copy = copy;
	call->request.body = &tee->body;
	return 0;
}

/* ---- the layer ---------------------------------------------------------------------------- */

/* Xorshift64*. */
static bool is_chosen(struct mirror *mirror)
{
	mirror->random ^= mirror->random >> 12;
	mirror->random ^= mirror->random << 25;
	mirror->random ^= mirror->random >> 27;
	return (double)((mirror->random * UINT64_C(0x2545f4914f6cdd1d)) >> 11) * 0x1p-53 * 100 <
	       mirror->conf.percent;
}

/* Nobody would speak with the other end of a tunnel. */
static bool can_be_copied(const struct mirror *mirror, const struct weir_request *request)
{
	if (request->upgrade.data || request->method == WEIR_METHOD_CONNECT)
		return false;
	return !request->body || request->body->size == WEIR_BODY_UNKNOWN ||
	       request->body->size <= mirror->conf.max_bytes;
}

static void mirror_copy(struct mirror *mirror, struct weir_call *call)
{
	struct copy *copy = NULL;

	if (can_be_copied(mirror, &call->request))
		copy = copy_new(mirror, call);
	if (!copy) {
		count(mirror->conf.dropped);
	} else if (!copy->has_body) {
		copy_send(copy);
	} else if (tee_put(call, copy) < 0) {
		count(mirror->conf.dropped);
		copy_free(copy);
	}
}

static int mirror_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct mirror *mirror = weir_container_of(svc, struct mirror, svc);

	if (is_chosen(mirror))
		mirror_copy(mirror, call);
	return weir_handle(svc->inner, call);
}

static void mirror_free(struct weir_http_service *svc)
{
	struct mirror *mirror = weir_container_of(svc, struct mirror, svc);

	if (mirror->started) {
		weir_scope_cancel(&mirror->scope);
		weir_scope_join(&mirror->scope);
		weir_scope_fini(&mirror->scope);
	}
	weir_http_service_free(mirror->shadow);
	free(mirror);
}

static const struct weir_http_ops mirror_ops = {
	.name = "mirror",
	.handle = mirror_handle,
	.free = mirror_free,
};

static int mirror_check(const struct weir_mirror_conf *conf, struct weir_error *error)
{
	if (conf->percent >= 0 && conf->percent <= 100)
		return 0;
	weir_error_remedy(error, "write 0.1 to 100");
	return weir_error_set(error, WEIR_ECONFIG, "%g%% of the calls cannot be copied",
			      conf->percent);
}

static void mirror_fill(struct mirror *mirror, const struct weir_mirror_conf *conf)
{
	mirror->conf = *conf;
	mirror->shadow = conf->shadow;
	if (conf->percent == 0)
		mirror->conf.percent = 100;
	if (conf->max_active == 0)
		mirror->conf.max_active = 64;
	if (conf->max_bytes == 0)
		mirror->conf.max_bytes = 65536;
	if (conf->timeout_ms == 0)
		mirror->conf.timeout_ms = 30000;
	if (getrandom(&mirror->random, sizeof(mirror->random), 0) < 0 || mirror->random == 0)
		mirror->random = 1;
}

struct weir_http_service *weir_http_mirror_layer(struct weir_http_service *inner,
						 const struct weir_mirror_conf *conf,
						 struct weir_error *error)
{
	struct mirror *mirror;

	if (!inner || !conf->shadow || mirror_check(conf, error) < 0)
		goto err;
	mirror = calloc(1, sizeof(*mirror));
	if (!mirror) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto err;
	}
	mirror->svc = (struct weir_http_service){ .ops = &mirror_ops, .inner = inner };
	mirror_fill(mirror, conf);
	return &mirror->svc;
err:
	weir_http_service_free(inner);
	weir_http_service_free(conf->shadow);
	return NULL;
}
