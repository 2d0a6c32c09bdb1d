/* SPDX-License-Identifier: MIT */
/*
 * A whole stack, access_log(limit(timeout(bandwidth(forward)))), on a real listener with an origin
 * behind it: on one worker, and on two that share the address, the limit, the metrics and the log
 * file. The clients are plain blocking sockets of other threads; what has been counted and logged
 * is compared with what they did.
 *
 * cmocka's assertions are for the test's own thread; what other threads run uses assert(3).
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/layer.h>
#include <weir/listener.h>
#include <weir/sync.h>

#include "loopback.h"

#define WORKERS_MAX 2
#define PLACES	    32
#define TOO_MANY    5
#define BULK	    (1 << 20)
#define CLIENTS	    4
#define ROUNDS	    50

#define FORWARD(name) "weir_forward_" name "{listener=\"front\",upstream=\"origin\""
#define CONNECTIONS   FORWARD("connections_total") "} "

static const struct weir_metric_family refused_family = {
	.name = "weir_test_refused_total",
	.help = "Refused by the limit layer.",
	.type = WEIR_METRIC_COUNTER,
};

/* ---- the origin: the first byte says what it does ---- */

struct origin {
	struct weir_service svc;
};

static atomic_uint origin_resets;
static atomic_ulong origin_bytes; /* after its own end */

/* Ends first, and reads on. */
static int origin_say_bye(struct weir_stream *stream)
{
	char data[4096];
	ssize_t got;
	int status = weir_stream_write(stream, "bye", 3);

	if (!status)
		status = weir_stream_shutdown(stream);
	if (status)
		return status;
	while ((got = weir_stream_read(stream, data, sizeof(data))) > 0)
		atomic_fetch_add(&origin_bytes, (unsigned long)got);
	return (int)got;
}

static int origin_serve(struct weir_service *svc, struct weir_conn *conn)
{
	char command;
	ssize_t got = weir_stream_read(conn->stream, &command, 1);
	int status;

	if (got <= 0)
		return (int)got;
	if (command == 'r')
		return -ECONNABORTED;
	if (command == 'b')
		return origin_say_bye(conn->stream);
	status = weir_serve(svc->inner, conn);
	if (status == -ECONNRESET)
		atomic_fetch_add(&origin_resets, 1);
	return status;
}

static void origin_free(struct weir_service *svc)
{
	free(weir_container_of(svc, struct origin, svc));
}

static const struct weir_service_ops origin_ops = {
	.name = "origin",
	.serve = origin_serve,
	.free = origin_free,
};

static struct weir_service *origin_new(void)
{
	struct origin *origin = calloc(1, sizeof(*origin));

	assert(origin);
	origin->svc = (struct weir_service){ .ops = &origin_ops, .inner = weir_echo_service(NULL) };
	return &origin->svc;
}

/* ---- workers ---- */

struct rig;

struct worker {
	struct rig *rig;
	unsigned index;
	pthread_t thread;
	struct weir_loop *loop;
	struct weir_post stop_post;
	struct weir_event stop;
	int front_fd, origin_fd;
};

struct rig {
	unsigned workers;
	unsigned paths;
	struct worker worker[WORKERS_MAX];
	struct weir_address front, origin;
	struct weir_metrics *metrics;
	struct weir_limit_shared *limit;
	char log[64];
	pthread_barrier_t ready;
};

static struct weir_service *stack_new(struct worker *worker)
{
	struct rig *rig = worker->rig;
	struct weir_forward_conf forward = {
		.connector = weir_tcp_connector(&(struct weir_tcp_connector_conf){ 0 }, NULL),
		.to = { .address = rig->origin },
		.upstream = "origin",
		.bridge = { .paths = rig->paths, .adaptive = rig->paths == 0 },
		.metrics = rig->metrics,
	};
	struct weir_bandwidth_conf bandwidth = { .upload = 1 << 30, .download = 1 << 30 };
	struct weir_timeout_conf timeout = { .lifetime_ms = 60000 };
	struct weir_limit_conf limit = {
		.max = PLACES,
		.shared = rig->limit,
		.refused = weir_metrics_counter(rig->metrics, worker->index, &refused_family, NULL),
	};
	struct weir_access_log_conf access_log = { .path = rig->log };
	struct weir_error error = { 0 };
	struct weir_service *svc;

	svc = weir_forward_service(&forward, &error);
	svc = weir_bandwidth_layer(svc, &bandwidth, &error);
	svc = weir_timeout_layer(svc, &timeout, &error);
	svc = weir_limit_layer(svc, &limit, &error);
	svc = weir_access_log_layer(svc, &access_log, &error);
	assert(svc);
	return svc;
}

