/* SPDX-License-Identifier: MIT */

/*
 * The clients: many sessions in one thread with one level-triggered epoll. A session is tried
 * before it is polled, and polled for writing only after a write did not fit, so that an
 * exchange costs one epoll_wait, one read and one write. What went wrong is counted by kind
 * and the first few are told with session and offset. Prints one JSON object.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

#define TURNS	   16
#define BUCKETS	   (64 * 32) /* of latencies: 32 per power of two, so within 3 percent */
#define TOLD_MAX   5
#define FAILED_MAX 1000 /* with a time and no number: it will not get better */

enum fault {
	FAULT_CONNECT,
	FAULT_RESET,
	FAULT_EARLY_END, /* the proxy ended the session before it was complete */
	FAULT_WRONG_BYTE,
	FAULT_EXTRA,  /* bytes after the last one */
	FAULT_ORIGIN, /* the origin has not received what was sent */
	FAULT_STUCK,
	FAULT_OTHER,
	FAULT_COUNT,
};

static const char *const fault_names[] = {
	"connect", "reset", "early_end", "wrong_byte", "extra", "origin", "stuck", "other",
};

struct session {
	int fd;
	unsigned events;
	uint64_t number;
	struct load_request request;
	uint64_t tx; /* written, the request included */
	uint64_t rx;
	uint64_t rounds; /* ECHO: messages started */
	uint64_t round_ns;
	bool ending; /* our half-close is done */
	bool held;
	struct load_result result;
	struct session *next, **prev;
};

struct client {
	const struct client_conf *conf;
	int epoll;
	char *buffer, *bulk;
	struct session *sessions;
	uint64_t started, active, good, failed, requests, bytes_up, bytes_down;
	uint64_t begin_ns, moved_ns, end_ns; /* end_ns: when no more is to be started */
	bool released;			     /* hold: stdin has ended */
	uint64_t held;
	uint64_t faults[FAULT_COUNT];
	uint64_t latency[BUCKETS], latency_max;
};

static unsigned latency_bucket(uint64_t ns)
{
	unsigned log = ns < 32 ? 0 : 58 - (unsigned)__builtin_clzll(ns);

	return ns < 32 ? (unsigned)ns : 32 * log + (unsigned)(ns >> log);
}

static void latency_add(struct client *client, uint64_t ns)
{
	client->latency[latency_bucket(ns)]++;
	if (ns > client->latency_max)
		client->latency_max = ns;
}

/* In microseconds. */
static double latency_percentile(const struct client *client, double percent)
{
	uint64_t total = 0, seen = 0;

	for (unsigned i = 0; i < BUCKETS; i++)
		total += client->latency[i];
	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += client->latency[i];
		if (seen > 0 && (double)seen >= (double)total * percent / 100) {
			unsigned log = i < 64 ? 0 : i / 32 - 1;

			return (double)((uint64_t)(i - 32 * log) << log) / 1000;
		}
	}
	return 0;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void session_free(struct client *client, struct session *session)
{
	if (session->fd >= 0)
		close(session->fd);
	*session->prev = session->next;
	if (session->next)
		session->next->prev = session->prev;
	free(session);
	client->active--;
}

static void session_fail(struct client *client, struct session *session, enum fault fault,
			 int status)
{
	if (client->failed++ < TOLD_MAX)
		fprintf(stderr, "load: session %lu: %s at tx=%lu rx=%lu rounds=%lu%s%s\n",
			session->number, fault_names[fault], session->tx, session->rx,
			session->rounds, status < 0 ? ": " : "",
			status < 0 ? strerror(-status) : "");
	client->faults[fault]++;
	session_free(client, session);
}

static void session_good(struct client *client, struct session *session)
{
	client->good++;
	session_free(client, session);
}

static enum fault fault_of(int status)
{
	switch (status) {
	case -ECONNRESET:
	case -EPIPE:
		return FAULT_RESET;
	case -ENODATA:
		return FAULT_EARLY_END;
	case -EBADMSG:
		return FAULT_WRONG_BYTE;
	case -EMSGSIZE:
		return FAULT_EXTRA;
	case -EPROTO:
		return FAULT_ORIGIN;
	default:
		return FAULT_OTHER;
	}
}

