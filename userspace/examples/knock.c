/* SPDX-License-Identifier: MIT */
/*
 * A layer of one's own: knock LISTEN WORD
 *
 *	build/examples/knock 127.0.0.1:7007 sesame
 *	printf 'sesame\nhello\n' | nc -N 127.0.0.1 7007
 *
 * An echo service for those who say the word within five seconds.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/layer.h>
#include <weir/run.h>

#define WORD_MAX 64

struct knock {
	struct weir_service svc; /* first: what the others see of it */
	char line[WORD_MAX + 1]; /* the word and its line end */
};

/* An ordinary function that parks where it waits. */
static int knock_wait(const struct knock *knock, struct weir_stream *stream)
{
	char line[sizeof(knock->line)];
	size_t size = strlen(knock->line);
	int status = weir_stream_read_full(stream, line, size);

	return status || !memcmp(line, knock->line, size) ? status : WEIR_EPOLICY;
}

/* What it returns below zero becomes a reset; what it holds across the call, it simply holds. */
static int knock_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct knock *knock = weir_container_of(svc, struct knock, svc);
	struct weir_scope scope;
	int status;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, 5000);
	weir_scope_enter(&scope);
	status = knock_wait(knock, conn->stream);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return status ? status : weir_serve(svc->inner, conn);
}

static void knock_free(struct weir_service *svc)
{
	free(weir_container_of(svc, struct knock, svc));
}

static const struct weir_service_ops knock_ops = {
	.name = "knock",
	.needs = WEIR_NEEDS_FIRST_BYTES,
	.serve = knock_serve,
	.free = knock_free,
};

static struct weir_service *knock_layer(struct weir_service *inner, const char *word,
					struct weir_error *error)
{
	struct knock *knock = inner ? calloc(1, sizeof(*knock)) : NULL;

	if (!knock || strlen(word) >= WORD_MAX) {
		if (inner)
			weir_error_set(error, -EINVAL, "'%s' cannot be the word", word);
		weir_service_free(inner);
		free(knock);
		return NULL;
	}
	knock->svc = (struct weir_service){ .ops = &knock_ops, .inner = inner };
	snprintf(knock->line, sizeof(knock->line), "%s\n", word);
	return &knock->svc;
}

int main(int argc, char **argv)
{
	struct weir_error error = { 0 };
	struct weir_loop *loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, &error);
	struct weir_run_conf run = { .listen = argc == 3 ? argv[1] : "" };
	char text[1024];
	int status = -1;

	if (loop)
		run.service =
			knock_layer(weir_echo_service(&error), argc == 3 ? argv[2] : "", &error);
	if (run.service)
		status = weir_run(loop, &run, &error);
	if (status)
		fprintf(stderr, "knock: %s\n", weir_error_format(&error, text, sizeof(text)));
	weir_service_free(run.service);
	weir_loop_free(loop);
	return status ? 1 : 0;
}
