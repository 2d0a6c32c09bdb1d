/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_ADMIN_API_H
#define WEIR_DAEMON_ADMIN_API_H

/*
 * What the admin API answers. In tasks of the control loop; parks.
 */

#include "daemon/admin_request.h"

/* admin_answer_fn with the daemon as context: everything. */
void admin_api_answer(void *ctx, const struct admin_request *request,
		      struct admin_response *response);
/* The same, GET /metrics only. */
void admin_api_answer_metrics(void *ctx, const struct admin_request *request,
			      struct admin_response *response);

/* {"error": {"message": ...}} with an HTTP status. */
void admin_api_error(struct admin_response *response, int status, const char *format, ...)
	WEIR_PRINTF(3, 4);

#endif
