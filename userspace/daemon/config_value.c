/* SPDX-License-Identifier: MIT */
/*
 * Durations, sizes and the like. A value with a unit is digits, perhaps a decimal fraction
 * ("1.5s"), and the unit, with nothing between. Units are exact: "KB" is refused because
 * nobody agrees on what it is.
 */

#include "daemon/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t factor;
};

int config_value_count(const char *text, uint64_t *value)
{
	uint64_t sum = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		if (__builtin_mul_overflow(sum, (uint64_t)10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*text - '0'), &sum))
			return -ERANGE;
	}
	*value = sum;
	return 0;
}

/* The length of "12" or "12.5" at TEXT; 0 when there is none. */
static size_t digits(const char *text)
{
	size_t whole = strspn(text, "0123456789");
	size_t fraction;

	if (whole == 0 || text[whole] != '.')
		return whole;
	fraction = strspn(text + whole + 1, "0123456789");
	return fraction == 0 ? 0 : whole + 1 + fraction;
}

int config_value_number(const char *text, double *value)
{
	size_t size = digits(text);

	if (size == 0 || text[size] != '\0' || size > 40)
		return -EINVAL;
	*value = strtod(text, NULL);
	return isfinite(*value) ? 0 : -ERANGE;
}

/* Whole numbers are exact; fractions go through a double and are rounded. */
static int scale(const char *text, size_t size, uint64_t factor, uint64_t *value)
{
	char number[48];
	double product;
	int status;

	if (size >= sizeof(number))
		return -ERANGE;
	memcpy(number, text, size);
	number[size] = '\0';
	if (strchr(number, '.') == NULL) {
		status = config_value_count(number, value);
		if (status < 0)
			return status;
		return __builtin_mul_overflow(*value, factor, value) ? -ERANGE : 0;
	}
	product = round(strtod(number, NULL) * (double)factor);
	if (product > 9e15)
		return -ERANGE;
	*value = (uint64_t)product;
	return 0;
}

static int with_unit(const char *text, const struct unit *units, size_t n, uint64_t *value)
{
	size_t size = digits(text);
	size_t i;

	if (size == 0)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		if (strcmp(text + size, units[i].name) == 0)
			return scale(text, size, units[i].factor, value);
	}
	return -EINVAL;
}

int config_value_duration(const char *text, uint64_t *ms)
{
	static const struct unit units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
	};

	if (strcmp(text, "0") == 0) {
		*ms = 0;
		return 0;
	}
	return with_unit(text, units, WEIR_ARRAY_SIZE(units), ms);
}

int config_value_size(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "B", 1 },
		{ "KiB", UINT64_C(1) << 10 },
		{ "MiB", UINT64_C(1) << 20 },
		{ "GiB", UINT64_C(1) << 30 },
		{ "TiB", UINT64_C(1) << 40 },
	};

	return with_unit(text, units, WEIR_ARRAY_SIZE(units), bytes);
}

int config_value_percent(const char *text, uint64_t *percent)
{
	static const struct unit units[] = { { "%", 1 } };
	int status = with_unit(text, units, WEIR_ARRAY_SIZE(units), percent);

	if (status == 0 && *percent > 100)
		status = -ERANGE;
	return status;
}

int config_value_bool(const char *text, bool *value)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
	size_t i;

	for (i = 0; i < WEIR_ARRAY_SIZE(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*value = i % 2 == 1;
			return 0;
		}
	}
	return -EINVAL;
}
