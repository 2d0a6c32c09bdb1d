/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOOL_SEND_WAY_H
#define WEIR_TOOL_SEND_WAY_H

/*
 * The way to a place: through a proxy or not, with TLS or not. Clients are made when first needed.
 */

#include <weir/http_client.h>
#include <weir/resolver.h>

#include "tools/weir/send.h"
#include "tools/weir/send_place.h"

struct way {
	const struct send_arguments *arguments;
	struct weir_error *error;
	struct weir_resolver *resolver;
	struct weir_http_client *plain; /* NULL: nobody has asked yet */
	struct weir_http_client *secure;
	struct weir_target proxy;
	bool has_proxy;
	bool is_proxy_secure;
	struct weir_error why; /* status 0, or what the connectors said about the last failure */
};

/* ERROR, ARENA and ARGUMENTS are borrowed. 0; else ERROR says why not. */
int way_open(struct way *way, const struct send_arguments *arguments, struct weir_arena *arena,
	     struct weir_error *error) WEIR_MUST_CHECK;
void way_close(struct way *way);
/* The client for PLACE and whom it is to ask. 0; else the error says why not. */
int way_choose(struct way *way, const struct place *place, struct weir_http_client **client,
	       struct weir_target *target) WEIR_MUST_CHECK;

#endif
