/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_SOCKET_SET_H
#define WEIR_DAEMON_SOCKET_SET_H

/*
 * The listening sockets of the process, keyed by address and worker. A configuration that
 * keeps a listener keeps its sockets, so nothing that waits in their backlogs is lost. TCP
 * sockets are one a worker (SO_REUSEPORT); Unix sockets and those handed over by a service
 * manager are shared by all workers. A keeper holds them too, for the daemon after this one.
 */

#include <stdbool.h>

#include <weir/address.h>
#include <weir/error.h>
#include <weir/list.h>

/* As a worker: */
#define SOCKET_SHARED  0x7fffffffu /* all of them */
#define SOCKET_CONTROL 0x7ffffffeu /* the control loop: admin */

struct keeper_link;
struct wire_entry;

struct socket_set {
	struct weir_list sockets;
	unsigned workers;
	struct keeper_link *link; /* borrowed */
};

void socket_set_init(struct socket_set *set, unsigned workers, struct keeper_link *link);
/* Takes in what a service manager handed over (LISTEN_FDS). */
void socket_set_adopt(struct socket_set *set);
/* Takes in one listener that the keeper holds; FD is taken over. */
void socket_set_adopt_held(struct socket_set *set, const struct wire_entry *entry, int fd);
/* Opens, or finds, the sockets of all workers for ADDRESS and marks them with GENERATION.
 * 0 or -errno with ERROR. */
int socket_set_open(struct socket_set *set, const struct weir_address *address, int backlog,
		    unsigned generation, struct weir_error *error) WEIR_MUST_CHECK;
/* The descriptor for one worker; -1 when there is none. */
int socket_set_find(const struct socket_set *set, const struct weir_address *address,
		    unsigned worker);
/* Closes what GENERATION does not use. */
void socket_set_keep(struct socket_set *set, unsigned generation);
/* Closes what only GENERATION uses: it did not start. */
void socket_set_drop(struct socket_set *set, unsigned generation);
void socket_set_close(struct socket_set *set);
/* Closes this process's descriptors; another daemon goes on with the sockets. */
void socket_set_leave(struct socket_set *set);
/* The same with what the keeper held before this process; what it has opened itself is closed. */
void socket_set_abandon(struct socket_set *set);

/* Opens, or finds, the one socket for ADDRESS of the control loop. The descriptor (the set's),
 * or -errno with ERROR. */
int socket_set_open_control(struct socket_set *set, const struct weir_address *address, int backlog,
			    struct weir_error *error) WEIR_MUST_CHECK;
/* Closes it. Harmless when it is gone. */
void socket_set_close_control(struct socket_set *set, const struct weir_address *address);

#endif
