/* SPDX-License-Identifier: MIT */
/*
 * Keys of upstreams.
 */

#include "daemon/config_rows.h"

static const struct config_word balance_words[] = {
	{ "round_robin", WEIR_BALANCE_ROUND_ROBIN },
	{ "random", WEIR_BALANCE_RANDOM },
	{ "least_connections", WEIR_BALANCE_LEAST_CONNECTIONS },
	{ "least_request", WEIR_BALANCE_LEAST_CONNECTIONS },
	{ "ring_hash", WEIR_BALANCE_RING_HASH },
	{ "maglev", WEIR_BALANCE_MAGLEV },
	{ "source_hash", WEIR_BALANCE_SOURCE_HASH },
};

static const struct config_word retry_words[] = {
	{ "connect", WEIR_RETRY_CONNECT }, { "reset", WEIR_RETRY_RESET },
	{ "timeout", WEIR_RETRY_TIMEOUT }, { "502", WEIR_RETRY_502 },
	{ "503", WEIR_RETRY_503 },	   { "504", WEIR_RETRY_504 },
	{ "never", WEIR_RETRY_NEVER },
};
static const struct config_word hash_words[] = {
	{ "address", WEIR_HASH_ADDRESS },
	{ "header", WEIR_HASH_HEADER },
	{ "cookie", WEIR_HASH_COOKIE },
	{ "path", WEIR_HASH_PATH },
};
static const struct config_word established_words[] = {
	{ "keep", WEIR_CONFIG_ESTABLISHED_KEEP },
	{ "close", WEIR_CONFIG_ESTABLISHED_CLOSE },
};

static const struct config_key endpoint_keys[] = {
	{ .name = "address",
	  .type = CONFIG_TARGET,
	  .required = true,
	  MEMBER(struct weir_config_endpoint, address),
	  .doc = "\"10.0.0.1:80\", \"name.example:80\", \"unix:/path\", \"srv:_x._tcp.example\"" },
	{ .name = "weight",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_endpoint, weight),
	  .min = 1,
	  .max = WEIR_WEIGHT_MAX,
	  .fallback = "1",
	  .doc = "its share of the connections" },
	{ .name = "backup",
	  .type = CONFIG_BOOL,
	  MEMBER(struct weir_config_endpoint, backup),
	  .fallback = "false",
	  .doc = "used only when no other endpoint can be" },
};
static const struct config_table endpoint_table = {
	.noun = "an endpoint",
	.keys = endpoint_keys,
	.n = WEIR_ARRAY_SIZE(endpoint_keys),
	.size = sizeof(struct weir_config_endpoint),
	.has_place = true,
	.shorthand = "address",
};

static const struct config_key health_http_keys[] = {
	{ .name = "path",
	  .type = CONFIG_TEXT,
	  .required = true,
	  MEMBER(struct weir_config_upstream, health.http.path),
	  .doc = "what is asked for, with or without a query" },
	{ .name = "method",
	  .type = CONFIG_TEXT,
	  MEMBER(struct weir_config_upstream, health.http.method),
	  .fallback = "GET",
	  .doc = "how it is asked for" },
	{ .name = "host",
	  .type = CONFIG_TEXT,
	  MEMBER(struct weir_config_upstream, health.http.host),
	  .doc = "the request's Host; else the endpoint's name or address" },
	{ .name = "status",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, health.http.status),
	  .min = 100,
	  .max = 599,
	  .doc = "the status that is expected; else 200 to 299" },
	{ .name = "status_to",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, health.http.status_to),
	  .min = 100,
	  .max = 599,
	  .doc = "and all up to this one" },
};
static const struct config_table health_http_table = {
	.noun = "a check by HTTP",
	.keys = health_http_keys,
	.n = WEIR_ARRAY_SIZE(health_http_keys),
	.size = sizeof(struct weir_config_upstream),
	.shorthand = "path",
};

