/* SPDX-License-Identifier: MIT */
/*
 * One row a key. To add a key: a member in config.h, a row here, and whoever uses it.
 */

#include "daemon/config_schema.h"

#include <string.h>

#include <weir/address.h>
#include <weir/path.h>

#include "daemon/config.h"

#define MEMBER(owner, member) \
	.offset = offsetof(owner, member), .size = sizeof(((owner *)0)->member)
#define ELEMENTS(owner, member)                                 \
	.type = CONFIG_LIST, .offset = offsetof(owner, member), \
	.size = sizeof(*((owner *)0)->member), .count_offset = offsetof(owner, member##_count)
#define WORDS(array) .words = (array), .n_words = WEIR_ARRAY_SIZE(array)
#define TABLE(name, text, type, place)                    \
	static const struct config_table name##_table = { \
		.noun = (text),                           \
		.keys = name##_keys,                      \
		.n = WEIR_ARRAY_SIZE(name##_keys),        \
		.size = sizeof(type),                     \
		.has_place = (place),                     \
	}

/* No connection, queue or name outgrows these; they catch slips of the finger. */
#define DAYS(n)	     ((uint64_t)(n)*86400000)
#define CONNECTIONS  UINT64_C(100000000)
#define BACKLOG_MAX  1048576
#define WORKERS_MAX  1024
#define ATTEMPTS_MAX 100

static const struct config_word level_words[] = {
	{ "error", WEIR_LOG_ERROR },
	{ "warn", WEIR_LOG_WARN },
	{ "info", WEIR_LOG_INFO },
	{ "debug", WEIR_LOG_DEBUG },
};
static const struct config_word format_words[] = {
	{ "text", WEIR_LOG_TEXT },
	{ "json", WEIR_LOG_JSON },
};
static const struct config_word log_to_words[] = {
	{ "stderr", WEIR_CONFIG_LOG_STDERR },
	{ "file", WEIR_CONFIG_LOG_FILE },
	{ "syslog", WEIR_CONFIG_LOG_SYSLOG },
	{ "journald", WEIR_CONFIG_LOG_JOURNALD },
};
static const struct config_word path_words[] = {
	{ "sockmap", WEIR_PATH_BIT(WEIR_PATH_SOCKMAP) },
	{ "splice", WEIR_PATH_BIT(WEIR_PATH_SPLICE) },
	{ "copy", WEIR_PATH_BIT(WEIR_PATH_COPY) },
};
static const struct config_word workers_words[] = { { "auto", 0 } };
static const struct config_word balance_words[] = {
	{ "round_robin", WEIR_BALANCE_ROUND_ROBIN },
	{ "random", WEIR_BALANCE_RANDOM },
	{ "least_connections", WEIR_BALANCE_LEAST_CONNECTIONS },
	{ "ring_hash", WEIR_BALANCE_RING_HASH },
	{ "maglev", WEIR_BALANCE_MAGLEV },
	{ "source_hash", WEIR_BALANCE_SOURCE_HASH },
};

static const struct config_word established_words[] = {
	{ "keep", WEIR_CONFIG_ESTABLISHED_KEEP },
	{ "close", WEIR_CONFIG_ESTABLISHED_CLOSE },
};

static const struct config_key admin_keys[] = {
	{ .name = "socket",
	  .type = CONFIG_FILE,
	  MEMBER(struct weir_config_admin, socket),
	  .max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
	  .doc = "Unix socket of the admin API, which weirctl talks to" },
	{ .name = "metrics",
	  .type = CONFIG_ADDRESS,
	  MEMBER(struct weir_config_admin, metrics),
	  .doc = "TCP address that answers GET /metrics in Prometheus' text format" },
	{ .name = "users",
	  ELEMENTS(struct weir_config_admin, users),
	  .item = CONFIG_NAME,
	  .doc = "users (names or numbers) that may use the socket beside root and Weir's own" },
	{ .name = "groups",
	  ELEMENTS(struct weir_config_admin, groups),
	  .item = CONFIG_NAME,
	  .doc = "groups whose members may use the socket" },
};
TABLE(admin, "admin", struct weir_config_admin, true);

static const struct config_key log_keys[] = {
	{ .name = "level",
	  .type = CONFIG_WORD,
	  MEMBER(struct weir_config_log, level),
	  WORDS(level_words),
	  .filled = true,
	  .fallback = "info",
	  .doc = "the least important lines to write" },
	{ .name = "format",
	  .type = CONFIG_WORD,
	  MEMBER(struct weir_config_log, format),
	  WORDS(format_words),
	  .fallback = "text",
	  .doc = "text, or one JSON object a line" },
	{ .name = "to",
	  .type = CONFIG_WORD,
	  MEMBER(struct weir_config_log, to),
	  WORDS(log_to_words),
	  .fallback = "stderr",
	  .doc = "where lines go" },
	{ .name = "file",
	  .type = CONFIG_FILE,
	  MEMBER(struct weir_config_log, file),
	  .doc = "file to append to, with `to: file`; reopened on SIGUSR1" },
};
TABLE(log, "log", struct weir_config_log, true);

static const struct config_key shutdown_keys[] = {
	{ .name = "deadline",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config, shutdown.deadline_ms),
	  .min = 1,
	  .max = DAYS(30),
	  .filled = true,
	  .fallback = "30s",
	  .doc = "how long connections may go on after SIGTERM" },
};
TABLE(shutdown, "shutdown", struct weir_config, false);

