/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_HTTP_RIG_H
#define TESTS_UNIT_HTTP_RIG_H

/*
 * Calls without sockets: a test makes one of text, has it handled by a stack whose innermost
 * service is a script, and reads the answer as a server would.
 */

#include <weir/buffer.h>
#include <weir/call.h>
#include <weir/metrics.h>

#include "stage.h"

/* A body of pieces. An empty one: nothing is ready, until somebody waits. */
struct rig_body {
	struct weir_body body;
	const char *const *pieces; /* NULL after the last */
	int end;		   /* after them: 0, or an error */
	unsigned asked;		   /* how often */
	unsigned freed;
};
struct weir_body *rig_body_init(struct rig_body *body, const char *const *pieces, uint64_t size);

struct rig_call {
	struct weir_call call;
	struct weir_conn conn;
	struct rig_body request_body;
	struct weir_buffer text; /* of the response's body */
	int status;		 /* what the stack said */
	int end;		 /* how the response's body ended */
};

/* LINE is "GET /path" or "GET http://host/path"; FIELDS "Name: value", NULL after the last, or
 * NULL. The client is 192.0.2.1, or what CLIENT says. In a task. */
void rig_call_init(struct rig_call *rig, const char *line, const char *const *fields,
		   const char *client);
/* A request's body whose length is announced, or (CHUNKED) not. */
void rig_call_body(struct rig_call *rig, const char *const *pieces, bool chunked);
/* Handles the call; an error becomes an answer, as the server has it. Returns the status code. */
unsigned rig_call_handle(struct rig_call *rig, struct weir_http_service *svc);
/* Reads the response's body to its end and terminates it. */
const char *rig_call_text(struct rig_call *rig);
/* The value of a field of the response, "" when there is none; several are joined by "|". */
const char *rig_call_field(struct rig_call *rig, const char *name);
void rig_call_fini(struct rig_call *rig);

/* All of it, for a test that needs the status code alone. */
unsigned rig_ask(struct weir_http_service *svc, const char *line, const char *const *fields);

/* The innermost service. What is not said is a 200 without body. */
struct rig_script {
	struct weir_http_service svc;
	int error; /* returned in place of an answer */
	unsigned status;
	const char *const *fields; /* of the response, NULL after the last; may be NULL */
	const char *const *pieces; /* of the body; NULL: none */
	bool unknown;		   /* the body's length is not announced */
	bool reads;		   /* reads the request's body first, into seen_body */
	struct weir_event *waits;  /* for this, if it is not NULL */
	/* Called first, if it is not NULL. */
	void (*hook)(struct rig_script *script, struct weir_call *call);
	unsigned served;	/* calls */
	unsigned freed;		/* of the service itself */
	struct rig_body body;	/* the last one */
	char seen_fields[1024]; /* of the last request, "Name: value\n" each */
	char seen_target[256];	/* of the last request: "GET http://host/path?query" */
	char seen_body[1024];
};
struct weir_http_service *rig_script_init(struct rig_script *script);

/* Runs FN as a task of a loop of its own. For cmocka: asserts inside fail the test. */
void rig_calls_run(int (*fn)(void *arg), void *arg);

#endif