static const struct config_key health_keys[] = {
	{ .name = "tcp",
	  .type = CONFIG_EMPTY,
	  MEMBER(struct weir_config_upstream, health.tcp),
	  .doc = "check by connecting" },
	{ .name = "http",
	  .type = CONFIG_MAP,
	  .table = &health_http_table,
	  .doc = "check by a request over a new connection" },
	{ .name = "interval",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_upstream, health.interval_ms),
	  .min = 10,
	  .max = DAYS(1),
	  .fallback = "2s",
	  .doc = "between two checks" },
	{ .name = "timeout",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_upstream, health.timeout_ms),
	  .min = 1,
	  .max = DAYS(1),
	  .fallback = "1s",
	  .doc = "of one check" },
	{ .name = "unhealthy",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, health.unhealthy),
	  .min = 1,
	  .max = 1000,
	  .fallback = "3",
	  .doc = "failures in a row that take an endpoint out" },
	{ .name = "healthy",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, health.healthy),
	  .min = 1,
	  .max = 1000,
	  .fallback = "2",
	  .doc = "successes in a row that bring it back" },
	{ .name = "jitter",
	  .type = CONFIG_PERCENT,
	  MEMBER(struct weir_config_upstream, health.jitter_percent),
	  .min = 1,
	  .max = 100,
	  .fallback = "10%",
	  .doc = "random part of the interval" },
};
static const struct config_table health_table = {
	.noun = "health",
	.keys = health_keys,
	.n = WEIR_ARRAY_SIZE(health_keys),
	.size = sizeof(struct weir_config_upstream),
	.either = { "tcp", "http" },
};

static const struct config_key ejection_keys[] = {
	{ .name = "failures",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, ejection.failures),
	  .min = 1,
	  .max = 100000,
	  .doc = "connects that failed, or calls without any response, in a row that take an "
		 "endpoint out" },
	{ .name = "server_errors",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, ejection.server_errors),
	  .min = 1,
	  .max = 100000,
	  .doc = "responses with 5xx, and the above, in a row" },
	{ .name = "gateway_errors",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, ejection.gateway_errors),
	  .min = 1,
	  .max = 100000,
	  .doc = "responses with 502, 503 or 504, and failures, in a row" },
	{ .name = "base",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_upstream, ejection.base_ms),
	  .min = 1,
	  .max = DAYS(1),
	  .fallback = "10s",
	  .doc = "for how long the first time; longer each time" },
	{ .name = "max",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_upstream, ejection.max_ms),
	  .min = 1,
	  .max = DAYS(1),
	  .fallback = "300s",
	  .doc = "never longer than this" },
	{ .name = "max_percent",
	  .type = CONFIG_PERCENT,
	  MEMBER(struct weir_config_upstream, ejection.max_percent),
	  .min = 1,
	  .max = 100,
	  .fallback = "50%",
	  .doc = "of the endpoints that may be out at one time" },
};
TABLE(ejection, "ejection", struct weir_config_upstream, false);

static const struct config_key upstream_limit_keys[] = {
	{ .name = "connections",
	  .type = CONFIG_COUNT,
	  .required = true,
	  MEMBER(struct weir_config_upstream, limit.connections),
	  .min = 1,
	  .max = 10000000,
	  .doc = "to each endpoint at one time, of all workers together" },
	{ .name = "queue",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, limit.queue),
	  .max = 1000000,
	  .fallback = "0",
	  .doc = "clients that may wait for a free place, of each worker" },
	{ .name = "queue_timeout",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_upstream, limit.queue_ms),
	  .min = 1,
	  .max = DAYS(1),
	  .fallback = "5s",
	  .doc = "how long one may wait" },
};
TABLE(upstream_limit, "limit", struct weir_config_upstream, false);

static const struct config_key connect_keys[] = {
	{ .name = "timeout",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_upstream, connect.timeout_ms),
	  .min = 1,
	  .max = DAYS(1),
	  .fallback = "5s",
	  .doc = "of a whole connect, resolving included" },
	{ .name = "source",
	  .type = CONFIG_SOURCE,
	  MEMBER(struct weir_config_upstream, connect.source),
	  .doc = "local address to connect from" },
	{ .name = "keepalive",
	  .type = CONFIG_SECONDS,
	  MEMBER(struct weir_config_upstream, connect.keepalive_s),
	  .min = 1,
	  .max = 32767,
	  .doc = "idle time before TCP keepalive probes; default: no probes" },
	{ .name = "user_timeout",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_upstream, connect.user_timeout_ms),
	  .min = 1,
	  .max = DAYS(20),
	  .doc = "TCP_USER_TIMEOUT: how long sent data may stay unacknowledged" },
	{ .name = "nodelay",
	  .type = CONFIG_BOOL,
	  MEMBER(struct weir_config_upstream, connect.nodelay),
	  .filled = true,
	  .fallback = "true",
	  .doc = "TCP_NODELAY: send small writes at once" },
	{ .name = "mark",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, connect.mark),
	  .max = UINT32_MAX,
	  .fallback = "0",
	  .doc = "SO_MARK, for routing rules; needs CAP_NET_ADMIN" },
};
TABLE(connect, "connect", struct weir_config_upstream, false);

