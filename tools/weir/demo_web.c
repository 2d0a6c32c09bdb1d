/* SPDX-License-Identifier: MIT */
/*
 * The demo's web origin: one page for whatever is asked. It looks for the end of a request's
 * head and for nothing else, which is enough for a browser or curl.
 */

#include "tools/weir/demo_web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>

#define HEAD_MAX 16384

static const char page[] = "<!doctype html><title>Weir</title>\n"
			   "<h1>It flows.</h1>\n"
			   "<p>This page came through Weir.</p>\n";

/* Answers the complete heads in BUFFER. 0 or a negative status. */
static int answer(struct weir_stream *stream, struct weir_buffer *buffer)
{
	char response[512];
	const char *end;
	int size, status = 0;

	size = snprintf(response, sizeof(response),
			"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			sizeof(page) - 1, page);
	while (status == 0 && weir_buffer_size(buffer) > 0) {
		end = memmem(weir_buffer_head(buffer), weir_buffer_size(buffer), "\r\n\r\n", 4);
		if (end == NULL)
			break;
		weir_buffer_consume(buffer, (size_t)(end - weir_buffer_head(buffer)) + 4);
		status = weir_stream_write(stream, response, (size_t)size);
	}
	return status;
}

static int web_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct weir_buffer buffer = { 0 };
	ssize_t n = 0;
	int status = 0;

	(void)svc;
	while (status == 0 && weir_buffer_size(&buffer) < HEAD_MAX) {
		status = weir_buffer_reserve(&buffer, 2048);
		if (status < 0)
			break;
		n = weir_stream_read(conn->stream, weir_buffer_tail(&buffer), 2048);
		if (n <= 0)
			break;
		weir_buffer_commit(&buffer, (size_t)n);
		status = answer(conn->stream, &buffer);
	}
	weir_buffer_fini(&buffer);
	return status < 0 ? status : (int)WEIR_MIN(n, 0);
}

static void web_free(struct weir_service *svc)
{
	free(svc);
}

static const struct weir_service_ops web_ops = {
	.name = "demo web",
	.needs = WEIR_NEEDS_ALL_BYTES,
	.serve = web_serve,
	.free = web_free,
};

struct weir_service *demo_web_service(void)
{
	struct weir_service *svc = calloc(1, sizeof(*svc));

	if (svc != NULL)
		svc->ops = &web_ops;
	return svc;
}
