/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_TLS_SCENE_H
#define TESTS_UNIT_TLS_SCENE_H

/*
 * A server that speaks TLS by OpenSSL alone (tls_peer.h) and a client that speaks it by the library,
 * each a task, with a pair of streams between them.
 */

#include <weir/scope.h>
#include <weir/tls_client.h>
#include <weir/tls_stream.h>

#include "tls_peer.h"

/* Certificates of all tests of a program, made once; files of them. */
struct tls_world {
	struct tls_identity authority, stranger; /* the client trusts the first one */
	struct tls_identity server;		 /* for localhost and 127.0.0.1 */
	struct tls_identity expired;
	struct tls_identity unknown; /* of the stranger */
	struct tls_identity client;
	char ca_path[64];
	char client_path[64]; /* certificate and key */
};
extern struct tls_world tls_world;

/* As cmocka's group fixtures. */
int tls_world_open(void **state);
int tls_world_close(void **state);

struct tls_scene {
	/* What the test sets; zero is an ordinary handshake over memory streams. */
	size_t capacity;		   /* of the memory streams; 0: theirs */
	bool tcp;			   /* real sockets instead */
	const struct tls_identity *server; /* NULL: tls_world.server */
	const char *name;		   /* NULL: "localhost" */
	struct weir_tls_client_conf conf;  /* ca_file NULL and not insecure: tls_world.ca_path */
	void (*prepare)(struct tls_scene *scene);   /* the peer, before its handshake */
	void (*at_peer)(struct tls_scene *scene);   /* after it; NULL: reads to the end */
	void (*at_client)(struct tls_scene *scene); /* likewise; NULL: nothing */
	uint64_t timeout_ms;			    /* of the client's task; 0: none */

	/* What came of it. */
	struct tls_peer peer;
	bool accepted;
	int alert;		    /* if not: OpenSSL's reason */
	struct weir_stream *stream; /* the client's; NULL: closed, or never opened */
	int status;		    /* of connecting */
	struct weir_error error;
};

/* Plays it on a loop of its own, or within a task. */
void tls_scene_run(struct tls_scene *scene);
void tls_scene_play(struct tls_scene *scene);

#endif
