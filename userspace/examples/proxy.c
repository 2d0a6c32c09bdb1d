/* SPDX-License-Identifier: MIT */
/*
 * A TCP proxy with a limit and an access log: proxy LISTEN TARGET
 *
 *	build/examples/proxy 127.0.0.1:15432 db.example.com:5432
 */

#include <errno.h>
#include <stdio.h>

#include <weir/layer.h>
#include <weir/resolver.h>
#include <weir/run.h>

/* Written from the inside out. Each constructor takes over what it is given and passes NULL on,
 * so the stack is checked once, at its end. */
static struct weir_service *stack_new(const char *target, struct weir_resolver *resolver,
				      struct weir_error *error)
{
	struct weir_tcp_connector_conf tcp = { .timeout_ms = 3000, .resolver = resolver };
	struct weir_forward_conf forward = { .bridge.idle_ms = 3600 * 1000, .upstream = target };
	struct weir_limit_conf limit = { .max = 10000 };
	struct weir_access_log_conf log = { .path = "/dev/stderr" };
	struct weir_service *svc;

	if (weir_target_parse(&forward.to, target)) {
		weir_error_set(error, -EINVAL, "'%s' is no target", target);
		return NULL;
	}
	forward.connector = weir_tcp_connector(&tcp, error);
	svc = weir_forward_service(&forward, error);
	svc = weir_limit_layer(svc, &limit, error);
	return weir_access_log_layer(svc, &log, error);
}

int main(int argc, char **argv)
{
	struct weir_error error = { 0 };
	struct weir_run_conf run = { .name = "proxy" };
	struct weir_loop *loop;
	struct weir_resolver *resolver = NULL;
	char text[1024];
	int status = -1;

	if (argc != 3) {
		fprintf(stderr, "usage: proxy LISTEN TARGET\n");
		return 2;
	}
	loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, &error);
	if (loop)
		resolver = weir_resolver_new(loop, &(struct weir_resolver_conf){ 0 }, &error);
	if (resolver)
		run.service = stack_new(argv[2], resolver, &error);
	run.listen = argv[1];
	if (run.service)
		status = weir_run(loop, &run, &error);
	if (status)
		fprintf(stderr, "proxy: %s\n", weir_error_format(&error, text, sizeof(text)));
	weir_service_free(run.service);
	weir_resolver_free(resolver);
	weir_loop_free(loop);
	return status ? 1 : 0;
}
