/* SPDX-License-Identifier: MIT */
/*
 * Health checks by HTTP: a client for one request, whose connection ends with it. A kept one would
 * prove less: whether the endpoint still accepts is a part of the question.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/http_client.h>

#include "upstream/keeper.h"

/* ------------------------------------------------------------------------------------------
 * Configuration
 */

static int check_texts(const struct weir_health_http_conf *conf, struct weir_error *error)
{
	struct weir_request request;
	struct weir_arena arena;
	int status;

	weir_arena_init(&arena, 0);
	weir_request_init(&request, &arena);
	request.method = WEIR_METHOD_GET;
	status = weir_request_set_target(&request, weir_text_of(conf->path));
	weir_arena_fini(&arena);
	if (status || conf->path[0] != '/') {
		weir_error_remedy(error, "write it as /health");
		return weir_error_set(error, WEIR_ECONFIG, "\"%s\" is no path to check",
				      conf->path);
	}
	if (conf->method && !weir_header_is_valid(weir_text_of(conf->method), WEIR_TEXT(""))) {
		weir_error_remedy(error, "use GET or HEAD");
		return weir_error_set(error, WEIR_ECONFIG, "\"%s\" is no method", conf->method);
	}
	if (conf->host) {
		struct weir_text host;
		uint16_t port;

		if (weir_authority_parse(weir_text_of(conf->host), &host, &port)) {
			weir_error_remedy(error, "write a name, with or without a port");
			return weir_error_set(error, WEIR_ECONFIG, "\"%s\" is no host", conf->host);
		}
	}
	return 0;
}

int weir_http_check_init(struct weir_health_http_conf *check,
			 const struct weir_health_http_conf *conf, struct weir_error *error)
{
	*check = (struct weir_health_http_conf){ 0 };
	if (!conf->path)
		return 0;
	if (check_texts(conf, error))
		return WEIR_ECONFIG;
	check->status_from = conf->status_from ? conf->status_from : 200;
	check->status_to = conf->status_to     ? conf->status_to
			   : conf->status_from ? conf->status_from
					       : 299;
	if (check->status_from < 100 || check->status_to > 599 ||
	    check->status_from > check->status_to) {
		weir_error_remedy(error, "use statuses from 100 to 599");
		return weir_error_set(error, WEIR_ECONFIG, "no status is from %u to %u",
				      check->status_from, check->status_to);
	}
	check->path = strdup(conf->path);
	check->method = strdup(conf->method ? conf->method : "GET");
	check->host = conf->host ? strdup(conf->host) : NULL;
	if (!check->path || !check->method || (conf->host && !check->host))
		return weir_error_set(error, -ENOMEM, "out of memory");
	return 0;
}

void weir_http_check_fini(struct weir_health_http_conf *check)
{
	free((char *)(uintptr_t)check->path);
	free((char *)(uintptr_t)check->method);
	free((char *)(uintptr_t)check->host);
}

/* ------------------------------------------------------------------------------------------
 * Asking
 */

/* The keeper's connector, for a client that would own it. */
struct borrowed {
	struct weir_connector connector;
	struct weir_connector *lender;
};

static int borrowed_connect(struct weir_connector *connector, struct weir_conn *conn,
			    const struct weir_target *to, struct weir_stream **out)
{
	return weir_connect(weir_container_of(connector, struct borrowed, connector)->lender, conn,
			    to, out);
}

static void borrowed_free(struct weir_connector *connector)
{
	(void)connector;
}

static const struct weir_connector_ops borrowed_ops = {
	.name = "borrowed",
	.connect = borrowed_connect,
	.free = borrowed_free,
};

/* host[:port]; a Unix socket has no better name than this. */
static struct weir_text check_host(const struct weir_health_http_conf *check,
				   const struct weir_target *target, char *text, size_t size)
{
	char address[WEIR_ADDRESS_TEXT];

	if (check->host)
		return weir_text_of(check->host);
	if (target->host[0])
		snprintf(text, size, "%s:%u", target->host, target->port);
	else if (weir_address_is_unix(&target->address))
		snprintf(text, size, "localhost");
	else
		snprintf(text, size, "%s", weir_address_format(&target->address, address));
	return weir_text_of(text);
}

static int check_fill(const struct weir_health_http_conf *check, struct weir_call *call,
		      struct weir_text host)
{
	struct weir_request *request = &call->request;
	int status;

	request->method_text = weir_text_of(check->method);
	request->method = weir_method_parse(request->method_text);
	request->scheme = WEIR_TEXT("http");
	request->authority = host;
	status = weir_request_set_target(request, weir_text_of(check->path));
	if (!status)
		status = weir_headers_add_id(&request->headers, WEIR_HEADER_HOST, host);
	if (!status)
		status = weir_headers_add_id(&request->headers, WEIR_HEADER_USER_AGENT,
					     WEIR_TEXT("weir"));
	return status;
}

static int check_ask(const struct weir_health_http_conf *check, struct weir_http_client *client,
		     const struct weir_target *target)
{
	char text[WEIR_HOST_MAX + 8];
	struct weir_call call;
	int status;

	weir_call_init(&call, NULL);
	status = check_fill(check, &call, check_host(check, target, text, sizeof(text)));
	if (!status)
		status = weir_http_client_exchange(client, &call, target);
	if (!status &&
	    (call.response.status < check->status_from || call.response.status > check->status_to))
		status = WEIR_ESTATUS;
	weir_call_fini(&call);
	return status;
}

int weir_keeper_http_check(struct weir_keeper *keeper, const struct weir_endpoint *endpoint)
{
	struct borrowed borrowed = {
		.connector.ops = &borrowed_ops,
		.lender = keeper->connector,
	};
	struct weir_http_client_conf conf = {
		.connector = &borrowed.connector,
		.max_requests = 1,
	};
	struct weir_http_client *client = weir_http_client_new(&conf, NULL);
	int status;

	if (!client)
		return -ENOMEM;
	status = check_ask(&keeper->upstream->check, client, &endpoint->target);
	weir_http_client_free(client);
	return status;
}
