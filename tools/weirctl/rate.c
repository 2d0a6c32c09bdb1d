/* SPDX-License-Identifier: MIT */

#include "tools/weirctl/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/weirctl/api.h"

static int rate_by_id(const void *a, const void *b)
{
	const struct rate *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

static int rate_by_speed(const void *a, const void *b)
{
	const struct rate *left = a, *right = b;
	double x = left->up + left->down, y = right->up + right->down;

	if (x != y)
		return x > y ? -1 : 1;
	return rate_by_id(a, b);
}

static double rate_of(uint64_t now, uint64_t before, double seconds)
{
	return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

static void rate_take(struct rate *rate, const struct rates *previous, double at)
{
	const struct rate *before = NULL;
	double seconds;

	if (previous->n)
		before = bsearch(rate, previous->list, previous->n, sizeof(*rate), rate_by_id);
	seconds = before ? at - previous->at : (double)api_number(rate->flow, "age_ms") / 1000;
	rate->up = rate_of(rate->up_bytes, before ? before->up_bytes : 0, seconds);
	rate->down = rate_of(rate->down_bytes, before ? before->down_bytes : 0, seconds);
}

int rates_take(struct rates *rates, const struct rates *previous, const json_t *answer, double at)
{
	rates->n = json_array_size(answer);
	rates->at = at;
	rates->list = calloc(rates->n + 1, sizeof(*rates->list));
	if (!rates->list) {
		rates->n = 0;
		return -ENOMEM;
	}
	for (size_t i = 0; i < rates->n; i++) {
		struct rate *rate = &rates->list[i];

		rate->flow = json_array_get(answer, i);
		rate->id = api_number(rate->flow, "id");
		rate->up_bytes = api_number(rate->flow, "bytes_up");
		rate->down_bytes = api_number(rate->flow, "bytes_down");
		rate_take(rate, previous, at);
	}
	qsort(rates->list, rates->n, sizeof(*rates->list), rate_by_id);
	return 0;
}

void rates_fini(struct rates *rates)
{
	free(rates->list);
	memset(rates, 0, sizeof(*rates));
}

struct rate *rates_sorted(const struct rates *rates)
{
	struct rate *list = malloc((rates->n + 1) * sizeof(*list));

	if (!list)
		return NULL;
	memcpy(list, rates->list, rates->n * sizeof(*list));
	qsort(list, rates->n, sizeof(*list), rate_by_speed);
	return list;
}
