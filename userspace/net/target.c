/* SPDX-License-Identifier: MIT */

/*
 * Targets and their text. A name is what DNS calls a host name, with underscores because people
 * use them; whether it exists is the resolver's business.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/address.h>

#define SERVICE_PREFIX "srv:"
#define LABEL_MAX      63 /* RFC 1035 section 2.3.4 */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_';
}

/* The length of the label at NAME; 0 when there is none. *NUMERIC: it has only digits. */
static size_t label_size(const char *name, size_t size, bool *numeric)
{
	size_t n;

	*numeric = true;
	for (n = 0; n < size && is_name_char(name[n]); n++)
		*numeric = *numeric && is_digit(name[n]);
	return n <= LABEL_MAX ? n : 0;
}

/* Labels with a dot between them. The last one is no number, so that a mistyped address
 * ("10.0.0.256") is not looked up as a name. */
static bool is_name(const char *name, size_t size)
{
	bool numeric = true;
	size_t n;

	if (!size || size > WEIR_HOST_MAX)
		return false;
	for (;;) {
		n = label_size(name, size, &numeric);
		if (!n || n == size)
			return n && !numeric;
		if (name[n] != '.')
			return false;
		name += n + 1;
		size -= n + 1;
	}
}

/* SIZE bytes at NAME, with or without the root's dot. */
static int target_set_name(struct weir_target *target, const char *name, size_t size)
{
	if (size && name[size - 1] == '.')
		size--;
	if (!is_name(name, size))
		return -EINVAL;
	memcpy(target->host, name, size);
	target->host[size] = '\0';
	return 0;
}

static int target_set_host(struct weir_target *target, const char *text)
{
	const char *colon = strrchr(text, ':');
	struct weir_address any;
	int status;

	if (!colon)
		return -EINVAL;
	status = weir_address_parse(&any, colon);
	if (status)
		return status;
	target->port = weir_address_port(&any);
	status = target_set_name(target, text, (size_t)(colon - text));
	/* "unix.:80" and "srv.:80" would be written as something else. */
	if (!strcmp(target->host, "unix") || !strcmp(target->host, "srv") || !target->port)
		return -EINVAL;
	return status;
}

int weir_target_parse(struct weir_target *target, const char *text)
{
	const char *service = text + strlen(SERVICE_PREFIX);
	int status;

	memset(target, 0, sizeof(*target));
	if (!strncmp(text, SERVICE_PREFIX, strlen(SERVICE_PREFIX))) {
		status = target_set_name(target, service, strlen(service));
		target->is_service = !status;
		return status;
	}
	status = weir_address_parse(&target->address, text);
	if (status)
		return target_set_host(target, text);
	/* Nobody listens on port 0. */
	return weir_address_is_unix(&target->address) || weir_address_port(&target->address)
		       ? 0
		       : -EINVAL;
}

char *weir_target_format(const struct weir_target *target, char *text, size_t size)
{
	char address[WEIR_ADDRESS_TEXT];

	if (target->is_service)
		snprintf(text, size, SERVICE_PREFIX "%s", target->host);
	else if (target->host[0])
		snprintf(text, size, "%s:%u", target->host, target->port);
	else
		snprintf(text, size, "%s", weir_address_format(&target->address, address));
	return text;
}
