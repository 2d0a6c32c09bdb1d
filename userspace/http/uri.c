/* SPDX-License-Identifier: MIT */
/*
 * Request targets (RFC 9112 section 3.2) and authorities (RFC 3986 section 3.2), as narrow as
 * practice allows.
 *
 * Narrower than RFC 3986: hosts are names of unreserved characters, IPv4 addresses or bracketed
 * IPv6 addresses; what else a registered name may have (percent-encoding, sub-delimiters) no
 * resolver takes and peers read differently. Wider: browsers send [ ] | ^ in paths and { } ` and
 * a lone % in queries as they are, so these pass.
 */

#include <arpa/inet.h>
#include <errno.h>

#include <weir/message.h>

#include "http/chars.h"

static bool uri_is_ipv6(struct weir_text text)
{
	char terminated[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (text.size >= sizeof(terminated) || memchr(text.data, '\0', text.size))
		return false;
	memcpy(terminated, text.data, text.size);
	terminated[text.size] = '\0';
	return inet_pton(AF_INET6, terminated, &address) == 1;
}

/* How many bytes at AUTHORITY's start are its host; 0 when there is no valid one. */
static size_t uri_host_size(struct weir_text authority)
{
	const char *end;
	size_t n = 0;

	if (authority.size > 0 && authority.data[0] == '[') {
		end = memchr(authority.data, ']', authority.size);
		n = end ? (size_t)(end - authority.data) + 1 : 0;
		return n > 2 && uri_is_ipv6((struct weir_text){ authority.data + 1, n - 2 }) ? n
											     : 0;
	}
	while (n < authority.size && weir_char_is(authority.data[n], WEIR_CHAR_HOST))
		n++;
	return n;
}

int weir_authority_parse(struct weir_text authority, struct weir_text *host, uint16_t *port)
{
	size_t n = uri_host_size(authority);
	uint64_t number = 0;

	if (n == 0)
		return -EINVAL;
	*host = (struct weir_text){ authority.data, n };
	*port = 0;
	if (n == authority.size)
		return 0;
	if (authority.data[n] != ':')
		return -EINVAL;
	if (n + 1 == authority.size) /* an empty port is the default one */
		return 0;
	if (weir_text_parse_u64((struct weir_text){ authority.data + n + 1,
						    authority.size - n - 1 },
				&number) ||
	    number == 0 || number > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)number;
	return 0;
}

/* No "%" but with two hexadecimal digits. */
static bool uri_is_encoded(struct weir_text text)
{
	const char *end = text.data + text.size;
	const char *p = text.size ? memchr(text.data, '%', text.size) : NULL;

	while (p) {
		if (end - p < 3 || !weir_chars_are(p + 1, 2, WEIR_CHAR_HEX))
			return false;
		p = memchr(p + 3, '%', (size_t)(end - p) - 3);
	}
	return true;
}

/* "/path?query" */
static int uri_set_path(struct weir_request *request, struct weir_text text)
{
	weir_text_split(text, '?', &request->path, &request->query);
	if (!weir_chars_are(request->path.data, request->path.size, WEIR_CHAR_PATH) ||
	    !weir_chars_are(request->query.data, request->query.size, WEIR_CHAR_QUERY))
		return -EINVAL;
	return uri_is_encoded(request->path) ? 0 : -EINVAL;
}

static int uri_set_authority(struct weir_request *request, struct weir_text text)
{
	struct weir_text host;
	uint16_t port;
	int rc = weir_authority_parse(text, &host, &port);

	if (rc)
		return rc;
	request->authority = text;
	return 0;
}

/* CONNECT's: the port is not optional (RFC 9110 section 9.3.6). */
static int uri_set_connect(struct weir_request *request, struct weir_text text)
{
	struct weir_text host;
	uint16_t port;
	int rc = weir_authority_parse(text, &host, &port);

	if (rc)
		return rc;
	if (port == 0)
		return -EINVAL;
	request->form = WEIR_TARGET_AUTHORITY;
	request->authority = text;
	return 0;
}

/* The size of "http://" or "https://" at TEXT's start, 0 for anything else. */
static size_t uri_scheme_size(struct weir_text text)
{
	static const struct weir_text schemes[] = { { "http://", 7 }, { "https://", 8 } };

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(schemes); i++) {
		struct weir_text start = { text.data, WEIR_MIN(text.size, schemes[i].size) };

		if (weir_text_is_equal_nocase(start, schemes[i]))
			return schemes[i].size;
	}
	return 0;
}

static int uri_set_absolute(struct weir_request *request, struct weir_text text)
{
	size_t scheme = uri_scheme_size(text);
	struct weir_text rest = { text.data + scheme, text.size - scheme };
	size_t n = 0;
	int rc;

	if (scheme == 0)
		return -EINVAL;
	while (n < rest.size && rest.data[n] != '/' && rest.data[n] != '?')
		n++;
	rc = uri_set_authority(request, (struct weir_text){ rest.data, n });
	if (rc)
		return rc;
	request->form = WEIR_TARGET_ABSOLUTE;
	request->scheme = scheme == 8 ? WEIR_TEXT("https") : WEIR_TEXT("http");
	rc = uri_set_path(request, (struct weir_text){ rest.data + n, rest.size - n });
	if (rc || request->path.size > 0)
		return rc;
	/* Without a path: of OPTIONS the server itself (RFC 9112 section 3.2.4), else the root. */
	request->path = request->method == WEIR_METHOD_OPTIONS && !request->query.data
				? WEIR_TEXT("*")
				: WEIR_TEXT("/");
	return 0;
}

int weir_request_set_target(struct weir_request *request, struct weir_text target)
{
	request->path = request->query = (struct weir_text){ NULL, 0 };
	if (request->method == WEIR_METHOD_CONNECT)
		return uri_set_connect(request, target);
	if (target.size == 0)
		return -EINVAL;
	if (target.data[0] != '/' && !weir_text_is_equal(target, WEIR_TEXT("*")))
		return uri_set_absolute(request, target);
	if (target.data[0] == '/') {
		request->form = WEIR_TARGET_ORIGIN;
		return uri_set_path(request, target);
	}
	if (request->method != WEIR_METHOD_OPTIONS)
		return -EINVAL;
	request->form = WEIR_TARGET_ASTERISK;
	request->path = target;
	return 0;
}
