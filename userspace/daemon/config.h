/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_H
#define WEIR_DAEMON_CONFIG_H

/*
 * The configuration as plain data: what a person wrote, checked, with every value in the unit
 * of its name. Zero is "not said", which is the default of whoever uses the value. Strings and
 * arrays belong to the configuration, which never changes once it is read.
 */

#include <stdbool.h>

#include <weir/base.h>
#include <weir/error.h>
#include <weir/log.h>
#include <weir/upstream.h>

#include "daemon/config_http.h"
#include "daemon/config_place.h"

enum weir_config_log_to {
	WEIR_CONFIG_LOG_STDERR,
	WEIR_CONFIG_LOG_FILE,
	WEIR_CONFIG_LOG_SYSLOG,
	WEIR_CONFIG_LOG_JOURNALD,
};

struct weir_config_admin {
	struct weir_config_place place;
	char *socket;  /* path; NULL: no admin socket */
	char *metrics; /* TCP address for GET /metrics; NULL: none */
	char **users;  /* names or numbers that may use the socket beside root and ourselves */
	uint32_t users_count;
	char **groups;
	uint32_t groups_count;
};

struct weir_config_log {
	struct weir_config_place place;
	enum weir_log_level level;
	enum weir_log_format format;
	enum weir_config_log_to to;
	char *file;
};

struct weir_config_resolver {
	char **servers;
	uint32_t servers_count;
	uint32_t timeout_ms;
	uint32_t attempts;
	uint32_t cache_s;
};

struct weir_config_offload {
	uint32_t paths; /* set of WEIR_PATH_BIT(); 0: not said */
	uint64_t inflight_bytes;
	char *pin;
};

enum weir_config_layer_type {
	WEIR_CONFIG_ACCESS_LOG,
	WEIR_CONFIG_LIMIT,
	WEIR_CONFIG_SOURCE_LIMIT,
	WEIR_CONFIG_TIMEOUT,
	WEIR_CONFIG_BANDWIDTH,
	WEIR_CONFIG_LAYER_COUNT,
};

/* Of the members named after layers only the one that TYPE says is meant. */
struct weir_config_layer {
	struct weir_config_place place;
	enum weir_config_layer_type type;
	struct {
		char *file;
		enum weir_log_format format;
	} access_log;
	struct {
		uint64_t connections;
	} limit;
	struct {
		uint64_t connections;
		double rate;
		uint64_t burst;
		uint32_t prefix4;
		uint32_t prefix6;
	} source_limit;
	struct {
		uint64_t lifetime_ms;
	} timeout;
	struct {
		uint64_t upload;
		uint64_t download;
		uint64_t burst;
	} bandwidth;
};

struct weir_config_tcp {
	struct weir_config_place place;
	char *to;
	uint64_t idle_ms;
	uint64_t lifetime_ms;
	uint32_t paths; /* 0: as offload.paths says */
};

struct weir_config_listener {
	struct weir_config_place place;
	char *name;
	char *address;
	uint32_t backlog;
	struct weir_config_layer *layers; /* outermost first */
	uint32_t layers_count;
	struct weir_config_tcp tcp; /* exactly one of these two */
	struct weir_config_http http;
};

struct weir_config_endpoint {
	struct weir_config_place place;
	char *address;
	uint32_t weight;
	bool backup;
};

/* What becomes of connections to an endpoint that is taken away. */
enum weir_config_established {
	WEIR_CONFIG_ESTABLISHED_KEEP,
	WEIR_CONFIG_ESTABLISHED_CLOSE,
};

struct weir_config_upstream {
	struct weir_config_place place;
	char *name;
	struct weir_config_endpoint *endpoints;
	uint32_t endpoints_count;
	enum weir_balance balance;
	struct {
		bool tcp;
		struct {
			char *path; /* NULL: no check by HTTP */
			char *method;
			char *host;
			uint32_t status;
			uint32_t status_to;
		} http;
		uint64_t interval_ms;
		uint64_t timeout_ms;
		uint32_t unhealthy;
		uint32_t healthy;
		uint32_t jitter_percent;
	} health;
	struct {
		uint32_t failures;
		uint32_t server_errors;
		uint32_t gateway_errors;
		uint64_t base_ms;
		uint64_t max_ms;
		uint32_t max_percent;
	} ejection;
	struct weir_config_retry retry;
	struct weir_config_upstream_http http;
	uint64_t slow_start_ms;
	enum weir_config_established established;
	struct {
		uint32_t connections;
		uint32_t queue;
		uint64_t queue_ms;
	} limit;
	struct {
		uint64_t timeout_ms;
		char *source;
		uint32_t keepalive_s;
		uint32_t user_timeout_ms;
		bool nodelay;
		uint32_t mark;
	} connect;
};

struct weir_config {
	struct weir_config_place place;
	struct weir_config_admin admin;
	struct weir_config_log log;
	uint32_t workers; /* 0: one for each CPU */
	bool cpu_affinity;
	struct {
		uint64_t deadline_ms;
	} shutdown;
	struct weir_config_resolver resolver;
	struct weir_config_offload offload;
	struct weir_config_listener *listeners;
	uint32_t listeners_count;
	struct weir_config_upstream *upstreams;
	uint32_t upstreams_count;
};

/* What is wrong, in the order of the files. Zero it first; free it with _fini(). */
struct weir_config_mistakes {
	struct weir_error *list;
	size_t n;	 /* of the list; at most WEIR_CONFIG_MISTAKES_MAX */
	size_t left_off; /* found beyond that */
};

#define WEIR_CONFIG_MISTAKES_MAX 50

void weir_config_mistakes_fini(struct weir_config_mistakes *mistakes);

/* Reads the file at PATH and what it includes. NULL with at least one mistake. */
struct weir_config *weir_config_load(const char *path, struct weir_config_mistakes *mistakes)
	WEIR_MUST_CHECK;
/* Reads SIZE bytes of TEXT, which are called NAME in messages. Touches no file and no network;
 * `include` is a mistake. */
struct weir_config *weir_config_parse(const char *text, size_t size, const char *name,
				      struct weir_config_mistakes *mistakes) WEIR_MUST_CHECK;
/* Accepts NULL. */
void weir_config_free(struct weir_config *config);

/* The upstream with this name; NULL when there is none. */
const struct weir_config_upstream *weir_config_upstream(const struct weir_config *config,
							const char *name);
/* "10.0.0.1", "[::1]", "10.0.0.1:1024": a local address to connect from. 0 or -EINVAL. */
int weir_config_source(struct weir_address *address, const char *text) WEIR_MUST_CHECK;

/* A JSON Schema (2020-12) of the configuration, for editors. Heap text, or NULL. */
char *weir_config_json_schema(void) WEIR_MUST_CHECK;

#endif
