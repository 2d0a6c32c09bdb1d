/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL keeps a queue of errors for each thread, from the cause to its consequences. People want
 * the cause, without numbers and names of functions.
 */

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "tls/tls_internal.h"

const char *tls_error_take(void)
{
	static _Thread_local char text[160];
	const char *data = NULL, *reason;
	int flags = 0;
	unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);

	if (ERR_SYSTEM_ERROR(code))
		reason = strerrordesc_np((int)ERR_GET_REASON(code));
	else
		reason = code ? ERR_reason_error_string(code) : "no reason was given";
	if (!(flags & ERR_TXT_STRING) || !data || !data[0] || ERR_SYSTEM_ERROR(code))
		snprintf(text, sizeof(text), "%s", reason ? reason : "unknown reason");
	else
		snprintf(text, sizeof(text), "%s (%s)", reason ? reason : "unknown reason", data);
	ERR_clear_error();
	return text;
}
