/* SPDX-License-Identifier: MIT */
/*
 * The smallest web service: hello LISTEN
 *
 *	build/examples/hello 127.0.0.1:8080 & curl http://127.0.0.1:8080/you
 */

#include <stdio.h>

#include <weir/http_server.h>
#include <weir/run.h>

/* One request and its answer. The arena's memory goes when the last byte is sent. */
static int hello(struct weir_call *call, void *ctx)
{
	struct weir_text name = call->request.path;
	const char *text;

	(void)ctx;
	if (call->request.method != WEIR_METHOD_GET && call->request.method != WEIR_METHOD_HEAD)
		return weir_call_refuse(call, 405, "method");
	if (name.size > 1)
		text = weir_arena_printf(&call->arena, "Hello, %.*s!\n", (int)name.size - 1,
					 name.data + 1);
	else
		text = "Hello, world!\n";
	return weir_call_respond(call, 200, "text/plain", weir_text_of(text));
}

int main(int argc, char **argv)
{
	struct weir_error error = { 0 };
	struct weir_loop *loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, &error);
	struct weir_http_server_conf server = { .service =
							weir_http_function(hello, NULL, &error) };
	struct weir_run_conf run = { .name = "hello", .listen = argv[1] };
	char text[1024];
	int status = -1;

	if (argc != 2) {
		fprintf(stderr, "usage: hello LISTEN\n");
		return 2;
	}
	run.service = weir_http_server_service(&server, &error);
	if (loop && run.service)
		status = weir_run(loop, &run, &error);
	if (status)
		fprintf(stderr, "hello: %s\n", weir_error_format(&error, text, sizeof(text)));
	weir_service_free(run.service);
	weir_loop_free(loop);
	return status ? 1 : 0;
}
