/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_CONNECT_H
#define WEIR_HTTP_CONNECT_H

/*
 * A connector through an HTTP proxy: it connects to the proxy by the connector that it wraps, and
 * asks with CONNECT (RFC 9110 section 9.3.6) for a tunnel to the target. Names are not resolved
 * here but by the proxy. TLS to the target goes around it, TLS to the proxy goes inside:
 *
 *	tls( http_connect( tcp ) )		 https://target through http://proxy
 *	tls( http_connect( tls( tcp ) ) )	 https://target through https://proxy
 */

#include <weir/connector.h>
#include <weir/text.h>

struct weir_response;

/* Zero means the default in parentheses. */
struct weir_http_connect_conf {
	struct weir_target proxy;
	const char *authorization; /* value of Proxy-Authorization; copied; NULL: none */
	uint64_t timeout_ms;	   /* for the proxy's answer (10 s): -ETIMEDOUT */
	/* Called with the proxy's final answer to CONNECT, a refusal too. May be NULL. Must not park. */
	void (*on_answer)(void *ctx, const struct weir_target *to,
			  const struct weir_response *response);
	void *ctx; /* borrowed */
};

/* Takes INNER over in every case. connect() returns, besides what INNER does: WEIR_EPROXY when the
 * proxy answers with anything but 2xx, WEIR_EPROTO when that is no answer, -ECONNRESET,
 * -ETIMEDOUT, -EINVAL for a target that a proxy cannot know (a Unix socket, SRV records). */
struct weir_connector *weir_http_connect_connector(struct weir_connector *inner,
						   const struct weir_http_connect_conf *conf,
						   struct weir_error *error) WEIR_MUST_CHECK;

#endif
