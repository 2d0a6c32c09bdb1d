/* SPDX-License-Identifier: MIT */
/*
 * The routes: one row each, one function each.
 */

#include "daemon/admin_api.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/log.h>

#include "daemon/admin_report.h"
#include "daemon/config_check.h"
#include "daemon/config_value.h"
#include "daemon/established.h"
#include "daemon/flows.h"
#include "daemon/generation.h"
#include "daemon/upgrade.h"

/* ---- answers ------------------------------------------------------------------------------ */

/* Takes JSON over; NULL: memory was out. */
static void answer_json(struct admin_response *response, int status, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

	response->status = status;
	response->type = "application/json";
	if (text == NULL || weir_buffer_append(&response->body, text, strlen(text)) < 0 ||
	    weir_buffer_append(&response->body, "\n", 1) < 0) {
		weir_buffer_clear(&response->body);
		response->status = 503;
	}
	free(text);
	json_decref(json);
}

void admin_api_error(struct admin_response *response, int status, const char *format, ...)
{
	char message[400];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	answer_json(response, status,
		    json_pack("{s:{s:s%}}", "error", "message", message,
			      strnlen(message, sizeof(message))));
}

static void answer_done(struct admin_response *response)
{
	answer_json(response, 200, json_object());
}

/* ---- questions ---------------------------------------------------------------------------- */

static void get_status(struct weir_daemon *daemon, const struct admin_request *request,
		       struct admin_response *response)
{
	(void)request;
	answer_json(response, 200, report_status(daemon));
}

static void get_listeners(struct weir_daemon *daemon, const struct admin_request *request,
			  struct admin_response *response)
{
	(void)request;
	answer_json(response, 200, report_listeners(daemon));
}

static void get_upstreams(struct weir_daemon *daemon, const struct admin_request *request,
			  struct admin_response *response)
{
	(void)request;
	answer_json(response, 200, report_upstreams(daemon));
}

static void get_flows(struct weir_daemon *daemon, const struct admin_request *request,
		      struct admin_response *response)
{
	answer_json(response, 200, report_flows(daemon, admin_parameter(request, "listener")));
}

static void get_tasks(struct weir_daemon *daemon, const struct admin_request *request,
		      struct admin_response *response)
{
	const char *stacks = admin_parameter(request, "stacks");

	answer_json(response, 200,
		    report_tasks(daemon, stacks != NULL && strcmp(stacks, "1") == 0));
}

static void get_kernel(struct weir_daemon *daemon, const struct admin_request *request,
		       struct admin_response *response)
{
	(void)request;
	answer_json(response, 200, report_kernel(daemon));
}

static void get_metrics(struct weir_daemon *daemon, const struct admin_request *request,
			struct admin_response *response)
{
	(void)request;
	if (daemon->current != NULL)
		generation_count_errors(daemon->current);
	response->type = "text/plain; version=0.0.4; charset=utf-8";
	if (weir_metrics_format(daemon->metrics, &response->body) < 0)
		admin_api_error(response, 503, "out of memory");
}

/* ---- orders ------------------------------------------------------------------------------- */

static json_t *mistake_json(const struct weir_error *mistake)
{
	json_t *json = json_pack("{s:s%}", "message", mistake->message,
				 strnlen(mistake->message, sizeof(mistake->message)));

	if (json == NULL)
		json = json_pack("{s:s}", "message", weir_strerror(mistake->status));
	if (mistake->file[0] != '\0')
		json_object_set_new(json, "file", json_string(mistake->file));
	if (mistake->line != 0)
		json_object_set_new(json, "line", json_integer(mistake->line));
	if (mistake->remedy[0] != '\0')
		json_object_set_new(json, "remedy", json_string(mistake->remedy));
	return json;
}

/* The first mistake is "error"; all of them are "errors". */
static json_t *mistakes_json(const struct weir_config_mistakes *mistakes)
{
	json_t *all = json_array();
	size_t i;

	for (i = 0; i < mistakes->n; i++)
		json_array_append_new(all, mistake_json(&mistakes->list[i]));
	return json_pack("{s:O?, s:o}", "error", json_array_get(all, 0), "errors", all);
}

static void post_reload(struct weir_daemon *daemon, const struct admin_request *request,
			struct admin_response *response)
{
	struct weir_config_mistakes mistakes = { 0 };
	int status = weir_daemon_reload(daemon, &mistakes);

	(void)request;
	if (status == 0)
		answer_json(response, 200,
			    json_pack("{s:i}", "generation", (int)daemon->current->id));
	else
		answer_json(response, status == WEIR_ESHUTDOWN ? 409 : 400,
			    mistakes_json(&mistakes));
	weir_config_mistakes_fini(&mistakes);
}

static void post_upgrade(struct weir_daemon *daemon, const struct admin_request *request,
			 struct admin_response *response)
{
	struct weir_config_mistakes mistakes = { 0 };
	struct weir_error error;
	int status;

	(void)request;
	weir_error_init(&error);
	status = weir_daemon_upgrade(daemon, &error);
	if (status == 0) {
		answer_done(response);
		return;
	}
	config_mistake_add(&mistakes, &error);
	answer_json(response, status == WEIR_ECONFIG ? 502 : 409, mistakes_json(&mistakes));
	weir_config_mistakes_fini(&mistakes);
}

static void post_drain(struct weir_daemon *daemon, const struct admin_request *request,
		       struct admin_response *response)
{
	const char *text = admin_parameter(request, "deadline_ms");
	uint64_t deadline_ms = 0;

