/* SPDX-License-Identifier: MIT */

#include "daemon/socket_set.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <weir/listener.h>
#include <weir/log.h>

#include "daemon/keeper_link.h"

#define USED_BY_CONTROL UINT_MAX

struct listening {
	struct weir_list link;
	struct weir_address address;
	unsigned worker; /* or SOCKET_SHARED, SOCKET_CONTROL */
	int fd;
	bool held;	  /* by the keeper, before this process */
	bool adopted;	  /* the service manager's: its path is not ours to remove */
	unsigned created; /* by which generation; 0: adopted */
	unsigned used;	  /* by which generation last */
};

void socket_set_init(struct socket_set *set, unsigned workers, struct keeper_link *link)
{
	weir_list_init(&set->sockets);
	set->workers = workers;
	set->link = link;
}

static struct listening *listening_of(struct weir_list *link)
{
	return weir_container_of(link, struct listening, link);
}

static bool is_for(const struct listening *listening, unsigned worker)
{
	return listening->worker == worker ||
	       (listening->worker == SOCKET_SHARED && worker != SOCKET_CONTROL);
}

static struct listening *find(const struct socket_set *set, const struct weir_address *address,
			      unsigned worker)
{
	struct weir_list *link;
	struct listening *listening;

	for (link = set->sockets.next; link != &set->sockets; link = link->next) {
		listening = listening_of(link);
		if (is_for(listening, worker) &&
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

/* What the service manager opened and no listener serves: clients would wait in vain. */
static void say_unused(const struct listening *listening)
{
	char address[WEIR_ADDRESS_TEXT];

	weir_address_format(&listening->address, address);
	weir_log(WEIR_LOG_WARN, "socket activation", "no listener has this address; it is closed",
		 WEIR_LOG_STR("address", address));
}

static void forget(struct listening *listening)
{
	close(listening->fd);
	weir_list_del(&listening->link);
	free(listening);
}

/* The path goes first, so that no client meets a socket without a listener behind it. */
static void drop(struct socket_set *set, struct listening *listening)
{
	if (weir_address_is_unix(&listening->address) && !listening->adopted &&
	    listening->address.un.sun_path[0] != '\0')
		unlink(listening->address.un.sun_path);
	keeper_link_drop_listener(set->link, listening->fd);
	forget(listening);
}

/* ---- what was open before ----------------------------------------------------------------- */

static struct listening *adopt(struct socket_set *set, unsigned worker, int fd)
{
	struct weir_address address;
	socklen_t size = sizeof(address.un);

	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
	    getsockname(fd, &address.sa, &size) < 0) {
		weir_log(WEIR_LOG_WARN, "socket activation", "not a listening socket",
			 WEIR_LOG_INT("fd", fd));
		return NULL;
	}
	address.size = size;
	return add(set, &address, worker, fd);
}

/* A socket that was made for the only worker cannot have another one beside it. */
static bool is_alone(int fd)
{
	int on = 0;
	socklen_t size = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &size) < 0 || !on;
}

void socket_set_adopt_held(struct socket_set *set, const struct wire_entry *entry, int fd)
{
	unsigned worker = entry->tag & ~WIRE_TAG_MANAGER;
	bool of_manager = entry->tag & WIRE_TAG_MANAGER;
	struct listening *listening;

	if (of_manager || (worker != SOCKET_CONTROL && is_alone(fd)))
		worker = SOCKET_SHARED;
	listening = adopt(set, worker, fd);
	if (listening == NULL) {
		close(fd);
		return;
	}
	listening->held = true;
	listening->adopted = of_manager;
}

void socket_set_adopt(struct socket_set *set)
{
	struct listening *listening;
	int fd, n = sd_listen_fds(1);

	for (fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
		listening = adopt(set, SOCKET_SHARED, fd);
		if (listening != NULL)
			listening->adopted = true;
	}
}

/* ---- opening ------------------------------------------------------------------------------ */

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
	keeper_link_hold_listener(set->link, fd, worker);
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
		if (listening_of(link)->used == generation ||
		    listening_of(link)->used == USED_BY_CONTROL)
			continue;
		if (listening_of(link)->adopted && listening_of(link)->used == 0)
			say_unused(listening_of(link));
		drop(set, listening_of(link));
	}
}

void socket_set_drop(struct socket_set *set, unsigned generation)
{
	struct weir_list *link, *next;

	for (link = set->sockets.next; link != &set->sockets; link = next) {
		next = link->next;
		if (listening_of(link)->created == generation)
			drop(set, listening_of(link));
	}
}

void socket_set_close(struct socket_set *set)
{
	struct weir_list *link;

	while (!weir_list_is_empty(&set->sockets)) {
		link = set->sockets.next;
		drop(set, listening_of(link));
	}
}

void socket_set_leave(struct socket_set *set)
{
	while (!weir_list_is_empty(&set->sockets))
		forget(listening_of(set->sockets.next));
}

void socket_set_abandon(struct socket_set *set)
{
	struct weir_list *link, *next;

	for (link = set->sockets.next; link != &set->sockets; link = next) {
		next = link->next;
		if (!listening_of(link)->held)
			drop(set, listening_of(link));
	}
	socket_set_leave(set);
}

/* ---- the control loop's ------------------------------------------------------------------- */

int socket_set_open_control(struct socket_set *set, const struct weir_address *address, int backlog,
			    struct weir_error *error)
{
	struct listening *listening = find(set, address, SOCKET_CONTROL);
	int fd;

	if (listening != NULL) {
		listening->used = USED_BY_CONTROL;
		return listening->fd;
	}
	fd = weir_listen(address, backlog, false, error);
	if (fd < 0)
		return fd;
	listening = add(set, address, SOCKET_CONTROL, fd);
	if (listening == NULL) {
		close(fd);
		return weir_error_set(error, -ENOMEM, "out of memory");
	}
	listening->used = USED_BY_CONTROL;
	keeper_link_hold_listener(set->link, fd, SOCKET_CONTROL);
	return fd;
}

void socket_set_close_control(struct socket_set *set, const struct weir_address *address)
{
	struct listening *listening = find(set, address, SOCKET_CONTROL);

	if (listening != NULL)
		drop(set, listening);
}
