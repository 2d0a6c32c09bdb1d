/* SPDX-License-Identifier: MIT */
/*
 * How flows end: halves, ends that come with data, resets by either side, in silence and in full
 * flow.
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <weir/error.h>

#include "tests/bpf/scenario.h"

#define BEFORE_BYTES 100u
#define FLOOD_MS     80u

static void peer_gone(struct peer *peer)
{
	weir_stream_abort(peer->stream);
	weir_stream_close(peer->stream);
	peer->stream = NULL;
}

static int peer_fd(struct peer *peer)
{
	return weir_stream_raw_fd(peer->stream, NULL);
}

/* ---- halves ---- */

static int half_first(struct peer *peer)
{
	if (peer_send(peer) || peer_receive(peer))
		rig_note(peer->rig, "the first: %s", weir_strerror(peer->status));
	return 0;
}

/* Only when the end has arrived here does the answer start. */
static int half_second(struct peer *peer)
{
	if (peer_receive(peer) || weir_task_sleep_ms(20) || peer_send(peer))
		rig_note(peer->rig, "the second: %s", weir_strerror(peer->status));
	return 0;
}

int half_client(void *arg)
{
	return half_first(&((struct rig *)arg)->client);
}

int half_origin(void *arg)
{
	return half_second(&((struct rig *)arg)->origin);
}

int half_client_late(void *arg)
{
	return half_second(&((struct rig *)arg)->client);
}

int half_origin_early(void *arg)
{
	return half_first(&((struct rig *)arg)->origin);
}

/* The cork keeps the data until the end goes with it. */
static int fin_with_data(struct peer *peer)
{
	int on = 1;

	setsockopt(peer_fd(peer), IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
	return half_first(peer);
}

int fin_client(void *arg)
{
	return fin_with_data(&((struct rig *)arg)->client);
}

int fin_origin(void *arg)
{
	return fin_with_data(&((struct rig *)arg)->origin);
}

/* ---- resets ---- */

static int reset_by(struct peer *peer)
{
	char data[BEFORE_BYTES];

	payload_fill(data, sizeof(data), peer->seed, 0);
	if (weir_stream_write(peer->stream, data, sizeof(data)) || weir_task_sleep_ms(30))
		rig_note(peer->rig, "it cannot send");
	peer_gone(peer);
	return 0;
}

static int reset_seen(struct peer *peer, uint64_t bytes)
{
	if (peer_receive(peer) != -ECONNRESET || peer->got != bytes)
		rig_note(peer->rig, "it saw %s after %llu bytes", weir_strerror(peer->status),
			 (unsigned long long)peer->got);
	return 0;
}

int reset_client(void *arg)
{
	return reset_by(&((struct rig *)arg)->client);
}

int reset_origin(void *arg)
{
	return reset_by(&((struct rig *)arg)->origin);
}

int reset_seen_client(void *arg)
{
	return reset_seen(&((struct rig *)arg)->client, BEFORE_BYTES);
}

int reset_seen_origin(void *arg)
{
	return reset_seen(&((struct rig *)arg)->origin, BEFORE_BYTES);
}

/* close() with data unread is a reset. */
static int unread_by(struct peer *peer)
{
	if (weir_stream_wait(peer->stream, WEIR_READABLE) || weir_task_sleep_ms(20))
		rig_note(peer->rig, "it cannot wait");
	weir_stream_close(peer->stream);
	peer->stream = NULL;
	return 0;
}

static int unread_seen(struct peer *peer)
{
	char data[BEFORE_BYTES];

	payload_fill(data, sizeof(data), peer->seed, 0);
	if (weir_stream_write(peer->stream, data, sizeof(data)))
		rig_note(peer->rig, "it cannot send");
	return reset_seen(peer, 0);
}

int unread_client(void *arg)
{
	return unread_by(&((struct rig *)arg)->client);
}

int unread_origin(void *arg)
{
	return unread_by(&((struct rig *)arg)->origin);
}

int unread_seen_client(void *arg)
{
	return unread_seen(&((struct rig *)arg)->client);
}

int unread_seen_origin(void *arg)
{
	return unread_seen(&((struct rig *)arg)->origin);
}

/* ---- in full flow ---- */

static int flood_by(struct peer *peer)
{
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, FLOOD_MS);
	weir_scope_enter(&scope);
	if (peer_send(peer) != -ETIMEDOUT)
		rig_note(peer->rig, "the flood was not stopped");
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	peer_gone(peer);
	return 0;
}

static int deaf(struct rig *rig)
{
	while (!rig->bridge_ended && weir_task_sleep_ms(5) == 0)
		continue;
	return 0;
}

int flood_client(void *arg)
{
	return flood_by(&((struct rig *)arg)->client);
}

int flood_origin(void *arg)
{
	return flood_by(&((struct rig *)arg)->origin);
}

int deaf_client(void *arg)
{
	return deaf(arg);
}

int deaf_origin(void *arg)
{
	return deaf(arg);
}

static int drowned(struct peer *peer)
{
	if (weir_task_sleep_ms(FLOOD_MS))
		rig_note(peer->rig, "it cannot wait");
	peer_gone(peer);
	return 0;
}

static int pouring(struct peer *peer)
{
	int status = peer_send(peer);

	if (status != -ECONNRESET && status != -EPIPE)
		rig_note(peer->rig, "pouring ended with %s", weir_strerror(status));
	return 0;
}

int drowned_client(void *arg)
{
	return drowned(&((struct rig *)arg)->client);
}

int drowned_origin(void *arg)
{
	return drowned(&((struct rig *)arg)->origin);
}

int pouring_client(void *arg)
{
	return pouring(&((struct rig *)arg)->client);
}

int pouring_origin(void *arg)
{
	return pouring(&((struct rig *)arg)->origin);
}
