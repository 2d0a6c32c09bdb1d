/* SPDX-License-Identifier: MIT */

#include "layer/http_cache_policy.h"

#include <weir/http_date.h>

/* ---- requests ---- */

bool http_cache_is_eligible(const struct weir_request *request)
{
	static const enum weir_header_id others[] = {
		WEIR_HEADER_RANGE,
		WEIR_HEADER_IF_RANGE,
		WEIR_HEADER_IF_MATCH,
		WEIR_HEADER_IF_UNMODIFIED_SINCE,
	};

	if (request->method != WEIR_METHOD_GET && request->method != WEIR_METHOD_HEAD)
		return false;
	if (request->body || request->upgrade.data)
		return false;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(others); i++)
		if (weir_headers_find_id(&request->headers, others[i], NULL))
			return false;
	return true;
}

/* ---- freshness (section 4.2) ---- */

/* -1 when there is none, or it cannot be read. */
static int64_t date_of(const struct weir_headers *headers, enum weir_header_id id, int64_t now)
{
	struct weir_text text = weir_headers_value(headers, id);
	int64_t seconds;

	if (!text.data || weir_http_date_parse(text, now, &seconds))
		return -1;
	return seconds;
}

/* RFC 9110 section 15.1: may be stored though nothing says for how long. */
static bool is_heuristic(unsigned status)
{
	static const unsigned statuses[] = { 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501 };

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(statuses); i++)
		if (statuses[i] == status)
			return true;
	return false;
}

/* A tenth of the time that it has not changed (section 4.2.2), at most what the operator allows. */
static int64_t lifetime_guess(const struct weir_response *response,
			      const struct http_cache_rules *rules, int64_t date)
{
	int64_t modified = date_of(&response->headers, WEIR_HEADER_LAST_MODIFIED, date);

	if (response->status != 200)
		return 0;
	if (modified < 0)
		return rules->default_s;
	return modified < date ? WEIR_MIN((date - modified) / 10, rules->default_s) : 0;
}

/* -1: nothing was said. */
static int64_t lifetime_said(const struct weir_response *response,
			     const struct http_cache_control *control, int64_t date)
{
	int64_t expires;

	if (control->s_maxage >= 0)
		return control->s_maxage;
	if (control->max_age >= 0)
		return control->max_age;
	if (!weir_headers_find_id(&response->headers, WEIR_HEADER_EXPIRES, NULL))
		return -1;
	/* "Expires: 0" and other dates that are none have passed (section 5.3). */
	expires = date_of(&response->headers, WEIR_HEADER_EXPIRES, date);
	return expires > date ? expires - date : 0;
}

/* Section 4.2.3. */
static int64_t age_when_received(const struct weir_headers *headers, int64_t date, int64_t asked,
				 int64_t received)
{
	struct weir_text text = weir_headers_value(headers, WEIR_HEADER_AGE);
	uint64_t age = 0;
	int64_t apparent = WEIR_MAX(received - date, 0);

	if (text.data && (weir_text_parse_u64(text, &age) || age > HTTP_SECONDS_MAX))
		age = text.size > 0 && text.data[0] >= '0' && text.data[0] <= '9' ? HTTP_SECONDS_MAX
										  : 0;
	return WEIR_MAX(apparent, (int64_t)age + (received - asked));
}

int64_t http_cache_age(const struct http_freshness *freshness, int64_t now)
{
	return freshness->initial_age + WEIR_MAX(now - freshness->received, 0);
}

/* ---- storing (section 3) ---- */

static bool response_allows(const struct weir_request *request,
			    const struct weir_response *response,
			    const struct http_cache_control *control, bool said)
{
	if (control->no_store || control->is_private)
		return false;
	if (response->status == 206 || response->status == 304 || response->status < 200)
		return false;
	if (!said && !control->is_public && !is_heuristic(response->status))
		return false;
	/* It may have no end. */
	if (weir_text_has_prefix(weir_headers_value(&response->headers, WEIR_HEADER_CONTENT_TYPE),
				 WEIR_TEXT("text/event-stream")))
		return false;
	/* Somebody's own, whatever else it says. */
	if (weir_headers_find_id(&response->headers, WEIR_HEADER_SET_COOKIE, NULL))
		return false;
	if (weir_headers_has_item(&response->headers, WEIR_HEADER_VARY, WEIR_TEXT("*")))
		return false;
	return request->method == WEIR_METHOD_GET;
}

static bool has_validator(const struct weir_headers *headers)
{
	return weir_headers_find_id(headers, WEIR_HEADER_ETAG, NULL) ||
	       weir_headers_find_id(headers, WEIR_HEADER_LAST_MODIFIED, NULL);
}

