/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_CONFIG_ROWS_H
#define WEIR_DAEMON_CONFIG_ROWS_H

/*
 * What the tables of the schema are written with, and the tables that others refer to. One
 * file a noun.
 */

#include "daemon/config.h"
#include "daemon/config_schema.h"

#define MEMBER(owner, member) \
	.offset = offsetof(owner, member), .size = sizeof(((owner *)0)->member)
#define ELEMENTS(owner, member)                                 \
	.type = CONFIG_LIST, .offset = offsetof(owner, member), \
	.size = sizeof(*((owner *)0)->member), .count_offset = offsetof(owner, member##_count)
#define WORDS(array) .words = (array), .n_words = WEIR_ARRAY_SIZE(array)
#define TABLE_OF(array, text, type, place)                                    \
	{                                                                     \
		.noun = (text), .keys = (array), .n = WEIR_ARRAY_SIZE(array), \
		.size = sizeof(type), .has_place = (place),                   \
	}
#define TABLE(name, text, type, place) \
	static const struct config_table name##_table = TABLE_OF(name##_keys, text, type, place)

/* No connection, queue or name outgrows these; they catch slips of the finger. */
#define DAYS(n)	    ((uint64_t)(n)*86400000)
#define CONNECTIONS UINT64_C(100000000)

extern const struct config_table config_http_layer_table;
extern const struct config_table config_http_table;
extern const struct config_table config_layer_table;
extern const struct config_table config_retry_table;
extern const struct config_table config_upstream_table;

#endif
