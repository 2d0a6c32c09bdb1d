/* SPDX-License-Identifier: MIT */
/* Listening sockets, accepting, and how long listeners and connections live. */

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/listener.h>
#include <weir/loop.h>

#include "loopback.h"

/* ------------------------------------------------------------------------------------------
 * A service that looks at its connections
 */

struct probe {
	struct weir_service svc;
	int status;	/* to return */
	bool until_end; /* serve until the client closes */
	unsigned begun, ended, served;
	uint64_t ids[2];
	char peer[WEIR_ADDRESS_TEXT], local[WEIR_ADDRESS_TEXT], asked[WEIR_ADDRESS_TEXT];
	int nodelay, keepalive, keepidle;
	unsigned user_timeout;
};

static int option(struct weir_stream *stream, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	getsockopt(weir_stream_raw_fd(stream, NULL), level, name, &value, &size);
	return value;
}

static int probe_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct probe *probe = weir_container_of(svc, struct probe, svc);
	char data[64];

	probe->ids[probe->served++ % 2] = conn->id;
	assert_string_equal(conn->listener, "test");
	assert_int_not_equal(conn->started_ns, 0);
	weir_address_format(&conn->peer, probe->peer);
	weir_address_format(&conn->local, probe->local);
	weir_address_format(weir_conn_local(conn), probe->asked);
	probe->nodelay = option(conn->stream, IPPROTO_TCP, TCP_NODELAY);
	probe->keepalive = option(conn->stream, SOL_SOCKET, SO_KEEPALIVE);
	probe->keepidle = option(conn->stream, IPPROTO_TCP, TCP_KEEPIDLE);
	probe->user_timeout = (unsigned)option(conn->stream, IPPROTO_TCP, TCP_USER_TIMEOUT);
	if (probe->until_end)
		while (weir_stream_read(conn->stream, data, sizeof(data)) > 0)
			;
	return probe->status;
}

static const struct weir_service_ops probe_ops = { .name = "probe", .serve = probe_serve };

static void probe_on_begin(void *ctx, struct weir_conn *conn)
{
	struct probe *probe = ctx;

	assert_non_null(conn->stream);
	assert_int_equal(probe->begun, probe->served);
	probe->begun++;
}

static void probe_on_end(void *ctx, struct weir_conn *conn)
{
	struct probe *probe = ctx;

	assert_int_equal(conn->result.status, probe->status);
	probe->ended++;
}

/* ------------------------------------------------------------------------------------------
 * A listener around it
 */

struct fixture {
	struct probe probe;
	struct weir_scope scope;
	struct weir_address address;
	struct weir_listener *listener;
	struct weir_listener_conf conf;
};

static void fixture_listen(struct fixture *fixture, const char *text)
{
	*fixture = (struct fixture){ .probe.svc.ops = &probe_ops };
	assert_int_equal(weir_address_parse(&fixture->address, text), 0);
	fixture->conf.name = "test";
	fixture->conf.service = &fixture->probe.svc;
	fixture->conf.on_begin = probe_on_begin;
	fixture->conf.on_end = probe_on_end;
	fixture->conf.ctx = &fixture->probe;
	fixture->conf.fd = weir_listen(&fixture->address, 0, false, NULL);
	assert_true(fixture->conf.fd >= 0);
	weir_scope_init(&fixture->scope, NULL);
}

static void fixture_open(struct fixture *fixture)
{
	fixture->listener = weir_listener_open(&fixture->scope, &fixture->conf, NULL);
	assert_non_null(fixture->listener);
}

static void fixture_init(struct fixture *fixture)
{
	char text[32];

	snprintf(text, sizeof(text), "127.0.0.1:%u", loopback_port());
	fixture_listen(fixture, text);
}

static void fixture_fini(struct fixture *fixture)
{
	weir_listener_close(fixture->listener);
	weir_scope_join(&fixture->scope);
	weir_scope_fini(&fixture->scope);
	close(fixture->conf.fd);
}

