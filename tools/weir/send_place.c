/* SPDX-License-Identifier: MIT */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/message.h>

#include "tools/weir/send_place.h"

static struct weir_text keep(struct weir_arena *arena, struct weir_text text)
{
	if (text.data)
		text.data = weir_arena_strndup(arena, text.data, text.size);
	return text;
}

static const char *with_scheme(struct weir_arena *arena, const char *url)
{
	return strstr(url, "://") ? url : weir_arena_printf(arena, "http://%s", url);
}

static int place_set_scheme(struct place *place, struct weir_text scheme, struct weir_error *error)
{
	place->is_secure = weir_text_is_equal_nocase(scheme, WEIR_TEXT("https"));
	place->scheme = place->is_secure ? WEIR_TEXT("https") : WEIR_TEXT("http");
	if (weir_text_is_equal_nocase(scheme, place->scheme))
		return 0;
	return weir_error_set(error, -EPROTONOSUPPORT, "\"%.*s\" is neither http nor https",
			      WEIR_TEXT_ARGS(scheme));
}

int place_parse(struct place *place, const char *url, struct weir_arena *arena,
		struct weir_error *error)
{
	struct weir_request request;
	struct weir_text text = { 0 }, fragment;
	const char *full = with_scheme(arena, url);

	if (!full)
		return weir_error_set(error, -ENOMEM, "out of memory");
	weir_text_split(weir_text_of(full), '#', &text, &fragment);
	weir_request_init(&request, arena);
	request.method = WEIR_METHOD_GET;
	if (weir_request_set_target(&request, text) || request.form != WEIR_TARGET_ABSOLUTE) {
		weir_error_remedy(error, "write it as http://host:port/path?query");
		return weir_error_set(error, -EINVAL, "\"%s\" is no URL", url);
	}
	*place = (struct place){
		.authority = keep(arena, request.authority),
		.path = keep(arena, request.path),
		.query = keep(arena, request.query),
	};
	return place_set_scheme(place, request.scheme, error);
}

static uint16_t place_port(const struct place *place, uint16_t port)
{
	if (port)
		return port;
	return place->is_secure ? 443 : 80;
}

int place_target(const struct place *place, struct weir_target *target, struct weir_error *error)
{
	char text[WEIR_HOST_MAX + 16];
	struct weir_text host;
	uint16_t port;

	if (weir_authority_parse(place->authority, &host, &port))
		return weir_error_set(error, -EINVAL, "\"%.*s\" is no host",
				      WEIR_TEXT_ARGS(place->authority));
	snprintf(text, sizeof(text), "%.*s:%u", WEIR_TEXT_ARGS(host), place_port(place, port));
	if (weir_target_parse(target, text))
		return weir_error_set(error, -EINVAL, "\"%s\" is no host", text);
	return 0;
}

/* RFC 3986 section 5.2, of what responses really have: another URL, a path, or a path from here. */
const char *place_resolve(const struct place *place, struct weir_text location,
			  struct weir_arena *arena)
{
	struct weir_text folder = place->path;

	if (memmem(location.data, location.size, "://", 3))
		return weir_arena_strndup(arena, location.data, location.size);
	if (weir_text_has_prefix(location, WEIR_TEXT("//")))
		return weir_arena_printf(arena, "%.*s:%.*s", WEIR_TEXT_ARGS(place->scheme),
					 WEIR_TEXT_ARGS(location));
	if (weir_text_has_prefix(location, WEIR_TEXT("/")))
		folder.size = 0;
	else if (!weir_text_has_prefix(location, WEIR_TEXT("?")))
		while (folder.size > 0 && folder.data[folder.size - 1] != '/')
			folder.size--;
	return weir_arena_printf(arena, "%.*s://%.*s%.*s%.*s", WEIR_TEXT_ARGS(place->scheme),
				 WEIR_TEXT_ARGS(place->authority), WEIR_TEXT_ARGS(folder),
				 WEIR_TEXT_ARGS(location));
}

bool place_is_same_origin(const struct place *a, const struct place *b)
{
	struct weir_text host_a, host_b;
	uint16_t port_a, port_b;

	if (a->is_secure != b->is_secure || weir_authority_parse(a->authority, &host_a, &port_a) ||
	    weir_authority_parse(b->authority, &host_b, &port_b))
		return false;
	return weir_text_is_equal_nocase(host_a, host_b) &&
	       place_port(a, port_a) == place_port(b, port_b);
}
