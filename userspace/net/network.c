/* SPDX-License-Identifier: MIT */
/*
 * Ranges of addresses: the bits that count are compared, byte by byte.
 */

#include <weir/network.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <weir/text.h>

static void network_mask(struct weir_network *network)
{
	unsigned i;

	for (i = 0; i < sizeof(network->bytes); i++) {
		unsigned first = i * 8;

		if (first >= network->bits)
			network->bytes[i] = 0;
		else if (network->bits - first < 8)
			network->bytes[i] &= (uint8_t)(0xff << (8 - (network->bits - first)));
	}
}

/* "::ffff:10.0.0.0/104" is 10.0.0.0/8. */
static void network_unmap(struct weir_network *network)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (network->family != AF_INET6 || network->bits < 96 ||
	    memcmp(network->bytes, mapped, sizeof(mapped)) != 0)
		return;
	memmove(network->bytes, network->bytes + 12, 4);
	memset(network->bytes + 4, 0, 12);
	network->family = AF_INET;
	network->bits = (uint8_t)(network->bits - 96);
}

static int parse_host(struct weir_network *network, const char *host)
{
	if (inet_pton(AF_INET, host, network->bytes) == 1) {
		network->family = AF_INET;
		network->bits = 32;
		return 0;
	}
	if (inet_pton(AF_INET6, host, network->bytes) == 1) {
		network->family = AF_INET6;
		network->bits = 128;
		return 0;
	}
	return -EINVAL;
}

int weir_network_parse(struct weir_network *network, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t size = slash ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];
	uint64_t bits;

	memset(network, 0, sizeof(*network));
	if (strcmp(text, "unix") == 0) {
		network->family = AF_UNIX;
		return 0;
	}
	if (size >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, size);
	host[size] = '\0';
	if (parse_host(network, host) < 0)
		return -EINVAL;
	if (slash) {
		if (weir_text_parse_u64(weir_text_of(slash + 1), &bits) < 0 || bits > network->bits)
			goto err;
		network->bits = (uint8_t)bits;
	}
	network_mask(network);
	network_unmap(network);
	return 0;
err:
	memset(network, 0, sizeof(*network));
	return -EINVAL;
}

/* The address's bytes; *FAMILY is AF_INET for IPv4-mapped ones, too. */
static const uint8_t *address_bytes(const struct weir_address *address, sa_family_t *family)
{
	if (address->size == 0) {
		*family = 0;
		return NULL;
	}
	*family = address->sa.sa_family;
	if (*family == AF_INET)
		return (const uint8_t *)&address->in.sin_addr;
	if (*family != AF_INET6)
		return NULL;
	if (!IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr))
		return address->in6.sin6_addr.s6_addr;
	*family = AF_INET;
	return address->in6.sin6_addr.s6_addr + 12;
}

bool weir_network_contains(const struct weir_network *network, const struct weir_address *address)
{
	sa_family_t family;
	const uint8_t *bytes = address_bytes(address, &family);
	unsigned whole = network->bits / 8, rest = network->bits % 8;

	if (network->family == 0 || family != network->family)
		return false;
	if (!bytes)
		return true;
	if (memcmp(bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || (bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}

bool weir_networks_contain(const struct weir_network *networks, size_t n,
			   const struct weir_address *address)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (weir_network_contains(&networks[i], address))
			return true;
	}
	return false;
}