static struct weir_listener *listener_new(const char *name, int fd, struct weir_service *svc)
{
	struct weir_listener_conf conf = { .name = name, .fd = fd, .service = svc };
	struct weir_listener *listener = weir_listener_open(weir_task_scope(), &conf, NULL);

	assert(listener);
	return listener;
}

static int worker_task(void *arg)
{
	struct worker *worker = arg;
	struct weir_service *stack = stack_new(worker), *origin = origin_new();
	struct weir_scope scope;
	struct weir_listener *listeners[2];

	weir_scope_init(&scope, NULL);
	weir_scope_enter(&scope);
	listeners[0] = listener_new("front", worker->front_fd, stack);
	listeners[1] = listener_new("origin", worker->origin_fd, origin);
	weir_scope_leave(&scope);
	pthread_barrier_wait(&worker->rig->ready);
	assert(weir_event_wait(&worker->stop, "stop", WEIR_NEVER) == 0);
	for (int i = 0; i < 2; i++)
		weir_listener_close(listeners[i]);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	weir_service_free(stack);
	weir_service_free(origin);
	return 0;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct weir_loop_conf conf = { .index = worker->index };
	struct weir_scope root;

	worker->loop = weir_loop_new(&conf, NULL);
	assert(worker->loop);
	weir_scope_init_root(&root, worker->loop);
	assert(weir_scope_spawn(&root, "worker", worker_task, worker, NULL) == 0);
	assert(weir_loop_run(worker->loop) == 0);
	weir_scope_fini(&root);
	weir_loop_free(worker->loop);
	return NULL;
}

static void worker_on_stop(struct weir_post *post)
{
	weir_event_set(&weir_container_of(post, struct worker, stop_post)->stop);
}

static int listen_at(const struct weir_address *address)
{
	int fd = weir_listen(address, 0, true, NULL);

	assert_true(fd >= 0);
	return fd;
}

static void rig_start(struct rig *rig, unsigned workers, unsigned paths)
{
	int fd;

	*rig = (struct rig){ .workers = workers, .paths = paths };
	atomic_store(&origin_resets, 0);
	atomic_store(&origin_bytes, 0);
	rig->front = loopback_address(loopback_port());
	rig->origin = loopback_address(loopback_port());
	rig->metrics = weir_metrics_new(workers);
	rig->limit = weir_limit_shared_new();
	strcpy(rig->log, "/tmp/weir-stack-XXXXXX");
	fd = mkstemp(rig->log);
	assert_true(fd >= 0);
	close(fd);
	pthread_barrier_init(&rig->ready, NULL, workers + 1);
	for (unsigned i = 0; i < workers; i++) {
		struct worker *worker = &rig->worker[i];

		worker->rig = rig;
		worker->index = i;
		worker->stop_post.fn = worker_on_stop;
		weir_event_init(&worker->stop);
		worker->front_fd = listen_at(&rig->front);
		worker->origin_fd = listen_at(&rig->origin);
		assert_int_equal(pthread_create(&worker->thread, NULL, worker_main, worker), 0);
	}
	pthread_barrier_wait(&rig->ready);
}

/* The workers end when their connections have. */
static void rig_stop(struct rig *rig)
{
	for (unsigned i = 0; i < rig->workers; i++)
		weir_loop_post(rig->worker[i].loop, &rig->worker[i].stop_post);
	for (unsigned i = 0; i < rig->workers; i++) {
		pthread_join(rig->worker[i].thread, NULL);
		close(rig->worker[i].front_fd);
		close(rig->worker[i].origin_fd);
	}
	weir_limit_shared_put(rig->limit);
	pthread_barrier_destroy(&rig->ready);
}

static void rig_fini(struct rig *rig)
{
	weir_metrics_free(rig->metrics);
	unlink(rig->log);
}

/* ---- what was counted and logged ---- */

/* The number after LINE in the metrics' text; -1 when there is none. */
static long metric(const struct rig *rig, const char *line)
{
	struct weir_buffer text;
	long value = -1;
	char *found;

	weir_buffer_init(&text);
	assert(weir_metrics_format(rig->metrics, &text) == 0);
	assert(weir_buffer_append(&text, "", 1) == 0);
	found = strstr(text.data, line);
	if (found)
		value = strtol(found + strlen(line), NULL, 10);
	weir_buffer_fini(&text);
	return value;
}

