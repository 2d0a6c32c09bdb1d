/* SPDX-License-Identifier: MIT */
/*
 * The order of preconditions is section 13.2.2's.
 */

#include "proxy/conditions.h"

#include <errno.h>
#include <string.h>

#include <weir/http_date.h>

/* ---- preconditions ------------------------------------------------------------------------ */

static bool is_weak(struct weir_text etag)
{
	return weir_text_has_prefix(etag, WEIR_TEXT("W/"));
}

static struct weir_text opaque(struct weir_text etag)
{
	return is_weak(etag) ? (struct weir_text){ etag.data + 2, etag.size - 2 } : etag;
}

static bool etags_match(struct weir_text a, struct weir_text b, bool strongly)
{
	if (strongly && (is_weak(a) || is_weak(b)))
		return false;
	return weir_text_is_equal(opaque(a), opaque(b));
}

/* Whether ETAG is in the list of that field, or the list is "*". */
static bool list_has(const struct weir_headers *headers, enum weir_header_id id,
		     struct weir_text etag, bool strongly)
{
	const struct weir_header *field = NULL;
	struct weir_text list, item;

	while ((field = weir_headers_find_id(headers, id, field))) {
		list = field->value;
		while (weir_text_next_item(&list, &item)) {
			if (weir_text_is_equal(item, WEIR_TEXT("*")) ||
			    etags_match(item, etag, strongly))
				return true;
		}
	}
	return false;
}

/* -ENOENT when there is no such field; -EINVAL when it is no date, which counts as none. */
static int date_of(const struct weir_headers *headers, enum weir_header_id id, int64_t now,
		   int64_t *date)
{
	struct weir_text value = weir_headers_value(headers, id);

	return value.data ? weir_http_date_parse(value, now, date) : -ENOENT;
}

unsigned conditions_check(const struct weir_request *request, const struct validators *validators)
{
	const struct weir_headers *headers = &request->headers;
	int64_t date;

	if (weir_headers_find_id(headers, WEIR_HEADER_IF_MATCH, NULL)) {
		if (!list_has(headers, WEIR_HEADER_IF_MATCH, validators->etag, true))
			return 412;
	} else if (date_of(headers, WEIR_HEADER_IF_UNMODIFIED_SINCE, validators->now, &date) == 0 &&
		   validators->modified > date) {
		return 412;
	}
	if (weir_headers_find_id(headers, WEIR_HEADER_IF_NONE_MATCH, NULL))
		return list_has(headers, WEIR_HEADER_IF_NONE_MATCH, validators->etag, false) ? 304
											     : 0;
	if (date_of(headers, WEIR_HEADER_IF_MODIFIED_SINCE, validators->now, &date) == 0 &&
	    validators->modified <= date)
		return 304;
	return 0;
}

/* ---- ranges ------------------------------------------------------------------------------- */

/* Section 13.1.5: a date must be exact, a tag must be strong. */
static bool if_range_holds(const struct weir_request *request, const struct validators *validators)
{
	struct weir_text value = weir_headers_value(&request->headers, WEIR_HEADER_IF_RANGE);
	int64_t date;

	if (!value.data)
		return true;
	if (value.size > 0 && (value.data[0] == '"' || is_weak(value)))
		return etags_match(value, validators->etag, true);
	/* A file changed within the second of its date would have the same date again. */
	return weir_http_date_parse(value, validators->now, &date) == 0 &&
	       date == validators->modified && validators->modified < validators->now;
}

/* "0-499", "500-", "-500". -EINVAL; -ERANGE when there is no such part. */
static int parse_range(struct weir_text spec, uint64_t size, struct range *range)
{
	struct weir_text from, to;
	uint64_t first = 0, last = UINT64_MAX;

	if (!weir_text_split(spec, '-', &from, &to) || (from.size == 0 && to.size == 0))
		return -EINVAL;
	if (to.size > 0 && weir_text_parse_u64(to, &last) < 0)
		return -EINVAL;
	if (from.size == 0) {
		range->size = WEIR_MIN(last, size);
		range->first = size - range->size;
		return range->size == 0 ? -ERANGE : 0;
	}
	if (weir_text_parse_u64(from, &first) < 0 || first > last)
		return -EINVAL;
	if (first >= size)
		return -ERANGE;
	range->first = first;
	range->size = WEIR_MIN(last, size - 1) - first + 1;
	return 0;
}

