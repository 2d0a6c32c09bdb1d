/* SPDX-License-Identifier: MIT */
/*
 * A connector that puts TLS around what the inner one connects.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls_internal.h"

struct tls_connector {
	struct weir_connector connector;
	struct weir_tls_connector_conf conf;
};

/* TEXT takes WEIR_ADDRESS_TEXT bytes. NULL: a Unix socket has no name to be held against. */
static const char *target_name(const struct weir_target *to, char *text)
{
	size_t size;

	if (to->host[0])
		return to->host;
	if (weir_address_is_unix(&to->address))
		return NULL;
	weir_address_format_host(&to->address, text);
	size = strlen(text);
	if (text[0] != '[')
		return text;
	text[size - 1] = '\0';
	return text + 1;
}

static int tls_connect(struct weir_connector *connector, struct weir_conn *conn,
		       const struct weir_target *to, struct weir_stream **out)
{
	struct tls_connector *outer = weir_container_of(connector, struct tls_connector, connector);
	const struct weir_tls_connector_conf *conf = &outer->conf;
	char text[WEIR_ADDRESS_TEXT];
	const char *name = conf->server_name ? conf->server_name : target_name(to, text);
	struct weir_error error = { 0 };
	struct weir_stream *stream;
	int status = weir_connect(connector->inner, conn, to, &stream);

	if (status)
		return status;
	status = weir_tls_connect(conf->client, stream, name, out, &error);
	if (status && conf->on_failure)
		conf->on_failure(conf->ctx, &error);
	if (status)
		return status;
	tls_stream_tell(*out, conf->on_failure, conf->ctx);
	if (conf->on_handshake)
		conf->on_handshake(conf->ctx, *out);
	return 0;
}

static void tls_free(struct weir_connector *connector)
{
	struct tls_connector *outer = weir_container_of(connector, struct tls_connector, connector);

	weir_tls_client_put(outer->conf.client);
	free((void *)(uintptr_t)outer->conf.server_name);
	free(outer);
}

static const struct weir_connector_ops tls_ops = {
	.name = "tls",
	.connect = tls_connect,
	.free = tls_free,
};

struct weir_connector *weir_tls_connector(struct weir_connector *inner,
					  const struct weir_tls_connector_conf *conf,
					  struct weir_error *error)
{
	struct tls_connector *outer;

	if (!inner || !conf->client) {
		weir_connector_free(inner);
		return NULL;
	}
	outer = calloc(1, sizeof(*outer));
	if (!outer)
		goto err;
	outer->connector.ops = &tls_ops;
	outer->conf = *conf;
	outer->conf.client = NULL;
	if (conf->server_name) {
		outer->conf.server_name = strdup(conf->server_name);
		if (!outer->conf.server_name)
			goto err;
	}
	outer->conf.client = weir_tls_client_get(conf->client);
	outer->connector.inner = inner;
	return &outer->connector;
err:
	free(outer);
	weir_connector_free(inner);
	weir_error_set(error, -ENOMEM, "out of memory");
	return NULL;
}
