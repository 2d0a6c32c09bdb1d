/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_CLIENT_H
#define WEIRCTL_CLIENT_H

/*
 * One question to the daemon, over a Unix socket, blocking.
 */

#include "tools/weirctl/response.h"

enum client_step { CLIENT_CONNECT, CLIENT_SEND, CLIENT_READ };

/* Asks METHOD TARGET at the socket at PATH and waits for the whole answer. 0, or -errno, -EPROTO,
 * -E2BIG with what was tried in *STEP. RESPONSE is initialised here; fini it in every case. */
int client_ask(const char *path, const char *method, const char *target, struct response *response,
	       enum client_step *step) WEIR_MUST_CHECK;

#endif
