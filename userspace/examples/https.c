/* SPDX-License-Identifier: MIT */
/* A client of https: "https HOST:PORT PATH" writes what is there to standard output. TLS is one
 * connector around another; the HTTP client over it is the one of fetch.c. */

#include <stdio.h>

#include <weir/http_client.h>
#include <weir/loop.h>
#include <weir/resolver.h>
#include <weir/tls_client.h>

struct question {
	char **words; /* HOST:PORT, PATH */
	struct weir_http_client *client;
};

/* TLS knows more about a failure than its status says. */
static void on_failure(void *ctx, const struct weir_error *error)
{
	(void)ctx;
	fprintf(stderr, "https: %s\n", error->message);
}

static int ask(const struct question *question, struct weir_call *call)
{
	struct weir_request *request = &call->request;
	struct weir_target to;
	struct iovec piece;
	int status = weir_target_parse(&to, question->words[0]);

	request->method = WEIR_METHOD_GET;
	request->path = weir_text_of(question->words[1]);
	if (!status)
		status = weir_http_client_exchange(question->client, call, &to);
	if (status || !call->response.body)
		return status;
	while ((status = weir_body_next(call->response.body, &piece, true)) == 1)
		fwrite(piece.iov_base, 1, piece.iov_len, stdout);
	return status;
}

static int question_run(void *arg)
{
	struct weir_call call;
	int status;

	weir_call_init(&call, NULL);
	status = ask(arg, &call);
	if (status)
		fprintf(stderr, "https: %s\n", weir_strerror(status));
	weir_call_fini(&call);
	return status;
}

int main(int argc, char **argv)
{
	struct weir_loop *loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, NULL);
	struct weir_resolver *resolver =
		loop ? weir_resolver_new(loop, &(struct weir_resolver_conf){ 0 }, NULL) : NULL;
	struct weir_tcp_connector_conf tcp = { .resolver = resolver };
	struct weir_tls_connector_conf tls = {
		.client = weir_tls_client_new(&(struct weir_tls_client_conf){ 0 }, NULL),
		.on_failure = on_failure,
	};
	struct weir_http_client_conf conf = {
		.connector = weir_tls_connector(weir_tcp_connector(&tcp, NULL), &tls, NULL),
	};
	struct question question = { argv + 1, weir_http_client_new(&conf, NULL) };
	struct weir_scope root;
	int status = 1;

	if (argc != 3)
		fprintf(stderr, "usage: https HOST:PORT PATH\n");
	if (argc == 3 && resolver && question.client) {
		weir_scope_init_root(&root, loop);
		if (weir_scope_spawn(&root, "https", question_run, &question, NULL) == 0)
			status = weir_loop_run(loop) || root.first_error;
		weir_scope_fini(&root);
	}
	weir_http_client_free(question.client);
	weir_tls_client_put(tls.client);
	weir_resolver_free(resolver);
	weir_loop_free(loop);
	return status;
}
