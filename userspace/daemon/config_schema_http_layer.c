/* SPDX-License-Identifier: MIT */
/*
 * Keys of the layers that calls go through. To add one: a table, a row in http_layer_keys, a
 * builder in stack_http_layer.c.
 */

#include <weir/http_content.h>

#include "daemon/config_rows.h"

/* One key of a layer: its name in YAML, its type, its member. */
#define ROW(key, kind, field, ...)                                                           \
	{                                                                                    \
		.name = (key), .type = (kind), MEMBER(struct weir_config_http_layer, field), \
		__VA_ARGS__                                                                  \
	}
#define LIST(key, field, ...)                                                              \
	{                                                                                  \
		.name = (key), ELEMENTS(struct weir_config_http_layer, field), __VA_ARGS__ \
	}
#define LAYER(name) TABLE(name, #name, struct weir_config_http_layer, false)

#define MS_MAX DAYS(365)
#define S_MAX  (MS_MAX / 1000)

static const struct config_word coding_words[] = {
	{ "gzip", WEIR_HTTP_CODING_GZIP },
	{ "br", WEIR_HTTP_CODING_BROTLI },
	{ "zstd", WEIR_HTTP_CODING_ZSTD },
};
static const struct config_word log_words[] = {
	{ "combined", WEIR_HTTP_LOG_COMBINED },
	{ "json", WEIR_HTTP_LOG_JSON },
	{ "template", WEIR_HTTP_LOG_TEMPLATE },
};
static const struct config_word page_words[] = {
	{ "all", 0 },
	{ "4xx", 4 },
	{ "5xx", 5 },
};

/* ---- dressing ----------------------------------------------------------------------------- */

static const struct config_key request_id_keys[] = {
	ROW("header", CONFIG_TEXT, request_id.header, .fallback = "X-Request-ID",
	    .doc = "field that carries the id, in requests and responses"),
	ROW("replace", CONFIG_BOOL, request_id.replace, .fallback = "false",
	    .doc = "never keep the id that the client sent"),
	ROW("hide", CONFIG_BOOL, request_id.hide, .fallback = "false",
	    .doc = "do not tell the client in the response"),
	ROW("traceparent", CONFIG_BOOL, request_id.traceparent, .fallback = "false",
	    .doc = "continue or begin a W3C trace, whose trace-id is the id"),
};
LAYER(request_id);

static const struct config_key access_log_keys[] = {
	ROW("file", CONFIG_FILE, access_log.file,
	    .doc = "file to append to; without it lines go to the process log"),
	ROW("format", CONFIG_WORD, access_log.format, WORDS(log_words), .fallback = "combined",
	    .doc = "combined log format, one JSON object a line, or a template"),
	ROW("template", CONFIG_TEXT, access_log.line,
	    .doc = "a line with fields in braces: \"{client} {method} {target} {status}\""),
};
LAYER(access_log);

static const struct config_key change_keys[] = {
	{ .name = "set",
	  .type = CONFIG_TEXT,
	  MEMBER(struct weir_config_field_change, set),
	  .doc = "name of a field that has this value and no other" },
	{ .name = "add",
	  .type = CONFIG_TEXT,
	  MEMBER(struct weir_config_field_change, add),
	  .doc = "name of a field to append" },
	{ .name = "default",
	  .type = CONFIG_TEXT,
	  MEMBER(struct weir_config_field_change, fallback),
	  .doc = "name of a field to add where there is none" },
	{ .name = "remove",
	  .type = CONFIG_TEXT,
	  MEMBER(struct weir_config_field_change, remove),
	  .doc = "name of a field to take out" },
	{ .name = "value",
	  .type = CONFIG_TEXT,
	  MEMBER(struct weir_config_field_change, value),
	  .doc = "with fields in braces: \"{client}\"" },
};
TABLE(change, "a header change", struct weir_config_field_change, true);

static const struct config_key headers_keys[] = {
	LIST("request", headers.request, .table = &change_table, .or_one = true,
	     .doc = "changes of what the upstream gets"),
	LIST("response", headers.response, .table = &change_table, .or_one = true,
	     .doc = "changes of what the client gets, refusals too"),
};
LAYER(headers);