/* A client; the kernel connects it whether or not somebody accepts. */
static struct weir_stream *client_open(const struct weir_address *to)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM, 0);
	struct weir_stream *stream;

	assert_int_equal(connect(fd, &to->sa, to->size), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	stream = weir_socket_stream_new(fd, weir_address_is_unix(to));
	assert_non_null(stream);
	return stream;
}

/* What the client sees at the end: 0, or -ECONNRESET. */
static int client_end(struct weir_stream *client)
{
	char data[16];
	ssize_t n = weir_stream_read(client, data, sizeof(data));

	weir_stream_close(client);
	return (int)n;
}

static void wait_until(const unsigned *counter, unsigned value)
{
	for (int i = 0; i < 2000 && *counter < value; i++)
		assert_int_equal(weir_task_sleep_ms(1), 0);
	assert_int_equal(*counter, value);
}

/* ------------------------------------------------------------------------------------------
 * Connections
 */

static int connection(void *arg)
{
	struct fixture f;
	struct weir_stream *client;
	char text[WEIR_ADDRESS_TEXT];

	(void)arg;
	fixture_init(&f);
	fixture_open(&f);
	client = client_open(&f.address);
	weir_address_format(weir_stream_local(client), text);
	assert_int_equal(client_end(client), 0);
	assert_int_equal(client_end(client_open(&f.address)), 0);
	wait_until(&f.probe.ended, 2);
	assert_int_equal(f.probe.begun, 2);
	assert_int_not_equal(f.probe.ids[0], 0);
	assert_int_not_equal(f.probe.ids[0], f.probe.ids[1]);
	assert_string_not_equal(f.probe.peer, text); /* the second one's */
	weir_address_format(&f.address, text);
	assert_string_equal(f.probe.local, text);
	assert_string_equal(f.probe.asked, text);
	assert_int_equal(weir_listener_stats(f.listener)->accepted, 2);
	assert_int_equal(weir_listener_stats(f.listener)->active, 0);
	assert_int_equal(weir_listener_stats(f.listener)->refused, 0);
	assert_string_equal(weir_listener_name(f.listener), "test");
	fixture_fini(&f);
	return 0;
}

static void test_connection(void **state)
{
	(void)state;
	loopback_run(connection, NULL);
}

/* As a service manager hands them over: blocking. The worker must not wait in accept4(). */
static int blocking_socket(void *arg)
{
	struct fixture f;

	(void)arg;
	fixture_init(&f);
	assert_int_equal(fcntl(f.conf.fd, F_SETFL, 0), 0);
	fixture_open(&f);
	assert_int_equal(client_end(client_open(&f.address)), 0);
	wait_until(&f.probe.ended, 1);
	fixture_fini(&f);
	return 0;
}

static void test_blocking_socket(void **state)
{
	(void)state;
	loopback_run(blocking_socket, NULL);
}

static int peer_address(void *arg)
{
	struct fixture f;
	struct weir_stream *client;
	char text[WEIR_ADDRESS_TEXT];

	(void)arg;
	fixture_init(&f);
	fixture_open(&f);
	client = client_open(&f.address);
	wait_until(&f.probe.ended, 1);
	assert_string_equal(f.probe.peer, weir_address_format(weir_stream_local(client), text));
	weir_stream_close(client);
	fixture_fini(&f);
	return 0;
}

static void test_peer_address(void **state)
{
	(void)state;
	loopback_run(peer_address, NULL);
}

static int any_address(void *arg)
{
	struct fixture f;
	struct weir_address to;
	char text[32];
	uint16_t port = loopback_port();

	(void)arg;
	snprintf(text, sizeof(text), "%u", port);
	fixture_listen(&f, text);
	fixture_open(&f);
	to = loopback_address(port);
	assert_int_equal(client_end(client_open(&to)), 0);
	wait_until(&f.probe.ended, 1);
	assert_string_equal(f.probe.local, "-");
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	assert_string_equal(f.probe.asked, text);
	assert_memory_equal(f.probe.peer, "127.0.0.1:", 10);
	fixture_fini(&f);
	return 0;
}

static void test_any_address_takes_ipv4(void **state)
{
	(void)state;
	loopback_run(any_address, NULL);
}

