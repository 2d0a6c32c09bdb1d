/* SPDX-License-Identifier: MIT */
/*
 * A client is a pool and the rules of its exchanges. A call takes a connection, exchanges, and when
 * that connection had died in the pool, does the same once more on a new one.
 */

#include <errno.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/http_client.h>

#include "http/http_exchange.h"

#define NS_PER_MS 1000000u

struct weir_http_client {
	struct http_pool *pool;
	struct http_rules rules;
	void (*on_connected)(void *ctx, struct weir_call *call);
	void *ctx; /* borrowed */
};

#define OR_DEFAULT(value, otherwise) ((value) ? (value) : (otherwise))

/* ------------------------------------------------------------------------------------------
 * Lifetime
 */

static struct http_pool *client_pool(const struct weir_http_client_conf *conf)
{
	return http_pool_new(&(struct http_pool_conf){
		.connector = conf->connector,
		.max_connections = conf->max_connections,
		.max_idle = OR_DEFAULT(conf->max_idle, 128),
		.idle_ms = OR_DEFAULT(conf->idle_ms, 30000),
		.max_requests = conf->max_requests,
		.queue = OR_DEFAULT(conf->queue, 1024),
		.queue_ms = OR_DEFAULT(conf->queue_ms, 5000),
		.metrics = conf->metrics,
		.name = conf->name,
	});
}

struct weir_http_client *weir_http_client_new(const struct weir_http_client_conf *conf,
					      struct weir_error *error)
{
	struct weir_http_client *client;

	if (!conf->connector)
		return NULL;
	client = calloc(1, sizeof(*client));
	if (!client) {
		weir_connector_free(conf->connector);
		goto no_memory;
	}
	client->rules = (struct http_rules){
		.limits = conf->limits,
		.first_byte_ns = OR_DEFAULT(conf->first_byte_ms, 60000) * NS_PER_MS,
		.continue_ns = OR_DEFAULT(conf->continue_ms, 1000) * NS_PER_MS,
		.body_idle_ms = OR_DEFAULT(conf->body_idle_ms, 60000),
		.kernel_bytes = OR_DEFAULT(conf->kernel_bytes, 65536),
		.absolute = conf->proxy,
	};
	client->on_connected = conf->on_connected;
	client->ctx = conf->ctx;
	client->pool = client_pool(conf);
	if (client->pool)
		return client;
	free(client);
no_memory:
	weir_error_set(error, -ENOMEM, "out of memory");
	return NULL;
}

void weir_http_client_free(struct weir_http_client *client)
{
	if (!client)
		return;
	http_pool_free(client->pool);
	free(client);
}

/* ------------------------------------------------------------------------------------------
 * Exchanges
 */

/* Host is written from it when the request has none (RFC 9112 section 3.2). */
static int request_fill_authority(struct weir_call *call, const struct weir_target *to)
{
	struct weir_request *request = &call->request;
	char text[WEIR_HOST_MAX + 8];
	const char *copy;

	if (request->authority.data)
		return 0;
	if (weir_address_is_unix(&to->address)) {
		request->authority = WEIR_TEXT("localhost");
		return 0;
	}
	copy = weir_arena_strdup(&call->arena, weir_target_format(to, text, sizeof(text)));
	request->authority = weir_text_of(copy);
	return copy ? 0 : -ENOMEM;
}

static int client_try(struct weir_http_client *client, struct http_exchange *ex,
		      const struct weir_target *to, bool fresh)
{
	struct weir_call *call = ex->call;
	struct http_pooled *pooled;
	int status = http_pool_get(client->pool, call->conn, to, fresh, &pooled);

	if (status)
		return status;
	call->result.attempts++;
	call->result.connect_ns = pooled->connect_ns;
	if (!to->address.size)
		call->result.endpoint = *weir_stream_peer(pooled->stream);
	if (client->on_connected)
		client->on_connected(client->ctx, call);
	return http_exchange_run(ex, pooled);
}

int weir_http_client_exchange(struct weir_http_client *client, struct weir_call *call,
			      const struct weir_target *to)
{
	struct http_exchange *ex;
	struct http_fed *fed;
	int status;

	weir_http_client_settle(call);
	if (to->address.size)
		call->result.endpoint = to->address;
	status = request_fill_authority(call, to);
	if (!status)
		status = http_fed_new(call, &fed);
	for (bool fresh = false; !status; fresh = true) {
		ex = http_exchange_new(call, &client->rules, fed);
		if (!ex)
			return -ENOMEM;
		status = client_try(client, ex, to, fresh);
		if (!status || fresh || !http_exchange_may_repeat(ex, status))
			return status;
		status = weir_task_check();
	}
	return status;
}

bool weir_http_client_has_sent(const struct weir_call *call)
{
	const struct http_exchange *ex = http_exchange_find(call);

	return ex && (ex->sent || ex->pooled);
}

bool weir_http_client_broke_source(const struct weir_call *call)
{
	const struct http_exchange *ex = http_exchange_find(call);

	return ex && ex->broke_source;
}

int weir_http_client_body_status(const struct weir_call *call)
{
	const struct http_exchange *ex = http_exchange_find(call);

	return ex ? ex->body_status : 0;
}

void weir_http_client_settle(struct weir_call *call)
{
	struct http_exchange *ex = http_exchange_find(call);

	if (ex)
		http_exchange_await_pump(ex);
}

/* ------------------------------------------------------------------------------------------
 * The service
 */

struct client_service {
	struct weir_http_service svc;
	struct weir_http_client *client;
	struct weir_target to;
};

static int client_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct client_service *service = weir_container_of(svc, struct client_service, svc);

	return weir_http_client_exchange(service->client, call, &service->to);
}

static void client_service_free(struct weir_http_service *svc)
{
	struct client_service *service = weir_container_of(svc, struct client_service, svc);

	weir_http_client_free(service->client);
	free(service);
}

static const struct weir_http_ops client_ops = {
	.name = "client",
	.handle = client_handle,
	.free = client_service_free,
};

struct weir_http_service *weir_http_client_service(struct weir_http_client *client,
						   const struct weir_target *to,
						   struct weir_error *error)
{
	struct client_service *service;

	if (!client)
		return NULL;
	service = calloc(1, sizeof(*service));
	if (!service) {
		weir_error_set(error, -ENOMEM, "out of memory");
		weir_http_client_free(client);
		return NULL;
	}
	service->svc.ops = &client_ops;
	service->client = client;
	service->to = *to;
	return &service->svc;
}