static const struct config_key resolver_keys[] = {
	{ .name = "servers",
	  ELEMENTS(struct weir_config_resolver, servers),
	  .item = CONFIG_ADDRESS,
	  .min = 1,
	  .doc = "name servers to ask instead of those in /etc/resolv.conf" },
	{ .name = "timeout",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_resolver, timeout_ms),
	  .min = 1,
	  .max = DAYS(1),
	  .fallback = "2s",
	  .doc = "of one question to one server" },
	{ .name = "attempts",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_resolver, attempts),
	  .min = 1,
	  .max = ATTEMPTS_MAX,
	  .fallback = "2",
	  .doc = "how often each server is asked" },
	{ .name = "cache",
	  .type = CONFIG_SECONDS,
	  MEMBER(struct weir_config_resolver, cache_s),
	  .min = 1,
	  .max = 604800,
	  .fallback = "1h",
	  .doc = "answers are kept for their TTL but no longer than this" },
};
TABLE(resolver, "resolver", struct weir_config_resolver, false);

static const struct config_key offload_keys[] = {
	{ .name = "paths",
	  .type = CONFIG_WORDS,
	  MEMBER(struct weir_config_offload, paths),
	  WORDS(path_words),
	  .doc = "which paths connections may take; the best one is chosen" },
	{ .name = "inflight",
	  .type = CONFIG_SIZE,
	  MEMBER(struct weir_config_offload, inflight_bytes),
	  .min = 4096,
	  .max = UINT64_C(1) << 30,
	  .fallback = "256KiB",
	  .doc = "bytes the kernel may hold for one slow reader, each way" },
	{ .name = "pin",
	  .type = CONFIG_FILE,
	  MEMBER(struct weir_config_offload, pin),
	  .doc = "folder in a BPF file system where maps are pinned" },
};
TABLE(offload, "offload", struct weir_config_offload, false);

static const struct config_key access_log_keys[] = {
	{ .name = "file",
	  .type = CONFIG_FILE,
	  MEMBER(struct weir_config_layer, access_log.file),
	  .doc = "file to append to; without it lines go to the process log" },
	{ .name = "format",
	  .type = CONFIG_WORD,
	  MEMBER(struct weir_config_layer, access_log.format),
	  WORDS(format_words),
	  .fallback = "text",
	  .doc = "of the lines in the file" },
};
TABLE(access_log, "access_log", struct weir_config_layer, false);

static const struct config_key limit_keys[] = {
	{ .name = "connections",
	  .type = CONFIG_COUNT,
	  .required = true,
	  MEMBER(struct weir_config_layer, limit.connections),
	  .min = 1,
	  .max = CONNECTIONS,
	  .doc = "connections at one time, of all workers together" },
};
TABLE(limit, "limit", struct weir_config_layer, false);

