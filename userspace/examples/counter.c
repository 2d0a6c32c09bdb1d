/* SPDX-License-Identifier: MIT */
/*
 * Routes and state: named counters, kept while the program runs. counter LISTEN
 *
 *	curl -X POST http://127.0.0.1:8080/counters/visits
 *	curl http://127.0.0.1:8080/counters/visits
 *	curl http://127.0.0.1:8080/counters
 */

#include <stdio.h>
#include <string.h>

#include <weir/http_server.h>
#include <weir/router.h>
#include <weir/run.h>

#define COUNTERS_MAX 100

/* A loop is one thread, and no handler parks here: no locks. */
struct counters {
	size_t n;
	struct {
		char name[32];
		uint64_t value;
	} list[COUNTERS_MAX];
};

/* The counter that the path names; NULL when there is none, and none is made. */
static uint64_t *counter_find(struct counters *counters, struct weir_call *call)
{
	bool make = call->request.method == WEIR_METHOD_POST;
	struct weir_text name = weir_match_param(
		weir_extension_find(&call->extensions, &weir_match_params_key), WEIR_TEXT("name"));

	for (size_t i = 0; i < counters->n; i++) {
		if (weir_text_is_equal(name, weir_text_of(counters->list[i].name)))
			return &counters->list[i].value;
	}
	if (!make || counters->n == COUNTERS_MAX || name.size >= sizeof(counters->list[0].name))
		return NULL;
	memcpy(counters->list[counters->n].name, name.data, name.size);
	return &counters->list[counters->n++].value;
}

static int counter_handle(struct weir_call *call, void *ctx)
{
	uint64_t *value = counter_find(ctx, call);
	char text[32];

	if (!value)
		return weir_call_refuse(call, 404, "no_counter");
	if (call->request.method == WEIR_METHOD_POST)
		++*value;
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)*value);
	return weir_call_respond(call, 200, "text/plain", weir_text_of(text));
}

static int list_handle(struct weir_call *call, void *ctx)
{
	struct counters *counters = ctx;
	const char *text = "";

	for (size_t i = 0; i < counters->n && text; i++)
		text = weir_arena_printf(&call->arena, "%s%s %llu\n", text, counters->list[i].name,
					 (unsigned long long)counters->list[i].value);
	return weir_call_respond(call, 200, "text/plain", weir_text_of(text));
}

int main(int argc, char **argv)
{
	static struct counters counters;
	struct weir_error error = { 0 };
	struct weir_loop *loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, &error);
	struct weir_route_conf routes[] = {
		{ .match = { .type = WEIR_MATCH_PATH, .value = "/counters" },
		  .service = weir_http_function(list_handle, &counters, &error) },
		{ .match = { .type = WEIR_MATCH_PATH, .value = "/counters/{name}" },
		  .service = weir_http_function(counter_handle, &counters, &error) },
	};
	struct weir_router_conf router = { .routes = routes, .n = WEIR_ARRAY_SIZE(routes) };
	struct weir_http_server_conf server = { .service = weir_http_router(&router, &error) };
	struct weir_run_conf run = { .listen = argc == 2 ? argv[1] : "" };
	char text[1024];
	int status = -1;

	run.service = weir_http_server_service(&server, &error);
	if (loop && run.service)
		status = weir_run(loop, &run, &error);
	if (status)
		fprintf(stderr, "counter: %s\n", weir_error_format(&error, text, sizeof(text)));
	weir_service_free(run.service);
	weir_loop_free(loop);
	return status ? 1 : 0;
}
