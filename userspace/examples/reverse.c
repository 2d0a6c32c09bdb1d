/* SPDX-License-Identifier: MIT */
/*
 * A reverse proxy with a layer of one's own: reverse LISTEN TARGET
 *
 *	build/examples/reverse 127.0.0.1:8080 127.0.0.1:9000
 *
 * The layer says in each response how long the origin took until its head came (Server-Timing).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/http_client.h>
#include <weir/http_server.h>
#include <weir/resolver.h>
#include <weir/run.h>

struct timing {
	struct weir_http_service svc; /* first, so that the library finds it */
};

/* A layer is a function that calls the next one. This one parks there, and other calls run. */
static int timing_handle(struct weir_http_service *svc, struct weir_call *call)
{
	uint64_t began = weir_now();
	int status = weir_handle(svc->inner, call);
	char *text;

	if (status)
		return status;
	text = weir_arena_printf(&call->arena, "origin;dur=%.3f",
				 (double)(weir_now() - began) / 1e6);
	return text ? weir_headers_add(&call->response.headers, WEIR_TEXT("Server-Timing"),
				       weir_text_of(text))
		    : -ENOMEM;
}

static void timing_free(struct weir_http_service *svc)
{
	free(weir_container_of(svc, struct timing, svc));
}

static const struct weir_http_ops timing_ops = {
	.name = "timing",
	.handle = timing_handle,
	.free = timing_free,
};

static struct weir_http_service *timing_layer(struct weir_http_service *inner)
{
	struct timing *timing = inner ? calloc(1, sizeof(*timing)) : NULL;

	if (!timing) {
		weir_http_service_free(inner);
		return NULL;
	}
	timing->svc.ops = &timing_ops;
	timing->svc.inner = inner;
	return &timing->svc;
}

static struct weir_service *stack_new(const char *target, struct weir_resolver *resolver,
				      struct weir_error *error)
{
	struct weir_tcp_connector_conf tcp = { .timeout_ms = 3000, .resolver = resolver };
	struct weir_http_client_conf client = { .connector = weir_tcp_connector(&tcp, error) };
	struct weir_http_server_conf server = { .via = "1.1 reverse" };
	struct weir_target to;

	if (weir_target_parse(&to, target))
		weir_error_set(error, -EINVAL, "'%s' is no target", target);
	server.service = weir_http_client_service(weir_http_client_new(&client, error), &to, error);
	server.service = timing_layer(server.service);
	return weir_http_server_service(&server, error);
}

int main(int argc, char **argv)
{
	struct weir_error error = { 0 };
	struct weir_loop *loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, &error);
	struct weir_resolver *resolver =
		loop ? weir_resolver_new(loop, &(struct weir_resolver_conf){ 0 }, &error) : NULL;
	struct weir_run_conf run = { .name = "reverse", .listen = argc == 3 ? argv[1] : "" };
	char text[1024];
	int status = -1;

	if (resolver)
		run.service = stack_new(argc == 3 ? argv[2] : "", resolver, &error);
	if (run.service && !error.status)
		status = weir_run(loop, &run, &error);
	if (status)
		fprintf(stderr, "reverse: %s\n", weir_error_format(&error, text, sizeof(text)));
	weir_service_free(run.service);
	weir_resolver_free(resolver);
	weir_loop_free(loop);
	return status ? 1 : 0;
}