static bool ranges_meet(const struct range *a, const struct range *b)
{
	return a->first <= b->first + b->size && b->first <= a->first + a->size;
}

/* Takes ranges that meet RANGE out of the list and makes it cover them. Where the first of them was;
 * the end of the list if there is none. */
static size_t ranges_absorb(struct ranges *ranges, struct range *range)
{
	size_t at = ranges->n, i = 0;

	while (i < ranges->n) {
		struct range *other = &ranges->part[i];
		uint64_t end = WEIR_MAX(other->first + other->size, range->first + range->size);

		if (!ranges_meet(other, range)) {
			i++;
			continue;
		}
		at = WEIR_MIN(at, i);
		range->first = WEIR_MIN(other->first, range->first);
		range->size = end - range->first;
		memmove(other, other + 1, (--ranges->n - i) * sizeof(*other));
		i = 0; /* it may meet others now */
	}
	return WEIR_MIN(at, ranges->n);
}

static void ranges_add(struct ranges *ranges, struct range range)
{
	size_t at = ranges_absorb(ranges, &range);

	memmove(&ranges->part[at + 1], &ranges->part[at],
		(ranges->n - at) * sizeof(ranges->part[0]));
	ranges->part[at] = range;
	ranges->n++;
}

/* Parts that are not there are left out, unless all are. */
static enum range_result ranges_parse(struct ranges *ranges, struct weir_text set, uint64_t size)
{
	struct weir_text item;
	struct range range;
	unsigned asked = 0;

	while (weir_text_next_item(&set, &item)) {
		int status = parse_range(item, size, &range);

		if (status == -EINVAL || ++asked > RANGES_MAX)
			return RANGE_ALL;
		if (!status)
			ranges_add(ranges, range);
	}
	if (!asked)
		return RANGE_ALL;
	return ranges->n ? RANGE_PARTS : RANGE_UNSATISFIABLE;
}

enum range_result conditions_ranges(const struct weir_request *request,
				    const struct validators *validators, uint64_t size,
				    struct ranges *ranges)
{
	struct weir_text unit, set;

	ranges->n = 0;
	if (request->method != WEIR_METHOD_GET ||
	    !weir_text_split(weir_headers_value(&request->headers, WEIR_HEADER_RANGE), '=', &unit,
			     &set) ||
	    !weir_text_is_equal_nocase(unit, WEIR_TEXT("bytes")) ||
	    !if_range_holds(request, validators))
		return RANGE_ALL;
	return ranges_parse(ranges, set, size);
}

/* ---- codings ------------------------------------------------------------------------------ */

/* "0", "0.5", "1.000"; what is no weight is 0. */
static unsigned parse_weight(struct weir_text text)
{
	unsigned weight, unit = 100;
	size_t i;

	if (text.size == 0 || text.size > 5 || (text.data[0] != '0' && text.data[0] != '1') ||
	    (text.size > 1 && text.data[1] != '.'))
		return 0;
	weight = text.data[0] == '1' ? 1000 : 0;
	for (i = 2; i < text.size; i++, unit /= 10) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		weight += (unsigned)(text.data[i] - '0') * unit;
	}
	return WEIR_MIN(weight, 1000);
}

static unsigned weight_of(struct weir_text params)
{
	struct weir_text param, name, value;

	while (params.size > 0) {
		weir_text_split(params, ';', &param, &params);
		weir_text_split(weir_text_trim(param), '=', &name, &value);
		if (weir_text_is_equal_nocase(name, WEIR_TEXT("q")))
			return parse_weight(value);
	}
	return 1000;
}

unsigned conditions_accepts(const struct weir_headers *headers, struct weir_text coding)
{
	const struct weir_header *field = NULL;
	struct weir_text list, item, name, params;
	unsigned any = 0;

	while ((field = weir_headers_find_id(headers, WEIR_HEADER_ACCEPT_ENCODING, field))) {
		list = field->value;
		while (weir_text_next_item(&list, &item)) {
			weir_text_split(item, ';', &name, &params);
			name = weir_text_trim(name);
			if (weir_text_is_equal_nocase(name, coding))
				return weight_of(params);
			if (weir_text_is_equal(name, WEIR_TEXT("*")))
				any = weight_of(params);
		}
	}
	return any;
}
