/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HEADERS_H
#define WEIR_HEADERS_H

/*
 * The header fields of one message, in the order and with the case in which they came,
 * duplicates included. Fields with a known name are found in constant time.
 *
 * Names and values are borrowed: whoever adds a field sees to it that they live as long as the
 * list's arena (literals, or memory of that arena). Removing a field keeps its place empty, so
 * pointers to others stay; adding one may move all.
 */

#include <stdbool.h>

#include <weir/arena.h>
#include <weir/text.h>

/* The names that this library looks at; the canonical spelling is weir_header_name()'s. */
enum weir_header_id {
	WEIR_HEADER_OTHER,
	WEIR_HEADER_ACCEPT,
	WEIR_HEADER_ACCEPT_ENCODING,
	WEIR_HEADER_ACCEPT_RANGES,
	WEIR_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS,
	WEIR_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
	WEIR_HEADER_ACCESS_CONTROL_ALLOW_METHODS,
	WEIR_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
	WEIR_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS,
	WEIR_HEADER_ACCESS_CONTROL_MAX_AGE,
	WEIR_HEADER_ACCESS_CONTROL_REQUEST_HEADERS,
	WEIR_HEADER_ACCESS_CONTROL_REQUEST_METHOD,
	WEIR_HEADER_AGE,
	WEIR_HEADER_ALLOW,
	WEIR_HEADER_AUTHORIZATION,
	WEIR_HEADER_CACHE_CONTROL,
	WEIR_HEADER_CONNECTION,
	WEIR_HEADER_CONTENT_ENCODING,
	WEIR_HEADER_CONTENT_LENGTH,
	WEIR_HEADER_CONTENT_RANGE,
	WEIR_HEADER_CONTENT_TYPE,
	WEIR_HEADER_COOKIE,
	WEIR_HEADER_DATE,
	WEIR_HEADER_ETAG,
	WEIR_HEADER_EXPECT,
	WEIR_HEADER_EXPIRES,
	WEIR_HEADER_FORWARDED,
	WEIR_HEADER_HOST,
	WEIR_HEADER_IF_MATCH,
	WEIR_HEADER_IF_MODIFIED_SINCE,
	WEIR_HEADER_IF_NONE_MATCH,
	WEIR_HEADER_IF_RANGE,
	WEIR_HEADER_IF_UNMODIFIED_SINCE,
	WEIR_HEADER_KEEP_ALIVE,
	WEIR_HEADER_LAST_MODIFIED,
	WEIR_HEADER_LOCATION,
	WEIR_HEADER_ORIGIN,
	WEIR_HEADER_PRAGMA,
	WEIR_HEADER_PROXY_AUTHENTICATE,
	WEIR_HEADER_PROXY_AUTHORIZATION,
	WEIR_HEADER_PROXY_CONNECTION,
	WEIR_HEADER_RANGE,
	WEIR_HEADER_REFERER,
	WEIR_HEADER_RETRY_AFTER,
	WEIR_HEADER_SERVER,
	WEIR_HEADER_SET_COOKIE,
	WEIR_HEADER_TE,
	WEIR_HEADER_TRAILER,
	WEIR_HEADER_TRANSFER_ENCODING,
	WEIR_HEADER_UPGRADE,
	WEIR_HEADER_USER_AGENT,
	WEIR_HEADER_VARY,
	WEIR_HEADER_VIA,
	WEIR_HEADER_WARNING,
	WEIR_HEADER_WWW_AUTHENTICATE,
	WEIR_HEADER_X_FORWARDED_FOR,
	WEIR_HEADER_X_FORWARDED_HOST,
	WEIR_HEADER_X_FORWARDED_PROTO,
	WEIR_HEADER_X_REQUEST_ID,
	WEIR_HEADER_COUNT,
};

struct weir_header {
	struct weir_text name;
	struct weir_text value; /* without white space around it; may be empty */
	enum weir_header_id id;
	uint8_t next; /* private: the next one of the same id */
	bool removed; /* skipped by all functions below */
};

