/* SPDX-License-Identifier: MIT */
/*
 * Keys of the layers that connections go through.
 */

#include "daemon/config_rows.h"

static const struct config_word format_words[] = {
	{ "text", WEIR_LOG_TEXT },
	{ "json", WEIR_LOG_JSON },
};

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

const struct config_table config_layer_table = {
	.noun = "a layer",
	.keys = layer_keys,
	.n = WEIR_ARRAY_SIZE(layer_keys),
	.size = sizeof(struct weir_config_layer),
	.has_place = true,
	.one_of = true,
	.type_offset = offsetof(struct weir_config_layer, type),
};
