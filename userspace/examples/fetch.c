/* SPDX-License-Identifier: MIT */
/* An HTTP client: fetch URL... writes what is there to standard output. */

#include <errno.h>
#include <stdio.h>

#include <weir/http_client.h>
#include <weir/loop.h>
#include <weir/resolver.h>

struct fetch {
	struct weir_http_client *client;
	char **urls;
};

/* Writes the body as it comes: a piece is valid until the next one is asked for. */
static int body_print(struct weir_body *body)
{
	struct iovec piece;
	int status = 0;

	while (body && (status = weir_body_next(body, &piece, true)) == 1)
		fwrite(piece.iov_base, 1, piece.iov_len, stdout);
	return status;
}

static int fetch_one(struct weir_http_client *client, struct weir_call *call, const char *url)
{
	struct weir_request *request = &call->request;
	struct weir_target to;
	struct weir_text host;
	uint16_t port;
	int status;

	request->method = WEIR_METHOD_GET;
	request->method_text = weir_method_text(WEIR_METHOD_GET);
	status = weir_request_set_target(request, weir_text_of(url));
	if (!status && request->form != WEIR_TARGET_ABSOLUTE)
		status = -EINVAL;
	if (!status)
		status = weir_authority_parse(request->authority, &host, &port);
	if (!status)
		status = weir_target_parse(&to, weir_arena_printf(&call->arena, "%.*s:%u",
								  WEIR_TEXT_ARGS(host),
								  port ? port : 80u));
	if (!status)
		status = weir_http_client_exchange(client, call, &to);
	if (!status)
		status = body_print(call->response.body);
	if (status)
		fprintf(stderr, "fetch: %s: %s\n", url, weir_strerror(status));
	else if (call->response.status >= 400)
		fprintf(stderr, "fetch: %s: status %u\n", url, call->response.status);
	return status || call->response.status >= 400 ? -EIO : 0;
}

/* A call's end gives its connection back: the next one to the same host uses it again. */
static int fetch_all(void *arg)
{
	struct fetch *fetch = arg;
	int worst = 0;

	for (char **url = fetch->urls; *url; url++) {
		struct weir_call call;

		weir_call_init(&call, NULL);
		if (fetch_one(fetch->client, &call, *url))
			worst = -EIO;
		weir_call_fini(&call);
	}
	return worst;
}

int main(int argc, char **argv)
{
	struct weir_loop *loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, NULL);
	struct weir_resolver *resolver =
		loop ? weir_resolver_new(loop, &(struct weir_resolver_conf){ 0 }, NULL) : NULL;
	struct weir_tcp_connector_conf tcp = { .resolver = resolver };
	struct weir_http_client_conf conf = { .connector = weir_tcp_connector(&tcp, NULL) };
	struct fetch fetch = { weir_http_client_new(&conf, NULL), argv + 1 };
	struct weir_scope root;
	int status = 1;

	if (argc < 2)
		fprintf(stderr, "usage: fetch URL...\n");
	if (argc > 1 && resolver && fetch.client) {
		weir_scope_init_root(&root, loop);
		if (weir_scope_spawn(&root, "fetch", fetch_all, &fetch, NULL) == 0)
			status = weir_loop_run(loop) || root.first_error;
		weir_scope_fini(&root);
	}
	weir_http_client_free(fetch.client);
	weir_resolver_free(resolver);
	weir_loop_free(loop);
	return status;
}
