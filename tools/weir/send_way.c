/* SPDX-License-Identifier: MIT */

#include <errno.h>
#include <stdio.h>

#include <weir/http_connect.h>
#include <weir/tls_client.h>
#include <weir/tls_stream.h>

#include "tools/weir/send_way.h"

/* ------------------------------------------------------------------------------------------
 * What people see
 */

static void on_handshake(void *ctx, struct weir_stream *stream)
{
	const struct way *way = ctx;
	struct weir_tls_info info;

	if (!way->arguments->verbose || weir_tls_stream_info(stream, &info))
		return;
	fprintf(stderr, "* TLS: %s / %s\n", info.version, info.cipher);
	if (info.alpn[0])
		fprintf(stderr, "* protocol agreed on: %s\n", info.alpn);
	fprintf(stderr, "* server's certificate:\n*  subject: %s\n*  issuer: %s\n", info.subject,
		info.issuer);
	fprintf(stderr, "*  valid from: %s\n*  expires: %s\n", info.begins, info.expires);
	if (way->arguments->insecure)
		fprintf(stderr, "* the certificate was not checked\n");
	else
		fprintf(stderr, "* the certificate is good\n");
}

static void on_failure(void *ctx, const struct weir_error *error)
{
	struct way *way = ctx;

	way->why = *error;
}

static void on_answer(void *ctx, const struct weir_target *to, const struct weir_response *response)
{
	struct way *way = ctx;
	char text[WEIR_HOST_MAX + 16];
	struct weir_text reason = response->reason;

	if (!reason.data)
		reason = weir_status_reason(response->status);
	weir_target_format(to, text, sizeof(text));
	if (way->arguments->verbose)
		fprintf(stderr, "* asked the proxy for %s: %u %.*s\n", text, response->status,
			WEIR_TEXT_ARGS(reason));
	if (response->status / 100 != 2)
		weir_error_set(&way->why, WEIR_EPROXY, "the proxy answered %u %.*s",
			       response->status, WEIR_TEXT_ARGS(reason));
}

/* ------------------------------------------------------------------------------------------
 * Connectors
 */

static struct weir_connector *connect_tcp(struct way *way)
{
	return weir_tcp_connector(&(struct weir_tcp_connector_conf){ .resolver = way->resolver },
				  way->error);
}

/* The proxy is not shown the certificate that is for the server. */
static struct weir_connector *connect_tls(struct way *way, struct weir_connector *inner,
					  bool to_proxy)
{
	static const char *const protocols[] = { "http/1.1", NULL };
	const struct send_arguments *arguments = way->arguments;
	struct weir_tls_client_conf conf = {
		.insecure = arguments->insecure,
		.ca_file = arguments->ca_file,
		.cert_file = to_proxy ? NULL : arguments->cert_file,
		.key_file = to_proxy ? NULL : arguments->key_file,
		.alpn = protocols,
	};
	struct weir_tls_client *client = weir_tls_client_new(&conf, way->error);
	struct weir_tls_connector_conf connector = {
		.client = client,
		.on_handshake = on_handshake,
		.on_failure = on_failure,
		.ctx = way,
	};
	struct weir_connector *outer = weir_tls_connector(inner, &connector, way->error);

	weir_tls_client_put(client);
	return outer;
}

/* To the first hop. */
static struct weir_connector *connect_first(struct way *way)
{
	struct weir_connector *connector = connect_tcp(way);

	return way->is_proxy_secure ? connect_tls(way, connector, true) : connector;
}

static struct weir_connector *connect_secure(struct way *way)
{
	struct weir_connector *connector = connect_first(way);
	struct weir_http_connect_conf conf = {
		.proxy = way->proxy,
		.on_answer = on_answer,
		.ctx = way,
	};

	if (way->has_proxy)
		connector = weir_http_connect_connector(connector, &conf, way->error);
	return connect_tls(way, connector, false);
}

/* ------------------------------------------------------------------------------------------
 * Ways
 */

int way_open(struct way *way, const struct send_arguments *arguments, struct weir_arena *arena,
	     struct weir_error *error)
{
	struct place proxy;
	int status = 0;

	*way = (struct way){ .arguments = arguments, .error = error };
	if (arguments->proxy) {
		status = place_parse(&proxy, arguments->proxy, arena, error);
		if (!status)
			status = place_target(&proxy, &way->proxy, error);
		way->has_proxy = true;
		way->is_proxy_secure = !status && proxy.is_secure;
	}
	if (status)
		return status;
	way->resolver =
		weir_resolver_new(weir_loop_current(), &(struct weir_resolver_conf){ 0 }, error);
	return way->resolver ? 0 : error->status;
}

void way_close(struct way *way)
{
	weir_http_client_free(way->plain);
	weir_http_client_free(way->secure);
	weir_resolver_free(way->resolver);
}

int way_choose(struct way *way, const struct place *place, struct weir_http_client **client,
	       struct weir_target *target)
{
	struct weir_http_client **kept = place->is_secure ? &way->secure : &way->plain;
	struct weir_http_client_conf conf = { .proxy = way->has_proxy && !place->is_secure };
	int status = place_target(place, target, way->error);

	if (status)
		return status;
	if (conf.proxy)
		*target = way->proxy;
	if (!*kept) {
		conf.connector = place->is_secure ? connect_secure(way) : connect_first(way);
		*kept = weir_http_client_new(&conf, way->error);
	}
	*client = *kept;
	weir_error_init(&way->why);
	return *kept ? 0 : way->error->status;
}
