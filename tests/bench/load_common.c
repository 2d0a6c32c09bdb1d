/* SPDX-License-Identifier: MIT */

/* What both halves of the traffic tool need: payload, addresses, sockets. */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

/* One 64-bit word of payload: an injective mix of the word's index, so no two places of a
 * stream look alike, shifted by the seed, so no two streams do. */
static inline uint64_t pattern_word(uint32_t seed, uint64_t index)
{
	uint64_t x = ((uint64_t)seed << 32) + (index + 1) * 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
	return x ^ (x >> 32);
}

void pattern_fill(uint32_t seed, uint64_t offset, void *data, size_t size)
{
	char *p = data;
	size_t skip = offset % 8;

	while (size > 0) {
		uint64_t word = pattern_word(seed, offset / 8);
		size_t n = 8 - skip < size ? 8 - skip : size;

		memcpy(p, (char *)&word + skip, n);
		p += n;
		size -= n;
		offset += n;
		skip = 0;
	}
}

size_t pattern_check(uint32_t seed, uint64_t offset, const void *data, size_t size)
{
	const char *p = data;
	size_t at = 0, skip = offset % 8;

	while (at < size) {
		uint64_t word = pattern_word(seed, (offset + at) / 8);
		size_t n = 8 - skip < size - at ? 8 - skip : size - at;

		if (memcmp(p + at, (char *)&word + skip, n) != 0) {
			while (p[at] == ((char *)&word)[skip]) {
				at++;
				skip++;
			}
			return at;
		}
		at += n;
		skip = 0;
	}
	return size;
}

static void address_parse_unix(struct load_address *address, const char *path)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address->ss;
	size_t length = strlen(path);

	if (length >= sizeof(un->sun_path))
		die("%s: too long", path);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, length);
	address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	if (path[0] == '@') {
		un->sun_path[0] = '\0';
		address->size--;
	}
}

void address_parse(struct load_address *address, const char *text)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *info = NULL;
	char host[256];
	const char *colon;

	memset(address, 0, sizeof(*address));
	if (strncmp(text, "unix:", 5) == 0) {
		address_parse_unix(address, text + 5);
		return;
	}
	colon = strrchr(text, ':');
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		die("%s: not an address", text);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (host[0] == '[') {
		memmove(host, host + 1, strlen(host));
		host[strcspn(host, "]")] = '\0';
	}
	if (getaddrinfo(host, colon + 1, &hints, &info) != 0)
		die("%s: not an address", text);
	memcpy(&address->ss, info->ai_addr, info->ai_addrlen);
	address->size = info->ai_addrlen;
	freeaddrinfo(info);
}

int socket_new(const struct load_address *address)
{
	int one = 1;
	int fd = socket(address->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (address->ss.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int socket_listen(const struct load_address *address)
{
	int one = 1;
	int fd = socket_new(address);

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&address->ss, address->size) < 0 ||
	    listen(fd, 4096) < 0) {
		int status = -errno;

		close(fd);
		return status;
	}
	return fd;
}

int socket_connect(int fd, const struct load_address *address)
{
	int flags = fcntl(fd, F_GETFL);
	bool local = address->ss.ss_family == AF_UNIX;
	int status;

	/* A Unix connect does not get under way: it waits for a place in the backlog or fails. */
	if (local)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	status = connect(fd, (const struct sockaddr *)&address->ss, address->size);
	status = status < 0 && errno != EINPROGRESS ? -errno : 0;
	if (local)
		fcntl(fd, F_SETFL, flags);
	return status;
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

void *must_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		die("no memory");
	return p;
}
