/* SPDX-License-Identifier: MIT */
/*
 * Keys of HTTP listeners: what is matched, where calls go, limits.
 */

#include <weir/path.h>

#include "daemon/config_rows.h"

#define IN(owner, key, kind, field, ...)                                                \
	{                                                                               \
		.name = (key), .type = (kind), MEMBER(struct owner, field), __VA_ARGS__ \
	}
#define LIST_IN(owner, key, field, ...)                                   \
	{                                                                 \
		.name = (key), ELEMENTS(struct owner, field), __VA_ARGS__ \
	}

static const struct config_word path_words[] = {
	{ "sockmap", WEIR_PATH_BIT(WEIR_PATH_SOCKMAP) },
	{ "splice", WEIR_PATH_BIT(WEIR_PATH_SPLICE) },
	{ "copy", WEIR_PATH_BIT(WEIR_PATH_COPY) },
};
static const struct config_word as_words[] = { { "normalised", 0 }, { "received", 1 } };
static const struct config_word forwarded_words[] = {
	{ "x", WEIR_FORWARDED_X },
	{ "standard", WEIR_FORWARDED_STANDARD },
	{ "both", WEIR_FORWARDED_BOTH },
	{ "none", WEIR_FORWARDED_NONE },
};
static const struct config_word mode_words[] = {
	{ "append", WEIR_FORWARDED_APPEND },
	{ "replace", WEIR_FORWARDED_REPLACE },
	{ "keep", WEIR_FORWARDED_KEEP },
};
static const struct config_word by_words[] = {
	{ "random", WEIR_SPLIT_RANDOM },
	{ "client", WEIR_SPLIT_CLIENT },
	{ "header", WEIR_SPLIT_HEADER },
	{ "cookie", WEIR_SPLIT_COOKIE },
};

/* ---- matching ----------------------------------------------------------------------------- */

static const struct config_key condition_keys[] = {
	IN(weir_config_condition, "name", CONFIG_TEXT, name, .required = true,
	   .doc = "of the header or parameter"),
	IN(weir_config_condition, "is", CONFIG_TEXT, is, .doc = "its whole value"),
	IN(weir_config_condition, "prefix", CONFIG_TEXT, prefix, .doc = "how its value begins"),
};
static const struct config_table condition_table = {
	.noun = "a condition",
	.keys = condition_keys,
	.n = WEIR_ARRAY_SIZE(condition_keys),
	.size = sizeof(struct weir_config_condition),
	.has_place = true,
	.shorthand = "name",
};

/* What all three depths of conditions have. */
#define MATCH_KEYS                                                                                  \
	LIST_IN(weir_config_match, "host", host, .item = CONFIG_TEXT, .min = 1, .or_one = true,     \
		.doc = "\"example.com\", \"*.example.com\": below it, \".example.com\": both"),     \
		LIST_IN(weir_config_match, "path", path, .item = CONFIG_TEXT, .min = 1,             \
			.or_one = true,                                                             \
			.doc = "\"/a\", \"/a/*\": /a and below it, \"/users/{id}/files/{rest*}\""), \
		LIST_IN(weir_config_match, "method", method, .item = CONFIG_NAME, .min = 1,         \
			.or_one = true, .doc = "GET, HEAD, POST, ..."),                             \
		LIST_IN(weir_config_match, "header", header, .table = &condition_table, .min = 1,   \
			.or_one = true, .doc = "header fields, all of which must fit"),             \
		LIST_IN(weir_config_match, "query", query, .table = &condition_table, .min = 1,     \
			.or_one = true, .doc = "query parameters, all of which must fit"),          \
		LIST_IN(weir_config_match, "client", client, .item = CONFIG_TEXT, .min = 1,         \
			.or_one = true,                                                             \
			.doc = "networks: \"10.0.0.0/8\", \"2001:db8::/32\", \"unix\"")

static const struct config_key literal_keys[] = { MATCH_KEYS };
TABLE(literal, "a condition", struct weir_config_match, true);

static const struct config_key branch_keys[] = {
	MATCH_KEYS,
	LIST_IN(weir_config_match, "not", none, .table = &literal_table, .min = 1, .or_one = true,
		.doc = "conditions of which none may hold"),
};
TABLE(branch, "a condition", struct weir_config_match, true);

static const struct config_key match_keys[] = {
	MATCH_KEYS,
	LIST_IN(weir_config_match, "not", none, .table = &literal_table, .min = 1, .or_one = true,
		.doc = "conditions of which none may hold"),
	LIST_IN(weir_config_match, "any", any, .table = &branch_table, .min = 1,
		.doc = "conditions of which one must hold"),
};
TABLE(match, "match", struct weir_config_match, true);

/* ---- routes ------------------------------------------------------------------------------- */

