/* SPDX-License-Identifier: MIT */
/* Streams that encrypt: bytes both ways through narrow places, ends, breaks, changes of keys. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/sync.h>

#include "bridge_rig.h"
#include "tls_scene.h"

#define ECHO_BYTES 300000u

/* ------------------------------------------------------------------------------------------
 * Bytes
 */

static void peer_echo(struct tls_scene *scene)
{
	char data[5000];
	ssize_t n;

	while ((n = tls_peer_read(&scene->peer, data, sizeof(data))) > 0)
		assert_true(tls_peer_write(&scene->peer, data, (size_t)n));
	assert_int_equal(n, 0);
	tls_peer_end(&scene->peer);
}

/* Pieces of sizes from none to more than a record. */
static int send_pieces(void *arg)
{
	struct tls_scene *scene = arg;
	static char data[ECHO_BYTES];
	size_t at = 0, step = 1;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = payload_byte(i);
	while (at < sizeof(data)) {
		struct iovec iov[4];

		for (int i = 0; i < 4; i++) {
			size_t n = WEIR_MIN(i == 1 ? 0 : step, sizeof(data) - at);

			iov[i] = (struct iovec){ data + at, n };
			at += n;
			step = step * 7 % 23003 + 1;
		}
		assert_int_equal(weir_stream_writev(scene->stream, iov, 4), 0);
	}
	return weir_stream_shutdown(scene->stream);
}

static void client_echo(struct tls_scene *scene)
{
	struct weir_scope scope;
	uint64_t got = 0;

	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "sender", send_pieces, scene, NULL), 0);
	assert_int_equal(payload_check(scene->stream, &got), 0);
	assert_int_equal(got, ECHO_BYTES);
	assert_int_equal(weir_scope_join(&scope), 0);
	weir_scope_fini(&scope);
	assert_int_equal(scene->stream->bytes_written, ECHO_BYTES);
	assert_int_equal(scene->stream->bytes_read, ECHO_BYTES);
	assert_true(scene->stream->read_ended);
}

static void test_bytes(void **state)
{
	static const size_t capacities[] = { 7, 100, 4096, 65536 };
	enum weir_tls_version versions[] = { WEIR_TLS_1_2, WEIR_TLS_1_3 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(capacities); i++)
		for (size_t v = 0; v < WEIR_ARRAY_SIZE(versions); v++) {
			struct tls_scene scene = {
				.capacity = capacities[i],
				.conf.min_version = versions[v],
				.conf.max_version = versions[v],
				.at_peer = peer_echo,
				.at_client = client_echo,
			};

			tls_scene_run(&scene);
			assert_int_equal(scene.status, 0);
		}
}

static void test_bytes_tcp(void **state)
{
	struct tls_scene scene = { .tcp = true, .at_peer = peer_echo, .at_client = client_echo };

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
}

static void peer_greet(struct tls_scene *scene)
{
	char data[16];

	assert_true(tls_peer_write(&scene->peer, "hello", 5));
	assert_int_equal(tls_peer_read(&scene->peer, data, sizeof(data)), 0);
}

static void client_peek(struct tls_scene *scene)
{
	char data[16] = "";

	assert_int_equal(weir_stream_peek(scene->stream, data, 3), 3);
	assert_memory_equal(data, "hel", 3);
	assert_int_equal(weir_stream_peek(scene->stream, data, sizeof(data)), 5);
	assert_int_equal(scene->stream->bytes_read, 0);
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 5);
	assert_memory_equal(data, "hello", 5);
	assert_int_equal(scene->stream->bytes_read, 5);
}

static void test_peek(void **state)
{
	struct tls_scene scene = { .at_peer = peer_greet, .at_client = client_peek };

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
}

/* A stream that was subscribed to without a try says that there is something. */
static void client_wait_first(struct tls_scene *scene)
{
	char data[16];

	assert_int_equal(weir_stream_read(scene->stream, data, 2), 2);
	assert_int_equal(weir_stream_wait(scene->stream, WEIR_READABLE), 0);
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 3);
	assert_memory_equal(data, "llo", 3);
}

static void test_wait_first(void **state)
{
	struct tls_scene scene = { .at_peer = peer_greet, .at_client = client_wait_first };

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
}

/* ------------------------------------------------------------------------------------------
 * Writers that wait
 */

static struct weir_event may_read;