static void freshness_fill(struct http_freshness *freshness, const struct weir_response *response,
			   const struct http_cache_control *control,
			   const struct http_cache_rules *rules, int64_t asked, int64_t received)
{
	int64_t date = date_of(&response->headers, WEIR_HEADER_DATE, received);
	int64_t said;

	if (date < 0)
		date = received;
	said = lifetime_said(response, control, date);
	*freshness = (struct http_freshness){
		.received = received,
		.initial_age = age_when_received(&response->headers, date, asked, received),
		.lifetime = said >= 0 ? said : lifetime_guess(response, rules, date),
		.while_revalidate = control->stale_while_revalidate >= 0
					    ? control->stale_while_revalidate
					    : rules->while_revalidate_s,
		.if_error = control->stale_if_error >= 0 ? control->stale_if_error
							 : rules->if_error_s,
		/* s-maxage says so, too (section 5.2.2.10). */
		.must_revalidate = control->must_revalidate || control->s_maxage >= 0,
		.always_validate = control->no_cache,
		.for_anybody = control->is_public || control->must_revalidate ||
			       control->s_maxage >= 0,
	};
}

bool http_cache_may_store(const struct weir_request *request, bool authorized,
			  const struct weir_response *response,
			  const struct http_cache_rules *rules, int64_t asked, int64_t received,
			  struct http_freshness *freshness)
{
	const struct weir_headers *headers = &response->headers;
	struct http_cache_control asks, says;
	bool said;

	http_cache_control_read(&asks, &request->headers);
	http_cache_control_read(&says, headers);
	freshness_fill(freshness, response, &says, rules, asked, received);
	said = says.s_maxage >= 0 || says.max_age >= 0 ||
	       weir_headers_find_id(headers, WEIR_HEADER_EXPIRES, NULL);
	if (asks.no_store || !response_allows(request, response, &says, said))
		return false;
	if (authorized && !freshness->for_anybody)
		return false;
	/* What is stale at once is of use only if it can be validated. */
	return has_validator(headers) ||
	       (freshness->lifetime > freshness->initial_age && !freshness->always_validate);
}

/* ---- using (section 4) ---- */

/* How long it may be stale by what the client says; 0 of those that nobody obeys. */
static bool client_refuses(const struct http_cache_control *control,
			   const struct http_freshness *freshness, int64_t age)
{
	if (control->no_cache)
		return true;
	if (control->max_age >= 0 && age > control->max_age)
		return true;
	return control->min_fresh >= 0 && freshness->lifetime - age < control->min_fresh;
}

enum http_cache_use http_cache_use(const struct http_freshness *freshness,
				   const struct http_cache_control *control,
				   const struct http_cache_rules *rules, int64_t now)
{
	int64_t age = http_cache_age(freshness, now);
	int64_t stale = age - freshness->lifetime;

	if (freshness->always_validate)
		return HTTP_CACHE_VALIDATE;
	if (rules->obey_reload && client_refuses(control, freshness, age))
		return HTTP_CACHE_VALIDATE;
	if (stale < 0)
		return HTTP_CACHE_FRESH;
	if (freshness->must_revalidate)
		return HTTP_CACHE_VALIDATE;
	if (rules->obey_reload && control->max_stale >= 0 && stale <= control->max_stale)
		return HTTP_CACHE_FRESH;
	return stale < freshness->while_revalidate ? HTTP_CACHE_STALE : HTTP_CACHE_VALIDATE;
}

bool http_cache_may_use_on_error(const struct http_freshness *freshness, int64_t now)
{
	int64_t stale = http_cache_age(freshness, now) - freshness->lifetime;

	if (freshness->must_revalidate || freshness->always_validate)
		return false;
	return stale < freshness->if_error;
}

/* ---- what the client has ---- */

static struct weir_text etag_opaque(struct weir_text etag)
{
	if (weir_text_has_prefix(etag, WEIR_TEXT("W/")))
		return (struct weir_text){ etag.data + 2, etag.size - 2 };
	return etag;
}

bool http_cache_is_not_modified(const struct weir_headers *request, struct weir_text etag,
				struct weir_text last_modified, int64_t now)
{
	const struct weir_header *field = NULL;
	struct weir_text list, item;
	int64_t since, modified;

	if (weir_headers_find_id(request, WEIR_HEADER_IF_NONE_MATCH, NULL)) {
		while ((field = weir_headers_find_id(request, WEIR_HEADER_IF_NONE_MATCH, field))) {
			list = field->value;
			while (weir_text_next_item(&list, &item))
				if (weir_text_is_equal(item, WEIR_TEXT("*")) ||
				    (etag.data &&
				     weir_text_is_equal(etag_opaque(item), etag_opaque(etag))))
					return true;
		}
		return false;
	}
	since = date_of(request, WEIR_HEADER_IF_MODIFIED_SINCE, now);
	if (since < 0 || !last_modified.data || weir_http_date_parse(last_modified, now, &modified))
		return false;
	return modified <= since;
}
