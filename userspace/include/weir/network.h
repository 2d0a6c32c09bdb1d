/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NETWORK_H
#define WEIR_NETWORK_H

/*
 * A range of IP addresses: "10.0.0.0/8", "2001:db8::/32", "192.0.2.1" (that one alone), or
 * "unix": every Unix socket. IPv4-mapped IPv6 addresses count as IPv4.
 */

#include <weir/address.h>

struct weir_network {
	sa_family_t family; /* AF_INET, AF_INET6, AF_UNIX; 0: contains nothing */
	uint8_t bits;	    /* that count */
	uint8_t bytes[16];  /* network order; bits that do not count are 0 */
};

/* 0; -EINVAL when TEXT is no network. */
int weir_network_parse(struct weir_network *network, const char *text) WEIR_MUST_CHECK;
bool weir_network_contains(const struct weir_network *network, const struct weir_address *address);
/* Whether any of N networks does. */
bool weir_networks_contain(const struct weir_network *networks, size_t n,
			   const struct weir_address *address);

#endif
