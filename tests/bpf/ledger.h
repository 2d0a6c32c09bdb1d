/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_LEDGER_H
#define WEIR_TEST_LEDGER_H

/*
 * The kernel's account of a socket's memory when the socket ends. Where two CPUs have counted at
 * once without the socket's lock, something is left. The kernel finds out when it frees the socket
 * (inet_sock_destruct), but warns once a boot; the ledger tells every time, by a program at the
 * tracepoints kmem:kmem_cache_free and tcp:tcp_destroy_sock.
 */

/* Loads and attaches the program; once a process. 0 or -errno: then nothing is watched. */
int ledger_open(void);

/* From now on the socket FD counts. */
void ledger_watch(int fd);

/* Watched sockets that the kernel has freed, ever. */
unsigned long ledger_gone(void);

/* Waits a moment until all watched sockets are freed, and tells how many were miscounted since the
 * last call; what was left of the last one goes to stderr. */
int ledger_uneven(void);

#endif