	if (text != NULL &&
	    (config_value_count(text, &deadline_ms) < 0 || deadline_ms > UINT64_C(30) * 86400000)) {
		admin_api_error(response, 400, "deadline_ms is no number of milliseconds");
		return;
	}
	/* 0 was said: at once. */
	weir_daemon_drain(daemon, text != NULL && deadline_ms == 0 ? 1 : deadline_ms);
	answer_done(response);
}

static void post_log(struct weir_daemon *daemon, const struct admin_request *request,
		     struct admin_response *response)
{
	const char *name = admin_parameter(request, "level");
	enum weir_log_level level;

	(void)daemon;
	if (name == NULL || weir_log_level_parse(name, &level) < 0) {
		admin_api_error(response, 400, "level is one of error, warn, info, debug");
		return;
	}
	weir_log_set_level(level);
	answer_json(response, 200, json_pack("{s:s}", "level", weir_log_level_name(level)));
}

static void answer_flow(struct admin_response *response, const char *id, int status)
{
	if (status == 0)
		answer_done(response);
	else if (status == -ENOENT)
		admin_api_error(response, 404, "there is no flow %s", id);
	else if (status == -EOPNOTSUPP)
		admin_api_error(response, 409, "flow %s cannot take this path", id);
	else
		admin_api_error(response, 503, "%s", weir_strerror(status));
}

static void post_flow_close(struct weir_daemon *daemon, const struct admin_request *request,
			    struct admin_response *response)
{
	const char *id = request->segments[2];
	uint64_t number = 0;
	int status = config_value_count(id, &number) < 0 ? -ENOENT : 0;

	if (status == 0)
		status = flow_order_close(daemon, number);
	answer_flow(response, id, status);
}

static void post_flow_path(struct weir_daemon *daemon, const struct admin_request *request,
			   struct admin_response *response)
{
	const char *name = admin_parameter(request, "path");
	const char *id = request->segments[2];
	enum weir_path path = WEIR_PATH_COUNT;
	uint64_t number = 0;
	int status = config_value_count(id, &number) < 0 ? -ENOENT : 0;

	if (name == NULL || (strcmp(name, "auto") != 0 && weir_path_parse(name, &path) < 0)) {
		admin_api_error(response, 400, "path is one of copy, splice, sockmap, auto");
		return;
	}
	if (status == 0)
		status = flow_order_path(daemon, number, path);
	answer_flow(response, id, status);
}

static const struct weir_config_upstream *find_upstream(const struct weir_daemon *daemon,
							const char *name)
{
	return daemon->current == NULL ? NULL : weir_config_upstream(daemon->current->config, name);
}

static int drain_endpoint(struct weir_daemon *daemon, const struct weir_config_upstream *conf,
			  const char *endpoint, bool draining)
{
	const struct generation *generation = daemon->current;
	int status = weir_upstream_set_draining(
		generation->upstreams[conf - generation->config->upstreams], endpoint, draining);

	if (status == 0 && draining)
		established_drained(daemon, conf, endpoint);
	return status;
}

static void post_endpoint(struct weir_daemon *daemon, const struct admin_request *request,
			  struct admin_response *response)
{
	const char *name = request->segments[2], *endpoint = request->segments[4];
	const struct weir_config_upstream *upstream = find_upstream(daemon, name);
	bool draining = strcmp(request->segments[5], "drain") == 0;

	if (!draining && strcmp(request->segments[5], "resume") != 0)
		admin_api_error(response, 404, "an endpoint can drain or resume");
	else if (upstream == NULL)
		admin_api_error(response, 404, "there is no upstream \"%s\"", name);
	else if (drain_endpoint(daemon, upstream, endpoint, draining) < 0)
		admin_api_error(response, 404, "upstream \"%s\" has no endpoint \"%s\"", name,
				endpoint);
	else
		answer_done(response);
}

/* ---- routes ------------------------------------------------------------------------------- */

typedef void route_fn(struct weir_daemon *daemon, const struct admin_request *request,
		      struct admin_response *response);

static const struct route {
	bool is_post;
	const char *path;
	route_fn *answer;
} routes[] = {
	{ false, "metrics", get_metrics },
	{ false, "v1/status", get_status },
	{ false, "v1/listeners", get_listeners },
	{ false, "v1/upstreams", get_upstreams },
	{ false, "v1/flows", get_flows },
	{ false, "v1/tasks", get_tasks },
	{ false, "v1/kernel", get_kernel },
	{ true, "v1/reload", post_reload },
	{ true, "v1/drain", post_drain },
	{ true, "v1/upgrade", post_upgrade },
	{ true, "v1/log", post_log },
	{ true, "v1/flows/*/close", post_flow_close },
	{ true, "v1/flows/*/path", post_flow_path },
	{ true, "v1/upstreams/*/endpoints/*/*", post_endpoint },
};

static void answer_route(struct weir_daemon *daemon, const struct admin_request *request,
			 struct admin_response *response, size_t n_routes)
{
	const struct route *route;
	bool found = false;

	for (route = routes; route < routes + n_routes; route++) {
		if (!admin_path_is(request, route->path))
			continue;
		found = true;
		if (route->is_post == request->is_post) {
			route->answer(daemon, request, response);
			return;
		}
	}
	admin_api_error(response, found ? 405 : 404, found ? "use %s" : "there is no such resource",
			request->is_post ? "GET" : "POST");
}

void admin_api_answer(void *ctx, const struct admin_request *request,
		      struct admin_response *response)
{
	answer_route(ctx, request, response, WEIR_ARRAY_SIZE(routes));
}

void admin_api_answer_metrics(void *ctx, const struct admin_request *request,
			      struct admin_response *response)
{
	answer_route(ctx, request, response, 1);
}