/* Nothing to say. */
static const struct config_table metrics_table = {
	.noun = "metrics",
	.size = sizeof(struct weir_config_http_layer),
};

static const struct config_key normalise_keys[] = {
	ROW("keep_slashes", CONFIG_BOOL, normalise.keep_slashes, .fallback = "false",
	    .doc = "do not make one slash of several"),
	ROW("refuse_encoded_slashes", CONFIG_BOOL, normalise.refuse_encoded_slashes,
	    .fallback = "false", .doc = "answer paths with %2F or %5C with 400"),
	ROW("redirect", CONFIG_BOOL, normalise.redirect, .fallback = "false",
	    .doc = "answer GET and HEAD with 308 to the normal form"),
};
LAYER(normalise);

static const struct config_key maintenance_keys[] = {
	ROW("file", CONFIG_FILE, maintenance.file, .required = true,
	    .doc = "closed while this file exists"),
	ROW("retry_after", CONFIG_SECONDS, maintenance.retry_after_s, .min = 1, .max = S_MAX,
	    .fallback = "300s", .doc = "Retry-After of the answers"),
	ROW("type", CONFIG_TEXT, maintenance.type, .fallback = "text/html; charset=utf-8",
	    .doc = "media type of the page"),
	ROW("page", CONFIG_TEXT, maintenance.page, .doc = "the page; default: a short text"),
	LIST("except", maintenance.except, .item = CONFIG_TEXT, .or_one = true,
	     .doc = "paths, and what is under them, that stay open"),
};
LAYER(maintenance);

/* ---- limits ------------------------------------------------------------------------------- */

static const struct config_key timeout_keys[] = {
	ROW("response", CONFIG_DURATION, timeout.response_ms, .min = 1, .max = MS_MAX,
	    .doc = "until the response's head is there: 504"),
	ROW("total", CONFIG_DURATION, timeout.total_ms, .min = 1, .max = MS_MAX,
	    .doc = "of the whole call, bodies included"),
};
LAYER(timeout);

static const struct config_key body_limit_keys[] = {
	ROW("size", CONFIG_SIZE, body_limit.bytes, .required = true,
	    .doc = "of a request's body: 413"),
};
LAYER(body_limit);

static const struct config_key concurrency_keys[] = {
	ROW("calls", CONFIG_COUNT, concurrency.calls, .required = true, .min = 1,
	    .max = CONNECTIONS, .doc = "at one time, of all workers together: 503"),
	ROW("queue", CONFIG_COUNT, concurrency.queue, .max = 1000000, .fallback = "0",
	    .doc = "calls that may wait for a place, of each worker"),
	ROW("queue_timeout", CONFIG_DURATION, concurrency.queue_ms, .min = 1, .max = DAYS(1),
	    .fallback = "1s", .doc = "how long one may wait"),
};
LAYER(concurrency);

static const struct config_key rate_limit_keys[] = {
	ROW("rate", CONFIG_NUMBER, rate_limit.rate, .required = true, .max = CONNECTIONS,
	    .doc = "calls a second with one key: 429"),
	ROW("burst", CONFIG_COUNT, rate_limit.burst, .min = 1, .max = CONNECTIONS,
	    .doc = "calls at once before the rate counts; default: the rate"),
	ROW("key", CONFIG_TEXT, rate_limit.key, .fallback = "{network}",
	    .doc = "what calls share a rate by: \"{client}\", \"{request.X-Api-Key}\""),
	ROW("max_keys", CONFIG_COUNT, rate_limit.max_keys, .min = 1, .max = CONNECTIONS,
	    .fallback = "65536", .doc = "keys remembered at one time"),
};
LAYER(rate_limit);