static void peer_read_late(struct tls_scene *scene)
{
	char data[20000];
	size_t got = 0;
	ssize_t n;

	assert_int_equal(weir_event_wait(&may_read, "the test", WEIR_NEVER), 0);
	while ((n = tls_peer_read(&scene->peer, data + got, sizeof(data) - got)) > 0)
		got += (size_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(got, 16000);
	for (size_t i = 0; i < got; i++)
		assert_int_equal(data[i], payload_byte(i));
}

/* Nothing counts as written before the inner stream has all of its record, and then it is not sent
 * twice, wherever the same bytes lie and however they are cut now. */
static void client_pledge(struct tls_scene *scene)
{
	static char data[16000], moved[16000];
	struct weir_stream *stream = scene->stream;
	struct iovec iov[2] = { { data, 10000 }, { data + 10000, 6000 } };
	ssize_t n;

	for (size_t i = 0; i < sizeof(data); i++)
		moved[i] = data[i] = payload_byte(i);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stream->ops->writev(stream, iov, 2, false), -EAGAIN);
	assert_int_equal(stream->bytes_written, 0);
	memset(data, 'x', sizeof(data));
	weir_event_set(&may_read);
	iov[0] = (struct iovec){ moved, 500 };
	while ((n = stream->ops->writev(stream, iov, 1, false)) == -EAGAIN)
		assert_int_equal(weir_stream_wait(stream, WEIR_WRITABLE), 0);
	assert_int_equal(n, 500);
	assert_int_equal(weir_stream_write(stream, moved + 500, sizeof(moved) - 500), 0);
	assert_int_equal(stream->bytes_written, sizeof(moved));
	assert_int_equal(weir_stream_shutdown(stream), 0);
	assert_int_equal(weir_stream_write(stream, "x", 1), -EPIPE);
}

static void test_pledge(void **state)
{
	struct tls_scene scene = {
		.capacity = 1000,
		.at_peer = peer_read_late,
		.at_client = client_pledge,
	};

	(void)state;
	weir_event_init(&may_read);
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
}

/* ------------------------------------------------------------------------------------------
 * Ends
 */

/* A half-close: the peer's end is read, and it reads on. */
static void peer_end_first(struct tls_scene *scene)
{
	char data[64];

	assert_true(tls_peer_write(&scene->peer, "last", 4));
	tls_peer_end(&scene->peer);
	assert_int_equal(tls_peer_read(&scene->peer, data, sizeof(data)), 5);
	assert_memory_equal(data, "heard", 5);
	assert_int_equal(tls_peer_read(&scene->peer, data, sizeof(data)), 0);
}

static void client_end_second(struct tls_scene *scene)
{
	char data[64];

	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 4);
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 0);
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 0);
	assert_int_equal(weir_stream_write(scene->stream, "heard", 5), 0);
	assert_int_equal(weir_stream_shutdown(scene->stream), 0);
}

static void test_half_close(void **state)
{
	struct tls_scene scene = { .at_peer = peer_end_first, .at_client = client_end_second };

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
}

/* Closing alone says goodbye, too; aborting does not. */
static ssize_t last_read;

static void peer_note_end(struct tls_scene *scene)
{
	char data[64];

	assert_true(tls_peer_write(&scene->peer, "hi", 2));
	last_read = tls_peer_read(&scene->peer, data, sizeof(data));
}

static void client_listen(struct tls_scene *scene)
{
	char data[64];

	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 2);
}

static void client_abort(struct tls_scene *scene)
{
	client_listen(scene);
	weir_stream_abort(scene->stream);
}

static void test_close(void **state)
{
	struct tls_scene scene = { .at_peer = peer_note_end, .at_client = client_listen };
	struct tls_scene broken = { .at_peer = peer_note_end, .at_client = client_abort };

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(last_read, 0);
	tls_scene_run(&broken);
	assert_int_equal(last_read, -1);
}

/* The stream below ends, and nobody said that this is the end. */
static void peer_cut(struct tls_scene *scene)
{
	assert_true(tls_peer_write(&scene->peer, "half of", 7));
}

static void client_truncated(struct tls_scene *scene)
{
	char data[64];

	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 7);
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), WEIR_ETRUNCATED);
	assert_int_equal(weir_stream_peek(scene->stream, data, sizeof(data)), WEIR_ETRUNCATED);
	assert_false(scene->stream->read_ended);
}

static void test_truncated(void **state)
{
	struct tls_scene scene = { .at_peer = peer_cut, .at_client = client_truncated };

	(void)state;
	scene.conf.max_version = WEIR_TLS_1_2;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
	scene.conf.max_version = WEIR_TLS_DEFAULT;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
}

/* A record of 32 bytes that no key has made, or its first four bytes alone. */
static void peer_write_record(struct tls_scene *scene, size_t size)
{
	static const char record[5 + 32] = "\x17\x03\x03\x00\x20 not made by any key";

	assert_int_equal(weir_stream_write(scene->peer.stream, record, size), 0);
	(void)!weir_stream_shutdown(scene->peer.stream);
}

static void peer_write_part(struct tls_scene *scene)
{
	peer_write_record(scene, 9);
}

static void peer_write_forged(struct tls_scene *scene)
{
	peer_write_record(scene, 37);
}