static long ends(const struct rig *rig, const char *reason)
{
	char line[128];

	snprintf(line, sizeof(line),
		 "weir_forward_ends_total{listener=\"front\",upstream=\"origin\",reason=\"%s\"} ",
		 reason);
	return metric(rig, line);
}

/* Lines of the access log that have PART in them. */
static unsigned logged(const struct rig *rig, const char *part)
{
	FILE *file = fopen(rig->log, "r");
	char line[4096];
	unsigned n = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		n += strstr(line, part) != NULL;
	fclose(file);
	return n;
}

/* ---- clients ---- */

static int client_open(const struct rig *rig)
{
	struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	assert(connect(fd, &rig->front.sa, rig->front.size) == 0);
	return fd;
}

static void client_send(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

		assert(sent > 0);
		data += sent;
		size -= (size_t)sent;
	}
}

/* Bytes until the end, or -errno. DATA gets what fits. */
static ssize_t client_receive(int fd, char *data, size_t size)
{
	size_t total = 0;
	ssize_t got;

	while ((got = recv(fd, data + total, size - total, 0)) > 0)
		total += (size_t)got;
	return got < 0 ? -errno : (ssize_t)total;
}

/* Whether the connection is carried: an echoed byte, or false after a reset. */
static bool client_try(int fd)
{
	char byte;

	if (send(fd, "ex", 2, MSG_NOSIGNAL) != 2)
		return false;
	return recv(fd, &byte, 1, 0) == 1 && byte == 'x';
}

static void client_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* ---- cases ---- */

/* All places taken, some more refused, all places given back. Returns the refusals. */
static unsigned case_limit(struct rig *rig)
{
	int held[PLACES], fd;
	unsigned refused = 0;
	char byte;

	for (int i = 0; i < PLACES; i++) {
		held[i] = client_open(rig);
		assert_true(client_try(held[i]));
	}
	for (int i = 0; i < TOO_MANY; i++, refused++) {
		fd = client_open(rig);
		assert_int_equal(client_receive(fd, &byte, 1), -ECONNRESET);
		close(fd);
	}
	for (int i = 0; i < PLACES; i++) {
		assert_int_equal(shutdown(held[i], SHUT_WR), 0);
		assert_int_equal(client_receive(held[i], &byte, 1), 0);
		close(held[i]);
	}
	/* The places are free soon after the clients have seen the end. */
	for (int i = 0; i < PLACES; i++) {
		held[i] = client_open(rig);
		while (!client_try(held[i])) {
			close(held[i]);
			refused++;
			usleep(10000);
			held[i] = client_open(rig);
		}
	}
	for (int i = 0; i < PLACES; i++) {
		assert_int_equal(shutdown(held[i], SHUT_WR), 0);
		assert_int_equal(client_receive(held[i], &byte, 1), 0);
		close(held[i]);
	}
	/* Until nobody is connected: what follows must not be refused. */
	while (logged(rig, "status=ok") < 2 * PLACES)
		usleep(10000);
	return refused;
}

static void *bulk_send(void *arg)
{
	int fd = *(const int *)arg;
	char *data = malloc(BULK);

	data[0] = 'e';
	for (size_t i = 1; i < BULK; i++)
		data[i] = (char)(i * 31 >> 3);
	client_send(fd, data, BULK);
	assert(shutdown(fd, SHUT_WR) == 0);
	free(data);
	return NULL;
}

/* The client ends first; what is on its way still arrives. */
static void case_client_half_close(struct rig *rig)
{
	char *data = malloc(BULK + 1);
	int fd = client_open(rig);
	pthread_t sender;

	assert_int_equal(pthread_create(&sender, NULL, bulk_send, &fd), 0);
	assert_int_equal(client_receive(fd, data, BULK + 1), BULK - 1);
	for (size_t i = 1; i < BULK; i++)
		assert_int_equal(data[i - 1], (char)(i * 31 >> 3));
	pthread_join(sender, NULL);
	close(fd);
	free(data);
}

/* The upstream ends first; the client may still send. */
static void case_upstream_half_close(struct rig *rig)
{
	int fd = client_open(rig);
	char *data = calloc(1, BULK);

	client_send(fd, "b", 1);
	assert_int_equal(client_receive(fd, data, BULK), 3);
	assert_memory_equal(data, "bye", 3);
	client_send(fd, data, BULK);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	for (int i = 0; i < 2000 && atomic_load(&origin_bytes) < BULK; i++)
		usleep(10000);
	assert_int_equal(atomic_load(&origin_bytes), BULK);
	close(fd);
	free(data);
}

