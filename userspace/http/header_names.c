/* SPDX-License-Identifier: MIT */
/*
 * Known field names, found with one hash and one comparison.
 *
 * The hash is perfect over the names of enum weir_header_id: the multiplier was searched for, at
 * random, until no two names shared a slot. Whoever adds a name puts it into both tables; when
 * the unit test finds that a slot is taken, another odd multiplier is due and all slots move.
 */

#include <weir/headers.h>

static const char *const names[WEIR_HEADER_COUNT] = {
	[WEIR_HEADER_ACCEPT] = "Accept",
	[WEIR_HEADER_ACCEPT_ENCODING] = "Accept-Encoding",
	[WEIR_HEADER_ACCEPT_RANGES] = "Accept-Ranges",
	[WEIR_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS] = "Access-Control-Allow-Credentials",
	[WEIR_HEADER_ACCESS_CONTROL_ALLOW_HEADERS] = "Access-Control-Allow-Headers",
	[WEIR_HEADER_ACCESS_CONTROL_ALLOW_METHODS] = "Access-Control-Allow-Methods",
	[WEIR_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN] = "Access-Control-Allow-Origin",
	[WEIR_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS] = "Access-Control-Expose-Headers",
	[WEIR_HEADER_ACCESS_CONTROL_MAX_AGE] = "Access-Control-Max-Age",
	[WEIR_HEADER_ACCESS_CONTROL_REQUEST_HEADERS] = "Access-Control-Request-Headers",
	[WEIR_HEADER_ACCESS_CONTROL_REQUEST_METHOD] = "Access-Control-Request-Method",
	[WEIR_HEADER_AGE] = "Age",
	[WEIR_HEADER_ALLOW] = "Allow",
	[WEIR_HEADER_AUTHORIZATION] = "Authorization",
	[WEIR_HEADER_CACHE_CONTROL] = "Cache-Control",
	[WEIR_HEADER_CONNECTION] = "Connection",
	[WEIR_HEADER_CONTENT_ENCODING] = "Content-Encoding",
	[WEIR_HEADER_CONTENT_LENGTH] = "Content-Length",
	[WEIR_HEADER_CONTENT_RANGE] = "Content-Range",
	[WEIR_HEADER_CONTENT_TYPE] = "Content-Type",
	[WEIR_HEADER_COOKIE] = "Cookie",
	[WEIR_HEADER_DATE] = "Date",
	[WEIR_HEADER_ETAG] = "ETag",
	[WEIR_HEADER_EXPECT] = "Expect",
	[WEIR_HEADER_EXPIRES] = "Expires",
	[WEIR_HEADER_FORWARDED] = "Forwarded",
	[WEIR_HEADER_HOST] = "Host",
	[WEIR_HEADER_IF_MATCH] = "If-Match",
	[WEIR_HEADER_IF_MODIFIED_SINCE] = "If-Modified-Since",
	[WEIR_HEADER_IF_NONE_MATCH] = "If-None-Match",
	[WEIR_HEADER_IF_RANGE] = "If-Range",
	[WEIR_HEADER_IF_UNMODIFIED_SINCE] = "If-Unmodified-Since",
	[WEIR_HEADER_KEEP_ALIVE] = "Keep-Alive",
	[WEIR_HEADER_LAST_MODIFIED] = "Last-Modified",
	[WEIR_HEADER_LOCATION] = "Location",
	[WEIR_HEADER_ORIGIN] = "Origin",
	[WEIR_HEADER_PRAGMA] = "Pragma",
	[WEIR_HEADER_PROXY_AUTHENTICATE] = "Proxy-Authenticate",
	[WEIR_HEADER_PROXY_AUTHORIZATION] = "Proxy-Authorization",
	[WEIR_HEADER_PROXY_CONNECTION] = "Proxy-Connection",
	[WEIR_HEADER_RANGE] = "Range",
	[WEIR_HEADER_REFERER] = "Referer",
	[WEIR_HEADER_RETRY_AFTER] = "Retry-After",
	[WEIR_HEADER_SERVER] = "Server",
	[WEIR_HEADER_SET_COOKIE] = "Set-Cookie",
	[WEIR_HEADER_TE] = "TE",
	[WEIR_HEADER_TRAILER] = "Trailer",
	[WEIR_HEADER_TRANSFER_ENCODING] = "Transfer-Encoding",
	[WEIR_HEADER_UPGRADE] = "Upgrade",
	[WEIR_HEADER_USER_AGENT] = "User-Agent",
	[WEIR_HEADER_VARY] = "Vary",
	[WEIR_HEADER_VIA] = "Via",
	[WEIR_HEADER_WARNING] = "Warning",
	[WEIR_HEADER_WWW_AUTHENTICATE] = "WWW-Authenticate",
	[WEIR_HEADER_X_FORWARDED_FOR] = "X-Forwarded-For",
	[WEIR_HEADER_X_FORWARDED_HOST] = "X-Forwarded-Host",
	[WEIR_HEADER_X_FORWARDED_PROTO] = "X-Forwarded-Proto",
	[WEIR_HEADER_X_REQUEST_ID] = "X-Request-ID",
};

