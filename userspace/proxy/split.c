/* SPDX-License-Identifier: MIT */
/*
 * split: a number below the sum of all weights, drawn or hashed, says whose turn it is. While
 * the sum stays the same, moving weight from one part to another moves only the users between
 * them.
 */

#include <weir/split.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <weir/forwarded.h>
#include <weir/hash.h>

#define WEIGHT_MAX 1000000

struct split {
	struct weir_http_service svc;
	struct weir_split_part *parts;
	size_t n;
	uint64_t sum;
	enum weir_split_key key;
	char *name;
	uint64_t random; /* state of the generator; never 0 */
};

struct weir_text weir_cookie_value(const struct weir_headers *headers, struct weir_text name)
{
	const struct weir_header *field = NULL;
	struct weir_text rest, pair, key, value;

	while ((field = weir_headers_find_id(headers, WEIR_HEADER_COOKIE, field))) {
		rest = field->value;
		while (rest.size > 0) {
			weir_text_split(rest, ';', &pair, &rest);
			if (weir_text_split(weir_text_trim(pair), '=', &key, &value) &&
			    weir_text_is_equal(key, name))
				return value;
		}
	}
	return (struct weir_text){ NULL, 0 };
}

/* Xorshift64*: evenly spread is enough, nobody guards anything with it. */
static uint64_t draw(struct split *split)
{
	split->random ^= split->random >> 12;
	split->random ^= split->random << 25;
	split->random ^= split->random >> 27;
	return split->random * UINT64_C(0x2545f4914f6cdd1d);
}

/* The same on all machines, so that several proxies agree about a user. */
static const uint64_t hash_key[2] = { UINT64_C(0x73706c6974206279), UINT64_C(0x7765696768742e2e) };

static uint64_t hash_text(struct split *split, struct weir_text text)
{
	return text.data ? weir_hash(text.data, text.size, hash_key) : draw(split);
}

static uint64_t number_for(struct split *split, struct weir_call *call)
{
	const struct weir_headers *headers = &call->request.headers;
	const struct weir_address *client;
	const struct weir_header *field;

	switch (split->key) {
	case WEIR_SPLIT_CLIENT:
		client = weir_client_address(call);
		return client && client->size > 0 ? weir_address_hash_host(client, hash_key[0])
						  : draw(split);
	case WEIR_SPLIT_HEADER:
		field = weir_headers_find(headers, weir_text_of(split->name), NULL);
		return field ? hash_text(split, field->value) : draw(split);
	case WEIR_SPLIT_COOKIE:
		return hash_text(split, weir_cookie_value(headers, weir_text_of(split->name)));
	default:
		return draw(split);
	}
}

static int split_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct split *split = weir_container_of(svc, struct split, svc);
	uint64_t number = number_for(split, call) % split->sum;
	size_t i;

	for (i = 0; number >= split->parts[i].weight; i++)
		number -= split->parts[i].weight;
	return weir_handle(split->parts[i].service, call);
}

static void parts_free(const struct weir_split_part *parts, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		weir_http_service_free(parts[i].service);
}

static void split_free(struct weir_http_service *svc)
{
	struct split *split = weir_container_of(svc, struct split, svc);

	if (split->parts)
		parts_free(split->parts, split->n);
	free(split->parts);
	free(split->name);
	free(split);
}

static const struct weir_http_ops split_ops = {
	.name = "split",
	.handle = split_handle,
	.free = split_free,
};

/* ---- making ------------------------------------------------------------------------------- */

static int split_check(const struct weir_split_conf *conf, struct weir_error *error)
{
	bool named = conf->key == WEIR_SPLIT_HEADER || conf->key == WEIR_SPLIT_COOKIE;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < conf->n; i++) {
		if (conf->parts[i].weight > WEIGHT_MAX) {
			weir_error_remedy(error, "write %d or less", WEIGHT_MAX);
			return weir_error_set(error, WEIR_ECONFIG, "weight %u is too large",
					      conf->parts[i].weight);
		}
		sum += conf->parts[i].weight;
	}
	if (sum == 0) {
		weir_error_remedy(error, "give at least one part a weight");
		return weir_error_set(error, WEIR_ECONFIG, "a split without weight serves nobody");
	}
	if (!named || (conf->name && weir_header_is_valid(weir_text_of(conf->name), WEIR_TEXT(""))))
		return 0;
	weir_error_remedy(error, "write the name of a header or cookie");
	return weir_error_set(error, WEIR_ECONFIG, "\"%.100s\" is no name to split by",
			      conf->name ? conf->name : "");
}

static bool all_parts_serve(const struct weir_split_conf *conf)
{
	size_t i;

	for (i = 0; i < conf->n; i++) {
		if (!conf->parts[i].service)
			return false;
	}
	return true;
}

static int split_fill(struct split *split, const struct weir_split_conf *conf)
{
	size_t i;

	split->svc.ops = &split_ops;
	split->key = conf->key;
	if (conf->name) {
		split->name = strdup(conf->name);
		if (!split->name)
			return -ENOMEM;
	}
	if (getrandom(&split->random, sizeof(split->random), 0) < 0 || split->random == 0)
		split->random = hash_key[0];
	for (i = 0; i < conf->n; i++)
		split->sum += conf->parts[i].weight;
	split->parts = calloc(conf->n, sizeof(*split->parts));
	if (!split->parts)
		return -ENOMEM;
	memcpy(split->parts, conf->parts, conf->n * sizeof(*split->parts));
	split->n = conf->n;
	return 0;
}

struct weir_http_service *weir_http_split(const struct weir_split_conf *conf,
					  struct weir_error *error)
{
	struct split *split = NULL;

	if (!all_parts_serve(conf) || split_check(conf, error) < 0)
		goto err;
	split = calloc(1, sizeof(*split));
	if (!split || split_fill(split, conf) < 0) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto err;
	}
	return &split->svc;
err:
	parts_free(conf->parts, conf->n);
	if (split)
		split_free(&split->svc);
	return NULL;
}