static int read_status;

static void client_read_once(struct tls_scene *scene)
{
	char data[64];

	read_status = (int)weir_stream_read(scene->stream, data, sizeof(data));
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), read_status);
}

static void test_bad_records(void **state)
{
	struct tls_scene scene = { .at_peer = peer_write_part, .at_client = client_read_once };

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(read_status, WEIR_ETRUNCATED);
	scene.at_peer = peer_write_forged;
	tls_scene_run(&scene);
	assert_int_equal(read_status, WEIR_ETLS);
}

/* What came before the peer went away is read, although writing to it fails. */
static void peer_answer_and_go(struct tls_scene *scene)
{
	assert_true(tls_peer_write(&scene->peer, "too large", 9));
	tls_peer_end(&scene->peer);
}

static void client_write_in_vain(struct tls_scene *scene)
{
	static char data[100000];
	int status = 0;

	while (!status)
		status = weir_stream_write(scene->stream, data, sizeof(data));
	assert_int_equal(status, -EPIPE);
	assert_int_equal(weir_stream_write(scene->stream, data, 1), -EPIPE);
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 9);
	assert_memory_equal(data, "too large", 9);
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 0);
}

static void test_early_answer(void **state)
{
	struct tls_scene scene = { .at_peer = peer_answer_and_go,
				   .at_client = client_write_in_vain };

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
}

/* ------------------------------------------------------------------------------------------
 * Keys, time, other streams
 */

/* Answers to KeyUpdate go out while the client does nothing but read, through a pipe that is too
 * narrow for them. */
static void peer_update(struct tls_scene *scene)
{
	char data[64];

	for (int i = 0; i < 20; i++) {
		tls_peer_update_keys(&scene->peer);
		assert_true(tls_peer_write(&scene->peer, "tick", 4));
	}
	tls_peer_end(&scene->peer);
	assert_int_equal(tls_peer_read(&scene->peer, data, sizeof(data)), 4);
	assert_memory_equal(data, "done", 4);
}

static void client_read_ticks(struct tls_scene *scene)
{
	char data[80];

	assert_int_equal(weir_stream_read_full(scene->stream, data, sizeof(data)), 0);
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), 0);
	assert_int_equal(weir_stream_write(scene->stream, "done", 4), 0);
}

static void test_key_update(void **state)
{
	static const size_t capacities[] = { 11, 0 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(capacities); i++) {
		struct tls_scene scene = {
			.capacity = capacities[i],
			.conf.min_version = WEIR_TLS_1_3,
			.at_peer = peer_update,
			.at_client = client_read_ticks,
		};

		tls_scene_run(&scene);
		assert_int_equal(scene.status, 0);
	}
}

static void client_wait_for_nothing(struct tls_scene *scene)
{
	char data[64];

	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), -ETIMEDOUT);
	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), -ETIMEDOUT);
}

static void test_deadline(void **state)
{
	struct tls_scene scene = { .timeout_ms = 50, .at_client = client_wait_for_nothing };

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
}

static void client_inspect(struct tls_scene *scene)
{
	struct weir_tls_info info;
	const char *why = NULL;

	assert_int_equal(weir_tls_stream_info(scene->stream, &info), 0);
	assert_string_equal(info.version, "TLSv1.3");
	assert_string_equal(info.cipher, "TLS_AES_256_GCM_SHA384");
	assert_string_equal(info.alpn, "http/1.1");
	assert_string_equal(info.subject, "CN = leaf");
	assert_string_equal(info.issuer, "CN = Test CA");
	assert_non_null(strstr(info.expires, "GMT"));
	assert_null(info.why);
	assert_int_equal(weir_stream_raw_fd(scene->stream, &why), -1);
	assert_non_null(strstr(why, "TLS"));
	assert_null(weir_stream_watch(scene->stream));
	assert_int_equal(weir_tls_stream_info(scene->peer.stream, &info), -EINVAL);
	assert_true(weir_address_is_equal(weir_stream_local(scene->stream),
					  weir_stream_peer(scene->peer.stream)));
	assert_true(weir_stream_peer(scene->stream)->size > 0);
}

static void test_info(void **state)
{
	static const char *const protocols[] = { "h2", "http/1.1", NULL };
	struct tls_scene scene = {
		.tcp = true,
		.conf.alpn = protocols,
		.at_client = client_inspect,
	};

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),	    cmocka_unit_test(test_bytes_tcp),
		cmocka_unit_test(test_peek),	    cmocka_unit_test(test_wait_first),
		cmocka_unit_test(test_pledge),	    cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_close),	    cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_bad_records), cmocka_unit_test(test_early_answer),
		cmocka_unit_test(test_key_update),  cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_info),
	};

	return cmocka_run_group_tests(tests, tls_world_open, tls_world_close);
}
