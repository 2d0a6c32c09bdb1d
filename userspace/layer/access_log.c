/* SPDX-License-Identifier: MIT */
/*
 * access_log: one line a connection, when it has ended. To the process log, or to a file of its
 * own, which all stacks of the process that name the same path share.
 */

#include <weir/layer.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "layer/log_file.h"

#define LINE_BYTES 4096

void weir_access_log_reopen(void)
{
	log_file_reopen_all();
}

struct access_log {
	struct weir_service svc;
	struct log_file *file; /* counted; NULL: the process log */
	enum weir_log_format format;
};

/* The text of an address, or NULL: the field is left out. */
static const char *address_text(const struct weir_address *address, char *text)
{
	return address->size > 0 ? weir_address_format(address, text) : NULL;
}

static const struct weir_address *conn_local(struct weir_conn *conn)
{
	return conn->local.size > 0 ? &conn->local : weir_stream_local(conn->stream);
}

/* Has a frame of its own, which is not there while the connection lives. */
static __attribute__((noinline)) void access_log_line(const struct access_log *log,
						      struct weir_conn *conn, int status)
{
	const struct weir_loop *loop = weir_loop_current();
	double ms = (double)(weir_loop_now(loop) - conn->started_ns) / 1e6;
	char client[WEIR_ADDRESS_TEXT], local[WEIR_ADDRESS_TEXT], endpoint[WEIR_ADDRESS_TEXT];
	bool connected = conn->result.connect_ns > 0;
	char object[32];
	/* A path means something only of what was connected. */
	const struct weir_log_field fields[] = {
		WEIR_LOG_UINT("id", conn->id),
		WEIR_LOG_STR("listener", conn->listener),
		WEIR_LOG_STR("client", address_text(&conn->peer, client)),
		WEIR_LOG_STR("local", address_text(conn_local(conn), local)),
		WEIR_LOG_STR("upstream", conn->result.upstream),
		WEIR_LOG_STR("endpoint", address_text(&conn->result.endpoint, endpoint)),
		WEIR_LOG_STR("path", connected ? weir_path_name(conn->result.path) : NULL),
		WEIR_LOG_STR("why", connected ? conn->result.why : NULL),
		WEIR_LOG_UINT("bytes_up", conn->result.bytes_up),
		WEIR_LOG_UINT("bytes_down", conn->result.bytes_down),
		WEIR_LOG_UINT("attempts", conn->result.attempts),
		WEIR_LOG_DOUBLE("connect_ms", (double)conn->result.connect_ns / 1e6),
		WEIR_LOG_DOUBLE("duration_ms", ms),
		WEIR_LOG_STR("end", weir_end_name(conn->result.end)),
		WEIR_LOG_STR("status", weir_error_name(status)),
	};
	char *line;
	size_t size;

	snprintf(object, sizeof(object), "conn %llu", (unsigned long long)conn->id);
	if (!log->file) {
		weir_log_write(WEIR_LOG_INFO, object, "ended", fields, WEIR_ARRAY_SIZE(fields));
		return;
	}
	line = weir_loop_scratch(weir_loop_current());
	size = weir_log_format_line(log->format, WEIR_LOG_INFO, object, "ended", fields,
				    WEIR_ARRAY_SIZE(fields), line, LINE_BYTES);
	log_file_write(log->file, line, size);
}

static int access_log_serve(struct weir_service *svc, struct weir_conn *conn)
{
	const struct access_log *log = weir_container_of(svc, struct access_log, svc);
	int status = weir_serve(svc->inner, conn);

	/* One line a connection: whoever has it at its end writes it. */
	if (conn->result.end == WEIR_END_MOVED)
		return status;
	if (log->file || weir_log_enabled(WEIR_LOG_INFO))
		access_log_line(log, conn, status);
	return status;
}

static void access_log_free(struct weir_service *svc)
{
	struct access_log *log = weir_container_of(svc, struct access_log, svc);

	log_file_put(log->file);
	free(log);
}

static const struct weir_service_ops access_log_ops = {
	.name = "access_log",
	.needs = WEIR_NEEDS_NOTHING,
	.resumes = true,
	.serve = access_log_serve,
	.free = access_log_free,
};

struct weir_service *weir_access_log_layer(struct weir_service *inner,
					   const struct weir_access_log_conf *conf,
					   struct weir_error *error)
{
	struct access_log *log = NULL;

	if (!inner)
		goto err;
	log = calloc(1, sizeof(*log));
	if (!log) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto err;
	}
	log->svc = (struct weir_service){ .ops = &access_log_ops, .inner = inner };
	log->format = conf->format;
	if (log_file_configure(conf->path, &log->file, error))
		goto err;
	return &log->svc;
err:
	free(log);
	weir_service_free(inner);
	return NULL;
}
