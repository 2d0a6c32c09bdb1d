/* SPDX-License-Identifier: MIT */

#include "layer/http_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <weir/hash.h>
#include <weir/http_layer.h>

#include "layer/http_answer.h"

#define VALUE_MAX 1024

const struct weir_extension_key weir_http_user_key = { "user" };

/* ---- reading Authorization ---- */

/* What follows SCHEME and the spaces after it. */
static int value_of_scheme(struct weir_text value, struct weir_text scheme, struct weir_text *rest)
{
	struct weir_text head;

	if (value.size > VALUE_MAX || !weir_text_split(value, ' ', &head, rest) ||
	    !weir_text_is_equal_nocase(head, scheme))
		return -EINVAL;
	while (rest->size > 0 && rest->data[0] == ' ') {
		rest->data++;
		rest->size--;
	}
	return rest->size > 0 ? 0 : -EINVAL;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 section 4, with the padding that belongs there, and nothing in the bits left over. OUT
 * takes 3 bytes for each 4. */
static int base64_decode(struct weir_text in, char *out, size_t *size)
{
	unsigned padding = 0;
	uint32_t bits = 0;
	size_t n = 0;

	if (in.size % 4 != 0)
		return -EINVAL;
	for (size_t i = 0; i < in.size; i++) {
		int value = base64_value(in.data[i]);

		if (in.data[i] == '=' && i + 2 >= in.size)
			padding++;
		else if (value < 0 || padding > 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)(padding > 0 ? 0 : value);
		if (i % 4 != 3)
			continue;
		out[n++] = (char)(bits >> 16);
		out[n++] = (char)(bits >> 8);
		out[n++] = (char)bits;
	}
	if ((padding > 0 && (bits & 0xff)) || (padding > 1 && (bits & 0xffff)))
		return -EINVAL;
	*size = n - padding;
	return 0;
}

static bool has_control(struct weir_text text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return true;
	return false;
}

int http_credentials_basic(struct weir_text value, struct weir_arena *arena, struct weir_text *user,
			   struct weir_text *password)
{
	struct weir_text encoded, decoded;
	char *out;
	size_t size;

	if (value_of_scheme(value, WEIR_TEXT("Basic"), &encoded))
		return -EINVAL;
	out = weir_arena_alloc(arena, encoded.size + 1);
	if (!out)
		return -ENOMEM;
	if (base64_decode(encoded, out, &size))
		return -EINVAL;
	out[size] = '\0';
	decoded = (struct weir_text){ out, size };
	if (has_control(decoded) || !weir_text_split(decoded, ':', user, password) ||
	    user->size == 0)
		return -EINVAL;
	out[user->size] = '\0';
	return 0;
}

int http_credentials_bearer(struct weir_text value, struct weir_text *token)
{
	size_t i;

	if (value_of_scheme(value, WEIR_TEXT("Bearer"), token))
		return -EINVAL;
	for (i = 0; i < token->size && token->data[i] != '='; i++)
		if (base64_value(token->data[i]) < 0 &&
		    !(token->data[i] && strchr("-._~", token->data[i])))
			return -EINVAL;
	if (i == 0)
		return -EINVAL;
	for (; i < token->size; i++)
		if (token->data[i] != '=')
			return -EINVAL;
	return 0;
}

struct weir_text http_credentials_of(const struct weir_call *call)
{
	const struct weir_headers *headers = &call->request.headers;
	const struct weir_header *first =
		weir_headers_find_id(headers, WEIR_HEADER_AUTHORIZATION, NULL);

	if (!first || weir_headers_find_id(headers, WEIR_HEADER_AUTHORIZATION, first))
		return (struct weir_text){ 0 };
	return first->value;
}

/* ---- answering ---- */

int http_credentials_refuse(struct weir_call *call, struct weir_text challenge)
{
	int status = weir_call_refuse(call, 401, "credentials");

	if (status)
		return status;
	return weir_headers_set_id(&call->response.headers, WEIR_HEADER_WWW_AUTHENTICATE,
				   challenge);
}

int http_credentials_accept(struct weir_call *call, const char *user, bool hide)
{
	if (hide)
		weir_headers_del_id(&call->request.headers, WEIR_HEADER_AUTHORIZATION);
	return weir_extension_add(&call->extensions, &call->arena, &weir_http_user_key, user);
}

/* ---- configuration ---- */

int http_credentials_check_realm(const char *realm, struct weir_error *error)
{
	struct weir_text text = weir_text_of(realm);

	if (!has_control(text) && !strpbrk(realm, "\"\\"))
		return 0;
	return http_layer_refuse(error, "leave quotes, backslashes and control characters out",
				 "the realm does not fit into a header field");
}

static int read_line(char *line, unsigned number,
		     int (*fn)(void *ctx, const char *name, const char *secret,
			       struct weir_error *error),
		     void *ctx, const char *path, struct weir_error *error)
{
	char *colon;

	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	colon = strchr(line, ':');
	if (!colon || colon == line) {
		weir_error_at(error, path, number);
		return http_layer_refuse(error, "write name:secret", "the line has no name");
	}
	*colon = '\0';
	if (fn(ctx, line, colon + 1, error) == 0)
		return 0;
	weir_error_at(error, path, number);
	return WEIR_ECONFIG;
}

int http_credentials_read(const char *path,
			  int (*fn)(void *ctx, const char *name, const char *secret,
				    struct weir_error *error),
			  void *ctx, struct weir_error *error)
{
	FILE *file = fopen(path, "re");
	unsigned number = 0;
	size_t capacity = 0;
	char *line = NULL;
	int status = 0;

	if (!file) {
		status = -errno;
		return weir_error_set(error, status, "cannot read %s: %s", path,
				      weir_strerror(status));
	}
	while (!status && getline(&line, &capacity, file) >= 0)
		status = read_line(line, ++number, fn, ctx, path, error);
	if (line)
		explicit_bzero(line, capacity);
	free(line);
	fclose(file);
	return status;
}

/* ---- digests ---- */

int http_digest_key_init(struct http_digest_key *key)
{
	return getrandom(key, sizeof(*key), 0) == (ssize_t)sizeof(*key) ? 0 : -EIO;
}

struct http_digest http_digest(const struct http_digest_key *key, const char *data, size_t size)
{
	return (struct http_digest){ { weir_hash(data, size, key->half[0]),
				       weir_hash(data, size, key->half[1]) } };
}

bool http_digest_is_equal(const struct http_digest *a, const struct http_digest *b)
{
	return ((a->half[0] ^ b->half[0]) | (a->half[1] ^ b->half[1])) == 0;
}
