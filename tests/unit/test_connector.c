/* SPDX-License-Identifier: MIT */
/* Connecting: options, refusals, silence, names with several addresses, Unix sockets. */

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/connector.h>
#include <weir/listener.h>
#include <weir/loop.h>
#include <weir/resolver.h>

#include "loopback.h"

#define TARPIT_MAX 16

/* ------------------------------------------------------------------------------------------
 * Ends to connect to
 */

static int listen_text(const char *text)
{
	struct weir_address address;
	int fd;

	assert_int_equal(weir_address_parse(&address, text), 0);
	fd = weir_listen(&address, 0, false, NULL);
	assert_true(fd >= 0);
	return fd;
}

static int listen_port(const char *host, uint16_t port)
{
	char text[64];

	snprintf(text, sizeof(text), "%s:%u", host, port);
	return listen_text(text);
}

/* A listener whose backlog is full: it answers nothing more, as a dead host. */
struct tarpit {
	int listener;
	int clients[TARPIT_MAX];
	unsigned n;
};

static void tarpit_init(struct tarpit *tarpit, const char *text)
{
	struct weir_address address;
	int fd, waiting = 0;

	assert_int_equal(weir_address_parse(&address, text), 0);
	tarpit->n = 0;
	tarpit->listener = weir_listen(&address, 1, false, NULL);
	assert_true(tarpit->listener >= 0);
	/* Loopback connects at once or not at all; two that do not are enough. */
	while (waiting < 2) {
		assert_true(tarpit->n < TARPIT_MAX);
		fd = socket(address.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		tarpit->clients[tarpit->n++] = fd;
		if (connect(fd, &address.sa, address.size) == 0)
			continue;
		if (errno == EINPROGRESS) {
			struct tcp_info info;
			socklen_t size = sizeof(info);

			getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
			waiting += info.tcpi_state != TCP_ESTABLISHED;
		} else {
			assert_int_equal(errno, EAGAIN); /* a Unix socket's full backlog */
			waiting++;
		}
	}
}

static void tarpit_fini(struct tarpit *tarpit)
{
	while (tarpit->n)
		close(tarpit->clients[--tarpit->n]);
	close(tarpit->listener);
}

/* ------------------------------------------------------------------------------------------
 * Connecting
 */

static int connect_text(const struct weir_tcp_connector_conf *conf, const char *text,
			struct weir_stream **out)
{
	struct weir_connector *connector = weir_tcp_connector(conf, NULL);
	struct weir_target target;
	int status;

	*out = NULL;
	assert_non_null(connector);
	assert_int_equal(weir_target_parse(&target, text), 0);
	status = weir_connect(connector, NULL, &target, out);
	assert_true((status == 0) == (*out != NULL));
	weir_connector_free(connector);
	return status;
}

static int connect_port(const struct weir_tcp_connector_conf *conf, const char *host, uint16_t port,
			struct weir_stream **out)
{
	char text[128];

	snprintf(text, sizeof(text), "%s:%u", host, port);
	return connect_text(conf, text, out);
}

static int option(struct weir_stream *stream, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	getsockopt(weir_stream_raw_fd(stream, NULL), level, name, &value, &size);
	return value;
}

static int lowest_free_descriptor(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* Bytes go both ways over STREAM, whose other end LISTENER accepts. */
static void assert_carries(struct weir_stream *stream, int listener)
{
	char data[8] = "";
	int fd = accept(listener, NULL, NULL);

	assert_true(fd >= 0);
	assert_int_equal(weir_stream_write(stream, "ping", 4), 0);
	assert_int_equal(recv(fd, data, 4, MSG_WAITALL), 4);
	assert_int_equal(send(fd, data, 4, 0), 4);
	memset(data, 0, sizeof(data));
	assert_int_equal(weir_stream_read_full(stream, data, 4), 0);
	assert_string_equal(data, "ping");
	close(fd);
}

static int direct(void *arg)
{
	struct weir_tcp_connector_conf conf = { 0 };
	uint16_t port = loopback_port();
	int listener = listen_port("127.0.0.1", port);
	struct weir_address to = loopback_address(port);
	struct weir_stream *stream;

	(void)arg;
	assert_int_equal(connect_port(&conf, "127.0.0.1", port, &stream), 0);
	assert_true(weir_address_is_equal(&stream->peer, &to));
	assert_int_equal(stream->local.size, 0); /* nobody asked */
	assert_int_equal(option(stream, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(stream, SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_carries(stream, listener);
	weir_stream_close(stream);

	close(listener);
	assert_int_equal(connect_port(&conf, "127.0.0.1", port, &stream), -ECONNREFUSED);
	return 0;
}

static void test_direct(void **state)
{
	(void)state;
	loopback_run(direct, NULL);
}

static int options(void *arg)
{
	struct weir_tcp_connector_conf conf = {
		.socket = { .keepalive_s = 45,
			    .user_timeout_ms = 4000,
			    .delay = true,
			    .interface = "lo",
			    .send_buffer_bytes = 100000,
			    .receive_buffer_bytes = 90000 },
	};
	uint16_t port = loopback_port();
	int listener = listen_port("127.0.0.1", port);
	struct weir_stream *stream;

	(void)arg;
	assert_int_equal(connect_port(&conf, "127.0.0.1", port, &stream), 0);
	assert_int_equal(option(stream, IPPROTO_TCP, TCP_NODELAY), 0);
	assert_int_equal(option(stream, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(stream, IPPROTO_TCP, TCP_KEEPIDLE), 45);
	assert_int_equal(option(stream, IPPROTO_TCP, TCP_KEEPINTVL), 4);
	assert_int_equal(option(stream, IPPROTO_TCP, TCP_KEEPCNT), 5);
	assert_int_equal(option(stream, IPPROTO_TCP, TCP_USER_TIMEOUT), 4000);
	assert_int_equal(option(stream, SOL_SOCKET, SO_SNDBUF), 200000); /* socket(7): doubled */
	assert_int_equal(option(stream, SOL_SOCKET, SO_RCVBUF), 180000);
	assert_int_equal(option(stream, SOL_SOCKET, SO_BINDTOIFINDEX), 1);
	weir_stream_close(stream);

	conf.socket.interface = "nosuchif0";
	assert_int_equal(connect_port(&conf, "127.0.0.1", port, &stream), -ENODEV);
	conf.socket = (struct weir_socket_conf){ .mark = 77 };
	if (geteuid() == 0) {
		assert_int_equal(connect_port(&conf, "127.0.0.1", port, &stream), 0);
		assert_int_equal(option(stream, SOL_SOCKET, SO_MARK), 77);
		weir_stream_close(stream);
	} else {
		assert_int_equal(connect_port(&conf, "127.0.0.1", port, &stream), -EPERM);
	}
	close(listener);
	return 0;
}

static void test_options(void **state)
{
	(void)state;
	loopback_run(options, NULL);
}

static int source(void *arg)
{
	struct weir_tcp_connector_conf conf = { 0 };
	uint16_t port = loopback_port();
	int listener = listen_port("127.0.0.1", port);
	struct weir_stream *stream;
	char text[WEIR_ADDRESS_TEXT];

	(void)arg;
	assert_int_equal(weir_address_parse_host(&conf.socket.source, "127.0.0.77"), 0);
	assert_int_equal(connect_port(&conf, "127.0.0.1", port, &stream), 0);
	weir_address_format_host(weir_stream_local(stream), text);
	assert_string_equal(text, "127.0.0.77");
	assert_int_not_equal(weir_address_port(&stream->local), 0);
	assert_carries(stream, listener);
	weir_stream_close(stream);
	/* From another address than the one that was asked for: rather not. */
	assert_int_equal(connect_port(&conf, "[::1]", port, &stream), -EAFNOSUPPORT);
	assert_int_equal(weir_address_parse_host(&conf.socket.source, "192.0.2.1"), 0);
	assert_int_equal(connect_port(&conf, "127.0.0.1", port, &stream), -EADDRNOTAVAIL);
	close(listener);
	return 0;
}

static void test_source(void **state)
{
	(void)state;
	loopback_run(source, NULL);
}

static int silence(void *arg)
{
	struct weir_tcp_connector_conf conf = { .timeout_ms = 150 };
	uint16_t port = loopback_port();
	struct weir_stream *stream;
	struct tarpit tarpit;
	char text[64];
	uint64_t start;
	int lowest;

	(void)arg;
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	tarpit_init(&tarpit, text);
	lowest = lowest_free_descriptor();
	start = loopback_ms();
	assert_int_equal(connect_text(&conf, text, &stream), -ETIMEDOUT);
	assert_in_range(loopback_ms() - start, 140, 900);
	/* The timeout was the connect's own: the task goes on. */
	assert_int_equal(weir_task_check(), 0);
	assert_int_equal(lowest_free_descriptor(), lowest);
	tarpit_fini(&tarpit);
	return 0;
}

static void test_silence(void **state)
{
	(void)state;
	loopback_run(silence, NULL);
}

static int connect_forever(void *arg)
{
	struct weir_tcp_connector_conf conf = { .timeout_ms = 60000 };
	struct weir_stream *stream;

	assert_int_equal(connect_text(&conf, arg, &stream), -ECANCELED);
	return 0;
}

static int cancelled(void *arg)
{
	uint16_t port = loopback_port();
	struct weir_scope scope;
	struct tarpit tarpit;
	char text[64];
	int lowest;

	(void)arg;
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	tarpit_init(&tarpit, text);
	lowest = lowest_free_descriptor();
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "c", connect_forever, text, NULL), 0);
	assert_int_equal(weir_task_sleep_ms(30), 0);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_int_equal(lowest_free_descriptor(), lowest);
	tarpit_fini(&tarpit);
	return 0;
}

static void test_cancelled(void **state)
{
	(void)state;
	loopback_run(cancelled, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Names
 */

static struct name_rule names[] = {
	{ "both.test", NAME_A, .ttl = 60, .values = { "127.0.0.1" } },
	{ "both.test", NAME_AAAA, .ttl = 60, .values = { "::1" } },
	{ "three.test", NAME_A, .ttl = 60, .values = { "127.0.0.2", "127.0.0.3", "127.0.0.1" } },
	{ "slow.test", NAME_A, .action = NAME_SILENT },
	{ "slow.test", NAME_AAAA, .action = NAME_SILENT },
	{ "_x._tcp.test", NAME_SRV, .ttl = 60, .values = { "0 0 1 three.test" } },
	{ 0 },
};

struct name_task {
	weir_task_fn *fn;
	struct weir_tcp_connector_conf conf;
};

static int with_names(void *arg)
{
	struct name_task *task = arg;
	struct name_server *server = name_server_start(names);
	struct weir_resolver_conf conf = { .servers = name_server_text(server),
					   .timeout_ms = 3000 };
	int status;

	task->conf.resolver = weir_resolver_new(weir_loop_current(), &conf, NULL);
	assert_non_null(task->conf.resolver);
	status = task->fn(&task->conf);
	weir_resolver_free(task->conf.resolver);
	name_server_stop(server);
	return status;
}

static void run_with_names(weir_task_fn *fn)
{
	struct name_task task = { .fn = fn };

	loopback_run(with_names, &task);
}

static int dead_first(void *arg)
{
	struct weir_tcp_connector_conf *conf = arg;
	uint16_t port = loopback_port();
	int listener = listen_port("127.0.0.1", port);
	struct weir_stream *stream;
	struct tarpit tarpit, other;
	char text[64];
	uint64_t start;
	int lowest;

	snprintf(text, sizeof(text), "[::1]:%u", port);
	tarpit_init(&tarpit, text);
	conf->attempt_delay_ms = 120;
	assert_int_equal(connect_port(conf, "both.test", port, &stream), 0);
	weir_stream_close(stream);
	close(accept(listener, NULL, NULL));

	/* The name is known by now. */
	lowest = lowest_free_descriptor();
	start = loopback_ms();
	assert_int_equal(connect_port(conf, "both.test", port, &stream), 0);
	assert_in_range(loopback_ms() - start, 110, 900);
	assert_int_equal(stream->peer.sa.sa_family, AF_INET);
	assert_int_equal(weir_stream_raw_fd(stream, NULL), lowest + 1);
	/* The loser is closed, and the winner carries. */
	assert_int_equal(lowest_free_descriptor(), lowest);
	assert_carries(stream, listener);
	weir_stream_close(stream);

	/* Both dead: all the time that there is. */
	close(listener);
	tarpit_fini(&tarpit);
	tarpit_init(&tarpit, text);
	conf->timeout_ms = 300;
	conf->attempt_delay_ms = 50;
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	tarpit_init(&other, text);
	start = loopback_ms();
	assert_int_equal(connect_port(conf, "both.test", port, &stream), -ETIMEDOUT);
	assert_in_range(loopback_ms() - start, 290, 1200);
	tarpit_fini(&other);
	tarpit_fini(&tarpit);
	return 0;
}

static void test_dead_first_address(void **state)
{
	(void)state;
	run_with_names(dead_first);
}

static int refusing_first(void *arg)
{
	struct weir_tcp_connector_conf *conf = arg;
	uint16_t port = loopback_port();
	int listener = listen_port("127.0.0.1", port);
	struct weir_stream *stream;
	uint64_t start = loopback_ms();

	/* A refusal starts the next one without delay. */
	conf->attempt_delay_ms = 3000;
	assert_int_equal(connect_port(conf, "both.test", port, &stream), 0);
	assert_int_equal(stream->peer.sa.sa_family, AF_INET);
	assert_carries(stream, listener);
	weir_stream_close(stream);
	assert_int_equal(connect_port(conf, "three.test", port, &stream), 0);
	assert_carries(stream, listener);
	weir_stream_close(stream);
	close(listener);
	assert_int_equal(connect_port(conf, "three.test", port, &stream), -ECONNREFUSED);
	assert_in_range(loopback_ms() - start, 0, 1500);
	return 0;
}

static void test_refusing_first_address(void **state)
{
	(void)state;
	run_with_names(refusing_first);
}

static int slow_winner(void *arg)
{
	struct weir_tcp_connector_conf *conf = arg;
	uint16_t port = loopback_port();
	int listener = listen_port("[::1]", port);
	struct weir_stream *stream;

	/* The first that answers wins, whoever comes next. */
	conf->attempt_delay_ms = 20;
	assert_int_equal(connect_port(conf, "both.test", port, &stream), 0);
	assert_int_equal(stream->peer.sa.sa_family, AF_INET6);
	assert_carries(stream, listener);
	weir_stream_close(stream);

	/* Addresses that the source cannot reach are passed over. */
	close(listener);
	listener = listen_port("127.0.0.1", port);
	assert_int_equal(weir_address_parse_host(&conf->socket.source, "127.0.0.9"), 0);
	assert_int_equal(connect_port(conf, "both.test", port, &stream), 0);
	assert_carries(stream, listener);
	weir_stream_close(stream);
	close(listener);
	return 0;
}

static void test_first_answer_wins(void **state)
{
	(void)state;
	run_with_names(slow_winner);
}

static int nameless(void *arg)
{
	struct weir_tcp_connector_conf *conf = arg;
	struct weir_tcp_connector_conf numeric = { 0 };
	struct weir_stream *stream;
	uint64_t start = loopback_ms();

	assert_int_equal(connect_text(conf, "gone.test:80", &stream), WEIR_ERESOLVE);
	/* Resolving counts into the timeout. */
	conf->timeout_ms = 100;
	assert_int_equal(connect_text(conf, "slow.test:80", &stream), -ETIMEDOUT);
	assert_in_range(loopback_ms() - start, 90, 1500);
	conf->timeout_ms = 5000;
	assert_int_equal(connect_text(conf, "srv:_x._tcp.test", &stream), -ECONNREFUSED);
	assert_int_equal(connect_text(&numeric, "both.test:80", &stream), WEIR_ERESOLVE);
	return 0;
}

static void test_names_without_addresses(void **state)
{
	(void)state;
	run_with_names(nameless);
}

/* ------------------------------------------------------------------------------------------
 * Unix sockets
 */

static int accept_later(void *arg)
{
	struct tarpit *tarpit = arg;

	assert_int_equal(weir_task_sleep_ms(60), 0);
	close(accept(tarpit->listener, NULL, NULL));
	return 0;
}

static int unix_sockets(void *arg)
{
	/* The options of TCP do not apply. */
	struct weir_tcp_connector_conf conf = { .socket = { .keepalive_s = 60, .mark = 1 } };
	struct weir_stream *stream;
	struct weir_scope scope;
	struct tarpit tarpit;
	char text[64];
	int listener;

	(void)arg;
	assert_int_equal(weir_address_parse_host(&conf.socket.source, "127.0.0.2"), 0);
	snprintf(text, sizeof(text), "unix:@weir-test-connector-%d", getpid());
	listener = listen_text(text);
	assert_int_equal(connect_text(&conf, text, &stream), 0);
	assert_carries(stream, listener);
	weir_stream_close(stream);
	close(listener);
	assert_int_equal(connect_text(&conf, text, &stream), -ECONNREFUSED);
	assert_int_equal(connect_text(&conf, "unix:/nonexistent/x", &stream), -ENOENT);

	/* A full backlog is waited for, as TCP does. */
	tarpit_init(&tarpit, text);
	conf.timeout_ms = 100;
	assert_int_equal(connect_text(&conf, text, &stream), -ETIMEDOUT);
	conf.timeout_ms = 5000;
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "accept", accept_later, &tarpit, NULL), 0);
	assert_int_equal(connect_text(&conf, text, &stream), 0);
	weir_stream_close(stream);
	assert_int_equal(weir_scope_join(&scope), 0);
	weir_scope_fini(&scope);
	tarpit_fini(&tarpit);
	return 0;
}

static void test_unix_sockets(void **state)
{
	(void)state;
	loopback_run(unix_sockets, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_dead_first_address),
		cmocka_unit_test(test_refusing_first_address),
		cmocka_unit_test(test_first_answer_wins),
		cmocka_unit_test(test_names_without_addresses),
		cmocka_unit_test(test_unix_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
