/* SPDX-License-Identifier: MIT */
#ifndef WEIR_FORWARDED_H
#define WEIR_FORWARDED_H

/*
 * Who the client is, and telling it to whoever is asked next: X-Forwarded-For, -Proto and -Host,
 * Forwarded (RFC 7239), Via (RFC 9110 section 7.6.3).
 *
 * What a request says about its way is believed only when it comes from a trusted proxy. Then the
 * client is the last address of the list that is no trusted proxy's, and what comes is added to.
 * From anybody else it is thrown away.
 */

#include <weir/call.h>
#include <weir/network.h>

enum weir_forwarded_headers {
	WEIR_FORWARDED_X,	 /* X-Forwarded-* */
	WEIR_FORWARDED_STANDARD, /* Forwarded */
	WEIR_FORWARDED_BOTH,
	WEIR_FORWARDED_NONE, /* all of them are taken out */
};

enum weir_forwarded_mode {
	WEIR_FORWARDED_APPEND,	/* what a trusted proxy said stays, and the peer is added */
	WEIR_FORWARDED_REPLACE, /* the client alone */
	WEIR_FORWARDED_KEEP,	/* what a trusted proxy said stays; of others as APPEND */
};

struct weir_forwarded_conf {
	const struct weir_network *trusted; /* copied */
	size_t n_trusted;
	enum weir_forwarded_headers headers;
	enum weir_forwarded_mode mode;
	const char *via; /* name of this proxy in Via of requests; copied; NULL: no Via */
};

/* What is inside sees the client's address (weir_client_address()) and scheme. */
struct weir_http_service *weir_http_forwarded_layer(struct weir_http_service *inner,
						    const struct weir_forwarded_conf *conf,
						    struct weir_error *error) WEIR_MUST_CHECK;

/* The client: as this layer found it, else the connection's peer; NULL of a call without one. */
const struct weir_address *weir_client_address(const struct weir_call *call);
/* The scheme that the client used: as a trusted proxy said it, else the request's. */
struct weir_text weir_client_scheme(const struct weir_call *call);

#endif