static int options(void *arg)
{
	struct fixture f;

	(void)arg;
	fixture_init(&f);
	f.conf.socket = (struct weir_socket_conf){ .keepalive_s = 70,
						   .user_timeout_ms = 3000,
						   .delay = true };
	fixture_open(&f);
	client_end(client_open(&f.address));
	assert_int_equal(f.probe.nodelay, 0);
	assert_int_equal(f.probe.keepalive, 1);
	assert_int_equal(f.probe.keepidle, 70);
	assert_int_equal(f.probe.user_timeout, 3000);

	/* A reload opens another listener on the same socket. */
	weir_listener_close(f.listener);
	f.conf.socket = (struct weir_socket_conf){ .send_buffer_bytes = 65536 };
	fixture_open(&f);
	client_end(client_open(&f.address));
	assert_int_equal(f.probe.nodelay, 1);
	assert_int_equal(f.probe.keepalive, 0);
	assert_int_equal(f.probe.user_timeout, 0);

	/* More than the kernel takes is as much as it takes. */
	weir_listener_close(f.listener);
	f.conf.socket = (struct weir_socket_conf){ .keepalive_s = 100000 };
	fixture_open(&f);
	client_end(client_open(&f.address));
	assert_int_equal(f.probe.keepidle, 32767);
	fixture_fini(&f);
	return 0;
}

static void test_options_are_inherited(void **state)
{
	(void)state;
	loopback_run(options, NULL);
}

static int refusal(void *arg)
{
	struct fixture f;

	(void)arg;
	fixture_init(&f);
	fixture_open(&f);
	f.probe.status = WEIR_ELIMIT;
	assert_int_equal(client_end(client_open(&f.address)), -ECONNRESET);
	assert_int_equal(weir_listener_stats(f.listener)->refused, 1);
	wait_until(&f.probe.ended, 1);
	f.probe.status = -EPROTO;
	assert_int_equal(client_end(client_open(&f.address)), -ECONNRESET);
	assert_int_equal(weir_listener_stats(f.listener)->refused, 1);
	wait_until(&f.probe.ended, 2);
	f.probe.status = -EMFILE;
	assert_int_equal(client_end(client_open(&f.address)), -ECONNRESET);
	assert_int_equal(weir_listener_stats(f.listener)->refused, 2);
	fixture_fini(&f);
	return 0;
}

static void test_refusals_are_resets(void **state)
{
	(void)state;
	loopback_run(refusal, NULL);
}

static int many(void *arg)
{
	struct weir_stream *clients[300];
	struct fixture f;

	(void)arg;
	fixture_init(&f);
	f.probe.until_end = true;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(clients); i++)
		clients[i] = client_open(&f.address);
	fixture_open(&f);
	wait_until(&f.probe.served, WEIR_ARRAY_SIZE(clients));
	assert_int_equal(weir_listener_stats(f.listener)->active, WEIR_ARRAY_SIZE(clients));
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(clients); i++)
		weir_stream_close(clients[i]);
	wait_until(&f.probe.ended, WEIR_ARRAY_SIZE(clients));
	assert_int_equal(weir_listener_stats(f.listener)->active, 0);
	fixture_fini(&f);
	return 0;
}

