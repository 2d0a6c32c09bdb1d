/* SPDX-License-Identifier: MIT */

/*
 * Addresses and their text. Reading is strict: what is accepted has one meaning, and writing it
 * gives a text that reads as an equal address. Unix paths with control characters are refused on
 * reading and shown with '?' when a peer has one, so that no log line is broken by them.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/address.h>
#include <weir/hash.h>

#define UNIX_PREFIX	 "unix:"
#define UNIX_PATH_OFFSET offsetof(struct sockaddr_un, sun_path)
#define UNIX_PATH_MAX	 sizeof(((struct sockaddr_un *)0)->sun_path)

_Static_assert(WEIR_ADDRESS_TEXT >= sizeof(UNIX_PREFIX) + UNIX_PATH_MAX,
	       "the longest text form fits");

/* ------------------------------------------------------------------------------------------
 * Reading
 */

static int port_parse(const char *text, uint16_t *port)
{
	unsigned value = 0;
	size_t n;

	for (n = 0; text[n] >= '0' && text[n] <= '9' && n < 6; n++)
		value = value * 10 + (unsigned)(text[n] - '0');
	if (!n || text[n] || value > UINT16_MAX || (text[0] == '0' && n > 1))
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static int address_set_unix(struct weir_address *address, const char *path)
{
	bool is_abstract = path[0] == '@';
	size_t size = strlen(path);

	if (size == is_abstract)
		return -EINVAL;
	if (size >= UNIX_PATH_MAX)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < size; i++)
		if (is_control(path[i]))
			return -EINVAL;
	address->un.sun_family = AF_UNIX;
	memcpy(address->un.sun_path, path, size + 1);
	if (is_abstract)
		address->un.sun_path[0] = '\0';
	/* The terminator belongs to a path, and would be part of an abstract name. */
	address->size = (socklen_t)(UNIX_PATH_OFFSET + size + !is_abstract);
	return 0;
}

static int address_set4(struct weir_address *address, const char *host)
{
	address->size = sizeof(address->in);
	address->in.sin_family = AF_INET;
	return inet_pton(AF_INET, host, &address->in.sin_addr) == 1 ? 0 : -EINVAL;
}

/* An interface by index or name; 0 when there is none. */
static unsigned zone_parse(const char *zone)
{
	char *end;
	unsigned long index;

	if (zone[0] < '1' || zone[0] > '9')
		return if_nametoindex(zone);
	index = strtoul(zone, &end, 10);
	return *end || index > UINT32_MAX ? 0 : (unsigned)index;
}

/* HOST may end in a zone, "%eth0" or "%2" (RFC 4007), and is cut there. */
static int address_set6(struct weir_address *address, char *host)
{
	char *zone = strchr(host, '%');

	address->size = sizeof(address->in6);
	address->in6.sin6_family = AF_INET6;
	if (zone)
		*zone++ = '\0';
	if (inet_pton(AF_INET6, host, &address->in6.sin6_addr) != 1)
		return -EINVAL;
	if (!zone)
		return 0;
	address->in6.sin6_scope_id = zone_parse(zone);
	return address->in6.sin6_scope_id && IN6_IS_ADDR_LINKLOCAL(&address->in6.sin6_addr)
		       ? 0
		       : -EINVAL;
}

/* The host in the SIZE bytes at TEXT: "", an IPv4 address, or an IPv6 address in brackets. */
static int address_set_host(struct weir_address *address, const char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + sizeof("[%]")];

	if (size >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, size);
	host[size] = '\0';
	if (!size)
		return address_set6(address, strcpy(host, "::"));
	if (host[0] != '[')
		return address_set4(address, host);
	if (host[size - 1] != ']')
		return -EINVAL;
	host[size - 1] = '\0';
	return address_set6(address, host + 1);
}

static int address_set_inet(struct weir_address *address, const char *text)
{
	const char *colon = strrchr(text, ':');
	uint16_t port;
	int status;

	status = port_parse(colon ? colon + 1 : text, &port);
	if (!status)
		status = address_set_host(address, text, colon ? (size_t)(colon - text) : 0);
	if (!status)
		weir_address_set_port(address, port);
	return status;
}

int weir_address_parse(struct weir_address *address, const char *text)
{
	int status;

	memset(address, 0, sizeof(*address));
	if (!strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		status = address_set_unix(address, text + strlen(UNIX_PREFIX));
	else
		status = address_set_inet(address, text);
	if (status)
		memset(address, 0, sizeof(*address));
	return status;
}

int weir_address_parse_host(struct weir_address *address, const char *text)
{
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE];
	int status = -EINVAL;

	memset(address, 0, sizeof(*address));
	if (strlen(text) < sizeof(host))
		status = strchr(text, ':') ? address_set6(address, strcpy(host, text))
					   : address_set4(address, text);
	if (status)
		memset(address, 0, sizeof(*address));
	return status;
}

