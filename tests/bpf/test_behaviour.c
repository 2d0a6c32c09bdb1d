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

/*
 * A flow that decides to leave the kernel has two directions, and one or both have nothing to do
 * at that moment. What comes afterwards must not be left lying: here the client reads only when
 * its byte has arrived. The burst is more than the kernel may hold and less than the sockets do.
 */
#define BURST_BYTES  (40u * BULK_BLOCK)
#define BURST_ROUNDS 8

struct blocked {
	bool pouring;
	bool heard;
	bool arrived; /* before the client read */
	bool path_was_kernel;
	bool left;
};

static int blocked_client(void *arg)
{
	struct rig *rig = arg;
	struct blocked *blocked = rig->ctx;
	struct peer *peer = &rig->client;
	uint64_t sent = 0;
	int status = weir_task_sleep_ms(30);

	if (!status)
		status = talk(peer, &sent, true);
	blocked->path_was_kernel = rig->bridge.path == WEIR_PATH_SOCKMAP;
	blocked->pouring = true;
	for (int i = 0; i < 200 && rig->bridge.path == WEIR_PATH_SOCKMAP && !status; i++)
		status = weir_task_sleep_ms(1);
	blocked->left = rig->bridge.path != WEIR_PATH_SOCKMAP;
	if (!status)
		status = weir_task_sleep_ms(10);
	if (!status)
		status = say(peer, &sent, 1);
	for (int i = 0; i < 600 && !blocked->heard && !status; i++)
		status = weir_task_sleep_ms(5);
	blocked->arrived = blocked->heard;
	for (uint64_t bulk = 0; bulk < BURST_BYTES && !status; bulk += BULK_BLOCK)
		status = hear(peer, BULK_BLOCK);
	if (status)
		rig_note(rig, "the client: %s", weir_strerror(status));
	return weir_stream_shutdown(peer->stream);
}

static int blocked_origin(void *arg)
{
	struct rig *rig = arg;
	struct blocked *blocked = rig->ctx;
	struct peer *peer = &rig->origin;
	uint64_t sent = 0;
	int status = talk(peer, &sent, false);

	while (!blocked->pouring && !status)
		status = weir_task_sleep_ms(1);
	for (uint64_t bulk = 0; bulk < BURST_BYTES && !status; bulk += BULK_BLOCK) {
		status = say(peer, &sent, BULK_BLOCK);
		/* Nothing is under way when the spill comes: it is dealt with at once. */
		if (!status)
			status = weir_task_sleep_ms(1);
	}
	if (status)
		rig_note(rig, "the origin: %s", weir_strerror(status));
	return weir_stream_shutdown(peer->stream);
}

static int blocked_listen(void *arg)
{
	struct rig *rig = arg;
	struct blocked *blocked = rig->ctx;
	int status = 0;

	while (!blocked->pouring && !status)
		status = weir_task_sleep_ms(1);
	if (!status && !hear(&rig->origin, 1))
		blocked->heard = true;
	return status;
}

static void blocked_flow(struct weir_kernel *kernel, unsigned *left)
{
	struct blocked blocked = { 0 };
	struct rig rig = {
		.kernel = kernel,
		.conf = { .paths = ALL_PATHS,
			  .adaptive = true,
			  .idle_ms = 8000,
			  .thresholds = { .spills = 1 } },
		.client = { .seed = 43, .expect_seed = 44 },
		.origin = { .seed = 44, .expect_seed = 43 },
		.client_fn = blocked_client,
		.origin_fn = blocked_origin,
		.beside = blocked_listen,
		.ctx = &blocked,
	};

	rig_run(&rig);
	assert_string_equal(rig.error, "");
	assert_true(blocked.path_was_kernel);
	assert_true(blocked.arrived);
	*left += blocked.left;
}

static void test_a_quiet_direction_leaves_too(void **state)
{
	struct weir_kernel *kernel;
	unsigned left = 0;

	(void)state;
	RIG_NEEDS_KERNEL(kernel);
	for (int i = 0; i < BURST_ROUNDS; i++)
		blocked_flow(kernel, &left);
	assert_true(left > 0);
	assert_int_equal(rig_kernel_warnings(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_behaviour_chooses_there_and_back),
		cmocka_unit_test(test_a_quiet_direction_leaves_too),
	};

	rig_kernel_warnings();
	return cmocka_run_group_tests(tests, NULL, rig_group_teardown);
}
