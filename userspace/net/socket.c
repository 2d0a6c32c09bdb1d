/* SPDX-License-Identifier: MIT */
/*
 * Sockets: their options, and listening ones.
 *
 * A socket that is accepted inherits TCP_NODELAY, keepalive and the user timeout from the one
 * that listens, so they are set once there.
 */

#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/connector.h>
#include <weir/listener.h>

#include "net/socket.h"

#define LISTEN_BACKLOG	4096
#define KEEPALIVE_MAX_S 32767u /* MAX_TCP_KEEPIDLE of the kernel */

static int socket_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

void socket_reset(int fd)
{
	(void)socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 0);
	(void)socket_set(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
	(void)socket_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
}

/* A probe every tenth of the idle time, five of them. */
static int socket_set_keepalive(int fd, unsigned idle_s)
{
	unsigned idle = WEIR_MIN(idle_s, KEEPALIVE_MAX_S);
	unsigned every = idle / 10;
	int status = socket_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);

	if (!status)
		status = socket_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle);
	if (!status)
		status = socket_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)(every ? every : 1));
	if (!status)
		status = socket_set(fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
	return status;
}

static int socket_apply_tcp(int fd, const struct weir_socket_conf *conf)
{
	int status = 0;

	if (!conf->delay)
		status = socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!status && conf->keepalive_s)
		status = socket_set_keepalive(fd, conf->keepalive_s);
	if (!status && conf->user_timeout_ms)
		status = socket_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)conf->user_timeout_ms);
	if (!status && conf->mark)
		status = socket_set(fd, SOL_SOCKET, SO_MARK, (int)conf->mark);
	if (!status && conf->interface &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, conf->interface,
		       (socklen_t)strlen(conf->interface)))
		status = -errno;
	return status;
}

int weir_socket_apply(int fd, int family, const struct weir_socket_conf *conf)
{
	int status = family == AF_UNIX ? 0 : socket_apply_tcp(fd, conf);

	if (!status && conf->send_buffer_bytes)
		status = socket_set(fd, SOL_SOCKET, SO_SNDBUF, (int)conf->send_buffer_bytes);
	if (!status && conf->receive_buffer_bytes)
		status = socket_set(fd, SOL_SOCKET, SO_RCVBUF, (int)conf->receive_buffer_bytes);
	return status;
}

/* ------------------------------------------------------------------------------------------
 * Listening
 */

/* Removes the path of a Unix socket that nobody listens on any more. 0, or -EADDRINUSE.
 * Connecting to a file that is no socket is refused as well: such a file stays. */
static int unix_remove_stale(const struct weir_address *address)
{
	struct stat found;
	int fd, status = 0;

	if (address->un.sun_path[0] == '\0' || lstat(address->un.sun_path, &found))
		return 0;
	if (!S_ISSOCK(found.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, &address->sa, address->size) == 0 || errno == EAGAIN)
		status = -EADDRINUSE;
	else if (errno == ECONNREFUSED)
		unlink(address->un.sun_path);
	close(fd);
	return status;
}

static int listen_bind(int fd, const struct weir_address *address, int backlog, bool reuse_port)
{
	int family = address->sa.sa_family;
	int status = 0;

	if (family == AF_UNIX)
		status = unix_remove_stale(address);
	else
		status = socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!status && family != AF_UNIX && reuse_port)
		status = socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!status && family == AF_INET6)
		status = socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (!status && bind(fd, &address->sa, address->size))
		status = -errno;
	if (!status && listen(fd, backlog > 0 ? backlog : LISTEN_BACKLOG))
		status = -errno;
	return status;
}

/* The same port of any IPv4 address, for a machine without IPv6. */
static bool address_without_ipv6(const struct weir_address *address, struct weir_address *v4)
{
	if (address->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr))
		return false;
	*v4 = (struct weir_address){ .size = sizeof(v4->in) };
	v4->in.sin_family = AF_INET;
	v4->in.sin_port = address->in6.sin6_port;
	return true;
}

static int listen_on(const struct weir_address *address, int backlog, bool reuse_port)
{
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int status;

	if (fd < 0)
		return -errno;
	status = listen_bind(fd, address, backlog, reuse_port);
	if (!status)
		return fd;
	close(fd);
	return status;
}

static const char *listen_remedy(int status, bool is_unix)
{
	switch (status) {
	case -EADDRINUSE:
		return is_unix ? "stop the other program (ss -lxp shows it), remove what is there, or "
				 "choose another path"
			       : "stop the other program (ss -ltnp shows it), or choose another port";
	case -EADDRNOTAVAIL:
		return "use an address of this machine (ip address shows them)";
	case -EACCES:
		return "use a port from 1024 on, or give CAP_NET_BIND_SERVICE; for a Unix socket, a "
		       "folder that may be written to";
	case -ENOENT:
		return "make the folder of the socket";
	default:
		return "";
	}
}

int weir_listen(const struct weir_address *address, int backlog, bool reuse_port,
		struct weir_error *error)
{
	char text[WEIR_ADDRESS_TEXT];
	struct weir_address v4;
	int fd = listen_on(address, backlog, reuse_port);

	if (fd == -EAFNOSUPPORT && address_without_ipv6(address, &v4))
		fd = listen_on(&v4, backlog, reuse_port);
	if (fd >= 0)
		return fd;
	weir_error_set(error, fd, "cannot listen on %s: %s", weir_address_format(address, text),
		       weir_strerror(fd));
	weir_error_remedy(error, "%s", listen_remedy(fd, weir_address_is_unix(address)));
	return fd;
}