static const struct config_key shed_keys[] = {
	ROW("delay", CONFIG_DURATION, shed.delay_ms, .min = 1, .max = DAYS(1), .fallback = "20ms",
	    .doc = "a call that waits longer for its turn is too late"),
	ROW("interval", CONFIG_DURATION, shed.interval_ms, .min = 1, .max = DAYS(1),
	    .fallback = "100ms", .doc = "refuse when all calls were too late for so long: 503"),
	ROW("calls", CONFIG_COUNT, shed.calls, .min = 1, .max = CONNECTIONS,
	    .doc = "of one worker at one time; default: no limit"),
	ROW("retry_after", CONFIG_SECONDS, shed.retry_after_s, .min = 1, .max = S_MAX,
	    .fallback = "1s", .doc = "Retry-After of the answers"),
};
LAYER(shed);

static const struct config_key retry_keys[] = {
	ROW("attempts", CONFIG_COUNT, retry.attempts, .min = 2, .max = WEIR_ATTEMPTS_MAX,
	    .fallback = "2", .doc = "in all"),
	LIST("statuses", retry.statuses, .item = CONFIG_COUNT, .min = 1, .max = 599, .or_one = true,
	     .fallback = "[502, 503, 504]", .doc = "responses that are failures"),
	ROW("all_methods", CONFIG_BOOL, retry.all_methods, .fallback = "false",
	    .doc = "POST and PATCH too, which may then be done twice"),
	ROW("body", CONFIG_SIZE, retry.body_bytes, .max = UINT64_C(1) << 30, .fallback = "64KiB",
	    .doc = "kept of a request's body; with more there is no retry"),
	ROW("backoff", CONFIG_DURATION, retry.backoff_ms, .min = 1, .max = DAYS(1),
	    .fallback = "25ms", .doc = "before the second attempt; doubles each time"),
	ROW("max_backoff", CONFIG_DURATION, retry.max_backoff_ms, .min = 1, .max = DAYS(1),
	    .fallback = "1s", .doc = "never longer than this"),
	ROW("budget", CONFIG_PERCENT, retry.budget_percent, .min = 1, .max = 100, .fallback = "20%",
	    .doc = "retries among the calls; 10 a second are free"),
};
LAYER(retry);

/* ---- who may ------------------------------------------------------------------------------ */

static const struct config_key user_keys[] = {
	{ .name = "name",
	  .type = CONFIG_TEXT,
	  .required = true,
	  MEMBER(struct weir_config_text_pair, name),
	  .doc = "without \":\"" },
	{ .name = "hash",
	  .type = CONFIG_TEXT,
	  .required = true,
	  MEMBER(struct weir_config_text_pair, value),
	  .doc = "of crypt(5): bcrypt, yescrypt, SHA-256 or SHA-512" },
};
TABLE(user, "a user", struct weir_config_text_pair, false);

static const struct config_key basic_auth_keys[] = {
	ROW("realm", CONFIG_TEXT, basic_auth.realm, .fallback = "restricted",
	    .doc = "what the browser shows"),
	ROW("file", CONFIG_FILE, basic_auth.file, .doc = "lines of name:hash, as of htpasswd -B"),
	LIST("users", basic_auth.users, .table = &user_table, .doc = "names and hashes"),
	ROW("cache", CONFIG_DURATION, basic_auth.cache_ms, .min = 1, .max = DAYS(1),
	    .fallback = "5m", .doc = "a password that was right is not hashed again for so long"),
	ROW("max_checks", CONFIG_COUNT, basic_auth.max_checks, .min = 1, .max = 10000,
	    .fallback = "16", .doc = "hashed or waiting at one time, each worker"),
	ROW("hide", CONFIG_BOOL, basic_auth.hide, .fallback = "false",
	    .doc = "do not pass Authorization on"),
};
LAYER(basic_auth);

static const struct config_key token_keys[] = {
	{ .name = "user",
	  .type = CONFIG_TEXT,
	  .required = true,
	  MEMBER(struct weir_config_text_pair, name),
	  .doc = "what the token is logged as" },
	{ .name = "token",
	  .type = CONFIG_TEXT,
	  .required = true,
	  MEMBER(struct weir_config_text_pair, value),
	  .doc = "of at least 16 characters" },
};
TABLE(token, "a token", struct weir_config_text_pair, false);

