/* SPDX-License-Identifier: MIT */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>

#include "origin.h"

struct play {
	struct origin *origin;
	struct weir_stream *stream;
	const struct origin_step *script;
	struct weir_buffer in;
};

/* ------------------------------------------------------------------------------------------
 * Steps
 */

/* Reads once. False at the end, whatever kind of end it is. */
static bool play_read(struct play *play, size_t most)
{
	char data[4096];
	ssize_t got = weir_stream_read(play->stream, data, WEIR_MIN(most, sizeof(data)));

	if (got <= 0)
		return false;
	assert_int_equal(weir_buffer_append(&play->in, data, (size_t)got), 0);
	assert_int_equal(weir_buffer_append(&play->origin->seen, data, (size_t)got), 0);
	return true;
}

static bool play_read_head(struct play *play)
{
	for (;;) {
		size_t size = weir_buffer_size(&play->in);
		char *head = weir_buffer_head(&play->in);
		char *end = size ? memmem(head, size, "\r\n\r\n", 4) : NULL;

		if (end) {
			weir_buffer_consume(&play->in, (size_t)(end - head) + 4);
			return true;
		}
		if (!play_read(play, SIZE_MAX))
			return false;
	}
}

static bool play_read_bytes(struct play *play, size_t n)
{
	size_t most = n ? n : SIZE_MAX;

	while (weir_buffer_size(&play->in) < most)
		if (!play_read(play, most - weir_buffer_size(&play->in)))
			return n == 0;
	weir_buffer_consume(&play->in, n);
	return true;
}

static bool play_fill(struct play *play, size_t n)
{
	char data[1024];

	memset(data, 'x', sizeof(data));
	while (n > 0) {
		size_t part = WEIR_MIN(n, sizeof(data));

		if (weir_stream_write(play->stream, data, part))
			return false;
		n -= part;
	}
	return true;
}

static void play_stall(struct play *play)
{
	while (play_read(play, SIZE_MAX))
		;
}

static bool play_pause(void)
{
	for (int k = 0; k < 4; k++)
		if (weir_task_yield())
			return false;
	return true;
}

/* False: the script is over. */
static bool play_step(struct play *play, const struct origin_step *step)
{
	switch (step->op) {
	case ORIGIN_READ_HEAD:
		return play_read_head(play);
	case ORIGIN_READ:
		return play_read_bytes(play, step->n);
	case ORIGIN_WRITE:
		return !weir_stream_write(play->stream, step->text, strlen(step->text));
	case ORIGIN_FILL:
		return play_fill(play, step->n);
	case ORIGIN_PAUSE:
		return play_pause();
	case ORIGIN_SLEEP:
		return !weir_task_sleep_ms(step->n);
	case ORIGIN_STALL:
		play_stall(play);
		return false;
	case ORIGIN_SHUT:
		return !weir_stream_shutdown(play->stream);
	case ORIGIN_RESET:
		weir_stream_abort(play->stream);
		return false;
	case ORIGIN_CLOSE:
	case ORIGIN_REFUSE:
	case ORIGIN_AGAIN:
		return false;
	}
	return false;
}

static int play_run(void *arg)
{
	struct play *play = arg;
	size_t at = 0;

	while (play_step(play, &play->script[at])) {
		at++;
		if (play->script[at].op == ORIGIN_AGAIN)
			at = play->script[at].n;
	}
	play->origin->ended++;
	weir_stream_close(play->stream);
	weir_buffer_fini(&play->in);
	free(play);
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Connecting
 */

static int origin_connect_to(struct origin *origin, const struct weir_target *to,
			     struct weir_stream **out)
{
	unsigned i = WEIR_MIN(origin->connects, origin->n_scripts - 1);
	struct weir_stream *ends[2];
	struct play *play;

	origin->connects++;
	origin->to = to->address;
	if (weir_task_yield())
		return weir_task_check();
	if (origin->scripts[i]->op == ORIGIN_REFUSE)
		return origin->scripts[i]->n ? -(int)origin->scripts[i]->n : -ECONNREFUSED;
	play = calloc(1, sizeof(*play));
	assert_non_null(play);
	stage_pair(ends, origin->kind);
	*play = (struct play){
		.origin = origin,
		.stream = ends[1],
		.script = origin->scripts[i],
	};
	assert_int_equal(weir_scope_spawn(&origin->scope, "origin", play_run, play, NULL), 0);
	*out = ends[0];
	return 0;
}

struct origin_connector {
	struct weir_connector connector;
	struct origin *origins;
	size_t n;
};

static int origin_connect(struct weir_connector *connector, struct weir_conn *conn,
			  const struct weir_target *to, struct weir_stream **out)
{
	struct origin_connector *choice =
		weir_container_of(connector, struct origin_connector, connector);
	size_t i = weir_address_port(&to->address) - ORIGIN_PORT;

	(void)conn;
	return origin_connect_to(&choice->origins[i < choice->n ? i : 0], to, out);
}

static void origin_connector_free(struct weir_connector *connector)
{
	free(weir_container_of(connector, struct origin_connector, connector));
}

static const struct weir_connector_ops origin_ops = {
	.name = "origin",
	.connect = origin_connect,
	.free = origin_connector_free,
};

struct weir_connector *origin_connector(struct origin *origins, size_t n)
{
	struct origin_connector *connector = calloc(1, sizeof(*connector));

	assert_non_null(connector);
	connector->connector.ops = &origin_ops;
	connector->origins = origins;
	connector->n = n;
	return &connector->connector;
}

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

void origin_init(struct origin *origin, enum stage_kind kind)
{
	*origin = (struct origin){ .kind = kind };
	weir_scope_init(&origin->scope, NULL);
}

void origin_script(struct origin *origin, const struct origin_step *script)
{
	assert_true(origin->n_scripts < ORIGIN_SCRIPTS);
	origin->scripts[origin->n_scripts++] = script;
}

void origin_fini(struct origin *origin)
{
	weir_scope_cancel(&origin->scope);
	weir_scope_join(&origin->scope);
	weir_scope_fini(&origin->scope);
	weir_buffer_fini(&origin->seen);
}

/* Each sleep is at least one iteration of the loop. */
void origin_settle(void)
{
	for (int i = 0; i < 15; i++)
		assert_int_equal(weir_task_sleep_ms(1), 0);
}

const char *origin_seen(struct origin *origin)
{
	assert_int_equal(weir_buffer_append(&origin->seen, "", 1), 0);
	origin->seen.tail--;
	return weir_buffer_head(&origin->seen);
}
