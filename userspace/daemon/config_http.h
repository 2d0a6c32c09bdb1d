/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_HTTP_H
#define WEIR_DAEMON_CONFIG_HTTP_H

/*
 * HTTP listeners as plain data; see config.h. A part whose place has no file was not written.
 */

#include <weir/forwarded.h>
#include <weir/http_layer.h>
#include <weir/reverse.h>
#include <weir/split.h>

#include "daemon/config_place.h"

struct weir_config_text_pair {
	char *name;
	char *value;
};

/* ---- layers ------------------------------------------------------------------------------- */

enum weir_config_http_layer_type {
	WEIR_CONFIG_HTTP_REQUEST_ID,
	WEIR_CONFIG_HTTP_ACCESS_LOG,
	WEIR_CONFIG_HTTP_METRICS,
	WEIR_CONFIG_HTTP_HEADERS,
	WEIR_CONFIG_HTTP_NORMALISE,
	WEIR_CONFIG_HTTP_MAINTENANCE,
	WEIR_CONFIG_HTTP_TIMEOUT,
	WEIR_CONFIG_HTTP_BODY_LIMIT,
	WEIR_CONFIG_HTTP_CONCURRENCY,
	WEIR_CONFIG_HTTP_RATE_LIMIT,
	WEIR_CONFIG_HTTP_SHED,
	WEIR_CONFIG_HTTP_RETRY,
	WEIR_CONFIG_HTTP_BASIC_AUTH,
	WEIR_CONFIG_HTTP_BEARER_AUTH,
	WEIR_CONFIG_HTTP_CORS,
	WEIR_CONFIG_HTTP_SECURITY_HEADERS,
	WEIR_CONFIG_HTTP_REDIRECT_HTTPS,
	WEIR_CONFIG_HTTP_COMPRESS,
	WEIR_CONFIG_HTTP_DECOMPRESS,
	WEIR_CONFIG_HTTP_ERROR_PAGES,
	WEIR_CONFIG_HTTP_CACHE,
	WEIR_CONFIG_HTTP_LAYER_COUNT,
};

/* Exactly one of the first four is a field's name. */
struct weir_config_field_change {
	struct weir_config_place place;
	char *set;
	char *add;
	char *fallback; /* "default" */
	char *remove;
	char *value; /* not of remove */
};

struct weir_config_error_page {
	struct weir_config_place place;
	uint32_t status;
	char *type;
	char *content; /* one of these */
	char *file;
};

/* Of the members named after layers only the one that TYPE says is meant. */
struct weir_config_http_layer {
	struct weir_config_place place;
	enum weir_config_http_layer_type type;
	struct {
		char *header;
		bool replace;
		bool hide;
		bool traceparent;
	} request_id;
	struct {
		char *file;
		enum weir_http_log_format format;
		char *line;
	} access_log;
	struct {
		struct weir_config_field_change *request;
		uint32_t request_count;
		struct weir_config_field_change *response;
		uint32_t response_count;
	} headers;
	struct {
		bool keep_slashes;
		bool refuse_encoded_slashes;
		bool redirect;
	} normalise;
	struct {
		char *file;
		uint32_t retry_after_s;
		char *type;
		char *page;
		char **except;
		uint32_t except_count;
	} maintenance;
	struct {
		uint64_t response_ms;
		uint64_t total_ms;
	} timeout;
	struct {
		uint64_t bytes;
	} body_limit;
	struct {
		uint64_t calls;
		uint32_t queue;
		uint64_t queue_ms;
	} concurrency;
	struct {
		double rate;
		uint64_t burst;
		char *key;
		uint64_t max_keys;
	} rate_limit;
	struct {
		uint64_t delay_ms;
		uint64_t interval_ms;
		uint64_t calls;
		uint32_t retry_after_s;
	} shed;
	struct {
		uint32_t attempts;
		uint16_t *statuses;
		uint32_t statuses_count;
		bool all_methods;
		uint64_t body_bytes;
		uint64_t backoff_ms;
		uint64_t max_backoff_ms;
		uint32_t budget_percent;
	} retry;
	struct {
		char *realm;
		char *file;
		struct weir_config_text_pair *users; /* name and hash */
		uint32_t users_count;
		uint64_t cache_ms;
		uint32_t max_checks;
		bool hide;
	} basic_auth;
	struct {
		char *realm;
		char *file;
		struct weir_config_text_pair *tokens; /* user and token */
		uint32_t tokens_count;
		bool hide;
	} bearer_auth;
	struct {
		char **origins;
		uint32_t origins_count;
		char **methods;
		uint32_t methods_count;
		char **headers;
		uint32_t headers_count;
		char **expose;
		uint32_t expose_count;
		bool credentials;
		uint64_t max_age_s;
	} cors;
	struct { /* "off": not sent */
		char *strict_transport;
		char *content_type;
		char *frame;
		char *referrer;
		char *content_policy;
		char *permissions;
		char *opener;
		bool replace;
	} security_headers;
	struct {
		uint32_t status;
		uint32_t port;
		char *host;
		char **except;
		uint32_t except_count;
	} redirect_https;
	struct {
		uint32_t codings;
		char **types;
		uint32_t types_count;
		uint64_t min_bytes;
		uint32_t gzip_level;
		uint32_t brotli_level;
		uint32_t zstd_level;
	} compress;
	struct {
		bool requests;
		uint32_t codings;
		uint64_t max_bytes;
		uint32_t max_ratio;
	} decompress;
	struct {
		struct weir_config_error_page *pages;
		uint32_t pages_count;
		bool all;
	} error_pages;
	struct {
		char *name;
		uint64_t max_bytes;
		uint64_t max_object_bytes;
		uint64_t default_s;
		uint64_t stale_while_revalidate_s;
		uint64_t stale_if_error_s;
		uint64_t lock_ms;
		bool obey_reload;
		bool hide;
	} cache;
};

