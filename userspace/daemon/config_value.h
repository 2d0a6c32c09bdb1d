/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_VALUE_H
#define WEIR_DAEMON_CONFIG_VALUE_H

/*
 * Values as people write them. All return 0, -EINVAL for what is no such value, -ERANGE for
 * one that does not fit.
 */

#include <stdbool.h>

#include <weir/base.h>

/* Digits only. */
int config_value_count(const char *text, uint64_t *value) WEIR_MUST_CHECK;
/* "0.5", "100": not negative, finite. */
int config_value_number(const char *text, double *value) WEIR_MUST_CHECK;
/* "500ms", "15s", "5m", "1h", "1d", "0". A number alone, unless it is 0, has no unit: -EINVAL. */
int config_value_duration(const char *text, uint64_t *ms) WEIR_MUST_CHECK;
/* "4096", "64KiB", "1MiB", "1GiB", "1TiB". */
int config_value_size(const char *text, uint64_t *bytes) WEIR_MUST_CHECK;
/* "10%", 0 to 100. */
int config_value_percent(const char *text, uint64_t *percent) WEIR_MUST_CHECK;
/* true false yes no on off. */
int config_value_bool(const char *text, bool *value) WEIR_MUST_CHECK;

#endif