static void test_many_wait_in_the_backlog(void **state)
{
	(void)state;
	loopback_run(many, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Lifetimes
 */

static int stopping(void *arg)
{
	struct fixture f;
	struct weir_stream *first, *second;

	(void)arg;
	fixture_init(&f);
	fixture_open(&f);
	f.probe.until_end = true;
	first = client_open(&f.address);
	wait_until(&f.probe.served, 1);
	weir_listener_stop(f.listener);
	weir_listener_stop(f.listener);
	second = client_open(&f.address);
	assert_int_equal(weir_task_sleep_ms(50), 0);
	assert_int_equal(f.probe.served, 1); /* the second waits in the backlog */
	assert_int_equal(f.scope.live, 1);   /* the accepting task is gone */
	assert_int_equal(f.probe.ended, 0);  /* the first goes on */
	weir_stream_close(first);
	wait_until(&f.probe.ended, 1);
	weir_listener_close(f.listener);

	/* Whoever listens next finds the second. */
	fixture_open(&f);
	wait_until(&f.probe.served, 2);
	/* Closed with a connection in it, which goes on. */
	weir_listener_close(f.listener);
	f.listener = NULL;
	assert_int_equal(weir_task_sleep_ms(20), 0);
	assert_int_equal(f.probe.ended, 1);
	weir_stream_close(second);
	wait_until(&f.probe.ended, 2);
	fixture_fini(&f);
	return 0;
}

static void test_stopping(void **state)
{
	(void)state;
	loopback_run(stopping, NULL);
}

static int cancelling(void *arg)
{
	struct fixture f;
	struct weir_stream *client;

	(void)arg;
	fixture_init(&f);
	fixture_open(&f);
	f.probe.until_end = true;
	client = client_open(&f.address);
	wait_until(&f.probe.served, 1);
	weir_scope_cancel(&f.scope);
	assert_int_equal(weir_scope_join(&f.scope), 0);
	assert_int_equal(f.probe.ended, 1);
	assert_int_equal(client_end(client), 0);
	assert_null(weir_listener_open(&f.scope, &f.conf, NULL));
	fixture_fini(&f);
	return 0;
}

static void test_cancelled_scope_ends_all(void **state)
{
	(void)state;
	loopback_run(cancelling, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Out of descriptors
 */

/* Lets this process open FREE more descriptors; returns the limit to restore. */
static struct rlimit limit_descriptors(rlim_t free)
{
	struct rlimit before, now;
	int lowest = dup(0);

	assert_true(lowest > 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = (rlim_t)lowest + free;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	return before;
}

static int exhausted(void *arg)
{
	struct weir_stream *clients[5];
	struct weir_listener_stats stats;
	struct rlimit before;
	struct fixture f;
	uint64_t start;

	(void)arg;
	fixture_init(&f);
	f.probe.until_end = true;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(clients); i++)
		clients[i] = client_open(&f.address);
	before = limit_descriptors(1);
	fixture_open(&f);
	wait_until(&f.probe.served, 1);
	assert_int_equal(weir_task_sleep_ms(300), 0);
	stats = *weir_listener_stats(f.listener);
	assert_int_equal(stats.accepted, 1);
	assert_in_range(stats.accept_errors, 2, 5); /* goes on trying, without haste */

	/* A place that becomes free is taken at once; the client's own descriptor is one. */
	start = loopback_ms();
	weir_stream_shutdown(clients[0]);
	wait_until(&f.probe.served, 2);
	assert_in_range(loopback_ms() - start, 0, 60);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	wait_until(&f.probe.served, 5);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(clients); i++)
		weir_stream_close(clients[i]);
	wait_until(&f.probe.ended, 5);
	fixture_fini(&f);
	return 0;
}

static void test_out_of_descriptors(void **state)
{
	(void)state;
	loopback_run(exhausted, NULL);
}

/* A service that will connect gets no connection for which there is but one descriptor. */
static int two_each(void *arg)
{
	static const struct weir_service_ops ops = {
		.name = "probe",
		.connects = true,
		.serve = probe_serve,
	};
	struct weir_stream *clients[3];
	struct rlimit before;
	struct fixture f;

	(void)arg;
	fixture_init(&f);
	f.probe.until_end = true;
	f.probe.svc.ops = &ops;
	before = limit_descriptors(0);
	fixture_open(&f);
	assert_int_equal(weir_task_sleep_ms(50), 0);
	/* Nobody waits: that is no error. */
	assert_int_equal(weir_listener_stats(f.listener)->accept_errors, 0);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(clients); i++)
		clients[i] = client_open(&f.address);
	limit_descriptors(3);
	wait_until(&f.probe.served, 1);
	assert_int_equal(weir_task_sleep_ms(150), 0);
	assert_int_equal(f.probe.served, 1);
	assert_in_range(weir_listener_stats(f.listener)->accept_errors, 1, 3);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	wait_until(&f.probe.served, 3);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(clients); i++)
		weir_stream_close(clients[i]);
	wait_until(&f.probe.ended, 3);
	fixture_fini(&f);
	return 0;
}

static void test_two_descriptors_each(void **state)
{
	(void)state;
	loopback_run(two_each, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Listening
 */

static int listen_on(const char *text, struct weir_error *error)
{
	struct weir_address address;

	weir_error_init(error);
	assert_int_equal(weir_address_parse(&address, text), 0);
	return weir_listen(&address, 0, false, error);
}

static void test_listen_errors(void **state)
{
	struct weir_error error;
	char text[64];
	int fd;

	(void)state;
	snprintf(text, sizeof(text), "127.0.0.1:%u", loopback_port());
	fd = listen_on(text, &error);
	assert_true(fd >= 0);
	assert_int_equal(listen_on(text, &error), -EADDRINUSE);
	assert_int_equal(error.status, -EADDRINUSE);
	assert_non_null(strstr(error.message, text));
	assert_non_null(strstr(error.remedy, "another port"));
	close(fd);
	assert_int_equal(listen_on("192.0.2.1:20000", &error), -EADDRNOTAVAIL);
	assert_int_equal(listen_on("unix:/nonexistent/x.sock", &error), -ENOENT);
}

static void test_reuse_port(void **state)
{
	struct weir_address address = loopback_address(loopback_port());
	int first = weir_listen(&address, 0, true, NULL);
	int second = weir_listen(&address, 0, true, NULL);

	(void)state;
	assert_true(first >= 0 && second >= 0);
	assert_int_equal(weir_listen(&address, 0, false, NULL), -EADDRINUSE);
	close(first);
	close(second);
}

static void test_unix_paths(void **state)
{
	char folder[] = "/tmp/weir-test-XXXXXX";
	char text[64], *path = text + strlen("unix:");
	struct weir_error error;
	struct stat found;
	int fd, file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(text, sizeof(text), "unix:%s/s", folder);
	fd = listen_on(text, &error);
	assert_true(fd >= 0);
	assert_int_equal(listen_on(text, &error), -EADDRINUSE);
	assert_non_null(strstr(error.remedy, "another path"));
	close(fd);

	/* Nobody accepts on it any more. */
	fd = listen_on(text, &error);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);

	/* What is no socket is not ours to remove. */
	file = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(listen_on(text, &error), -EADDRINUSE);
	assert_int_equal(stat(path, &found), 0);
	assert_true(S_ISREG(found.st_mode));
	unlink(path);
	rmdir(folder);

	snprintf(text, sizeof(text), "unix:@weir-test-%d", getpid());
	fd = listen_on(text, &error);
	assert_true(fd >= 0);
	assert_int_equal(listen_on(text, &error), -EADDRINUSE);
	close(fd);
}

static int unix_connection(void *arg)
{
	struct fixture f;
	char text[64];

	(void)arg;
	snprintf(text, sizeof(text), "unix:@weir-test-%d", getpid());
	fixture_listen(&f, text);
	fixture_open(&f);
	assert_int_equal(client_end(client_open(&f.address)), 0);
	wait_until(&f.probe.ended, 1);
	assert_string_equal(f.probe.peer, "unix:");
	assert_string_equal(f.probe.local, text);
	fixture_fini(&f);
	return 0;
}

static void test_unix_connection(void **state)
{
	(void)state;
	loopback_run(unix_connection, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_blocking_socket),
		cmocka_unit_test(test_peer_address),
		cmocka_unit_test(test_any_address_takes_ipv4),
		cmocka_unit_test(test_options_are_inherited),
		cmocka_unit_test(test_refusals_are_resets),
		cmocka_unit_test(test_many_wait_in_the_backlog),
		cmocka_unit_test(test_stopping),
		cmocka_unit_test(test_cancelled_scope_ends_all),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_two_descriptors_each),
		cmocka_unit_test(test_listen_errors),
		cmocka_unit_test(test_reuse_port),
		cmocka_unit_test(test_unix_paths),
		cmocka_unit_test(test_unix_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
