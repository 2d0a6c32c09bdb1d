/* SPDX-License-Identifier: MIT */
/*
 * One row a key. To add a key: a member in config.h, a row here or in the file of its noun
 * (config_schema_*.c), and whoever uses it.
 */

#include "daemon/config_schema.h"

#include <string.h>

#include <weir/address.h>
#include <weir/path.h>

#include "daemon/config_rows.h"

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
	  .table = &config_layer_table,
	  .doc = "what each connection goes through, outermost first" },
	{ .name = "tcp",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config_listener, tcp),
	  .table = &tcp_table,
	  .doc = "carry the bytes to an upstream" },
	{ .name = "http",
	  .type = CONFIG_MAP,
	  MEMBER(struct weir_config_listener, http),
	  .table = &config_http_table,
	  .doc = "speak HTTP, and route each call" },
};
static const struct config_table listener_table = {
	.noun = "a listener",
	.keys = listener_keys,
	.n = WEIR_ARRAY_SIZE(listener_keys),
	.size = sizeof(struct weir_config_listener),
	.has_place = true,
	.either = { "tcp", "http" },
};

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
	  .table = &config_upstream_table,
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
