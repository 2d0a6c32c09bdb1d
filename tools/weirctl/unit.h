/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_UNIT_H
#define WEIRCTL_UNIT_H

/*
 * Numbers as people read them in tables. Each writes to TEXT and returns it.
 */

#include <weir/base.h>

#define UNIT_TEXT 24

/* "0B", "1023B", "1.50KiB", "23.4MiB", "512GiB": three digits that count. */
char *unit_bytes(char text[UNIT_TEXT], double bytes);
/* The same, a second. */
char *unit_rate(char text[UNIT_TEXT], double bytes_per_second);
/* "350ms", "12.3s", "3m12s", "5h02m", "3d04h". */
char *unit_duration(char text[UNIT_TEXT], uint64_t ms);
/* Milliseconds of "500ms", "15s", "5m", "1h", "2" (seconds). 0 or -EINVAL. */
int unit_parse_duration(const char *text, uint64_t *ms) WEIR_MUST_CHECK;

#endif