static const struct config_key rewrite_keys[] = {
	IN(weir_config_rewrite, "prefix", CONFIG_TEXT, prefix,
	   .doc = "instead of what stands before the path pattern's \"*\": \"/v2\""),
	IN(weir_config_rewrite, "path", CONFIG_TEXT, path,
	   .doc = "instead of the whole path: \"/files/{id}\""),
	IN(weir_config_rewrite, "host", CONFIG_TEXT, host, .doc = "Host that is forwarded"),
};
TABLE(rewrite, "rewrite", struct weir_config_rewrite, true);

static const struct config_key mirror_keys[] = {
	IN(weir_config_mirror, "to", CONFIG_NAME, to, .required = true,
	   .doc = "name of the upstream that gets copies"),
	IN(weir_config_mirror, "percent", CONFIG_PERCENT, percent, .min = 1, .max = 100,
	   .fallback = "100%", .doc = "of the calls"),
	IN(weir_config_mirror, "calls", CONFIG_COUNT, calls, .min = 1, .max = 100000,
	   .fallback = "64", .doc = "copies at one time, of each worker; more are dropped"),
	IN(weir_config_mirror, "body", CONFIG_SIZE, body_bytes, .min = 1, .max = UINT64_C(1) << 30,
	   .fallback = "64KiB", .doc = "requests with a larger body are not copied"),
	IN(weir_config_mirror, "timeout", CONFIG_DURATION, timeout_ms, .min = 1, .max = DAYS(1),
	   .fallback = "30s", .doc = "of a copy"),
};
static const struct config_table mirror_table = {
	.noun = "mirror",
	.keys = mirror_keys,
	.n = WEIR_ARRAY_SIZE(mirror_keys),
	.size = sizeof(struct weir_config_mirror),
	.has_place = true,
	.shorthand = "to",
};

static const struct config_key part_keys[] = {
	IN(weir_config_split_part, "to", CONFIG_NAME, to, .required = true,
	   .doc = "name of the upstream"),
	IN(weir_config_split_part, "weight", CONFIG_COUNT, weight, .required = true, .max = 1000000,
	   .doc = "its share of the calls"),
};
TABLE(part, "a part", struct weir_config_split_part, true);

static const struct config_key split_keys[] = {
	LIST_IN(weir_config_split, "parts", parts, .required = true, .table = &part_table, .min = 1,
		.doc = "upstreams and their weights"),
	IN(weir_config_split, "by", CONFIG_WORD, by, WORDS(by_words), .fallback = "random",
	   .doc = "what keeps a user at one part"),
	IN(weir_config_split, "name", CONFIG_TEXT, name, .doc = "of the header or cookie"),
};
TABLE(split, "split", struct weir_config_split, true);

static const struct config_key field_keys[] = {
	IN(weir_config_text_pair, "name", CONFIG_TEXT, name, .required = true,
	   .doc = "of the field"),
	IN(weir_config_text_pair, "value", CONFIG_TEXT, value, .required = true,
	   .doc = "of the field"),
};
TABLE(field, "a header field", struct weir_config_text_pair, false);

static const struct config_key respond_keys[] = {
	IN(weir_config_respond, "status", CONFIG_COUNT, status, .min = 200, .max = 599,
	   .fallback = "200", .doc = "of the response"),
	IN(weir_config_respond, "type", CONFIG_TEXT, type, .fallback = "text/plain; charset=utf-8",
	   .doc = "media type of the body"),
	IN(weir_config_respond, "body", CONFIG_TEXT, body, .doc = "text of the response"),
	LIST_IN(weir_config_respond, "headers", headers, .table = &field_table, .or_one = true,
		.doc = "more fields"),
};
static const struct config_table respond_table = {
	.noun = "respond",
	.keys = respond_keys,
	.n = WEIR_ARRAY_SIZE(respond_keys),
	.size = sizeof(struct weir_config_respond),
	.has_place = true,
	.shorthand = "status",
};

static const struct config_key redirect_keys[] = {
	IN(weir_config_redirect, "to", CONFIG_TEXT, to, .required = true,
	   .doc = "\"https://www.example.com{uri}\""),
	IN(weir_config_redirect, "status", CONFIG_COUNT, status, .min = 301, .max = 308,
	   .fallback = "302", .doc = "301, 302, 303, 307 or 308"),
};
static const struct config_table redirect_table = {
	.noun = "redirect",
	.keys = redirect_keys,
	.n = WEIR_ARRAY_SIZE(redirect_keys),
	.size = sizeof(struct weir_config_redirect),
	.has_place = true,
	.shorthand = "to",
};

