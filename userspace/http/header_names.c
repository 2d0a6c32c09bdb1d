/* SPDX-License-Identifier: MIT */
/*
 * Known field names, found with one hash and one comparison.
 *
 * The hash is perfect over the names of enum weir_header_id: the multiplier was searched for, at
 * random, until no two names shared a slot. Whoever adds a name puts it into both tables; when
 * the unit test finds that a slot is taken, another odd multiplier is due and all slots move.
 */

#include <weir/headers.h>

#define NAME(literal)                        \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

static const struct weir_text names[WEIR_HEADER_COUNT] = {
	[WEIR_HEADER_ACCEPT] = NAME("Accept"),
	[WEIR_HEADER_ACCEPT_ENCODING] = NAME("Accept-Encoding"),
	[WEIR_HEADER_ACCEPT_RANGES] = NAME("Accept-Ranges"),
	[WEIR_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS] = NAME("Access-Control-Allow-Credentials"),
	[WEIR_HEADER_ACCESS_CONTROL_ALLOW_HEADERS] = NAME("Access-Control-Allow-Headers"),
	[WEIR_HEADER_ACCESS_CONTROL_ALLOW_METHODS] = NAME("Access-Control-Allow-Methods"),
	[WEIR_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN] = NAME("Access-Control-Allow-Origin"),
	[WEIR_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS] = NAME("Access-Control-Expose-Headers"),
	[WEIR_HEADER_ACCESS_CONTROL_MAX_AGE] = NAME("Access-Control-Max-Age"),
	[WEIR_HEADER_ACCESS_CONTROL_REQUEST_HEADERS] = NAME("Access-Control-Request-Headers"),
	[WEIR_HEADER_ACCESS_CONTROL_REQUEST_METHOD] = NAME("Access-Control-Request-Method"),
	[WEIR_HEADER_AGE] = NAME("Age"),
	[WEIR_HEADER_ALLOW] = NAME("Allow"),
	[WEIR_HEADER_AUTHORIZATION] = NAME("Authorization"),
	[WEIR_HEADER_CACHE_CONTROL] = NAME("Cache-Control"),
	[WEIR_HEADER_CONNECTION] = NAME("Connection"),
	[WEIR_HEADER_CONTENT_ENCODING] = NAME("Content-Encoding"),
	[WEIR_HEADER_CONTENT_LENGTH] = NAME("Content-Length"),
	[WEIR_HEADER_CONTENT_RANGE] = NAME("Content-Range"),
	[WEIR_HEADER_CONTENT_TYPE] = NAME("Content-Type"),
	[WEIR_HEADER_COOKIE] = NAME("Cookie"),
	[WEIR_HEADER_DATE] = NAME("Date"),
	[WEIR_HEADER_ETAG] = NAME("ETag"),
	[WEIR_HEADER_EXPECT] = NAME("Expect"),
	[WEIR_HEADER_EXPIRES] = NAME("Expires"),
	[WEIR_HEADER_FORWARDED] = NAME("Forwarded"),
	[WEIR_HEADER_HOST] = NAME("Host"),
	[WEIR_HEADER_IF_MATCH] = NAME("If-Match"),
	[WEIR_HEADER_IF_MODIFIED_SINCE] = NAME("If-Modified-Since"),
	[WEIR_HEADER_IF_NONE_MATCH] = NAME("If-None-Match"),
	[WEIR_HEADER_IF_RANGE] = NAME("If-Range"),
	[WEIR_HEADER_IF_UNMODIFIED_SINCE] = NAME("If-Unmodified-Since"),
	[WEIR_HEADER_KEEP_ALIVE] = NAME("Keep-Alive"),
	[WEIR_HEADER_LAST_MODIFIED] = NAME("Last-Modified"),
	[WEIR_HEADER_LOCATION] = NAME("Location"),
	[WEIR_HEADER_ORIGIN] = NAME("Origin"),
	[WEIR_HEADER_PRAGMA] = NAME("Pragma"),
	[WEIR_HEADER_PROXY_AUTHENTICATE] = NAME("Proxy-Authenticate"),
	[WEIR_HEADER_PROXY_AUTHORIZATION] = NAME("Proxy-Authorization"),
	[WEIR_HEADER_PROXY_CONNECTION] = NAME("Proxy-Connection"),
	[WEIR_HEADER_RANGE] = NAME("Range"),
	[WEIR_HEADER_REFERER] = NAME("Referer"),
	[WEIR_HEADER_RETRY_AFTER] = NAME("Retry-After"),
	[WEIR_HEADER_SERVER] = NAME("Server"),
	[WEIR_HEADER_SET_COOKIE] = NAME("Set-Cookie"),
	[WEIR_HEADER_TE] = NAME("TE"),
	[WEIR_HEADER_TRAILER] = NAME("Trailer"),
	[WEIR_HEADER_TRANSFER_ENCODING] = NAME("Transfer-Encoding"),
	[WEIR_HEADER_UPGRADE] = NAME("Upgrade"),
	[WEIR_HEADER_USER_AGENT] = NAME("User-Agent"),
	[WEIR_HEADER_VARY] = NAME("Vary"),
	[WEIR_HEADER_VIA] = NAME("Via"),
	[WEIR_HEADER_WARNING] = NAME("Warning"),
	[WEIR_HEADER_WWW_AUTHENTICATE] = NAME("WWW-Authenticate"),
	[WEIR_HEADER_X_FORWARDED_FOR] = NAME("X-Forwarded-For"),
	[WEIR_HEADER_X_FORWARDED_HOST] = NAME("X-Forwarded-Host"),
	[WEIR_HEADER_X_FORWARDED_PROTO] = NAME("X-Forwarded-Proto"),
	[WEIR_HEADER_X_REQUEST_ID] = NAME("X-Request-ID"),
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
	if (weir_text_is_equal(name, names[id])) /* most come in their canonical case */
		return id;
	return weir_text_is_equal_nocase(name, names[id]) ? id : WEIR_HEADER_OTHER;
}

struct weir_text weir_header_name(enum weir_header_id id)
{
	return (unsigned)id < WEIR_HEADER_COUNT ? names[id] : weir_text_of(NULL);
}
