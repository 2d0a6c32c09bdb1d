/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_DATE_H
#define WEIR_HTTP_DATE_H

/* Dates of HTTP (RFC 9110 section 5.6.7), whatever the locale. Seconds since 1970, UTC. */

#include <weir/text.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT" and its terminator. */
#define WEIR_HTTP_DATE_TEXT 30

/* Reads all three forms; of two digits the year is at most 50 years ahead of NOW. 0 or -EINVAL. */
int weir_http_date_parse(struct weir_text text, int64_t now, int64_t *seconds) WEIR_MUST_CHECK;
/* Writes the preferred form of a time from year 1 to 9999; returns TEXT. */
char *weir_http_date_format(int64_t seconds, char *text);

#endif
