/* SPDX-License-Identifier: MIT */
/*
 * respond: a fixed answer. Its text belongs to the service, which outlives all its calls, so
 * nothing is copied.
 */

#include <weir/respond.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct respond {
	struct weir_http_service svc;
	struct weir_arena arena; /* of all text */
	unsigned status;
	struct weir_text body;
	struct weir_header *fields; /* name and value */
	size_t n;
};

static int respond_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct respond *respond = weir_container_of(svc, struct respond, svc);
	struct weir_response *response = &call->response;
	size_t i;
	int status = 0;

	weir_call_reset_response(call);
	response->status = respond->status;
	for (i = 0; i < respond->n && status == 0; i++)
		status = weir_headers_add(&response->headers, respond->fields[i].name,
					  respond->fields[i].value);
	if (status < 0 || weir_status_is_bodiless(respond->status))
		return status;
	if (call->request.method == WEIR_METHOD_HEAD) {
		response->announced = respond->body.size;
		return 0;
	}
	response->body = weir_text_body(&call->arena, respond->body);
	return response->body ? 0 : -ENOMEM;
}

static void respond_free(struct weir_http_service *svc)
{
	struct respond *respond = weir_container_of(svc, struct respond, svc);

	weir_arena_fini(&respond->arena);
	free(respond);
}

static const struct weir_http_ops respond_ops = {
	.name = "respond",
	.handle = respond_handle,
	.free = respond_free,
};

/* ---- making ------------------------------------------------------------------------------- */

static int check_field(const struct weir_respond_field *field, struct weir_error *error)
{
	struct weir_text name = weir_text_of(field->name);

	if (!weir_header_is_valid(name, weir_text_of(field->value))) {
		weir_error_remedy(error, "write a token as name, and no control characters");
		return weir_error_set(error, WEIR_ECONFIG, "\"%.100s\" is no header field",
				      field->name);
	}
	switch (weir_header_id(name)) {
	case WEIR_HEADER_CONNECTION:
	case WEIR_HEADER_CONTENT_LENGTH:
	case WEIR_HEADER_KEEP_ALIVE:
	case WEIR_HEADER_TRANSFER_ENCODING:
	case WEIR_HEADER_UPGRADE:
		weir_error_remedy(error, "remove it");
		return weir_error_set(error, WEIR_ECONFIG,
				      "header field \"%.100s\" is Weir's to write", field->name);
	default:
		return 0;
	}
}

static int respond_check(const struct weir_respond_conf *conf, struct weir_error *error)
{
	unsigned status = conf->status == 0 ? 200 : conf->status;
	size_t i;

	if (status < 200 || status > 599) {
		weir_error_remedy(error, "write 200 to 599");
		return weir_error_set(error, WEIR_ECONFIG, "status %u cannot be answered", status);
	}
	if (weir_status_is_bodiless(status) && conf->body && *conf->body) {
		weir_error_remedy(error, "remove the body");
		return weir_error_set(error, WEIR_ECONFIG, "responses with status %u have no body",
				      status);
	}
	for (i = 0; i < conf->n_fields; i++) {
		if (check_field(&conf->fields[i], error) < 0)
			return WEIR_ECONFIG;
	}
	return 0;
}

static int add_field(struct respond *respond, const char *name, const char *value)
{
	struct weir_header *field = &respond->fields[respond->n];

	field->name = weir_text_of(weir_arena_strdup(&respond->arena, name));
	field->value = weir_text_of(weir_arena_strdup(&respond->arena, value));
	if (!field->name.data || !field->value.data)
		return -ENOMEM;
	respond->n++;
	return 0;
}

static bool has_type(const struct weir_respond_conf *conf)
{
	size_t i;

	for (i = 0; i < conf->n_fields; i++) {
		if (weir_header_id(weir_text_of(conf->fields[i].name)) == WEIR_HEADER_CONTENT_TYPE)
			return true;
	}
	return false;
}

static int respond_copy(struct respond *respond, const struct weir_respond_conf *conf)
{
	const char *type = conf->type;
	size_t i;
	int status = 0;

	respond->fields =
		weir_arena_zalloc(&respond->arena, (conf->n_fields + 1) * sizeof(*respond->fields));
	respond->body =
		weir_text_of(weir_arena_strdup(&respond->arena, conf->body ? conf->body : ""));
	if (!respond->fields || !respond->body.data)
		return -ENOMEM;
	if (!type && respond->body.size > 0 && !has_type(conf))
		type = "text/plain; charset=utf-8";
	if (type)
		status = add_field(respond, "Content-Type", type);
	for (i = 0; i < conf->n_fields && status == 0; i++)
		status = add_field(respond, conf->fields[i].name, conf->fields[i].value);
	return status;
}

struct weir_http_service *weir_http_respond(const struct weir_respond_conf *conf,
					    struct weir_error *error)
{
	struct respond *respond;

	if (respond_check(conf, error) < 0)
		return NULL;
	respond = calloc(1, sizeof(*respond));
	if (!respond)
		goto err_memory;
	respond->svc.ops = &respond_ops;
	respond->status = conf->status == 0 ? 200 : conf->status;
	weir_arena_init(&respond->arena, 0);
	if (respond_copy(respond, conf) < 0)
		goto err_memory;
	return &respond->svc;
err_memory:
	if (respond)
		respond_free(&respond->svc);
	weir_error_set(error, -ENOMEM, "out of memory");
	return NULL;
}