static const struct config_key bearer_auth_keys[] = {
	ROW("realm", CONFIG_TEXT, bearer_auth.realm, .fallback = "restricted",
	    .doc = "in WWW-Authenticate"),
	ROW("file", CONFIG_FILE, bearer_auth.file, .doc = "lines of user:token"),
	LIST("tokens", bearer_auth.tokens, .table = &token_table, .doc = "users and tokens"),
	ROW("hide", CONFIG_BOOL, bearer_auth.hide, .fallback = "false",
	    .doc = "do not pass Authorization on"),
};
LAYER(bearer_auth);

static const struct config_key cors_keys[] = {
	LIST("origins", cors.origins, .item = CONFIG_TEXT, .or_one = true, .required = true,
	     .min = 1, .doc = "\"https://app.example\", \"https://*.example\" or \"*\""),
	LIST("methods", cors.methods, .item = CONFIG_TEXT, .or_one = true,
	     .fallback = "[GET, HEAD, POST]", .doc = "that may be used"),
	LIST("headers", cors.headers, .item = CONFIG_TEXT, .or_one = true,
	     .doc = "fields that requests may have; \"*\" for all"),
	LIST("expose", cors.expose, .item = CONFIG_TEXT, .or_one = true,
	     .doc = "fields of responses that scripts may read"),
	ROW("credentials", CONFIG_BOOL, cors.credentials, .fallback = "false",
	    .doc = "cookies and Authorization may be sent"),
	ROW("max_age", CONFIG_SECONDS, cors.max_age_s, .min = 1, .max = S_MAX, .fallback = "10m",
	    .doc = "how long a browser keeps a preflight's answer"),
};
LAYER(cors);

static const struct config_key security_headers_keys[] = {
	ROW("strict_transport", CONFIG_TEXT, security_headers.strict_transport,
	    .fallback = "max-age=31536000", .doc = "Strict-Transport-Security, by https alone"),
	ROW("content_type", CONFIG_TEXT, security_headers.content_type, .fallback = "nosniff",
	    .doc = "X-Content-Type-Options; \"off\", here and below: none"),
	ROW("frame", CONFIG_TEXT, security_headers.frame, .fallback = "SAMEORIGIN",
	    .doc = "X-Frame-Options"),
	ROW("referrer", CONFIG_TEXT, security_headers.referrer,
	    .fallback = "strict-origin-when-cross-origin", .doc = "Referrer-Policy"),
	ROW("content_policy", CONFIG_TEXT, security_headers.content_policy,
	    .doc = "Content-Security-Policy"),
	ROW("permissions", CONFIG_TEXT, security_headers.permissions, .doc = "Permissions-Policy"),
	ROW("opener", CONFIG_TEXT, security_headers.opener, .doc = "Cross-Origin-Opener-Policy"),
	ROW("replace", CONFIG_BOOL, security_headers.replace, .fallback = "false",
	    .doc = "what the upstream says, too"),
};
LAYER(security_headers);

static const struct config_key redirect_https_keys[] = {
	ROW("status", CONFIG_COUNT, redirect_https.status, .min = 301, .max = 308,
	    .fallback = "308", .doc = "301, 302, 307 or 308"),
	ROW("port", CONFIG_COUNT, redirect_https.port, .min = 1, .max = 65535, .fallback = "443",
	    .doc = "where https is"),
	ROW("host", CONFIG_TEXT, redirect_https.host, .doc = "default: the request's"),
	LIST("except", redirect_https.except, .item = CONFIG_TEXT, .or_one = true,
	     .doc = "paths, and what is under them, that stay"),
};
LAYER(redirect_https);

/* ---- content ------------------------------------------------------------------------------ */

