/* SPDX-License-Identifier: MIT */
/* The echo and discard services. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <weir/layer.h>

#include "stage.h"

#define BYTES (4 * 1024 * 1024)

static struct stage stage;

static int setup(void **state)
{
	(void)state;
	stage_open(&stage);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_close(&stage);
	return 0;
}

static char byte_at(size_t offset)
{
	return (char)((offset * 2654435761u) >> 13);
}

static int send_main(void *arg)
{
	struct weir_stream *peer = arg;
	char *data = malloc(BYTES);

	for (size_t i = 0; i < BYTES; i++)
		data[i] = byte_at(i);
	assert_int_equal(weir_stream_write(peer, data, BYTES), 0);
	assert_int_equal(weir_stream_shutdown(peer), 0);
	free(data);
	return 0;
}

/* Reads to the end; the count of right bytes. */
static size_t receive(struct weir_stream *peer)
{
	char data[3000];
	size_t total = 0;
	ssize_t got;

	while ((got = weir_stream_read(peer, data, sizeof(data))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			assert_int_equal(data[i], byte_at(total + (size_t)i));
		total += (size_t)got;
	}
	assert_int_equal(got, 0);
	return total;
}

static int echo_main(void *arg)
{
	const enum stage_kind *kind = arg;
	struct weir_service *svc = weir_echo_service(NULL);
	struct stage_conn c;

	stage_connect(&c, svc, *kind, *kind == STAGE_MEMORY ? "10.0.0.1:1" : NULL);
	assert_int_equal(weir_scope_spawn(&c.scope, "send", send_main, c.peer, NULL), 0);
	/* Reads nothing for a while: the service must hold what it cannot send. */
	assert_int_equal(weir_task_sleep_ms(30), 0);
	assert_int_equal(receive(c.peer), BYTES);
	assert_int_equal(stage_finish(&c), 0);
	assert_int_equal(c.conn.result.bytes_up, BYTES);
	assert_int_equal(c.conn.result.bytes_down, BYTES);
	assert_int_equal(c.conn.result.end, WEIR_END_CLIENT);
	weir_service_free(svc);
	return 0;
}

static void echo_returns_every_byte(void **state)
{
	static const enum stage_kind kinds[] = { STAGE_TCP, STAGE_MEMORY };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(kinds); i++)
		stage_run(&stage, echo_main, (void *)(uintptr_t)&kinds[i]);
}

static int discard_main(void *arg)
{
	struct weir_service *svc = weir_discard_service(NULL);
	struct stage_conn c;

	(void)arg;
	stage_connect(&c, svc, STAGE_TCP, NULL);
	assert_int_equal(weir_scope_spawn(&c.scope, "send", send_main, c.peer, NULL), 0);
	assert_int_equal(receive(c.peer), 0);
	assert_int_equal(stage_finish(&c), 0);
	assert_int_equal(c.conn.result.bytes_up, BYTES);
	assert_int_equal(c.conn.result.bytes_down, 0);
	assert_int_equal(c.conn.result.end, WEIR_END_CLIENT);
	weir_service_free(svc);
	return 0;
}

static void discard_takes_every_byte(void **state)
{
	(void)state;
	stage_run(&stage, discard_main, NULL);
}

static int reset_main(void *arg)
{
	struct weir_service *services[] = { weir_echo_service(NULL), weir_discard_service(NULL) };

	(void)arg;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(services); i++) {
		struct stage_conn c;

		stage_connect(&c, services[i], STAGE_TCP, NULL);
		assert_int_equal(weir_stream_write(c.peer, "hello", 5), 0);
		assert_false(stage_is_over(&c));
		weir_stream_abort(c.peer);
		weir_stream_close(c.peer);
		c.peer = NULL;
		assert_int_equal(stage_finish(&c), -ECONNRESET);
		assert_int_equal(c.conn.result.end, WEIR_END_CLIENT_RESET);
		assert_int_equal(c.conn.result.bytes_up, 5);
		weir_service_free(services[i]);
	}
	return 0;
}

static void resets_end_it(void **state)
{
	(void)state;
	stage_run(&stage, reset_main, NULL);
}

static int end_main(void *arg)
{
	struct weir_service *services[] = { weir_echo_service(NULL), weir_discard_service(NULL) };

	(void)arg;
	for (size_t i = 0; i < 4; i++) {
		struct weir_service *svc = services[i / 2];
		struct stage_conn c;

		stage_connect(&c, svc, STAGE_TCP, NULL);
		assert_false(stage_is_over(&c));
		if (i % 2)
			weir_scope_cancel(&c.scope);
		else
			weir_scope_set_timeout_ms(&c.scope, 10);
		assert_int_equal(stage_finish(&c), i % 2 ? -ECANCELED : -ETIMEDOUT);
		assert_int_equal(c.conn.result.end, i % 2 ? WEIR_END_SHUTDOWN : WEIR_END_LIFETIME);
	}
	for (size_t i = 0; i < 2; i++)
		weir_service_free(services[i]);
	return 0;
}

static void scopes_end_it(void **state)
{
	(void)state;
	stage_run(&stage, end_main, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(echo_returns_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(discard_takes_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(resets_end_it, setup, teardown),
		cmocka_unit_test_setup_teardown(scopes_end_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
