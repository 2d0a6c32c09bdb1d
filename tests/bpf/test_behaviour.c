/* SPDX-License-Identifier: MIT */
/*
 * What a flow does decides its path, while it runs: talk goes to the kernel, bulk to splice, and
 * talk again to the kernel.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "tests/bpf/rig.h"

#define ALL_PATHS                                                          \
	(WEIR_PATH_BIT(WEIR_PATH_COPY) | WEIR_PATH_BIT(WEIR_PATH_SPLICE) | \
	 WEIR_PATH_BIT(WEIR_PATH_SOCKMAP))

#define TALK_TURNS 60
#define TALK_BYTES 64u
#define BULK_BLOCK 16384u
#define BULK_BYTES (4000u * BULK_BLOCK)

struct seen {
	enum weir_path after_talk;
	enum weir_path in_bulk;
	enum weir_path after_more_talk;
};

/* Bytes of PEER's stream from *SENT on. */
static int say(struct peer *peer, uint64_t *sent, size_t size)
{
	char data[BULK_BLOCK];

	payload_fill(data, size, peer->seed, *sent);
	*sent += size;
	return weir_stream_write(peer->stream, data, size);
}

static int hear(struct peer *peer, size_t size)
{
	char data[BULK_BLOCK];
	int status = weir_stream_read_full(peer->stream, data, size);

	if (!status && !payload_is_right(data, size, peer->expect_seed, peer->got))
		rig_note(peer->rig, "a wrong byte near %llu", (unsigned long long)peer->got);
	peer->got += size;
	return status;
}

static int talk(struct peer *peer, uint64_t *sent, bool first)
{
	int status = 0;

	for (int i = 0; i < TALK_TURNS && !status; i++) {
		status = first ? say(peer, sent, TALK_BYTES) : hear(peer, TALK_BYTES);
		if (!status)
			status = first ? hear(peer, TALK_BYTES) : say(peer, sent, TALK_BYTES);
	}
	return status;
}

static int moody_client(void *arg)
{
	struct rig *rig = arg;
	struct seen *seen = rig->ctx;
	struct peer *peer = &rig->client;
	uint64_t sent = 0;
	int status = weir_task_sleep_ms(30); /* not new any more */

	if (!status)
		status = talk(peer, &sent, true);
	seen->after_talk = rig->bridge.path;
	for (uint64_t bulk = 0; bulk < BULK_BYTES && !status; bulk += BULK_BLOCK)
		status = say(peer, &sent, BULK_BLOCK);
	if (!status)
		status = hear(peer, 1); /* all has arrived */
	seen->in_bulk = rig->bridge.path;
	/* A flow that was handed back is not tried again for half a second. */
	if (!status)
		status = weir_task_sleep_ms(700);
	if (!status)
		status = talk(peer, &sent, true);
	seen->after_more_talk = rig->bridge.path;
	if (status)
		rig_note(rig, "the client: %s", weir_strerror(status));
	rig->client.send = sent;
	return weir_stream_shutdown(peer->stream);
}

static int moody_origin(void *arg)
{
	struct rig *rig = arg;
	struct peer *peer = &rig->origin;
	uint64_t sent = 0;
	int status = talk(peer, &sent, false);

	for (uint64_t bulk = 0; bulk < BULK_BYTES && !status; bulk += BULK_BLOCK)
		status = hear(peer, BULK_BLOCK);
	if (!status)
		status = say(peer, &sent, 1);
	if (!status)
		status = talk(peer, &sent, false);
	if (status || peer_receive(peer))
		rig_note(rig, "the origin: %s", weir_strerror(status));
	return weir_stream_shutdown(peer->stream);
}

static void test_behaviour_chooses_there_and_back(void **state)
{
	struct seen seen = { 0 };
	struct rig rig = {
		.conf = { .paths = ALL_PATHS, .adaptive = true },
		.client = { .seed = 41 },
		.origin = { .seed = 42 },
		.client_fn = moody_client,
		.origin_fn = moody_origin,
		.ctx = &seen,
	};

	(void)state;
	RIG_NEEDS_KERNEL(rig.kernel);
	rig_run(&rig);
	assert_int_equal(seen.after_talk, WEIR_PATH_SOCKMAP);
	assert_int_equal(seen.in_bulk, WEIR_PATH_SPLICE);
	assert_int_equal(seen.after_more_talk, WEIR_PATH_SOCKMAP);
	assert_int_equal(rig.bridge.way[WEIR_UP].bytes, rig.client.send);
	assert_true(rig.bridge.way[WEIR_UP].bytes_path[WEIR_PATH_SPLICE] > BULK_BYTES / 2);
	assert_int_equal(rig_kernel_warnings(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_behaviour_chooses_there_and_back),
	};

	rig_kernel_warnings();
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
