/* SPDX-License-Identifier: MIT */
/*
 * Fields that strangers send and layers read: Cache-Control, Accept-Encoding, Authorization,
 * conditions, paths. What is read lies in what was sent, and is what its grammar allows; and whatever is
 * said, the answers of a cache about freshness do not contradict each other.
 */

#include <assert.h>
#include <string.h>

#include <weir/http_date.h>
#include <weir/http_layer.h>
#include <weir/uri_path.h>

#include "layer/http_accept.h"
#include "layer/http_cache_policy.h"
#include "layer/http_credentials.h"

#define NOW 1000000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_credentials(struct weir_text value, struct weir_arena *arena)
{
	struct weir_text user, password, token;

	if (!http_credentials_basic(value, arena, &user, &password)) {
		assert(user.size > 0 && strlen(user.data) == user.size);
		assert(strlen(password.data) == password.size);
		assert(!memchr(user.data, ':', user.size));
	}
	if (!http_credentials_bearer(value, &token)) {
		assert(token.data >= value.data && token.size > 0);
		assert(token.data + token.size == value.data + value.size);
		assert(!memchr(token.data, ' ', token.size));
	}
}

static void check_accept(const struct weir_headers *headers)
{
	for (unsigned offered = 0; offered < 8; offered++) {
		unsigned best = http_accept_best(headers, offered);

		assert((best & offered) == best && (best & (best - 1)) == 0);
		assert(best == 0 || http_accept_has(headers, (enum weir_http_coding)best));
	}
}

static void check_weight(struct weir_text value)
{
	int weight = http_accept_weight(value);

	assert(weight < 0 || weight <= 1000);
}

static void check_control(const struct http_cache_control *control)
{
	const int64_t seconds[] = { control->max_age,
				    control->s_maxage,
				    control->min_fresh,
				    control->max_stale,
				    control->stale_while_revalidate,
				    control->stale_if_error };

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(seconds); i++)
		assert(seconds[i] >= -1 && seconds[i] <= HTTP_SECONDS_MAX);
}

static void check_policy(const struct weir_request *request, const struct weir_response *response)
{
	const struct http_cache_rules rules = { .default_s = 60, .obey_reload = true };
	struct http_cache_control control;
	struct http_freshness freshness;
	bool stored;

	http_cache_control_read(&control, &request->headers);
	check_control(&control);
	stored = http_cache_may_store(request, false, response, &rules, NOW - 1, NOW, &freshness);
	assert(freshness.lifetime >= 0 && freshness.initial_age >= 1);
	assert(http_cache_age(&freshness, NOW + 10) == freshness.initial_age + 10);
	if (stored && http_cache_use(&freshness, &control, &rules, NOW) == HTTP_CACHE_STALE)
		assert(!freshness.must_revalidate && !freshness.always_validate);
	if (http_cache_may_use_on_error(&freshness, NOW))
		assert(!freshness.must_revalidate);
	(void)http_cache_is_not_modified(
		&request->headers, weir_headers_value(&response->headers, WEIR_HEADER_ETAG),
		weir_headers_value(&response->headers, WEIR_HEADER_LAST_MODIFIED), NOW);
}

static void check_date(struct weir_text value)
{
	char text[WEIR_HTTP_DATE_TEXT];
	int64_t seconds, again;

	if (weir_http_date_parse(value, NOW, &seconds))
		return;
	weir_http_date_format(seconds, text);
	assert(weir_http_date_parse(weir_text_of(text), NOW, &again) == 0 && again == seconds);
}

/* ---- paths ---- */

/* What an upstream sees has no dot segment, whoever takes what for a slash. */
static int check_normal(struct weir_call *call, void *ctx)
{
	struct weir_text path = call->request.path;
	size_t segment = 0, dots = 0;

	(void)ctx;
	for (size_t i = 0; i <= path.size; i++) {
		int c = i < path.size ? (unsigned char)path.data[i] : '/';

		if (c == '%') {
			c = weir_uri_escape(path.data + i, path.size - i);
			assert(c >= ' ' && c != 0x7f && c != '.');
			i += 2;
		}
		if (c != '/' && c != '\\') {
			segment++;
			dots += c == '.';
			continue;
		}
		assert(segment == 0 || segment > 2 || dots != segment);
		segment = dots = 0;
	}
	return 0;
}

static void check_path(struct weir_text path, struct weir_http_service *svc)
{
	struct weir_call call = { 0 };

	if (path.size == 0 || path.data[0] != '/')
		return;
	weir_arena_init(&call.arena, 0);
	weir_request_init(&call.request, &call.arena);
	weir_response_init(&call.response, &call.arena);
	call.request.path = path;
	assert(weir_handle(svc, &call) == 0);
	weir_body_free(call.response.body);
	weir_arena_fini(&call.arena);
}

static struct weir_http_service *normalise_service(void)
{
	static struct weir_http_service *svc;

	if (!svc)
		svc = weir_http_normalise_layer(weir_http_function(check_normal, NULL, NULL),
						&(struct weir_http_normalise_conf){ 0 }, NULL);
	assert(svc);
	return svc;
}

/* One line of input is one field, of which the first byte says the name and the side. */
static void add_field(struct weir_request *request, struct weir_response *response,
		      struct weir_text line)
{
	static const enum weir_header_id ids[] = {
		WEIR_HEADER_ACCEPT_ENCODING,
		WEIR_HEADER_CACHE_CONTROL,
		WEIR_HEADER_AUTHORIZATION,
		WEIR_HEADER_IF_NONE_MATCH,
		WEIR_HEADER_AGE,
		WEIR_HEADER_IF_MODIFIED_SINCE,
		WEIR_HEADER_EXPIRES,
		WEIR_HEADER_DATE,
		WEIR_HEADER_LAST_MODIFIED,
		WEIR_HEADER_ETAG,
		WEIR_HEADER_VARY,
		WEIR_HEADER_PRAGMA,
	};
	unsigned char first = (unsigned char)line.data[0];
	struct weir_headers *headers = first & 0x80 ? &response->headers : &request->headers;
	struct weir_text value = weir_text_trim((struct weir_text){ line.data + 1, line.size - 1 });

	(void)!weir_headers_add_id(headers, ids[first % WEIR_ARRAY_SIZE(ids)], value);
	check_credentials(value, request->headers.arena);
	check_weight(value);
	check_date(value);
	check_path(value, normalise_service());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_text rest = { (const char *)data, size }, line;
	struct weir_response response;
	struct weir_request request;
	struct weir_arena arena;

	weir_arena_init(&arena, 0);
	weir_request_init(&request, &arena);
	weir_response_init(&response, &arena);
	request.method = WEIR_METHOD_GET;
	response.status = 200;
	while (rest.size > 0) {
		weir_text_split(rest, '\n', &line, &rest);
		if (line.size > 0)
			add_field(&request, &response, line);
	}
	check_accept(&request.headers);
	check_policy(&request, &response);
	weir_arena_fini(&arena);
	return 0;
}