/* ---- upstreams ---------------------------------------------------------------------------- */

struct weir_config_retry {
	struct weir_config_place place;
	uint32_t attempts;
	uint32_t on; /* set of WEIR_RETRY_ */
	bool unsafe;
	uint64_t try_ms;
	uint64_t backoff_ms;
	uint64_t backoff_max_ms;
	uint64_t replay_bytes;
};

struct weir_config_sticky {
	struct weir_config_place place;
	char *cookie;
	char *path;
	uint64_t max_age_s;
	bool secure;
};

/* What HTTP alone makes use of. */
struct weir_config_upstream_http {
	struct {
		uint32_t max_connections;
		uint32_t max_idle;
		uint64_t idle_ms;
		uint32_t max_requests;
		uint32_t queue;
		uint64_t queue_ms;
	} pool;
	struct {
		uint64_t first_byte_ms;
		uint64_t body_idle_ms;
		uint64_t continue_ms;
	} timeouts;
	struct {
		uint32_t calls;
		uint32_t pending;
		uint32_t retries;
		uint32_t budget_percent;
		uint32_t budget_min;
	} breaker;
	struct weir_config_sticky sticky;
	struct {
		enum weir_hash_by by;
		char *name;
	} hash;
};

/* ---- routes ------------------------------------------------------------------------------- */

/* Of a header or a query parameter: at most one of is and prefix; neither: that it is there. */
struct weir_config_condition {
	struct weir_config_place place;
	char *name;
	char *is;
	char *prefix;
};

/* All that is written must hold; of a list one element. */
struct weir_config_match {
	struct weir_config_place place;
	char **host;
	uint32_t host_count;
	char **path;
	uint32_t path_count;
	char **method;
	uint32_t method_count;
	struct weir_config_condition *header;
	uint32_t header_count;
	struct weir_config_condition *query;
	uint32_t query_count;
	char **client;
	uint32_t client_count;
	struct weir_config_match *any; /* one of them */
	uint32_t any_count;
	struct weir_config_match *none; /* "not": none of them */
	uint32_t none_count;
};

struct weir_config_split_part {
	struct weir_config_place place;
	char *to;
	uint32_t weight;
};

/* Paths and texts are templates: see weir/rewrite.h. */
struct weir_config_rewrite {
	struct weir_config_place place;
	char *prefix;
	char *path;
	char *host;
};

struct weir_config_mirror {
	struct weir_config_place place;
	char *to;
	uint32_t percent;
	uint32_t calls;
	uint64_t body_bytes;
	uint64_t timeout_ms;
};

struct weir_config_split {
	struct weir_config_place place;
	struct weir_config_split_part *parts;
	uint32_t parts_count;
	enum weir_split_key by;
	char *name;
};

struct weir_config_respond {
	struct weir_config_place place;
	uint32_t status;
	char *type;
	char *body;
	struct weir_config_text_pair *headers;
	uint32_t headers_count;
};

struct weir_config_redirect {
	struct weir_config_place place;
	char *to;
	uint32_t status;
};

struct weir_config_files {
	struct weir_config_place place;
	char *root;
	char **index;
	uint32_t index_count;
	struct weir_config_text_pair *types; /* extension and type */
	uint32_t types_count;
	char *default_type;
	char *cache_control;
	bool precompressed;
	bool listing;
};

struct weir_config_route {
	struct weir_config_place place;
	char *name;
	struct weir_config_match match;
	struct weir_config_http_layer *layers; /* outermost first */
	uint32_t layers_count;
	struct weir_config_rewrite rewrite;
	struct weir_config_mirror mirror;
	struct weir_config_retry retry; /* instead of the upstream's */
	uint64_t timeout_ms;
	uint64_t hedge_ms;
	/* Exactly one of these. */
	char *to;
	struct weir_config_split split;
	struct weir_config_respond respond;
	struct weir_config_redirect redirect;
	struct weir_config_files files;
};

/* ---- listeners ---------------------------------------------------------------------------- */

struct weir_config_http {
	struct weir_config_place place;
	struct weir_config_http_layer *layers; /* outermost first */
	uint32_t layers_count;
	struct weir_config_route *routes;
	uint32_t routes_count;
	char *server;
	struct {
		bool as_received;
		bool keep_slashes;
	} path;
	struct {
		uint32_t line_bytes;
		uint32_t head_bytes;
		uint32_t fields;
		uint64_t body_bytes;
		uint32_t requests;
		uint64_t discard_bytes;
	} limits;
	struct {
		uint64_t head_ms;
		uint64_t body_idle_ms;
		uint64_t keep_alive_ms;
	} timeouts;
	uint64_t kernel_bytes;
	struct {
		enum weir_forwarded_headers headers;
		enum weir_forwarded_mode mode;
		char *via;
		char **trusted;
		uint32_t trusted_count;
	} forwarded;
	struct {
		uint64_t idle_ms;
		uint64_t lifetime_ms;
		uint32_t paths; /* 0: as offload.paths says */
	} tunnel;
};

#endif
