/* SPDX-License-Identifier: MIT */

#include "layer/http_accept.h"

#include <errno.h>

#include "layer/http_answer.h"
#include "layer/http_coder.h"

/* Weights in thousandths; -1: not mentioned. */
struct weights {
	int coding[3]; /* in order of preference */
	int identity, any;
};

static const enum weir_http_coding preferred[3] = {
	WEIR_HTTP_CODING_ZSTD,
	WEIR_HTTP_CODING_BROTLI,
	WEIR_HTTP_CODING_GZIP,
};

int http_accept_weight(struct weir_text text)
{
	static const int units[3] = { 100, 10, 1 };
	int weight;

	if (text.size < 1 || text.size > 5 || (text.data[0] != '0' && text.data[0] != '1'))
		return -EINVAL;
	weight = (text.data[0] - '0') * 1000;
	if (text.size > 1 && text.data[1] != '.')
		return -EINVAL;
	for (size_t i = 2; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return -EINVAL;
		weight += (text.data[i] - '0') * units[i - 2];
	}
	return weight > 1000 ? -EINVAL : weight;
}

/* "gzip;q=0.5" into name and weight. Other parameters do not exist here. */
static int item_parse(struct weir_text item, struct weir_text *name)
{
	struct weir_text parameter, key, value;

	if (!weir_text_split(item, ';', name, &parameter))
		return 1000;
	*name = weir_text_trim(*name);
	if (!weir_text_split(weir_text_trim(parameter), '=', &key, &value) ||
	    !weir_text_is_equal_nocase(key, WEIR_TEXT("q")))
		return -EINVAL;
	return http_accept_weight(value);
}

static void weights_take(struct weights *weights, struct weir_text name, int weight)
{
	unsigned coding = http_coding_parse(name);

	if (weir_text_is_equal(name, WEIR_TEXT("*")))
		weights->any = weight;
	else if (weir_text_is_equal_nocase(name, WEIR_TEXT("identity")))
		weights->identity = weight;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(preferred); i++)
		if (coding == preferred[i])
			weights->coding[i] = weight;
}

/* An element that is wrong is as if it were not there. */
static void weights_read(struct weights *weights, const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;
	struct weir_text list, item, name;

	*weights = (struct weights){ .coding = { -1, -1, -1 }, .identity = -1, .any = -1 };
	while ((field = weir_headers_find_id(headers, WEIR_HEADER_ACCEPT_ENCODING, field))) {
		list = field->value;
		while (weir_text_next_item(&list, &item)) {
			int weight = item_parse(item, &name);

			if (weight >= 0)
				weights_take(weights, name, weight);
		}
	}
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(preferred); i++)
		if (weights->coding[i] < 0)
			weights->coding[i] = weights->any;
}

unsigned http_accept_best(const struct weir_headers *headers, unsigned offered)
{
	struct weights weights;
	unsigned best = 0;
	int weight;

	weights_read(&weights, headers);
	weight = weights.identity;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(preferred); i++) {
		/* As much as identity is wanted is enough, as the client's time is its network. */
		bool is_better = best == 0 ? weights.coding[i] >= weight
					   : weights.coding[i] > weight;

		if (!(offered & preferred[i]) || weights.coding[i] <= 0 || !is_better)
			continue;
		best = preferred[i];
		weight = weights.coding[i];
	}
	return best;
}

bool http_accept_has(const struct weir_headers *headers, enum weir_http_coding coding)
{
	struct weights weights;

	weights_read(&weights, headers);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(preferred); i++)
		if (preferred[i] == coding)
			return weights.coding[i] > 0;
	return false;
}

/* ---- both layers' ---- */

int http_content_recoded(struct weir_call *call)
{
	struct weir_headers *headers = &call->response.headers;
	struct weir_header *etag = weir_headers_find_id(headers, WEIR_HEADER_ETAG, NULL);
	struct weir_text weak;

	/* Some services give a HEAD its body all the same, whose size is not the right one now. */
	if (call->request.method == WEIR_METHOD_HEAD) {
		weir_body_free(call->response.body);
		call->response.body = NULL;
	}
	weir_headers_del_id(headers, WEIR_HEADER_ACCEPT_RANGES);
	weir_headers_del_id(headers, WEIR_HEADER_CONTENT_LENGTH);
	call->response.announced = WEIR_BODY_UNKNOWN;
	if (!etag || weir_text_has_prefix(etag->value, WEIR_TEXT("W/")))
		return 0;
	weak = http_text(call, "W/%.*s", WEIR_TEXT_ARGS(etag->value));
	if (!weak.data)
		return -ENOMEM;
	etag->value = weak;
	return 0;
}

bool http_content_is_fixed(const struct weir_call *call)
{
	const struct weir_response *response = &call->response;

	return weir_status_is_bodiless(response->status) || response->status == 206 ||
	       call->tunnel || response->upgrade.data ||
	       weir_headers_has_item(&response->headers, WEIR_HEADER_CACHE_CONTROL,
				     WEIR_TEXT("no-transform"));
}