static const struct config_key type_keys[] = {
	IN(weir_config_text_pair, "extension", CONFIG_NAME, name, .required = true,
	   .doc = "without dot"),
	IN(weir_config_text_pair, "type", CONFIG_TEXT, value, .required = true,
	   .doc = "media type"),
};
TABLE(type, "a file type", struct weir_config_text_pair, false);

static const struct config_key files_keys[] = {
	IN(weir_config_files, "root", CONFIG_FILE, root, .required = true,
	   .doc = "folder; the path of the request is the path below it"),
	LIST_IN(weir_config_files, "index", index, .item = CONFIG_NAME, .min = 1, .or_one = true,
		.fallback = "index.html", .doc = "files that stand for their folder"),
	LIST_IN(weir_config_files, "types", types, .table = &type_table,
		.doc = "media types, before the built-in ones"),
	IN(weir_config_files, "default_type", CONFIG_TEXT, default_type,
	   .fallback = "application/octet-stream", .doc = "of files with an unknown extension"),
	IN(weir_config_files, "cache_control", CONFIG_TEXT, cache_control,
	   .doc = "Cache-Control of responses"),
	IN(weir_config_files, "precompressed", CONFIG_BOOL, precompressed, .fallback = "false",
	   .doc = "send name.br, name.zst or name.gz to who accepts it"),
	IN(weir_config_files, "listing", CONFIG_BOOL, listing, .fallback = "false",
	   .doc = "a page of each folder without index"),
};
static const struct config_table files_table = {
	.noun = "files",
	.keys = files_keys,
	.n = WEIR_ARRAY_SIZE(files_keys),
	.size = sizeof(struct weir_config_files),
	.has_place = true,
	.shorthand = "root",
};

#define MAP_IN(owner, key, field, table_, ...)                                  \
	{                                                                       \
		.name = (key), .type = CONFIG_MAP, MEMBER(struct owner, field), \
		.table = &table_##_table, __VA_ARGS__                           \
	}

static const struct config_key route_keys[] = {
	IN(weir_config_route, "name", CONFIG_NAME, name,
	   .doc = "in logs and metrics; default: its number"),
	MAP_IN(weir_config_route, "match", match, match,
	       .doc = "all of this must hold; without it the route takes every call"),
	LIST_IN(weir_config_route, "layers", layers, .table = &config_http_layer_table,
		.doc = "what the calls of this route go through, outermost first"),
	MAP_IN(weir_config_route, "rewrite", rewrite, rewrite,
	       .doc = "what is asked for, changed before it is forwarded"),
	{ .name = "retry",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config_route, retry),
	  .table = &config_retry_table,
	  .doc = "instead of the upstream's" },
	IN(weir_config_route, "timeout", CONFIG_DURATION, timeout_ms, .min = 1, .max = DAYS(1),
	   .doc = "from a call's arrival at its upstream to the response's last byte; default: none"),
	IN(weir_config_route, "hedge", CONFIG_DURATION, hedge_ms, .min = 1, .max = DAYS(1),
	   .doc = "ask a second endpoint when the first has not answered by then"),
	MAP_IN(weir_config_route, "mirror", mirror, mirror,
	       .doc = "copies of the requests to another upstream"),
	IN(weir_config_route, "to", CONFIG_NAME, to, .doc = "forward to this upstream"),
	MAP_IN(weir_config_route, "split", split, split,
	       .doc = "forward to one of several upstreams, by weight"),
	MAP_IN(weir_config_route, "respond", respond, respond, .doc = "one answer for everybody"),
	MAP_IN(weir_config_route, "redirect", redirect, redirect, .doc = "send clients elsewhere"),
	MAP_IN(weir_config_route, "files", files, files, .doc = "files below a folder"),
};
static const struct config_table route_table = {
	.noun = "a route",
	.keys = route_keys,
	.n = WEIR_ARRAY_SIZE(route_keys),
	.size = sizeof(struct weir_config_route),
	.has_place = true,
	.either = { "to", "split", "respond", "redirect", "files" },
};

/* ---- listeners ---------------------------------------------------------------------------- */

static const struct config_key path_keys[] = {
	IN(weir_config_http, "forward", CONFIG_WORD, path.as_received, WORDS(as_words),
	   .fallback = "normalised",
	   .doc = "routes see the normal form of a path; upstreams see this"),
	IN(weir_config_http, "keep_slashes", CONFIG_BOOL, path.keep_slashes, .fallback = "false",
	   .doc = "do not make one slash of several"),
};
TABLE(path, "path", struct weir_config_http, false);