static const struct config_key source_limit_keys[] = {
	{ .name = "connections",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_layer, source_limit.connections),
	  .min = 1,
	  .max = CONNECTIONS,
	  .doc = "connections at one time from one client address" },
	{ .name = "rate",
	  .type = CONFIG_NUMBER,
	  MEMBER(struct weir_config_layer, source_limit.rate),
	  .max = CONNECTIONS,
	  .doc = "new connections a second from one client address" },
	{ .name = "burst",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_layer, source_limit.burst),
	  .min = 1,
	  .max = CONNECTIONS,
	  .doc = "new connections at once before the rate counts; default: the rate" },
	{ .name = "prefix4",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_layer, source_limit.prefix4),
	  .min = 1,
	  .max = 32,
	  .fallback = "32",
	  .doc = "bits of an IPv4 address that make one client" },
	{ .name = "prefix6",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_layer, source_limit.prefix6),
	  .min = 1,
	  .max = 128,
	  .fallback = "64",
	  .doc = "bits of an IPv6 address that make one client" },
};
TABLE(source_limit, "source_limit", struct weir_config_layer, false);

static const struct config_key timeout_keys[] = {
	{ .name = "lifetime",
	  .type = CONFIG_DURATION,
	  .required = true,
	  MEMBER(struct weir_config_layer, timeout.lifetime_ms),
	  .min = 1,
	  .max = DAYS(3650),
	  .doc = "of a connection, from accept to close" },
};
TABLE(timeout, "timeout", struct weir_config_layer, false);

static const struct config_key bandwidth_keys[] = {
	{ .name = "upload",
	  .type = CONFIG_SIZE,
	  MEMBER(struct weir_config_layer, bandwidth.upload),
	  .min = 1,
	  .doc = "bytes a second from each client" },
	{ .name = "download",
	  .type = CONFIG_SIZE,
	  MEMBER(struct weir_config_layer, bandwidth.download),
	  .min = 1,
	  .doc = "bytes a second to each client" },
	{ .name = "burst",
	  .type = CONFIG_SIZE,
	  MEMBER(struct weir_config_layer, bandwidth.burst),
	  .min = 1,
	  .doc = "bytes at once; default: what a tenth of a second allows" },
};
TABLE(bandwidth, "bandwidth", struct weir_config_layer, false);

/* In the order of enum weir_config_layer_type. */
static const struct config_key layer_keys[] = {
	[WEIR_CONFIG_ACCESS_LOG] = { .name = "access_log",
				     .type = CONFIG_MAP,
				     .table = &access_log_table,
				     .doc = "one line for each connection when it has ended" },
	[WEIR_CONFIG_LIMIT] = { .name = "limit",
				.type = CONFIG_MAP,
				.table = &limit_table,
				.doc = "refuses connections beyond a number" },
	[WEIR_CONFIG_SOURCE_LIMIT] = { .name = "source_limit",
				       .type = CONFIG_MAP,
				       .table = &source_limit_table,
				       .doc = "limits each client address" },
	[WEIR_CONFIG_TIMEOUT] = { .name = "timeout",
				  .type = CONFIG_MAP,
				  .table = &timeout_table,
				  .doc = "ends connections that last too long" },
	[WEIR_CONFIG_BANDWIDTH] = { .name = "bandwidth",
				    .type = CONFIG_MAP,
				    .table = &bandwidth_table,
				    .doc = "slows each connection down" },
};
_Static_assert(WEIR_ARRAY_SIZE(layer_keys) == WEIR_CONFIG_LAYER_COUNT, "a layer has no row");

static const struct config_table layer_table = {
	.noun = "a layer",
	.keys = layer_keys,
	.n = WEIR_ARRAY_SIZE(layer_keys),
	.size = sizeof(struct weir_config_layer),
	.has_place = true,
	.one_of = true,
	.type_offset = offsetof(struct weir_config_layer, type),
};

static const struct config_key tcp_keys[] = {
	{ .name = "to",
	  .type = CONFIG_NAME,
	  .required = true,
	  MEMBER(struct weir_config_tcp, to),
	  .doc = "name of the upstream" },
	{ .name = "idle_timeout",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_tcp, idle_ms),
	  .max = DAYS(3650),
	  .fallback = "0",
	  .doc = "ends a connection on which nothing moved for so long; 0: never" },
	{ .name = "lifetime",
	  .type = CONFIG_DURATION,
	  MEMBER(struct weir_config_tcp, lifetime_ms),
	  .max = DAYS(3650),
	  .fallback = "0",
	  .doc = "ends a connection after so long; 0: never" },
	{ .name = "paths",
	  .type = CONFIG_WORDS,
	  MEMBER(struct weir_config_tcp, paths),
	  WORDS(path_words),
	  .doc = "instead of offload.paths" },
};
TABLE(tcp, "tcp", struct weir_config_tcp, true);

