/* SPDX-License-Identifier: MIT */
/*
 * A client that goes away while its call is under way. A reset is plain. The end of its bytes is
 * not: it says that no more requests come, and whether somebody still reads only a write would
 * show. So its call goes on as long as it takes bytes, and for hangup_ms without.
 *
 * The hook costs nothing while nothing happens: no task, no system call.
 */

#include <errno.h>

#include "http/server.h"

static void hangup_end(struct server_call *c)
{
	c->gone = true;
	weir_scope_cancel(&c->call.scope);
}

/* Whether a write has met a full socket: then its end, or an error, will tell. */
static bool hangup_is_blocked(const struct server_call *c)
{
	struct weir_watch *watch = weir_stream_watch(c->sc->conn->stream);

	return watch && !(watch->ready & WEIR_WRITABLE);
}

static int hangup_main(void *arg)
{
	struct server_call *c = arg;
	struct weir_stream *stream = c->sc->conn->stream;
	uint64_t before;
	int status;

	do {
		before = stream->bytes_written;
		status = weir_task_sleep_ms(c->sc->server->conf.hangup_ms);
	} while (!status && (stream->bytes_written != before || hangup_is_blocked(c)));
	if (!status)
		hangup_end(c);
	return 0;
}

static void hangup_on_event(struct weir_watch_hook *hook, unsigned ready)
{
	struct server_call *c = weir_container_of(hook, struct server_call, hook);

	if (c->gone)
		return;
	if (ready & WEIR_ERROR) {
		hangup_end(c);
		return;
	}
	if (c->hung_up)
		return;
	c->hung_up = true;
	/* Without memory for the task a write will find out. */
	(void)!weir_scope_spawn(&c->call.scope, "hangup", hangup_main, c, NULL);
}

void server_hangup_start(struct server_call *c)
{
	c->hook.events = WEIR_HANGUP | WEIR_ERROR;
	c->hook.fn = hangup_on_event;
	weir_stream_set_hook(c->sc->conn->stream, &c->hook);
}

void server_hangup_stop(struct server_call *c)
{
	weir_stream_set_hook(c->sc->conn->stream, NULL);
}