static const struct config_key limits_keys[] = {
	IN(weir_config_http, "line", CONFIG_SIZE, limits.line_bytes, .min = 64,
	   .max = UINT64_C(1) << 20, .fallback = "16KiB", .doc = "of a request line: 414"),
	IN(weir_config_http, "headers", CONFIG_SIZE, limits.head_bytes, .min = 64,
	   .max = UINT64_C(1) << 20, .fallback = "32KiB", .doc = "all header fields: 431"),
	IN(weir_config_http, "fields", CONFIG_COUNT, limits.fields, .min = 1,
	   .max = WEIR_HEADERS_MAX, .fallback = "128", .doc = "number of header fields: 431"),
	IN(weir_config_http, "body", CONFIG_SIZE, limits.body_bytes, .min = 1,
	   .doc = "of a request: 413; default: no limit"),
	IN(weir_config_http, "requests", CONFIG_COUNT, limits.requests, .min = 1, .max = UINT32_MAX,
	   .fallback = "1000", .doc = "on one connection"),
	IN(weir_config_http, "discard", CONFIG_SIZE, limits.discard_bytes, .min = 1,
	   .fallback = "256KiB",
	   .doc = "of a body that nobody read, to keep the connection; more closes it"),
};
TABLE(limits, "limits", struct weir_config_http, false);

static const struct config_key timeouts_keys[] = {
	IN(weir_config_http, "head", CONFIG_DURATION, timeouts.head_ms, .min = 1, .max = DAYS(1),
	   .fallback = "10s", .doc = "for a request's head: 408"),
	IN(weir_config_http, "body_idle", CONFIG_DURATION, timeouts.body_idle_ms, .min = 1,
	   .max = DAYS(1), .fallback = "60s",
	   .doc = "while nothing moves of a request's or response's body"),
	IN(weir_config_http, "keep_alive", CONFIG_DURATION, timeouts.keep_alive_ms, .min = 1,
	   .max = DAYS(1), .fallback = "60s", .doc = "waiting for the next request"),
};
TABLE(timeouts, "timeouts", struct weir_config_http, false);

static const struct config_key forwarded_keys[] = {
	IN(weir_config_http, "headers", CONFIG_WORD, forwarded.headers, WORDS(forwarded_words),
	   .fallback = "x",
	   .doc = "X-Forwarded-For, -Proto and -Host (x), Forwarded (standard), both or none"),
	IN(weir_config_http, "mode", CONFIG_WORD, forwarded.mode, WORDS(mode_words),
	   .fallback = "append", .doc = "what becomes of what a trusted proxy said"),
	IN(weir_config_http, "via", CONFIG_NAME, forwarded.via,
	   .doc = "this proxy's name in Via of requests and responses"),
	LIST_IN(weir_config_http, "trusted_proxies", forwarded.trusted, .item = CONFIG_TEXT,
		.or_one = true, .doc = "networks whose word about the client is believed"),
};
TABLE(forwarded, "forwarded", struct weir_config_http, false);

static const struct config_key tunnel_keys[] = {
	IN(weir_config_http, "idle_timeout", CONFIG_DURATION, tunnel.idle_ms, .max = DAYS(3650),
	   .fallback = "0", .doc = "ends one on which nothing moved for so long; 0: never"),
	IN(weir_config_http, "lifetime", CONFIG_DURATION, tunnel.lifetime_ms, .max = DAYS(3650),
	   .fallback = "0", .doc = "ends one after so long; 0: never"),
	IN(weir_config_http, "paths", CONFIG_WORDS, tunnel.paths, WORDS(path_words),
	   .doc = "instead of offload.paths"),
};
TABLE(tunnel, "tunnel", struct weir_config_http, false);

#define PART(key, table_, ...)                                                           \
	{                                                                                \
		.name = (key), .type = CONFIG_MAP, .table = &table_##_table, __VA_ARGS__ \
	}

static const struct config_key http_keys[] = {
	LIST_IN(weir_config_http, "layers", layers, .table = &config_http_layer_table,
		.doc = "what each call goes through, outermost first"),
	LIST_IN(weir_config_http, "routes", routes, .required = true, .table = &route_table,
		.min = 1, .doc = "where calls go: the first that matches; none: 404"),
	IN(weir_config_http, "server", CONFIG_TEXT, server,
	   .doc = "Server of responses that have none"),
	PART("path", path, .doc = "normal form of paths"),
	PART("limits", limits, .doc = "of requests and connections"),
	PART("timeouts", timeouts, .doc = "of clients"),
	IN(weir_config_http, "splice_from", CONFIG_SIZE, kernel_bytes, .min = 1,
	   .fallback = "64KiB",
	   .doc = "larger bodies are moved by the kernel where that is possible"),
	PART("forwarded", forwarded, .doc = "who the client is, and telling upstreams"),
	PART("tunnel", tunnel, .doc = "connections after an Upgrade, WebSocket"),
};
const struct config_table config_http_table =
	TABLE_OF(http_keys, "http", struct weir_config_http, true);
