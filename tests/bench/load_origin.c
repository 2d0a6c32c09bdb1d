/* SPDX-License-Identifier: MIT */

/*
 * The origin: one thread, one level-triggered epoll. A peer's direction that has nothing to do
 * is not polled, so a proxy that stops reading stops the origin, too. Ends when stdin ends,
 * so it never outlives the test that started it, and prints what it has seen.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

#define TURNS 16 /* reads or writes of one peer before the others have theirs */

struct peer {
	int fd; /* < 0: a listening socket is ~fd; see origin_add() */
	unsigned events;
	struct load_request request;
	size_t request_got;
	uint64_t received, wrong_at;
	uint64_t sent; /* TRANSFER: payload and then the result */
	bool ended;    /* the client's end was read */
	char *held;    /* ECHO: what could not be sent yet */
	size_t held_size, held_at;
};

struct origin {
	int epoll;
	char *buffer, *bulk;
	uint64_t accepted, active, good, bad, reset;
};

static void origin_add(struct origin *origin, int fd, struct peer *peer)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = peer };

	if (epoll_ctl(origin->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll_ctl: %s", strerror(errno));
	peer->events = EPOLLIN;
}

static void peer_poll(struct origin *origin, struct peer *peer, unsigned events)
{
	struct epoll_event ev = { .events = events, .data.ptr = peer };

	if (peer->events == events)
		return;
	epoll_ctl(origin->epoll, EPOLL_CTL_MOD, peer->fd, &ev);
	peer->events = events;
}

static void peer_free(struct origin *origin, struct peer *peer)
{
	close(peer->fd);
	free(peer->held);
	free(peer);
	origin->active--;
}

static void origin_accept(struct origin *origin, int listener)
{
	for (int i = 0; i < 64; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct peer *peer;

		if (fd < 0)
			return;
		peer = must_alloc(sizeof(*peer));
		peer->fd = fd;
		peer->wrong_at = LOAD_UNKNOWN;
		origin_add(origin, fd, peer);
		origin->accepted++;
		origin->active++;
	}
}

/* 0 when there is nothing more to do now, -errno when the session is over. */
static int peer_read_request(struct peer *peer)
{
	char *into = (char *)&peer->request;
	ssize_t n =
		read(peer->fd, into + peer->request_got, sizeof(peer->request) - peer->request_got);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return peer->request_got == 0 ? -ENODATA : -EPROTO;
	peer->request_got += (size_t)n;
	if (peer->request_got < sizeof(peer->request))
		return 0;
	return peer->request.magic == LOAD_MAGIC ? 0 : -EPROTO;
}

static int echo_send(struct peer *peer)
{
	while (peer->held_at < peer->held_size) {
		ssize_t n = send(peer->fd, peer->held + peer->held_at,
				 peer->held_size - peer->held_at, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		peer->held_at += (size_t)n;
	}
	peer->held_at = peer->held_size = 0;
	return 0;
}

static void echo_hold(struct peer *peer, const char *data, size_t size)
{
	if (!peer->held)
		peer->held = must_alloc(LOAD_BUFFER);
	memcpy(peer->held, data, size);
	peer->held_size = size;
}

static int echo_step(struct origin *origin, struct peer *peer)
{
	int status = echo_send(peer);
	ssize_t n, out;

	if (status < 0 || peer->held_size > 0)
		return status;
	n = read(peer->fd, origin->buffer, LOAD_BUFFER);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ENODATA;
	out = send(peer->fd, origin->buffer, (size_t)n, MSG_NOSIGNAL);
	if (out < 0 && errno != EAGAIN)
		return -errno;
	out = out < 0 ? 0 : out;
	if (out < n)
		echo_hold(peer, origin->buffer + out, (size_t)(n - out));
	return 0;
}

static int transfer_read(struct origin *origin, struct peer *peer)
{
	for (int i = 0; i < TURNS && !peer->ended; i++) {
		ssize_t n = read(peer->fd, origin->buffer, LOAD_BUFFER);
		size_t good;

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0) {
			peer->ended = true;
			break;
		}
		if (peer->request.verify && peer->wrong_at == LOAD_UNKNOWN) {
			good = pattern_check(peer->request.seed, peer->received, origin->buffer,
					     (size_t)n);
			if (good < (size_t)n)
				peer->wrong_at = peer->received + good;
		}
		peer->received += (uint64_t)n;
	}
	return 0;
}

static int transfer_write(struct origin *origin, struct peer *peer)
{
	const struct load_request *request = &peer->request;

	for (int i = 0; i < TURNS && peer->sent < request->down; i++) {
		uint64_t left = request->down - peer->sent;
		size_t size = request->write_size && request->write_size < LOAD_BUFFER
				      ? request->write_size
				      : LOAD_BUFFER;
		char *data = origin->bulk;
		ssize_t n;

		size = size < left ? size : (size_t)left;
		if (request->verify) {
			data = origin->buffer;
			pattern_fill(pattern_down(request->seed), peer->sent, data, size);
		}
		n = send(peer->fd, data, size, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		peer->sent += (uint64_t)n;
	}
	return 0;
}

/* The verdict; -ENODATA when it is sent. */
static int transfer_finish(struct peer *peer)
{
	struct load_result result = { .received = peer->received, .wrong_at = peer->wrong_at };
	size_t done = (size_t)(peer->sent - peer->request.down);
	ssize_t n;

	if (peer->request.up != LOAD_UNKNOWN && peer->received != peer->request.up &&
	    result.wrong_at == LOAD_UNKNOWN)
		result.wrong_at = peer->received;
	n = send(peer->fd, (char *)&result + done, sizeof(result) - done, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	peer->sent += (uint64_t)n;
	if (peer->sent < peer->request.down + sizeof(result))
		return 0;
	return result.wrong_at == LOAD_UNKNOWN ? -ENODATA : -EBADMSG;
}

static int transfer_step(struct origin *origin, struct peer *peer)
{
	int status = transfer_read(origin, peer);

	if (status == 0)
		status = transfer_write(origin, peer);
	if (status == 0 && peer->ended && peer->sent >= peer->request.down)
		status = transfer_finish(peer);
	return status;
}

static unsigned peer_interest(const struct peer *peer)
{
	if (peer->request_got < sizeof(peer->request))
		return EPOLLIN;
	if (peer->request.kind == LOAD_ECHO)
		return peer->held_size > 0 ? EPOLLOUT : EPOLLIN;
	return (peer->ended ? 0 : EPOLLIN) |
	       (peer->ended || peer->sent < peer->request.down ? EPOLLOUT : 0);
}

static void peer_ready(struct origin *origin, struct peer *peer)
{
	int status = 0;

	if (peer->request_got < sizeof(peer->request))
		status = peer_read_request(peer);
	if (status == 0 && peer->request_got == sizeof(peer->request))
		status = peer->request.kind == LOAD_ECHO ? echo_step(origin, peer)
							 : transfer_step(origin, peer);
	if (status == 0) {
		peer_poll(origin, peer, peer_interest(peer));
		return;
	}
	if (status == -ENODATA)
		origin->good++;
	else if (status == -ECONNRESET || status == -EPIPE)
		origin->reset++;
	else
		origin->bad++;
	peer_free(origin, peer);
}

static void origin_listen(struct origin *origin, const char *text)
{
	struct load_address address;
	struct peer *peer = must_alloc(sizeof(*peer));
	int fd;

	address_parse(&address, text);
	fd = socket_listen(&address);
	if (fd < 0)
		die("%s: %s", text, strerror(-fd));
	peer->fd = ~fd;
	origin_add(origin, fd, peer);
}

static void origin_run(struct origin *origin)
{
	struct epoll_event ready[256];

	for (;;) {
		int n = epoll_wait(origin->epoll, ready, 256, -1);

		for (int i = 0; i < n; i++) {
			struct peer *peer = ready[i].data.ptr;

			if (peer->fd == ~STDIN_FILENO)
				return;
			if (peer->fd < 0)
				origin_accept(origin, ~peer->fd);
			else
				peer_ready(origin, peer);
		}
	}
}

int origin_main(char **listen, unsigned n_listen)
{
	struct origin origin = { .epoll = epoll_create1(EPOLL_CLOEXEC) };
	struct peer end = { .fd = ~STDIN_FILENO };

	origin.buffer = must_alloc(LOAD_BUFFER);
	origin.bulk = must_alloc(LOAD_BUFFER);
	pattern_fill(1, 0, origin.bulk, LOAD_BUFFER);
	for (unsigned i = 0; i < n_listen; i++)
		origin_listen(&origin, listen[i]);
	origin_add(&origin, STDIN_FILENO, &end);
	puts("ready");
	fflush(stdout);
	origin_run(&origin);
	printf("{\"accepted\": %lu, \"active\": %lu, \"good\": %lu, \"bad\": %lu, \"reset\": %lu}\n",
	       origin.accepted, origin.active, origin.good, origin.bad, origin.reset);
	fflush(stdout);
	/* The kernel frees what is left; peers still in epoll are not worth a list. */
	_exit(origin.bad > 0);
}
