/* SPDX-License-Identifier: MIT */

#include "daemon/socket_set.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <weir/listener.h>
#include <weir/log.h>

struct listening {
	struct weir_list link;
	struct weir_address address;
	unsigned worker; /* or SOCKET_SHARED */
	int fd;
	bool adopted;	  /* the service manager's: its path is not ours to remove */
	unsigned created; /* by which generation; 0: adopted */
	unsigned used;	  /* by which generation last */
};

void socket_set_init(struct socket_set *set, unsigned workers)
{
	weir_list_init(&set->sockets);
	set->workers = workers;
}

static struct listening *listening_of(struct weir_list *link)
{
	return weir_container_of(link, struct listening, link);
}

static struct listening *find(const struct socket_set *set, const struct weir_address *address,
			      unsigned worker)
{
	struct weir_list *link;
	struct listening *listening;

	for (link = set->sockets.next; link != &set->sockets; link = link->next) {
		listening = listening_of(link);
		if ((listening->worker == worker || listening->worker == SOCKET_SHARED) &&
		    weir_address_is_equal(&listening->address, address))
			return listening;
	}
	return NULL;
}

static struct listening *add(struct socket_set *set, const struct weir_address *address,
			     unsigned worker, int fd)
{
	struct listening *listening = calloc(1, sizeof(*listening));

	if (listening == NULL)
		return NULL;
	listening->address = *address;
	listening->worker = worker;
	listening->fd = fd;
	weir_list_add_tail(&set->sockets, &listening->link);
	return listening;
}

/* The path goes first, so that no client meets a socket without a listener behind it. */
static void drop(struct listening *listening)
{
	if (weir_address_is_unix(&listening->address) && !listening->adopted &&
	    listening->address.un.sun_path[0] != '\0')
		unlink(listening->address.un.sun_path);
	close(listening->fd);
	weir_list_del(&listening->link);
	free(listening);
}

void socket_set_adopt(struct socket_set *set)
{
	struct weir_address address;
	struct listening *listening;
	int fd, n = sd_listen_fds(1);
	socklen_t size;

	for (fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
		size = sizeof(address.un);
		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
		    getsockname(fd, &address.sa, &size) < 0) {
			weir_log(WEIR_LOG_WARN, "socket activation", "not a listening socket",
				 WEIR_LOG_INT("fd", fd));
			continue;
		}
		address.size = size;
		listening = add(set, &address, SOCKET_SHARED, fd);
		if (listening != NULL)
			listening->adopted = true;
	}
}

/* With SO_REUSEPORT another program's listener would not be noticed: half of the clients would
 * be ours. So the first socket of an address must be able to have it alone. */
static int check_free(const struct weir_address *address)
{
	int fd, on = 1, off = 0, status = 0;

	fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (address->sa.sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0))
		status = -errno;
	else if (bind(fd, &address->sa, address->size) < 0 && errno == EADDRINUSE)
		status = -EADDRINUSE;
	close(fd);
	return status;
}

static int open_one(struct socket_set *set, const struct weir_address *address, unsigned worker,
		    int backlog, unsigned generation, struct weir_error *error)
{
	bool shared = worker == SOCKET_SHARED || set->workers == 1;
	struct listening *listening;
	int fd;

	/* When it is not free, the exclusive attempt says so in the listener's words. */
	if (!shared && worker == 0 && check_free(address) == -EADDRINUSE)
		shared = true;
	fd = weir_listen(address, backlog, !shared, error);
	if (fd < 0)
		return fd;
	listening = add(set, address, worker, fd);
	if (listening == NULL) {
		close(fd);
		return weir_error_set(error, -ENOMEM, "out of memory");
	}
	listening->created = generation;
	listening->used = generation;
	return 0;
}

int socket_set_open(struct socket_set *set, const struct weir_address *address, int backlog,
		    unsigned generation, struct weir_error *error)
{
	bool is_unix = weir_address_is_unix(address);
	struct listening *listening;
	unsigned i;
	int status = 0;

	for (i = 0; i < (is_unix ? 1 : set->workers) && status == 0; i++) {
		listening = find(set, address, i);
		if (listening != NULL)
			listening->used = generation;
		else
			status = open_one(set, address, is_unix ? SOCKET_SHARED : i, backlog,
					  generation, error);
	}
	return status;
}

int socket_set_find(const struct socket_set *set, const struct weir_address *address,
		    unsigned worker)
{
	const struct listening *listening = find(set, address, worker);

	return listening == NULL ? -1 : listening->fd;
}

void socket_set_keep(struct socket_set *set, unsigned generation)
{
	struct weir_list *link, *next;

	for (link = set->sockets.next; link != &set->sockets; link = next) {
		next = link->next;
		if (listening_of(link)->used != generation)
			drop(listening_of(link));
	}
}

void socket_set_drop(struct socket_set *set, unsigned generation)
{
	struct weir_list *link, *next;

	for (link = set->sockets.next; link != &set->sockets; link = next) {
		next = link->next;
		if (listening_of(link)->created == generation)
			drop(listening_of(link));
	}
}

void socket_set_close(struct socket_set *set)
{
	struct weir_list *link;

	while (!weir_list_is_empty(&set->sockets)) {
		link = set->sockets.next;
		drop(listening_of(link));
	}
}
