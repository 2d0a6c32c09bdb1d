/* SPDX-License-Identifier: MIT */

#include "tools/weirctl/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *unit_scaled(char text[UNIT_TEXT], double bytes, const char *suffix)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t i;

	if (!(bytes >= 0))
		bytes = 0;
	if (bytes < 1023.5) {
		snprintf(text, UNIT_TEXT, "%.0fB%s", bytes, suffix);
		return text;
	}
	bytes /= 1024;
	/* 1023.5 would be printed as 1024 of this unit. */
	for (i = 0; bytes >= 1023.5 && i + 1 < WEIR_ARRAY_SIZE(units); i++)
		bytes /= 1024;
	snprintf(text, UNIT_TEXT, "%.*f%s%s",
		 bytes < 9.995	 ? 2
		 : bytes < 99.95 ? 1
				 : 0,
		 bytes, units[i], suffix);
	return text;
}

char *unit_bytes(char text[UNIT_TEXT], double bytes)
{
	return unit_scaled(text, bytes, "");
}

char *unit_rate(char text[UNIT_TEXT], double bytes_per_second)
{
	return unit_scaled(text, bytes_per_second, "/s");
}

char *unit_duration(char text[UNIT_TEXT], uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(text, UNIT_TEXT, "%" PRIu64 "ms", ms);
	else if (s < 60)
		snprintf(text, UNIT_TEXT, "%" PRIu64 ".%us", s, (unsigned)(ms % 1000 / 100));
	else if (s < 3600)
		snprintf(text, UNIT_TEXT, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(text, UNIT_TEXT, "%uh%02um", (unsigned)(s / 3600),
			 (unsigned)(s / 60 % 60));
	else
		snprintf(text, UNIT_TEXT, "%" PRIu64 "d%02uh", s / 86400,
			 (unsigned)(s / 3600 % 24));
	return text;
}

int unit_parse_duration(const char *text, uint64_t *ms)
{
	static const struct {
		const char *suffix;
		double ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	char *end;
	double value;

	if (*text < '0' || *text > '9' || strpbrk(text, "xX"))
		return -EINVAL;
	value = strtod(text, &end);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		value *= units[i].ms;
		if (!(value <= 1e12))
			return -EINVAL;
		*ms = (uint64_t)value;
		return 0;
	}
	return -EINVAL;
}
