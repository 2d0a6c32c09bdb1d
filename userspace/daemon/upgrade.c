/* SPDX-License-Identifier: MIT */

#include "daemon/upgrade.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/log.h>

#include "daemon/admin.h"
#include "daemon/adopt.h"

struct upgrade {
	struct weir_daemon *daemon;
	uv_poll_t poll;
	struct weir_event answered;
	bool asked;
	char failure[WIRE_TEXT + 1]; /* "": it has not failed */
};

/* ---- what the keeper says ----------------------------------------------------------------- */

static void on_flows(struct weir_daemon *daemon, const struct wire_message *message, const int *fds)
{
	for (uint32_t i = 0; i < message->count; i++) {
		unsigned n = wire_fds_of(message->entries[i].what);

		if (message->entries[i].what == WIRE_FLOW)
			adopt_flow(daemon, message->entries[i].key, fds);
		else
			close(fds[0]);
		fds += n;
	}
}

static void on_failed(struct upgrade *upgrade, const char *why)
{
	snprintf(upgrade->failure, sizeof(upgrade->failure), "%s", why);
	weir_event_set(&upgrade->answered);
}

static void on_succeeded(struct upgrade *upgrade)
{
	struct weir_daemon *daemon = upgrade->daemon;

	daemon->succeeded = true;
	/* Whoever is told that it is done meets the successor with the next question. */
	admin_leave(daemon);
	weir_event_set(&upgrade->answered);
	weir_daemon_drain(daemon, 0);
}

static void on_message(struct upgrade *upgrade, const struct wire_message *message, const int *fds)
{
	switch (message->kind) {
	case WIRE_HOLD:
		on_flows(upgrade->daemon, message, fds);
		break;
	case WIRE_ALL:
		adopt_all(upgrade->daemon, message->count);
		break;
	case WIRE_FAILED:
		on_failed(upgrade, message->text);
		break;
	case WIRE_SUCCEEDED:
		on_succeeded(upgrade);
		break;
	default:
		break;
	}
}

/* The keeper is gone: SIGTERM says so too, and what goes on goes on. */
static void on_silence(struct upgrade *upgrade)
{
	uv_poll_stop(&upgrade->poll);
	weir_log(WEIR_LOG_ERROR, "keeper", "it has died: nothing outlives this process any more");
	on_failed(upgrade, "the keeper has died");
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct upgrade *upgrade = poll->data;
	int fds[WIRE_ENTRIES * WIRE_FDS];
	struct wire_message message;
	unsigned n_fds;

	(void)events;
	while (status == 0) {
		status = wire_recv(upgrade->daemon->keeper.socket, &message, fds, &n_fds);
		if (status == 0)
			on_message(upgrade, &message, fds);
		if (status == -EMFILE)
			weir_log(WEIR_LOG_ERROR, "keeper", "flows are lost: too many open files");
		if (status == -EMFILE || status == -EPROTO)
			status = 0;
	}
	if (status != -EAGAIN)
		on_silence(upgrade);
}

/* ---- asking ------------------------------------------------------------------------------- */

static int upgrade_wait(struct upgrade *upgrade, struct weir_error *error)
{
	int status;

	upgrade->asked = true;
	upgrade->failure[0] = '\0';
	weir_event_clear(&upgrade->answered);
	weir_log(WEIR_LOG_INFO, "upgrade", "a successor is asked for");
	keeper_link_say(&upgrade->daemon->keeper, WIRE_UPGRADE);
	status = weir_event_wait(&upgrade->answered, "successor", WEIR_NEVER);
	upgrade->asked = false;
	if (status < 0)
		return weir_error_set(error, WEIR_ESHUTDOWN, "the daemon is stopping");
	if (upgrade->failure[0] == '\0')
		return 0;
	weir_log(WEIR_LOG_ERROR, "upgrade", "the successor has failed, this daemon goes on",
		 WEIR_LOG_STR("why", upgrade->failure));
	return weir_error_set(error, WEIR_ECONFIG, "%s", upgrade->failure);
}

int weir_daemon_upgrade(struct weir_daemon *daemon, struct weir_error *error)
{
	if (daemon->upgrade == NULL || !keeper_link_is_open(&daemon->keeper)) {
		weir_error_remedy(error, "restart it");
		return weir_error_set(error, -ENOTSUP, "this daemon runs without a keeper");
	}
	if (daemon->state != DAEMON_RUNNING)
		return weir_error_set(error, WEIR_ESHUTDOWN, "the daemon is stopping");
	if (daemon->upgrade->asked)
		return weir_error_set(error, -EALREADY, "an upgrade is going on already");
	return upgrade_wait(daemon->upgrade, error);
}

/* ---- life --------------------------------------------------------------------------------- */

int upgrade_start(struct weir_daemon *daemon)
{
	struct upgrade *upgrade;
	int status;

	if (!keeper_link_is_open(&daemon->keeper))
		return 0;
	upgrade = calloc(1, sizeof(*upgrade));
	if (upgrade == NULL)
		return -ENOMEM;
	upgrade->daemon = daemon;
	weir_event_init(&upgrade->answered);
	status = uv_poll_init(weir_loop_uv(daemon->loop), &upgrade->poll, daemon->keeper.socket);
	if (status < 0) {
		free(upgrade);
		return status;
	}
	upgrade->poll.data = upgrade;
	daemon->upgrade = upgrade;
	return uv_poll_start(&upgrade->poll, UV_READABLE, on_readable);
}

static void on_close(uv_handle_t *handle)
{
	free(handle->data);
}

void upgrade_stop(struct weir_daemon *daemon)
{
	if (daemon->upgrade != NULL)
		uv_close((uv_handle_t *)&daemon->upgrade->poll, on_close);
	daemon->upgrade = NULL;
}
