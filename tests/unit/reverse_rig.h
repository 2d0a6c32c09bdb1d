/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_REVERSE_RIG_H
#define WEIR_TESTS_REVERSE_RIG_H

/* A reverse proxy service in front of origins that follow scripts, and trips to it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/metrics.h>
#include <weir/reverse.h>

#include "loopback.h"
#include "origin.h"

#define ORIGINS	     3
#define OK	     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define SAYS(status) "HTTP/1.1 " status " Said\r\nContent-Length: 3\r\n\r\nbad"

struct reverse_rig {
	struct origin origins[ORIGINS];
	struct weir_endpoint_conf endpoints[ORIGINS];
	struct weir_upstream_conf group;
	struct weir_upstream *upstream;
	struct weir_reverse_conf conf;
	struct weir_http_service *svc;
	struct weir_metrics *metrics;
	size_t n;
};

void reverse_rig_init(struct reverse_rig *rig, size_t n);
void reverse_rig_open(struct reverse_rig *rig);
/* Every place was given back. */
void reverse_rig_close(struct reverse_rig *rig);
struct weir_endpoint_info reverse_rig_endpoint(struct reverse_rig *rig, size_t i);
/* A counter, as people read it. */
int64_t reverse_rig_counted(struct reverse_rig *rig, const char *family, const char *label);

/* What a call is, and what has come of it. */
struct trip {
	const char *method; /* GET */
	const char *body;
	const char *cookie;
	int status;
	int body_status;
	unsigned code;
	unsigned attempts;
	unsigned port;
	const char *why;
	char text[200];
	char set_cookie[200];
};

void trip_run(struct reverse_rig *rig, struct trip *trip);
/* A GET. */
struct trip trip_get(struct reverse_rig *rig);

/* A trip in a task of its own. */
struct guest {
	struct reverse_rig *rig;
	struct trip trip;
};
int guest_run(void *arg);

#endif
