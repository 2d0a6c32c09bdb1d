/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ADDRESS_H
#define WEIR_ADDRESS_H

/*
 * Addresses of sockets, and targets: an address, or a name that has yet to be resolved.
 *
 * Text forms: "10.0.0.1:80", "[2001:db8::1]:80", "80" or ":80" (any address, IPv6 dual stack),
 * "unix:/path", "unix:@abstract", and for targets also "name.example:80".
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <weir/base.h>

struct weir_address {
	socklen_t size; /* of the sockaddr; 0: no address */
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
};

#define WEIR_ADDRESS_TEXT 128 /* enough for every text form, the terminator included */
#define WEIR_HOST_MAX	  253 /* RFC 1035 section 2.3.4, without the root dot */

/* Reads a numeric address. 0; -EINVAL when TEXT is none (a host name is none);
 * -ENAMETOOLONG for a too long Unix path. After an error ADDRESS is none (size 0). */
int weir_address_parse(struct weir_address *address, const char *text) WEIR_MUST_CHECK;
/* Reads an IP address without a port ("127.0.0.1", "::1"), as a source to bind to. */
int weir_address_parse_host(struct weir_address *address, const char *text) WEIR_MUST_CHECK;

/* Writes the text form; "-" when there is no address, "unix:" for an unnamed Unix socket.
 * IPv4-mapped IPv6 addresses are written as IPv4. Returns TEXT (of WEIR_ADDRESS_TEXT bytes). */
char *weir_address_format(const struct weir_address *address, char *text);
/* The same without the port. */
char *weir_address_format_host(const struct weir_address *address, char *text);

/* Equal family, host and port (or path). IPv4-mapped IPv6 equals IPv4. */
bool weir_address_is_equal(const struct weir_address *a, const struct weir_address *b);
/* 64-bit hash of the host alone (not the port), stable between runs for the same SEED. */
uint64_t weir_address_hash_host(const struct weir_address *address, uint64_t seed);
/* 0 for Unix sockets. Host byte order. */
uint16_t weir_address_port(const struct weir_address *address);
void weir_address_set_port(struct weir_address *address, uint16_t port);
bool weir_address_is_unix(const struct weir_address *address);
/* From a sockaddr that the kernel filled. */
void weir_address_set(struct weir_address *address, const struct sockaddr *sa, socklen_t size);

struct weir_target {
	struct weir_address address;  /* size 0 while only the name is known */
	char host[WEIR_HOST_MAX + 1]; /* name without port, "" for a numeric target */
	uint16_t port;		      /* with a name, host byte order */
	bool is_service;	      /* "srv:_name._tcp.example": look up SRV */
};

/* Reads an address, "name:port", or "srv:_service._tcp.name". 0 or -EINVAL. */
int weir_target_parse(struct weir_target *target, const char *text) WEIR_MUST_CHECK;
/* Writes the text form cut to SIZE. Returns TEXT. */
char *weir_target_format(const struct weir_target *target, char *text, size_t size);

#endif