/* ---- HTTP --------------------------------------------------------------------------------- */

#define HTTP(key, kind, field, ...)                                                             \
	{                                                                                       \
		.name = (key), .type = (kind), MEMBER(struct weir_config_upstream, http.field), \
		__VA_ARGS__                                                                     \
	}
#define IN(owner, key, kind, field, ...)                                                \
	{                                                                               \
		.name = (key), .type = (kind), MEMBER(struct owner, field), __VA_ARGS__ \
	}

static const struct config_key config_retry_keys[] = {
	IN(weir_config_retry, "attempts", CONFIG_COUNT, attempts, .min = 1,
	   .max = WEIR_ATTEMPTS_MAX,
	   .doc = "in all, each at another endpoint; default: 3 connects, 2 calls"),
	IN(weir_config_retry, "when", CONFIG_WORDS, on, WORDS(retry_words),
	   .doc = "what a call is tried again for; default: connect and reset"),
	IN(weir_config_retry, "unsafe", CONFIG_BOOL, unsafe, .fallback = "false",
	   .doc = "requests that are not idempotent too, which may then be done twice"),
	IN(weir_config_retry, "try_timeout", CONFIG_DURATION, try_ms, .min = 1, .max = DAYS(1),
	   .doc = "of one attempt, to the response's head; default: none of its own"),
	IN(weir_config_retry, "backoff", CONFIG_DURATION, backoff_ms, .min = 1, .max = DAYS(1),
	   .fallback = "25ms", .doc = "before the first retry at most; doubles each time"),
	IN(weir_config_retry, "max_backoff", CONFIG_DURATION, backoff_max_ms, .min = 1,
	   .max = DAYS(1), .fallback = "250ms", .doc = "never longer than this"),
	IN(weir_config_retry, "body", CONFIG_SIZE, replay_bytes, .min = 1, .max = UINT64_C(1) << 30,
	   .fallback = "64KiB", .doc = "kept of a request's body; a larger one is not sent again"),
};
const struct config_table config_retry_table =
	TABLE_OF(config_retry_keys, "retry", struct weir_config_retry, true);

static const struct config_key pool_keys[] = {
	HTTP("max_connections", CONFIG_COUNT, pool.max_connections, .min = 1, .max = 1000000,
	     .doc = "to one endpoint, of each worker; default: no limit"),
	HTTP("max_idle", CONFIG_COUNT, pool.max_idle, .min = 1, .max = 1000000, .fallback = "128",
	     .doc = "kept for one endpoint, of each worker"),
	HTTP("idle", CONFIG_DURATION, pool.idle_ms, .min = 1, .max = DAYS(1), .fallback = "30s",
	     .doc = "an idle connection is closed after"),
	HTTP("max_requests", CONFIG_COUNT, pool.max_requests, .min = 1, .max = UINT32_MAX,
	     .doc = "on one connection; default: no limit"),
	HTTP("queue", CONFIG_COUNT, pool.queue, .min = 1, .max = 1000000, .fallback = "1024",
	     .doc = "calls waiting for a connection to one endpoint"),
	HTTP("queue_timeout", CONFIG_DURATION, pool.queue_ms, .min = 1, .max = DAYS(1),
	     .fallback = "5s", .doc = "how long one may wait"),
};
TABLE(pool, "pool", struct weir_config_upstream, false);

static const struct config_key timeouts_keys[] = {
	HTTP("first_byte", CONFIG_DURATION, timeouts.first_byte_ms, .min = 1, .max = DAYS(1),
	     .fallback = "60s", .doc = "from the end of a request to the response's head"),
	HTTP("body_idle", CONFIG_DURATION, timeouts.body_idle_ms, .min = 1, .max = DAYS(1),
	     .fallback = "60s", .doc = "while nothing moves of a body"),
	HTTP("continue", CONFIG_DURATION, timeouts.continue_ms, .min = 1, .max = DAYS(1),
	     .fallback = "1s", .doc = "waiting for 100 before a body goes anyway"),
};
TABLE(timeouts, "timeouts", struct weir_config_upstream, false);

