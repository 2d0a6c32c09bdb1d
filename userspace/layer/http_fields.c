/* SPDX-License-Identifier: MIT */
/*
 * fields: sets, adds and removes header fields of requests and responses. Fields that frame a
 * message, or lead it, are not for it: the writer and the router own them.
 */

#include <weir/http_layer.h>

#include <errno.h>
#include <stdlib.h>

#include "layer/http_answer.h"
#include "layer/http_template.h"

struct change {
	enum weir_http_field_verb verb;
	bool response;
	struct weir_text name;
	struct http_template *value; /* owned; NULL of a removal */
};

struct fields {
	struct weir_http_service svc;
	struct weir_arena arena;
	bool dresses; /* some change is of the response */
	size_t n;
	struct change *changes;
};

static int change_apply(const struct change *change, struct weir_call *call,
			struct weir_headers *headers)
{
	struct weir_text value;

	if (change->verb == WEIR_HTTP_FIELD_REMOVE) {
		weir_headers_del(headers, change->name);
		return 0;
	}
	if (change->verb == WEIR_HTTP_FIELD_DEFAULT &&
	    weir_headers_find(headers, change->name, NULL))
		return 0;
	value = http_template_text(change->value, call, HTTP_ESCAPE_FIELD);
	if (!value.data)
		return -ENOMEM;
	value = weir_text_trim(value);
	if (change->verb == WEIR_HTTP_FIELD_SET)
		return weir_headers_set(headers, change->name, value);
	return weir_headers_add(headers, change->name, value);
}

static int fields_apply(const struct fields *fields, struct weir_call *call, bool response)
{
	struct weir_headers *headers = response ? &call->response.headers : &call->request.headers;
	int status = 0;

	for (size_t i = 0; i < fields->n && !status; i++)
		if (fields->changes[i].response == response)
			status = change_apply(&fields->changes[i], call, headers);
	return status;
}

static int fields_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct fields *fields = weir_container_of(svc, struct fields, svc);
	int status = fields_apply(fields, call, false);

	if (status)
		return status;
	status = weir_handle(svc->inner, call);
	if (!fields->dresses)
		return status;
	status = http_answer(call, status);
	return status ? status : fields_apply(fields, call, true);
}

static void fields_free(struct weir_http_service *svc)
{
	struct fields *fields = weir_container_of(svc, struct fields, svc);

	for (size_t i = 0; i < fields->n; i++)
		http_template_free(fields->changes[i].value);
	weir_arena_fini(&fields->arena);
	free(fields);
}

static const struct weir_http_ops fields_ops = {
	.name = "headers",
	.handle = fields_handle,
	.free = fields_free,
};

static bool is_framing(struct weir_text name)
{
	switch (weir_header_id(name)) {
	case WEIR_HEADER_CONNECTION:
	case WEIR_HEADER_CONTENT_LENGTH:
	case WEIR_HEADER_EXPECT:
	case WEIR_HEADER_HOST:
	case WEIR_HEADER_KEEP_ALIVE:
	case WEIR_HEADER_PROXY_CONNECTION:
	case WEIR_HEADER_TE:
	case WEIR_HEADER_TRAILER:
	case WEIR_HEADER_TRANSFER_ENCODING:
	case WEIR_HEADER_UPGRADE:
		return true;
	default:
		return false;
	}
}

static int change_check(const struct weir_http_field_change *conf, struct weir_error *error)
{
	struct weir_text name = weir_text_of(conf->name);
	struct weir_text value = weir_text_of(conf->value ? conf->value : "");

	if (!weir_header_is_valid(name, WEIR_TEXT("")))
		return http_layer_refuse(error, "say a name such as X-Frame-Options",
					 "\"%s\" is no name of a header field",
					 conf->name ? conf->name : "");
	if (is_framing(name))
		return http_layer_refuse(error,
					 "framing is decided by Weir, Host by a route's rewrite",
					 "%s cannot be changed", conf->name);
	if ((conf->verb == WEIR_HTTP_FIELD_REMOVE) != (conf->value == NULL))
		return http_layer_refuse(error, "give a value to set or add, and none to remove",
					 "the change of %s does not fit its value", conf->name);
	if (!weir_header_is_valid(name, value))
		return http_layer_refuse(error, "leave control characters out",
					 "the value of %s is no value of a header field",
					 conf->name);
	return 0;
}

static int change_configure(struct fields *fields, const struct weir_http_field_change *conf,
			    struct weir_error *error)
{
	struct change *change = &fields->changes[fields->n];

	if (change_check(conf, error))
		return WEIR_ECONFIG;
	change->verb = conf->verb;
	change->response = conf->response;
	change->name = weir_text_of(weir_arena_strdup(&fields->arena, conf->name));
	if (!change->name.data)
		return http_layer_memory(error);
	if (conf->value) {
		change->value = http_template_new(conf->value, conf->name, error);
		if (!change->value)
			return WEIR_ECONFIG;
	}
	fields->dresses = fields->dresses || conf->response;
	fields->n++;
	return 0;
}

static int fields_configure(struct fields *fields, const struct weir_http_fields_conf *conf,
			    struct weir_error *error)
{
	int status = 0;

	weir_arena_init(&fields->arena, 0);
	fields->changes =
		weir_arena_zalloc(&fields->arena, (conf->n_changes + 1) * sizeof(struct change));
	if (!fields->changes)
		return http_layer_memory(error);
	for (size_t i = 0; i < conf->n_changes && !status; i++)
		status = change_configure(fields, &conf->changes[i], error);
	return status;
}

struct weir_http_service *weir_http_fields_layer(struct weir_http_service *inner,
						 const struct weir_http_fields_conf *conf,
						 struct weir_error *error)
{
	struct fields *fields = http_layer_new(sizeof(*fields), &fields_ops, inner, error);

	if (!fields)
		return NULL;
	return http_layer_done(&fields->svc, fields_configure(fields, conf, error));
}
