/* SPDX-License-Identifier: MIT */

#include "tools/weirctl/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* A reload builds a whole generation and probes the kernel; nothing takes longer. */
#define CLIENT_TIMEOUT_S 60

static int client_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval timeout = { .tv_sec = CLIENT_TIMEOUT_S };
	int fd, status;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	status = -errno;
	close(fd);
	return status;
}

static int client_send(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int client_read(int fd, struct response *response)
{
	static char data[65536]; /* one thread, one question at a time */
	int status = 0;

	while (status == 0 && response->state != RESPONSE_DONE) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return response_end(response);
		status = response_feed(response, data, (size_t)n);
	}
	return status;
}

int client_ask(const char *path, const char *method, const char *target, struct response *response,
	       enum client_step *step)
{
	char head[2048];
	int fd, size, status;

	response_init(response);
	*step = CLIENT_CONNECT;
	size = snprintf(head, sizeof(head),
			"%s %s HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n%s\r\n", method,
			target, strcmp(method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
	if (size < 0 || (size_t)size >= sizeof(head))
		return -ENAMETOOLONG;
	fd = client_connect(path);
	if (fd < 0)
		return fd;
	*step = CLIENT_SEND;
	status = client_send(fd, head, (size_t)size);
	if (status == 0) {
		*step = CLIENT_READ;
		status = client_read(fd, response);
	}
	close(fd);
	return status;
}