static const struct config_key breaker_keys[] = {
	HTTP("calls", CONFIG_COUNT, breaker.calls, .min = 1, .max = CONNECTIONS,
	     .doc = "at one time, of all workers together; default: no limit"),
	HTTP("pending", CONFIG_COUNT, breaker.pending, .min = 1, .max = CONNECTIONS,
	     .doc = "calls without a connection yet; default: no limit"),
	HTTP("retries", CONFIG_COUNT, breaker.retries, .min = 1, .max = CONNECTIONS,
	     .doc = "at one time; default: no limit"),
	HTTP("budget", CONFIG_PERCENT, breaker.budget_percent, .min = 1, .max = 100,
	     .fallback = "20%", .doc = "retries, of the calls under way"),
	HTTP("budget_min", CONFIG_COUNT, breaker.budget_min, .min = 1, .max = CONNECTIONS,
	     .fallback = "3", .doc = "retries that the budget always allows"),
};
TABLE(breaker, "breaker", struct weir_config_upstream, false);

static const struct config_key sticky_keys[] = {
	IN(weir_config_sticky, "cookie", CONFIG_NAME, cookie, .fallback = "WEIRID",
	   .doc = "name of the cookie that Weir issues"),
	IN(weir_config_sticky, "path", CONFIG_TEXT, path, .fallback = "/", .doc = "its path"),
	IN(weir_config_sticky, "max_age", CONFIG_SECONDS, max_age_s, .min = 1,
	   .max = DAYS(3650) / 1000, .doc = "default: until the browser ends"),
	IN(weir_config_sticky, "secure", CONFIG_BOOL, secure, .fallback = "false",
	   .doc = "over https alone"),
};
TABLE(sticky, "sticky", struct weir_config_sticky, true);

static const struct config_key hash_keys[] = {
	HTTP("by", CONFIG_WORD, hash.by, .required = true, WORDS(hash_words),
	     .doc = "what hashing balances go by, for calls"),
	HTTP("name", CONFIG_TEXT, hash.name, .doc = "of the header or cookie"),
};
TABLE(hash, "hash", struct weir_config_upstream, false);

/* ---- all of it ---------------------------------------------------------------------------- */

static const struct config_key upstream_keys[] = {
	{ .name = "name",
	  .type = CONFIG_NAME,
	  .required = true,
	  MEMBER(struct weir_config_upstream, name),
	  .doc = "what listeners refer to" },
	{ .name = "endpoints",
	  ELEMENTS(struct weir_config_upstream, endpoints),
	  .required = true,
	  .table = &endpoint_table,
	  .min = 1,
	  .doc = "who serves" },
	{ .name = "balance",
	  .type = CONFIG_WORD,
	  MEMBER(struct weir_config_upstream, balance),
	  WORDS(balance_words),
	  .fallback = "round_robin",
	  .doc = "which endpoint is next" },
	{ .name = "health",
	  .type = CONFIG_MAP,
	  .table = &health_table,
	  .doc = "active checks; without this key there are none" },
	{ .name = "ejection",
	  .type = CONFIG_MAP,
	  .table = &ejection_table,
	  .doc = "take out endpoints that fail; without this key none is" },
	{ .name = "retry",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config_upstream, retry),
	  .table = &config_retry_table,
	  .doc = "connects and calls that failed" },
	{ .name = "pool",
	  .type = CONFIG_MAP,
	  .table = &pool_table,
	  .doc = "HTTP connections that are used again" },
	{ .name = "timeouts", .type = CONFIG_MAP, .table = &timeouts_table, .doc = "of calls" },
	{ .name = "breaker",
	  .type = CONFIG_MAP,
	  .table = &breaker_table,
	  .doc = "refuses calls beyond a number, so that a slow upstream slows nobody else" },
	{ .name = "sticky",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config_upstream, http.sticky),
	  .table = &sticky_table,
	  .doc = "a client's calls go to one endpoint, which a cookie names" },
	{ .name = "hash",
	  .type = CONFIG_MAP,
	  .table = &hash_table,
	  .doc = "what ring_hash, maglev and source_hash go by, for calls" },
	{ .name = "slow_start",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_upstream, slow_start_ms),
	  .max = DAYS(1),
	  .fallback = "0",
	  .doc = "an endpoint that came back gets its full share after so long" },
	{ .name = "established",
	  .type = CONFIG_WORD,
	  MEMBER(struct weir_config_upstream, established),
	  WORDS(established_words),
	  .fallback = "keep",
	  .doc = "what becomes of connections to an endpoint that a reload removes or an "
		 "operator drains" },
	{ .name = "limit",
	  .type = CONFIG_MAP,
	  .table = &upstream_limit_table,
	  .doc = "protects endpoints" },
	{ .name = "connect",
	  .type = CONFIG_MAP,
	  .table = &connect_table,
	  .filled = true,
	  .doc = "how connections are made" },
};
const struct config_table config_upstream_table =
	TABLE_OF(upstream_keys, "an upstream", struct weir_config_upstream, true);