void weir_address_set(struct weir_address *address, const struct sockaddr *sa, socklen_t size)
{
	memset(address, 0, sizeof(*address));
	address->size = WEIR_MIN(size, (socklen_t)sizeof(address->un));
	memcpy(&address->sa, sa, address->size);
}

/* ------------------------------------------------------------------------------------------
 * Asking
 */

/* The bytes that name the host: an address, or what is in sun_path. An IPv4-mapped IPv6 address
 * (RFC 4291 section 2.5.5.2) is the IPv4 address. */
static const void *address_host(const struct weir_address *address, size_t *size)
{
	const struct in6_addr *in6 = &address->in6.sin6_addr;

	*size = 0;
	if (!address->size)
		return NULL;
	switch (address->sa.sa_family) {
	case AF_INET:
		*size = sizeof(struct in_addr);
		return &address->in.sin_addr;
	case AF_INET6:
		*size = IN6_IS_ADDR_V4MAPPED(in6) ? sizeof(struct in_addr) : sizeof(*in6);
		return in6->s6_addr + sizeof(*in6) - *size;
	case AF_UNIX:
		*size = address->size - WEIR_MIN(address->size, UNIX_PATH_OFFSET);
		/* The kernel may or may not count a path's terminator. */
		if (*size && address->un.sun_path[0])
			*size = strnlen(address->un.sun_path, *size);
		return address->un.sun_path;
	default:
		return NULL;
	}
}

bool weir_address_is_unix(const struct weir_address *address)
{
	return address->size && address->sa.sa_family == AF_UNIX;
}

static uint32_t address_zone(const struct weir_address *address)
{
	return address->size && address->sa.sa_family == AF_INET6 ? address->in6.sin6_scope_id : 0;
}

bool weir_address_is_equal(const struct weir_address *a, const struct weir_address *b)
{
	size_t size_a, size_b;
	const void *host_a = address_host(a, &size_a);
	const void *host_b = address_host(b, &size_b);

	if (!host_a || !host_b)
		return host_a == host_b;
	return size_a == size_b && !memcmp(host_a, host_b, size_a) &&
	       weir_address_is_unix(a) == weir_address_is_unix(b) &&
	       weir_address_port(a) == weir_address_port(b) && address_zone(a) == address_zone(b);
}

uint64_t weir_address_hash_host(const struct weir_address *address, uint64_t seed)
{
	size_t size;
	const void *host = address_host(address, &size);

	return weir_hash(host ? host : "", size, (const uint64_t[]){ seed, 0 });
}

uint16_t weir_address_port(const struct weir_address *address)
{
	if (!address->size)
		return 0;
	switch (address->sa.sa_family) {
	case AF_INET:
		return ntohs(address->in.sin_port);
	case AF_INET6:
		return ntohs(address->in6.sin6_port);
	default:
		return 0;
	}
}

void weir_address_set_port(struct weir_address *address, uint16_t port)
{
	if (!address->size)
		return;
	if (address->sa.sa_family == AF_INET)
		address->in.sin_port = htons(port);
	else if (address->sa.sa_family == AF_INET6)
		address->in6.sin6_port = htons(port);
}

/* ------------------------------------------------------------------------------------------
 * Writing
 */

static char *address_format_unix(const char *path, size_t size, char *text)
{
	char *end = stpcpy(text, UNIX_PREFIX);

	for (size_t i = 0; i < size; i++)
		*end++ = !i && !path[i] ? '@' : is_control(path[i]) ? '?' : path[i];
	*end = '\0';
	return text;
}

/* Every call of a proxy asks for this one; inet_ntop() takes ten times as long with sprintf(). */
static char *address_format_in(const uint8_t *octets, char *text)
{
	char *at = text;

	for (int i = 0; i < 4; i++) {
		unsigned octet = octets[i];

		if (octet >= 100)
			*at++ = (char)('0' + octet / 100);
		if (octet >= 10)
			*at++ = (char)('0' + octet / 10 % 10);
		*at++ = (char)('0' + octet % 10);
		*at++ = '.';
	}
	at[-1] = '\0';
	return text;
}

char *weir_address_format_host(const struct weir_address *address, char *text)
{
	uint32_t zone = address_zone(address);
	size_t size;
	const void *host = address_host(address, &size);

	if (!host)
		return strcpy(text, "-");
	if (weir_address_is_unix(address))
		return address_format_unix(host, size, text);
	if (size == sizeof(struct in_addr))
		return address_format_in(host, text);
	inet_ntop(AF_INET6, host, text, INET6_ADDRSTRLEN);
	if (zone)
		sprintf(text + strlen(text), "%%%u", zone);
	return text;
}

char *weir_address_format(const struct weir_address *address, char *text)
{
	char host[WEIR_ADDRESS_TEXT];
	size_t size;

	if (!address_host(address, &size) || weir_address_is_unix(address))
		return weir_address_format_host(address, text);
	weir_address_format_host(address, host);
	snprintf(text, WEIR_ADDRESS_TEXT, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
		 weir_address_port(address));
	return text;
}