static bool client_is_over(const struct client *client)
{
	return client->end_ns && now_ns() >= client->end_ns;
}

/* The next SIZE bytes of what the client sends, from the request on. */
static void session_produce(struct session *session, void *data, size_t size)
{
	size_t head = 0;

	if (session->tx < sizeof(session->request)) {
		head = sizeof(session->request) - (size_t)session->tx;
		head = head < size ? head : size;
		memcpy(data, (char *)&session->request + session->tx, head);
	}
	pattern_fill(session->request.seed, session->tx + head - sizeof(session->request),
		     (char *)data + head, size - head);
}

/* 1: all of it is out; 0: no room; -errno. */
static int session_send(struct client *client, struct session *session, uint64_t until, size_t most)
{
	bool plain = session->request.kind == LOAD_TRANSFER && !session->request.verify;

	for (int i = 0; session->tx < until; i++) {
		size_t size = until - session->tx < most ? (size_t)(until - session->tx) : most;
		char *data = client->buffer;
		ssize_t n;

		if (i == TURNS)
			return 0;
		if (plain && session->tx >= sizeof(session->request))
			data = client->bulk;
		else
			session_produce(session, data, size);
		n = send(session->fd, data, size, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		session->tx += (uint64_t)n;
		client->bytes_up += (uint64_t)n;
	}
	return 1;
}

static int session_end(struct session *session)
{
	if (session->ending)
		return 0;
	session->ending = true;
	return shutdown(session->fd, SHUT_WR) < 0 ? -errno : 0;
}

/* ---- ECHO ------------------------------------------------------------------------------------ */

/* One more round, or none: then 0 and the session is ending, or 1 when it is good at once. */
static int echo_next(struct client *client, struct session *session)
{
	const struct client_conf *conf = client->conf;
	bool more = conf->requests ? session->rounds < conf->requests : !client_is_over(client);

	if (conf->hold) {
		if (session->rounds == 1 && !client->released) {
			client->held += !session->held;
			session->held = true;
			return 0;
		}
		more = session->rounds < 2;
	}
	if (!more)
		return conf->abrupt ? 1 : session_end(session);
	session->rounds++;
	session->round_ns = now_ns();
	return 0;
}

static int echo_check(struct client *client, struct session *session, size_t got)
{
	uint64_t expected = session->rounds * client->conf->size;

	if (session->rx + got > expected)
		return -EMSGSIZE;
	if (pattern_check(session->request.seed, session->rx, client->buffer, got) < got)
		return -EBADMSG;
	session->rx += got;
	client->bytes_down += got;
	if (session->rx < expected)
		return 0;
	client->requests++;
	latency_add(client, now_ns() - session->round_ns);
	return echo_next(client, session);
}

static int echo_send(struct client *client, struct session *session)
{
	uint64_t until = sizeof(session->request) + session->rounds * client->conf->size;

	return session_send(client, session, until, LOAD_BUFFER);
}

static int echo_step(struct client *client, struct session *session)
{
	uint64_t tx = session->tx;
	int status = echo_send(client, session);
	ssize_t n;

	/* The answer cannot be there yet. */
	if (status < 0 || (status > 0 && session->tx != tx))
		return status < 0 ? status : 0;
	n = read(session->fd, client->buffer, LOAD_BUFFER);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return session->ending ? 1 : -ENODATA;
	status = echo_check(client, session, (size_t)n);
	if (status != 0 || session->ending)
		return status;
	status = echo_send(client, session);
	return status < 0 ? status : 0;
}

/* ---- TRANSFER -------------------------------------------------------------------------------- */

static int transfer_check(struct client *client, struct session *session, size_t got)
{
	uint64_t down = session->request.down;
	size_t payload = session->rx < down ? (size_t)(down - session->rx) : 0;
	size_t rest;

	payload = payload < got ? payload : got;
	if (session->request.verify &&
	    pattern_check(pattern_down(session->request.seed), session->rx, client->buffer,
			  payload) < payload)
		return -EBADMSG;
	session->rx += payload;
	client->bytes_down += got;
	rest = got - payload;
	if (rest == 0)
		return 0;
	if (session->rx - down + rest > sizeof(session->result))
		return -EMSGSIZE;
	memcpy((char *)&session->result + (session->rx - down), client->buffer + payload, rest);
	session->rx += rest;
	return 0;
}

static int transfer_result(const struct session *session)
{
	if (!session->ending || session->rx < session->request.down + sizeof(session->result))
		return -ENODATA;
	if (session->result.wrong_at != LOAD_UNKNOWN) {
		fprintf(stderr,
			"load: session %lu: the origin got %lu of %lu bytes, wrong at %lu\n",
			session->number, session->result.received,
			session->tx - sizeof(session->request), session->result.wrong_at);
		return -EPROTO;
	}
	if (session->result.received != session->tx - sizeof(session->request))
		return -EPROTO;
	return 1;
}

static int transfer_read(struct client *client, struct session *session)
{
	for (int i = 0; i < TURNS; i++) {
		ssize_t n = read(session->fd, client->buffer, LOAD_BUFFER);
		int status;

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return transfer_result(session);
		status = transfer_check(client, session, (size_t)n);
		if (status < 0)
			return status;
	}
	return 0;
}

static int transfer_step(struct client *client, struct session *session)
{
	uint64_t up = session->request.up;
	uint64_t until = up == LOAD_UNKNOWN ? LOAD_UNKNOWN : sizeof(session->request) + up;
	int status;

	if (!session->ending) {
		status = session_send(client, session, until, client->conf->write_size);
		if (status == 1 || (status == 0 && up == LOAD_UNKNOWN && client_is_over(client)))
			status = session_end(session);
		if (status < 0)
			return status;
	}
	return transfer_read(client, session);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static unsigned session_interest(const struct client *client, const struct session *session)
{
	uint64_t until = session->request.up == LOAD_UNKNOWN
				 ? LOAD_UNKNOWN
				 : sizeof(session->request) + session->request.up;

	if (session->request.kind == LOAD_ECHO)
		until = sizeof(session->request) + session->rounds * client->conf->size;
	return EPOLLIN | (!session->ending && session->tx < until ? EPOLLOUT : 0);
}

static void session_ready(struct client *client, struct session *session)
{
	struct epoll_event ev = { .data.ptr = session };
	uint64_t tx = session->tx, rx = session->rx;
	int status;

	status = session->request.kind == LOAD_ECHO ? echo_step(client, session)
						    : transfer_step(client, session);
	if (session->tx != tx || session->rx != rx || status)
		client->moved_ns = now_ns();
	if (status < 0) {
		session_fail(client, session,
			     session->tx == 0 && status != -ECONNRESET && status != -EPIPE
				     ? FAULT_CONNECT
				     : fault_of(status),
			     status);
		return;
	}
	if (status > 0) {
		session_good(client, session);
		return;
	}
	ev.events = session_interest(client, session);
	if (ev.events == session->events)
		return;
	epoll_ctl(client->epoll, session->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, session->fd, &ev);
	session->events = ev.events;
}

static void session_start(struct client *client)
{
	const struct client_conf *conf = client->conf;
	struct session *session = must_alloc(sizeof(*session));
	int status;

	session->number = client->started++;
	session->request = (struct load_request){
		.magic = LOAD_MAGIC,
		.kind = (uint8_t)conf->kind,
		.verify = conf->verify,
		.seed = (uint32_t)(session->number * 2654435761u) & 0x7fffffffu,
		.write_size = conf->write_size,
		.up = conf->up,
		.down = conf->down,
	};
	session->next = client->sessions;
	session->prev = &client->sessions;
	if (session->next)
		session->next->prev = &session->next;
	client->sessions = session;
	client->active++;

	session->rounds = 1;
	session->round_ns = now_ns();
	session->fd = status = socket_new(&conf->to);
	if (status >= 0)
		status = socket_connect(session->fd, &conf->to);
	if (status < 0)
		session_fail(client, session, FAULT_CONNECT, status);
	else
		session_ready(client, session);
}

static void client_fill(struct client *client)
{
	const struct client_conf *conf = client->conf;

	while (client->active < conf->concurrent) {
		if (client->failed > FAILED_MAX && !conf->sessions)
			return;
		if (conf->sessions ? client->started >= conf->sessions
				   : client->started >= conf->concurrent && !client->end_ns)
			return;
		if (client->started >= conf->concurrent && client_is_over(client))
			return;
		/* Sessions that last until the time is over are not followed by others. */
		if (client->started >= conf->concurrent && !conf->sessions && !conf->requests &&
		    !(conf->kind == LOAD_TRANSFER && conf->up != LOAD_UNKNOWN))
			return;
		session_start(client);
	}
}

static void client_release(struct client *client)
{
	struct session *session, *next;

	client->released = true;
	epoll_ctl(client->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	for (session = client->sessions; session; session = next) {
		int status;

		next = session->next;
		if (!session->held)
			continue;
		session->held = false;
		status = echo_next(client, session);
		if (status < 0)
			session_fail(client, session, fault_of(status), status);
		else
			session_ready(client, session);
	}
}

static void client_give_up(struct client *client)
{
	while (client->sessions)
		session_fail(client, client->sessions, FAULT_STUCK, 0);
}

static void client_run(struct client *client)
{
	struct epoll_event ready[256];
	bool told = false;

	client_fill(client);
	while (client->active > 0) {
		int n = epoll_wait(client->epoll, ready, 256, 100);

		for (int i = 0; i < n; i++) {
			if (ready[i].data.ptr)
				session_ready(client, ready[i].data.ptr);
			else
				client_release(client);
		}
		client_fill(client);
		if (client->conf->hold && client->held == client->active && !client->released) {
			client->moved_ns = now_ns();
			if (!told)
				puts("ready");
			told = true;
			fflush(stdout);
		}
		if (now_ns() - client->moved_ns > client->conf->stuck_ns)
			client_give_up(client);
	}
}

static void client_print(const struct client *client)
{
	double seconds = (double)(now_ns() - client->begin_ns) / 1e9;

	printf("{\"sessions\": %lu, \"good\": %lu, \"failed\": %lu, \"requests\": %lu, "
	       "\"bytes_up\": %lu, \"bytes_down\": %lu, \"seconds\": %.6f, \"p50_us\": %.2f, "
	       "\"p90_us\": %.2f, \"p99_us\": %.2f, \"max_us\": %.2f, \"faults\": {",
	       client->started, client->good, client->failed, client->requests, client->bytes_up,
	       client->bytes_down, seconds, latency_percentile(client, 50),
	       latency_percentile(client, 90), latency_percentile(client, 99),
	       (double)client->latency_max / 1000);
	for (int i = 0, n = 0; i < FAULT_COUNT; i++)
		if (client->faults[i])
			printf("%s\"%s\": %lu", n++ ? ", " : "", fault_names[i], client->faults[i]);
	puts("}}");
}

int client_main(const struct client_conf *conf)
{
	struct client client = { .conf = conf, .epoll = epoll_create1(EPOLL_CLOEXEC) };
	struct epoll_event ev = { .events = EPOLLIN };
	int status;

	client.buffer = must_alloc(LOAD_BUFFER);
	client.bulk = must_alloc(LOAD_BUFFER);
	pattern_fill(1, 0, client.bulk, LOAD_BUFFER);
	if (conf->hold && epoll_ctl(client.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ev) < 0)
		die("hold: stdin must be a pipe or a terminal");
	client.begin_ns = client.moved_ns = now_ns();
	client.end_ns = conf->time_ns ? client.begin_ns + conf->time_ns : 0;
	client_run(&client);
	client_print(&client);
	status = client.failed > 0;
	free(client.buffer);
	free(client.bulk);
	close(client.epoll);
	return status;
}