#define NAMES_MULTIPLIER 0xa9e09505u
#define NAMES_LONGEST	 32

static const uint8_t slots[256] = {
	[7] = WEIR_HEADER_AUTHORIZATION,
	[10] = WEIR_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
	[11] = WEIR_HEADER_PROXY_CONNECTION,
	[19] = WEIR_HEADER_TRAILER,
	[25] = WEIR_HEADER_CONTENT_RANGE,
	[26] = WEIR_HEADER_PROXY_AUTHORIZATION,
	[29] = WEIR_HEADER_ALLOW,
	[30] = WEIR_HEADER_ACCEPT_ENCODING,
	[39] = WEIR_HEADER_ETAG,
	[43] = WEIR_HEADER_ACCEPT_RANGES,
	[48] = WEIR_HEADER_X_REQUEST_ID,
	[49] = WEIR_HEADER_CACHE_CONTROL,
	[56] = WEIR_HEADER_IF_MATCH,
	[58] = WEIR_HEADER_PROXY_AUTHENTICATE,
	[59] = WEIR_HEADER_LOCATION,
	[67] = WEIR_HEADER_ACCEPT,
	[69] = WEIR_HEADER_CONTENT_LENGTH,
	[75] = WEIR_HEADER_UPGRADE,
	[76] = WEIR_HEADER_CONNECTION,
	[81] = WEIR_HEADER_IF_NONE_MATCH,
	[86] = WEIR_HEADER_X_FORWARDED_PROTO,
	[90] = WEIR_HEADER_X_FORWARDED_HOST,
	[100] = WEIR_HEADER_SERVER,
	[105] = WEIR_HEADER_SET_COOKIE,
	[118] = WEIR_HEADER_CONTENT_ENCODING,
	[128] = WEIR_HEADER_HOST,
	[130] = WEIR_HEADER_KEEP_ALIVE,
	[131] = WEIR_HEADER_EXPECT,
	[133] = WEIR_HEADER_ACCESS_CONTROL_REQUEST_METHOD,
	[134] = WEIR_HEADER_PRAGMA,
	[143] = WEIR_HEADER_WARNING,
	[146] = WEIR_HEADER_TE,
	[148] = WEIR_HEADER_AGE,
	[149] = WEIR_HEADER_ACCESS_CONTROL_ALLOW_METHODS,
	[166] = WEIR_HEADER_IF_MODIFIED_SINCE,
	[169] = WEIR_HEADER_X_FORWARDED_FOR,
	[173] = WEIR_HEADER_FORWARDED,
	[174] = WEIR_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS,
	[176] = WEIR_HEADER_IF_UNMODIFIED_SINCE,
	[180] = WEIR_HEADER_EXPIRES,
	[183] = WEIR_HEADER_COOKIE,
	[188] = WEIR_HEADER_LAST_MODIFIED,
	[192] = WEIR_HEADER_REFERER,
	[195] = WEIR_HEADER_TRANSFER_ENCODING,
	[211] = WEIR_HEADER_VARY,
	[212] = WEIR_HEADER_RETRY_AFTER,
	[213] = WEIR_HEADER_WWW_AUTHENTICATE,
	[219] = WEIR_HEADER_USER_AGENT,
	[221] = WEIR_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
	[226] = WEIR_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS,
	[229] = WEIR_HEADER_RANGE,
	[231] = WEIR_HEADER_ACCESS_CONTROL_REQUEST_HEADERS,
	[235] = WEIR_HEADER_ORIGIN,
	[240] = WEIR_HEADER_VIA,
	[243] = WEIR_HEADER_ACCESS_CONTROL_MAX_AGE,
	[250] = WEIR_HEADER_CONTENT_TYPE,
	[252] = WEIR_HEADER_IF_RANGE,
	[254] = WEIR_HEADER_DATE,
};

/* Setting bit 5 folds the case of letters and keeps the hyphen; what else it makes equal, the
 * comparison tells apart. */
static unsigned names_slot(struct weir_text name)
{
	const unsigned char *data = (const unsigned char *)name.data;
	uint32_t key = data[0] | (uint32_t)data[name.size - 2] << 8 |
		       (uint32_t)data[name.size - 1] << 16 | 0x202020u;

	return ((key | (uint32_t)name.size << 24) * NAMES_MULTIPLIER) >> 24;
}

enum weir_header_id weir_header_id(struct weir_text name)
{
	enum weir_header_id id;

	if (name.size < 2 || name.size > NAMES_LONGEST)
		return WEIR_HEADER_OTHER;
	id = slots[names_slot(name)];
	if (!weir_text_is_equal_nocase(name, weir_header_name(id)))
		return WEIR_HEADER_OTHER;
	return id;
}

struct weir_text weir_header_name(enum weir_header_id id)
{
	return weir_text_of((unsigned)id < WEIR_HEADER_COUNT ? names[id] : NULL);
}