#define WEIR_HEADERS_MAX 250 /* fields in one list */

struct weir_headers {
	struct weir_arena *arena; /* borrowed */
	struct weir_header *fields;
	uint8_t n; /* removed ones included */
	uint8_t capacity;
	uint8_t first[WEIR_HEADER_COUNT]; /* private: place + 1 of the first with that id */
};

/* WEIR_HEADER_OTHER when the name is none of the above. Any case. */
enum weir_header_id weir_header_id(struct weir_text name);
/* "Content-Type". No data for WEIR_HEADER_OTHER. Static memory. */
struct weir_text weir_header_name(enum weir_header_id id);

void weir_headers_init(struct weir_headers *headers, struct weir_arena *arena);
/* Without fields; memory stays in the arena. */
void weir_headers_clear(struct weir_headers *headers);
/* Makes room for N more fields, so that adding them moves nothing. 0, -ENOMEM, -E2BIG. */
int weir_headers_reserve(struct weir_headers *headers, unsigned n) WEIR_MUST_CHECK;

/* Appends a field. 0; -ENOMEM; -E2BIG beyond WEIR_HEADERS_MAX. Syntax is the caller's duty:
 * see weir_header_is_valid(). */
int weir_headers_add(struct weir_headers *headers, struct weir_text name, struct weir_text value)
	WEIR_MUST_CHECK;
/* The same for whoever knows weir_header_id(NAME). */
int weir_headers_add_as(struct weir_headers *headers, enum weir_header_id id, struct weir_text name,
			struct weir_text value) WEIR_MUST_CHECK;
/* The same with the canonical name. */
int weir_headers_add_id(struct weir_headers *headers, enum weir_header_id id,
			struct weir_text value) WEIR_MUST_CHECK;
/* Gives the first field of that name the value, removes the others, appends when there is
 * none. As weir_headers_add(). */
int weir_headers_set(struct weir_headers *headers, struct weir_text name, struct weir_text value)
	WEIR_MUST_CHECK;
int weir_headers_set_id(struct weir_headers *headers, enum weir_header_id id,
			struct weir_text value) WEIR_MUST_CHECK;
/* Removes all fields of that name; returns how many. */
unsigned weir_headers_del(struct weir_headers *headers, struct weir_text name);
unsigned weir_headers_del_id(struct weir_headers *headers, enum weir_header_id id);
void weir_headers_del_field(struct weir_headers *headers, struct weir_header *field);

/* The first, or after AFTER the next field of that name; NULL when there is none. */
struct weir_header *weir_headers_find(const struct weir_headers *headers, struct weir_text name,
				      const struct weir_header *after);
struct weir_header *weir_headers_find_id(const struct weir_headers *headers, enum weir_header_id id,
					 const struct weir_header *after);
/* The value of the first field with ID; no data when there is none. */
struct weir_text weir_headers_value(const struct weir_headers *headers, enum weir_header_id id);
/* The first field in order, or the one after AFTER; NULL at the end. */
static inline struct weir_header *weir_headers_next(const struct weir_headers *headers,
						    const struct weir_header *after)
{
	size_t i = after ? (size_t)(after - headers->fields) + 1 : 0;

	while (i < headers->n && headers->fields[i].removed)
		i++;
	return i < headers->n ? &headers->fields[i] : NULL;
}
/* Whether a list-valued field has this element, in any of its lines; any case, parameters
 * (";q=1") are not compared. */
bool weir_headers_has_item(const struct weir_headers *headers, enum weir_header_id id,
			   struct weir_text item);

/* Appends the fields of FROM to TO, names and values copied into TO's arena. */
int weir_headers_copy(struct weir_headers *to, const struct weir_headers *from) WEIR_MUST_CHECK;

/* A token as name; a value without control characters but tab (RFC 9110 section 5.5). */
bool weir_header_is_valid(struct weir_text name, struct weir_text value);

#endif
