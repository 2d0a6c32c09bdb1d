/* SPDX-License-Identifier: MIT */
/*
 * Sticky sessions by a cookie of Weir's own. It holds the endpoint's identity, a hash of its name and
 * address: all workers and all proxies with the same configuration understand it, and nobody reads an
 * address from it. One that is unknown, or of an endpoint that may not be used, is replaced.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/forwarded.h>
#include <weir/split.h>

#include "proxy/reverse_internal.h"

#define IDENTITY_DIGITS 16

/* What a cookie's attribute may hold (RFC 6265 section 4.1.1). */
static bool is_path(const char *path)
{
	for (; *path; path++)
		if (*path < ' ' || *path > '~' || *path == ';')
			return false;
	return true;
}

int sticky_init(struct sticky *sticky, const struct weir_sticky_conf *conf,
		struct weir_error *error)
{
	const char *cookie = conf->cookie ? conf->cookie : "WEIRID";
	const char *path = conf->path ? conf->path : "/";

	if (!weir_header_is_valid(weir_text_of(cookie), WEIR_TEXT(""))) {
		weir_error_remedy(error, "use letters, digits, - and _");
		return weir_error_set(error, WEIR_ECONFIG, "\"%s\" is no name for a cookie",
				      cookie);
	}
	if (!is_path(path)) {
		weir_error_remedy(error, "write a path like /");
		return weir_error_set(error, WEIR_ECONFIG, "\"%s\" is no path for a cookie", path);
	}
	*sticky = (struct sticky){
		.mode = conf->mode,
		.cookie = strdup(cookie),
		.path = strdup(path),
		.max_age_s = conf->max_age_s,
		.secure = conf->secure,
	};
	if (!sticky->cookie || !sticky->path)
		return weir_error_set(error, -ENOMEM, "out of memory");
	return 0;
}

void sticky_fini(struct sticky *sticky)
{
	free(sticky->cookie);
	free(sticky->path);
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint64_t sticky_wish(const struct sticky *sticky, const struct weir_request *request)
{
	struct weir_text value;
	uint64_t identity = 0;

	if (sticky->mode != WEIR_STICKY_COOKIE)
		return 0;
	value = weir_cookie_value(&request->headers, weir_text_of(sticky->cookie));
	if (value.size != IDENTITY_DIGITS)
		return 0;
	for (size_t i = 0; i < value.size; i++) {
		int digit = digit_of(value.data[i]);

		if (digit < 0)
			return 0;
		identity = identity << 4 | (uint64_t)digit;
	}
	return identity;
}

int sticky_tell(const struct sticky *sticky, struct weir_call *call, uint64_t wish,
		uint64_t identity)
{
	bool secure = sticky->secure ||
		      weir_text_is_equal_nocase(weir_client_scheme(call), WEIR_TEXT("https"));
	char age[40] = "";
	char *text;

	if (sticky->mode != WEIR_STICKY_COOKIE || wish == identity)
		return 0;
	if (sticky->max_age_s)
		snprintf(age, sizeof(age), "; Max-Age=%llu", (unsigned long long)sticky->max_age_s);
	text = weir_arena_printf(&call->arena, "%s=%016llx; Path=%s; HttpOnly; SameSite=Lax%s%s",
				 sticky->cookie, (unsigned long long)identity, sticky->path, age,
				 secure ? "; Secure" : "");
	if (!text)
		return -ENOMEM;
	return weir_headers_add_id(&call->response.headers, WEIR_HEADER_SET_COOKIE,
				   weir_text_of(text));
}
