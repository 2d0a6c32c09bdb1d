/* SPDX-License-Identifier: MIT */
/*
 * Text of addresses and targets. What is read, is written; and what is written, reads as an
 * equal address and is written the same. Bytes that the kernel could report are written
 * without control characters.
 */

#include <assert.h>
#include <string.h>

#include <weir/address.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(const char *text)
{
	struct weir_address address, again;
	char first[WEIR_ADDRESS_TEXT], second[WEIR_ADDRESS_TEXT];

	if (weir_address_parse(&address, text)) {
		assert(address.size == 0);
		return;
	}
	weir_address_format(&address, first);
	assert(weir_address_parse(&again, first) == 0);
	assert(weir_address_is_equal(&address, &again));
	assert(weir_address_hash_host(&address, 1) == weir_address_hash_host(&again, 1));
	assert(!strcmp(first, weir_address_format(&again, second)));
}

static void check_host(const char *text)
{
	struct weir_address address, again;
	char first[WEIR_ADDRESS_TEXT];

	if (weir_address_parse_host(&address, text))
		return;
	assert(weir_address_parse_host(&again, weir_address_format_host(&address, first)) == 0);
	assert(weir_address_is_equal(&address, &again));
}

static void check_target(const char *text)
{
	struct weir_target target, again;
	char first[WEIR_HOST_MAX + 16], second[WEIR_HOST_MAX + 16];

	if (weir_target_parse(&target, text))
		return;
	weir_target_format(&target, first, sizeof(first));
	assert(weir_target_parse(&again, first) == 0);
	assert(weir_address_is_equal(&target.address, &again.address));
	assert(!strcmp(target.host, again.host) && target.port == again.port &&
	       target.is_service == again.is_service);
	assert(!strcmp(first, weir_target_format(&again, second, sizeof(second))));
}

static void check_kernel(const uint8_t *data, size_t size)
{
	struct sockaddr_storage storage = { 0 };
	struct weir_address address;
	char text[WEIR_ADDRESS_TEXT];

	if (size < sizeof(sa_family_t) || size > sizeof(storage))
		return;
	memcpy(&storage, data, size);
	weir_address_set(&address, (struct sockaddr *)&storage, (socklen_t)size);
	weir_address_format(&address, text);
	assert(strlen(text) < sizeof(text));
	for (size_t i = 0; text[i]; i++)
		assert((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
	assert(weir_address_is_equal(&address, &address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512];
	size_t n = WEIR_MIN(size, sizeof(text) - 1);

	memcpy(text, data, n);
	text[n] = '\0';
	check_address(text);
	check_host(text);
	check_target(text);
	check_kernel(data, size);
	return 0;
}
