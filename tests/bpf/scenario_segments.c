/* SPDX-License-Identifier: MIT */
/*
 * Awkward segments: early ones, urgent ones, ones that overlap, and a receiver that takes none.
 */

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <weir/error.h>

#include "tests/bpf/forger.h"
#include "tests/bpf/scenario.h"

#define EARLY_BYTES  5000
#define URGENT_BYTES 3000
#define URGENT_AT    1000

static int peer_fd(struct peer *peer)
{
	return weir_stream_raw_fd(peer->stream, NULL);
}

/* What came must be SIZE bytes and an orderly end. */
static void peer_expect(struct peer *peer, uint64_t size)
{
	if (peer_receive(peer) || peer->got != size)
		rig_note(peer->rig, "%llu bytes arrived of %llu: %s", (unsigned long long)peer->got,
			 (unsigned long long)size, weir_strerror(peer->status));
}

/* ---- early ---- */

void send_early(struct rig *rig)
{
	char data[EARLY_BYTES];

	payload_fill(data, sizeof(data), rig->client.seed, 0);
	if (send(peer_fd(&rig->client), data, sizeof(data), 0) != EARLY_BYTES)
		rig_note(rig, "the client cannot send");
}

int early_client(void *arg)
{
	struct rig *rig = arg;

	if (weir_task_sleep_ms(30) || weir_stream_shutdown(rig->client.stream))
		rig_note(rig, "the client cannot end");
	peer_expect(&rig->client, 0);
	return 0;
}

int early_origin(void *arg)
{
	struct rig *rig = arg;

	peer_expect(&rig->origin, EARLY_BYTES);
	return weir_stream_shutdown(rig->origin.stream);
}

/* ---- urgent ---- */

static int urgent_by(struct peer *peer)
{
	char data[URGENT_BYTES];
	int fd = peer_fd(peer);

	payload_fill(data, sizeof(data), peer->seed, 0);
	if (weir_task_sleep_ms(20) || send(fd, data, URGENT_AT, 0) != URGENT_AT ||
	    send(fd, data + URGENT_AT, 1, MSG_OOB) != 1 ||
	    send(fd, data + URGENT_AT + 1, URGENT_BYTES - URGENT_AT - 1, 0) < 0)
		rig_note(peer->rig, "it cannot send");
	if (weir_stream_shutdown(peer->stream))
		rig_note(peer->rig, "it cannot end");
	peer_expect(peer, 0);
	return 0;
}

static int urgent_inline(struct peer *peer)
{
	int on = 1;

	setsockopt(peer_fd(peer), SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	peer_expect(peer, URGENT_BYTES);
	return weir_stream_shutdown(peer->stream);
}

int urgent_client(void *arg)
{
	return urgent_by(&((struct rig *)arg)->client);
}

int urgent_origin(void *arg)
{
	return urgent_by(&((struct rig *)arg)->origin);
}

int inline_client(void *arg)
{
	return urgent_inline(&((struct rig *)arg)->client);
}

int inline_origin(void *arg)
{
	return urgent_inline(&((struct rig *)arg)->origin);
}

/* ---- overlapping ---- */

#define OVERLAP_TURN 2000u
#define OVERLAP_LONG 10 /* every so many turns old bytes come again by the thousands */

struct piece {
	int from; /* in the turn */
	uint32_t size;
};

/* Two thousand bytes a turn: each time some of them twice, and every other time the later half
 * before the earlier one. The kernel cuts at most 4000 bytes off at a time: there are more old
 * ones than fit in two cuts, and just as many. */
static int forge_turn(struct forger *forger, uint64_t seed, uint32_t turn)
{
	static const struct piece in_order[] = {
		{ 0, 1000 }, { 0, 1000 }, { -1, 1501 }, { 400, 1600 }
	};
	static const struct piece out_of_order[] = { { 1000, 1000 }, { 0, 1300 } };
	static const struct piece long_ago[] = { { -9500, 10500 }, { -7000, 9000 } };
	const struct piece *pieces = turn % 2 ? out_of_order : in_order;
	size_t n = turn % 2 ? WEIR_ARRAY_SIZE(out_of_order) : WEIR_ARRAY_SIZE(in_order);
	int status = 0;

	if (turn && turn % OVERLAP_LONG == 0) {
		pieces = long_ago;
		n = WEIR_ARRAY_SIZE(long_ago);
	}
	for (size_t i = 0; i < n && !status; i++) {
		uint32_t at = turn * OVERLAP_TURN;
		bool before = pieces[i].from < 0 && turn == 0;

		status = forger_send(forger, seed, before ? 0 : at + (uint32_t)pieces[i].from,
				     pieces[i].size, false);
	}
	return status;
}

static int overlap_by(struct peer *peer)
{
	struct forger forger;
	int status = forger_open(&forger, peer_fd(peer));

	if (!status)
		status = weir_task_sleep_ms(20); /* the flow finds its path */
	for (uint32_t turn = 0; turn < OVERLAP_BYTES / OVERLAP_TURN && !status; turn++) {
		status = forge_turn(&forger, peer->seed, turn);
		if (!status && turn % 4 == 0)
			status = weir_task_sleep_ms(1);
	}
	/* The end comes with bytes that are all known. */
	if (!status)
		status = forger_send(&forger, peer->seed, OVERLAP_BYTES - 8700, 8700, true);
	if (status)
		rig_note(peer->rig, "the forger: %s", weir_strerror(status));
	forger_close(&forger);
	return 0;
}

static int overlap_seen(struct peer *peer)
{
	peer_expect(peer, OVERLAP_BYTES);
	return weir_stream_shutdown(peer->stream);
}

int overlap_client(void *arg)
{
	return overlap_by(&((struct rig *)arg)->client);
}

int overlap_origin(void *arg)
{
	return overlap_by(&((struct rig *)arg)->origin);
}

int overlap_seen_client(void *arg)
{
	return overlap_seen(&((struct rig *)arg)->client);
}

int overlap_seen_origin(void *arg)
{
	return overlap_seen(&((struct rig *)arg)->origin);
}

/* ---- a window of zero ---- */

static bool window_is_shut(struct weir_stream *sender)
{
	int fd = weir_stream_raw_fd(sender, NULL);
	int queued = 0, unsent = 0;

	if (ioctl(fd, SIOCOUTQ, &queued) || ioctl(fd, SIOCOUTQNSD, &unsent))
		return false;
	/* All that was sent is acknowledged, and more is waiting. */
	return unsent > 0 && unsent == queued;
}

/* Until the proxy's socket has met the closed window; then it reads. */
static int shut_for_a_while(struct peer *peer, struct weir_stream *sender, weir_task_fn *then)
{
	for (int i = 0; i < 1000 && !window_is_shut(sender); i++) {
		if (weir_task_sleep_ms(5))
			break;
	}
	if (!window_is_shut(sender))
		rig_note(peer->rig, "the window never closed");
	return then(peer->rig);
}

int shut_client(void *arg)
{
	struct rig *rig = arg;

	return shut_for_a_while(&rig->client, rig->front, rig_client_both);
}

int shut_origin(void *arg)
{
	struct rig *rig = arg;

	return shut_for_a_while(&rig->origin, rig->back, rig_origin_both);
}