static const struct config_key compress_keys[] = {
	ROW("codings", CONFIG_WORDS, compress.codings, WORDS(coding_words),
	    .doc = "which ones may be used; default: all"),
	LIST("types", compress.types, .item = CONFIG_TEXT, .or_one = true,
	     .doc = "media types, \"text/*\" for all of a kind; default: what is text"),
	ROW("min_size", CONFIG_SIZE, compress.min_bytes, .min = 1, .fallback = "1KiB",
	    .doc = "smaller bodies stay as they are"),
	ROW("gzip_level", CONFIG_COUNT, compress.gzip_level, .min = 1, .max = 9, .fallback = "5",
	    .doc = "1 is quick, 9 is small"),
	ROW("brotli_level", CONFIG_COUNT, compress.brotli_level, .min = 1, .max = 9,
	    .fallback = "4", .doc = "likewise"),
	ROW("zstd_level", CONFIG_COUNT, compress.zstd_level, .min = 1, .max = 9, .fallback = "3",
	    .doc = "likewise"),
};
LAYER(compress);

static const struct config_key decompress_keys[] = {
	ROW("requests", CONFIG_BOOL, decompress.requests, .fallback = "false",
	    .doc = "bodies that clients send; else responses that the client cannot read"),
	ROW("codings", CONFIG_WORDS, decompress.codings, WORDS(coding_words),
	    .doc = "which ones; default: all"),
	ROW("max_size", CONFIG_SIZE, decompress.max_bytes, .min = 1, .fallback = "64MiB",
	    .doc = "of a decompressed body"),
	ROW("max_ratio", CONFIG_COUNT, decompress.max_ratio, .min = 1, .max = 100000,
	    .fallback = "200", .doc = "bytes out by bytes in: against bombs"),
};
LAYER(decompress);

static const struct config_key page_keys[] = {
	{ .name = "status",
	  .type = CONFIG_COUNT,
	  .required = true,
	  MEMBER(struct weir_config_error_page, status),
	  WORDS(page_words),
	  .min = 400,
	  .max = 599,
	  .doc = "404; 4xx and 5xx for a class; all" },
	{ .name = "type",
	  .type = CONFIG_TEXT,
	  MEMBER(struct weir_config_error_page, type),
	  .fallback = "text/html; charset=utf-8",
	  .doc = "media type" },
	{ .name = "content",
	  .type = CONFIG_TEXT,
	  MEMBER(struct weir_config_error_page, content),
	  .doc = "the page, with fields in braces: {status} {reason} {request_id}" },
	{ .name = "file",
	  .type = CONFIG_FILE,
	  MEMBER(struct weir_config_error_page, file),
	  .doc = "the same in a file, read at start and reload" },
};
TABLE(page, "an error page", struct weir_config_error_page, true);

static const struct config_key error_pages_keys[] = {
	LIST("pages", error_pages.pages, .table = &page_table, .required = true, .min = 1,
	     .doc = "the most exact one is taken"),
	ROW("all", CONFIG_BOOL, error_pages.all, .fallback = "false",
	    .doc = "of responses that an upstream made too; else of refusals"),
};
LAYER(error_pages);

static const struct config_key cache_keys[] = {
	ROW("name", CONFIG_NAME, cache.name, .fallback = "weir",
	    .doc = "in Cache-Status and metrics"),
	ROW("size", CONFIG_SIZE, cache.max_bytes, .min = 65536, .fallback = "64MiB",
	    .doc = "memory for all responses"),
	ROW("max_object", CONFIG_SIZE, cache.max_object_bytes, .min = 1, .fallback = "1MiB",
	    .doc = "a larger response is not stored"),
	ROW("default_ttl", CONFIG_SECONDS, cache.default_s, .max = S_MAX, .fallback = "0",
	    .doc = "at most so long is a response fresh that does not say; 0: not at all"),
	ROW("stale_while_revalidate", CONFIG_SECONDS, cache.stale_while_revalidate_s, .max = S_MAX,
	    .fallback = "0", .doc = "where the response does not say"),
	ROW("stale_if_error", CONFIG_SECONDS, cache.stale_if_error_s, .max = S_MAX, .fallback = "0",
	    .doc = "where the response does not say"),
	ROW("lock", CONFIG_DURATION, cache.lock_ms, .min = 1, .max = DAYS(1), .fallback = "5s",
	    .doc = "calls for the same wait so long for the first one's answer"),
	ROW("obey_reload", CONFIG_BOOL, cache.obey_reload, .fallback = "false",
	    .doc = "requests may ask for a fresh answer"),
	ROW("hide", CONFIG_BOOL, cache.hide, .fallback = "false",
	    .doc = "no Cache-Status in responses"),
};
LAYER(cache);

