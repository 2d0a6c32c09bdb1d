/* SPDX-License-Identifier: MIT */
/*
 * access_log of calls: one line when the last byte of the response is gone, or the call has broken
 * off. What the client asked for is remembered before routers rewrite it; everything that it sent
 * is escaped. Files are those of layer/log_file.c: one append a round, no lock, shared by path.
 */

#include <weir/http_layer.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/log.h>
#include <weir/loop.h>

#include "layer/http_answer.h"
#include "layer/http_template.h"
#include "layer/log_file.h"

#define LINE_BYTES 8192

#define COMBINED                                                                            \
	"{client} - {user} [{log_time}] \"{method} {target} {protocol}\" {status} {bytes} " \
	"\"{request.Referer}\" \"{request.User-Agent}\" {duration}"

struct access_log {
	struct weir_http_service svc;
	struct log_file *file;	    /* counted; NULL: the process log */
	struct log_batch batch;	    /* for the file */
	struct http_template *line; /* NULL: fields, as JSON in a file */
};

/* What is remembered of a call, in its arena. */
struct entry {
	struct access_log *log;
	struct http_asked asked;
};

static const char *call_string(struct weir_call *call, struct weir_text text)
{
	return text.data ? weir_arena_strndup(&call->arena, text.data, text.size) : NULL;
}

static const char *address_string(struct weir_call *call, const struct weir_address *address)
{
	char text[WEIR_ADDRESS_TEXT];

	if (!address || address->size == 0)
		return NULL;
	return weir_arena_strdup(&call->arena, weir_address_format(address, text));
}

static const char *header_string(struct weir_call *call, enum weir_header_id id)
{
	return call_string(call, weir_headers_value(&call->request.headers, id));
}

static void access_log_fields(struct access_log *log, struct weir_call *call,
			      const struct http_asked *asked)
{
	const struct weir_log_field fields[] = {
		WEIR_LOG_UINT("id", call->id),
		WEIR_LOG_STR("request_id",
			     weir_extension_find(&call->extensions, &weir_http_request_id_key)),
		WEIR_LOG_STR("listener", call->conn ? call->conn->listener : NULL),
		WEIR_LOG_STR("client", address_string(call, http_client(call))),
		WEIR_LOG_STR("user", weir_extension_find(&call->extensions, &weir_http_user_key)),
		WEIR_LOG_STR("method", call_string(call, asked->method)),
		WEIR_LOG_STR("host", call_string(call, asked->authority)),
		WEIR_LOG_STR("path", call_string(call, asked->path)),
		WEIR_LOG_STR("query", call_string(call, asked->query)),
		WEIR_LOG_UINT("status", call->response.status),
		WEIR_LOG_STR("why", call->result.why),
		WEIR_LOG_STR("error",
			     call->result.status ? weir_error_name(call->result.status) : NULL),
		WEIR_LOG_UINT("request_bytes", call->result.request_bytes),
		WEIR_LOG_UINT("bytes", call->result.response_bytes),
		WEIR_LOG_STR("route", call->result.route),
		WEIR_LOG_STR("upstream", call->result.upstream),
		WEIR_LOG_STR("endpoint", address_string(call, &call->result.endpoint)),
		WEIR_LOG_UINT("attempts", call->result.attempts),
		WEIR_LOG_DOUBLE("first_byte_ms", (double)call->result.first_byte_ns / 1e6),
		WEIR_LOG_DOUBLE("duration_ms", (double)(weir_now() - call->started_ns) / 1e6),
		WEIR_LOG_STR("referer", header_string(call, WEIR_HEADER_REFERER)),
		WEIR_LOG_STR("user_agent", header_string(call, WEIR_HEADER_USER_AGENT)),
	};
	char object[32];
	char *line;
	size_t size;

	snprintf(object, sizeof(object), "call %llu", (unsigned long long)call->id);
	if (!log->file) {
		weir_log_write(WEIR_LOG_INFO, object, "ended", fields, WEIR_ARRAY_SIZE(fields));
		return;
	}
	line = weir_loop_scratch(weir_loop_current());
	size = weir_log_format_line(WEIR_LOG_JSON, WEIR_LOG_INFO, object, "ended", fields,
				    WEIR_ARRAY_SIZE(fields), line, LINE_BYTES);
	log_batch_add(&log->batch, line, size);
}

static void access_log_line(struct access_log *log, struct weir_call *call,
			    const struct http_asked *asked)
{
	char *line = weir_loop_scratch(weir_loop_current());
	size_t size;

	size = http_template_write(log->line, call, asked, HTTP_ESCAPE_LOG, line, LINE_BYTES - 1);
	if (log->file) {
		line[size++] = '\n';
		log_batch_add(&log->batch, line, size);
		return;
	}
	line[size] = '\0';
	weir_log(WEIR_LOG_INFO, "access log", line);
}

static void access_log_on_end(struct weir_call *call, void *ctx)
{
	struct entry *entry = ctx;

	if (entry->log->line)
		access_log_line(entry->log, call, &entry->asked);
	else
		access_log_fields(entry->log, call, &entry->asked);
}

static int access_log_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct access_log *log = weir_container_of(svc, struct access_log, svc);
	struct entry *entry;

	if (!log->file && !weir_log_enabled(WEIR_LOG_INFO))
		return weir_handle(svc->inner, call);
	entry = weir_arena_alloc(&call->arena, sizeof(*entry));
	if (!entry || weir_call_defer(call, access_log_on_end, entry))
		return -ENOMEM;
	entry->log = log;
	http_asked_set(&entry->asked, &call->request);
	return weir_handle(svc->inner, call);
}

static void access_log_free(struct weir_http_service *svc)
{
	struct access_log *log = weir_container_of(svc, struct access_log, svc);

	log_batch_fini(&log->batch);
	log_file_put(log->file);
	http_template_free(log->line);
	free(log);
}

static const struct weir_http_ops access_log_ops = {
	.name = "access_log",
	.handle = access_log_handle,
	.free = access_log_free,
};

static int access_log_configure(struct access_log *log,
				const struct weir_http_access_log_conf *conf,
				struct weir_error *error)
{
	bool has_template = conf->format == WEIR_HTTP_LOG_TEMPLATE;
	int status;

	log_batch_init(&log->batch);
	if (has_template != (conf->line != NULL))
		return http_layer_refuse(error, "give a template with the template format alone",
					 has_template ? "the access log's template is missing"
						      : "this format has no template");
	if (conf->format != WEIR_HTTP_LOG_JSON) {
		log->line = http_template_new(has_template ? conf->line : COMBINED,
					      "the access log's template", error);
		if (!log->line)
			return WEIR_ECONFIG;
	}
	status = log_file_configure(conf->path, &log->file, error);
	log->batch.file = log->file;
	return status;
}

struct weir_http_service *weir_http_access_log_layer(struct weir_http_service *inner,
						     const struct weir_http_access_log_conf *conf,
						     struct weir_error *error)
{
	struct access_log *log = http_layer_new(sizeof(*log), &access_log_ops, inner, error);

	if (!log)
		return NULL;
	return http_layer_done(&log->svc, access_log_configure(log, conf, error));
}