static void case_client_reset(struct rig *rig)
{
	int fd = client_open(rig);

	assert_true(client_try(fd));
	client_reset(fd);
	for (int i = 0; i < 2000 && atomic_load(&origin_resets) == 0; i++)
		usleep(10000);
	assert_int_equal(atomic_load(&origin_resets), 1);
}

static void case_upstream_reset(struct rig *rig)
{
	int fd = client_open(rig);
	char byte;

	client_send(fd, "r", 1);
	assert_int_equal(client_receive(fd, &byte, 1), -ECONNRESET);
	close(fd);
}

static void *short_main(void *arg)
{
	const struct rig *rig = arg;
	char data[64];

	for (int i = 0; i < ROUNDS; i++) {
		int fd = client_open(rig);

		client_send(fd, "e0123456789", 11);
		assert(shutdown(fd, SHUT_WR) == 0);
		assert(client_receive(fd, data, sizeof(data)) == 10);
		assert(memcmp(data, "0123456789", 10) == 0);
		close(fd);
		/* While the workers count. */
		if (i % 10 == 0)
			assert(metric(rig, CONNECTIONS) > 0);
	}
	return NULL;
}

static void case_many_short(struct rig *rig)
{
	pthread_t clients[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&clients[i], NULL, short_main, rig), 0);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
}

static void run_all(unsigned workers, unsigned paths)
{
	/* The cases one by one: bulk, bye, both resets; those of the limit; the short ones. */
	const long closed = 1 + 2 * PLACES + CLIENTS * ROUNDS;
	const long total = closed + 3;
	long up = 2 * 2 * PLACES + BULK + (1 + BULK) + 2 + 1 + 11 * CLIENTS * ROUNDS;
	unsigned refused;
	struct rig rig;

	rig_start(&rig, workers, paths);
	refused = case_limit(&rig);
	case_client_half_close(&rig);
	case_upstream_half_close(&rig);
	case_client_reset(&rig);
	case_upstream_reset(&rig);
	case_many_short(&rig);
	rig_stop(&rig);

	assert_int_equal(ends(&rig, "client_closed"), closed);
	assert_int_equal(ends(&rig, "upstream_closed"), 1);
	assert_int_equal(ends(&rig, "client_reset"), 1);
	assert_int_equal(ends(&rig, "upstream_reset"), 1);
	assert_int_equal(ends(&rig, "error"), 0);
	assert_int_equal(metric(&rig, FORWARD("connections_total") "} "), total);
	assert_int_equal(metric(&rig, FORWARD("connections_active") "} "), 0);
	assert_int_equal(metric(&rig, FORWARD("bytes_total") ",direction=\"up\"} "), up);
	assert_int_equal(metric(&rig, FORWARD("connect_seconds_count") "} "), total);
	assert_int_equal(weir_metrics_sum(rig.metrics, &refused_family, NULL), refused);

	assert_int_equal(logged(&rig, "conn "), total + refused);
	assert_int_equal(logged(&rig, "status=connection_limit"), refused);
	assert_int_equal(logged(&rig, "end=client_closed status=ok"), closed);
	assert_int_equal(logged(&rig, "end=upstream_closed status=ok"), 1);
	assert_int_equal(logged(&rig, "end=client_reset status=ECONNRESET"), 1);
	assert_int_equal(logged(&rig, "end=upstream_reset status=ECONNRESET"), 1);
	if (paths == WEIR_PATH_BIT(WEIR_PATH_SPLICE))
		assert_int_equal(logged(&rig, "path=splice"), total);
	if (paths == WEIR_PATH_BIT(WEIR_PATH_COPY))
		assert_int_equal(logged(&rig, "path=copy"), total);
	rig_fini(&rig);
}

static void one_worker_copies(void **state)
{
	(void)state;
	run_all(1, WEIR_PATH_BIT(WEIR_PATH_COPY));
}

static void one_worker_splices(void **state)
{
	(void)state;
	run_all(1, WEIR_PATH_BIT(WEIR_PATH_SPLICE));
}

static void two_workers_copy(void **state)
{
	(void)state;
	run_all(2, WEIR_PATH_BIT(WEIR_PATH_COPY));
}

static void two_workers_choose(void **state)
{
	(void)state;
	run_all(2, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_worker_copies),
		cmocka_unit_test(one_worker_splices),
		cmocka_unit_test(two_workers_copy),
		cmocka_unit_test(two_workers_choose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