/* ---- all of them -------------------------------------------------------------------------- */

#define LAYER_ROW(name_, text)                                                             \
	{                                                                                  \
		.name = #name_, .type = CONFIG_MAP, .table = &name_##_table, .doc = (text) \
	}

/* In the order of enum weir_config_http_layer_type. */
static const struct config_key http_layer_keys[] = {
	[WEIR_CONFIG_HTTP_REQUEST_ID] = LAYER_ROW(request_id, "names each call"),
	[WEIR_CONFIG_HTTP_ACCESS_LOG] = LAYER_ROW(access_log, "one line for each call"),
	[WEIR_CONFIG_HTTP_METRICS] = LAYER_ROW(metrics, "counts and times by route"),
	[WEIR_CONFIG_HTTP_HEADERS] = LAYER_ROW(headers, "changes header fields"),
	[WEIR_CONFIG_HTTP_NORMALISE] = LAYER_ROW(normalise, "brings paths into normal form"),
	[WEIR_CONFIG_HTTP_MAINTENANCE] = LAYER_ROW(maintenance, "closes for a while: 503"),
	[WEIR_CONFIG_HTTP_TIMEOUT] = LAYER_ROW(timeout, "ends calls that take too long"),
	[WEIR_CONFIG_HTTP_BODY_LIMIT] = LAYER_ROW(body_limit, "refuses large requests"),
	[WEIR_CONFIG_HTTP_CONCURRENCY] = LAYER_ROW(concurrency, "so many calls at one time"),
	[WEIR_CONFIG_HTTP_RATE_LIMIT] = LAYER_ROW(rate_limit, "so many calls a second"),
	[WEIR_CONFIG_HTTP_SHED] = LAYER_ROW(shed, "refuses what an overloaded worker cannot do"),
	[WEIR_CONFIG_HTTP_RETRY] = LAYER_ROW(retry, "asks again what is inside"),
	[WEIR_CONFIG_HTTP_BASIC_AUTH] = LAYER_ROW(basic_auth, "names and passwords: 401"),
	[WEIR_CONFIG_HTTP_BEARER_AUTH] = LAYER_ROW(bearer_auth, "tokens: 401"),
	[WEIR_CONFIG_HTTP_CORS] = LAYER_ROW(cors, "lets scripts of other origins call"),
	[WEIR_CONFIG_HTTP_SECURITY_HEADERS] =
		LAYER_ROW(security_headers, "tells browsers to be careful"),
	[WEIR_CONFIG_HTTP_REDIRECT_HTTPS] =
		LAYER_ROW(redirect_https, "sends clients that came by http to https"),
	[WEIR_CONFIG_HTTP_COMPRESS] = LAYER_ROW(compress, "compresses responses"),
	[WEIR_CONFIG_HTTP_DECOMPRESS] = LAYER_ROW(decompress, "decompresses bodies"),
	[WEIR_CONFIG_HTTP_ERROR_PAGES] = LAYER_ROW(error_pages, "pages for refusals"),
	[WEIR_CONFIG_HTTP_CACHE] = LAYER_ROW(cache, "keeps responses in memory (RFC 9111)"),
};
_Static_assert(WEIR_ARRAY_SIZE(http_layer_keys) == WEIR_CONFIG_HTTP_LAYER_COUNT,
	       "a layer has no row");

const struct config_table config_http_layer_table = {
	.noun = "an HTTP layer",
	.keys = http_layer_keys,
	.n = WEIR_ARRAY_SIZE(http_layer_keys),
	.size = sizeof(struct weir_config_http_layer),
	.has_place = true,
	.one_of = true,
	.type_offset = offsetof(struct weir_config_http_layer, type),
};
