/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_CLIENT_H
#define WEIRCTL_CLIENT_H

/*
 * One question to the daemon, over a Unix socket; returns when it is answered.
 */

#include <weir/base.h>
#include <weir/buffer.h>

#define CLIENT_BODY_MAX ((size_t)64 << 20)

struct response {
	int status; /* 200 and so on */
	struct weir_buffer body;
};

void response_fini(struct response *response);

enum client_step { CLIENT_CONNECT, CLIENT_READ };

/* Asks METHOD TARGET at the socket at PATH and waits for the whole answer. 0, or -errno,
 * WEIR_EPROTO, WEIR_ELIMIT (more than CLIENT_BODY_MAX) with what was tried in *STEP. RESPONSE is
 * initialised here; fini it in every case. */
int client_ask(const char *path, const char *method, const char *target, struct response *response,
	       enum client_step *step) WEIR_MUST_CHECK;

#endif