static const struct config_key listener_keys[] = {
	{ .name = "name",
	  .type = CONFIG_NAME,
	  .required = true,
	  MEMBER(struct weir_config_listener, name),
	  .doc = "in logs, metrics and weirctl" },
	{ .name = "address",
	  .type = CONFIG_ADDRESS,
	  .required = true,
	  MEMBER(struct weir_config_listener, address),
	  .doc = "where to listen: \"127.0.0.1:80\", \"[::1]:80\", \"80\", \"unix:/path\"" },
	{ .name = "backlog",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_listener, backlog),
	  .min = 1,
	  .max = BACKLOG_MAX,
	  .fallback = "4096",
	  .doc = "connections the kernel keeps until they are accepted" },
	{ .name = "layers",
	  ELEMENTS(struct weir_config_listener, layers),
	  .table = &layer_table,
	  .doc = "what each connection goes through, outermost first" },
	{ .name = "tcp",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config_listener, tcp),
	  .table = &tcp_table,
	  .required = true,
	  .doc = "carry the bytes to an upstream" },
};
TABLE(listener, "a listener", struct weir_config_listener, true);

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

static const struct config_key health_keys[] = {
	{ .name = "tcp",
	  .type = CONFIG_EMPTY,
	  .required = true,
	  MEMBER(struct weir_config_upstream, health.tcp),
	  .doc = "check by connecting" },
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
TABLE(health, "health", struct weir_config_upstream, false);

static const struct config_key ejection_keys[] = {
	{ .name = "failures",
	  .type = CONFIG_COUNT,
	  .required = true,
	  MEMBER(struct weir_config_upstream, ejection.failures),
	  .min = 1,
	  .max = 100000,
	  .doc = "failed connects in a row that take an endpoint out" },
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

static const struct config_key retry_keys[] = {
	{ .name = "attempts",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config_upstream, retry.attempts),
	  .min = 1,
	  .max = WEIR_ATTEMPTS_MAX,
	  .fallback = "3",
	  .doc = "connects on different endpoints before a client is refused" },
};
TABLE(retry, "retry", struct weir_config_upstream, false);

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
	{ .name = "retry", .type = CONFIG_MAP, .table = &retry_table, .doc = "failed connects" },
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
TABLE(upstream, "an upstream", struct weir_config_upstream, true);

static const struct config_key root_keys[] = {
	{ .name = "admin",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config, admin),
	  .table = &admin_table,
	  .doc = "how Weir is observed and controlled" },
	{ .name = "log",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config, log),
	  .table = &log_table,
	  .filled = true,
	  .doc = "the process log" },
	{ .name = "workers",
	  .type = CONFIG_COUNT,
	  MEMBER(struct weir_config, workers),
	  .min = 1,
	  .max = WORKERS_MAX,
	  WORDS(workers_words),
	  .fallback = "auto",
	  .doc = "threads; auto: one for each CPU that the process may use" },
	{ .name = "cpu_affinity",
	  .type = CONFIG_BOOL,
	  MEMBER(struct weir_config, cpu_affinity),
	  .fallback = "false",
	  .doc = "bind each worker to one CPU" },
	{ .name = "shutdown",
	  .type = CONFIG_MAP,
	  .table = &shutdown_table,
	  .filled = true,
	  .doc = "how it ends" },
	{ .name = "resolver",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config, resolver),
	  .table = &resolver_table,
	  .doc = "name resolution" },
	{ .name = "offload",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config, offload),
	  .table = &offload_table,
	  .doc = "how bytes are carried" },
	{ .name = "listeners",
	  ELEMENTS(struct weir_config, listeners),
	  .table = &listener_table,
	  .doc = "where clients connect to" },
	{ .name = "upstreams",
	  ELEMENTS(struct weir_config, upstreams),
	  .table = &upstream_table,
	  .doc = "where connections go" },
};
TABLE(root, "the configuration", struct weir_config, true);

const struct config_table *config_schema_root(void)
{
	return &root_table;
}

const struct config_key *config_table_find(const struct config_table *table, const char *name)
{
	size_t i;

	for (i = 0; i < table->n; i++) {
		if (strcmp(table->keys[i].name, name) == 0)
			return &table->keys[i];
	}
	return NULL;
}
