/* SPDX-License-Identifier: MIT */
/*
 * bearer authentication with fixed tokens (RFC 6750). Tokens are kept and compared as keyed digests,
 * all of them for each call, so time tells nothing of them.
 */

#include <weir/http_security.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer/http_answer.h"
#include "layer/http_credentials.h"

#define TOKEN_MIN 16

struct token {
	struct http_digest digest;
	const char *user;
};

struct bearer {
	struct weir_http_service svc;
	struct weir_arena arena;
	struct weir_text challenge, challenge_wrong;
	struct http_digest_key key;
	struct token *tokens;
	size_t n, capacity;
	bool hide;
	struct weir_counter *refused;
};

/* ---- calls ---- */

static const char *bearer_user(const struct bearer *bearer, struct weir_text token)
{
	struct http_digest digest = http_digest(&bearer->key, token.data, token.size);
	const char *user = NULL;

	for (size_t i = 0; i < bearer->n; i++)
		if (http_digest_is_equal(&bearer->tokens[i].digest, &digest))
			user = bearer->tokens[i].user;
	return user;
}

static int bearer_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct bearer *bearer = weir_container_of(svc, struct bearer, svc);
	struct weir_text value = http_credentials_of(call), token;
	const char *user = NULL;
	int status;

	if (!http_credentials_bearer(value, &token))
		user = bearer_user(bearer, token);
	if (!user) {
		http_count(bearer->refused, 1);
		return http_credentials_refuse(call, value.data ? bearer->challenge_wrong
								: bearer->challenge);
	}
	status = http_credentials_accept(call, user, bearer->hide);
	return status ? status : weir_handle(svc->inner, call);
}

static void bearer_free(struct weir_http_service *svc)
{
	struct bearer *bearer = weir_container_of(svc, struct bearer, svc);

	weir_arena_fini(&bearer->arena);
	free(bearer->tokens);
	free(bearer);
}

static const struct weir_http_ops bearer_ops = {
	.name = "bearer_auth",
	.handle = bearer_handle,
	.free = bearer_free,
};

/* ---- configuration ---- */

static int bearer_grow(struct bearer *bearer)
{
	size_t capacity = bearer->capacity ? bearer->capacity * 2 : 8;
	struct token *tokens;

	if (bearer->n < bearer->capacity)
		return 0;
	tokens = reallocarray(bearer->tokens, capacity, sizeof(*tokens));
	if (!tokens)
		return -ENOMEM;
	bearer->tokens = tokens;
	bearer->capacity = capacity;
	return 0;
}

/* Only what a client can send may be a token. */
static bool token_can_be_sent(struct weir_arena *arena, const char *token)
{
	struct weir_text read;
	char *value = weir_arena_printf(arena, "Bearer %s", token);

	return value && !http_credentials_bearer(weir_text_of(value), &read);
}

static int bearer_add(void *ctx, const char *user, const char *token, struct weir_error *error)
{
	struct bearer *bearer = ctx;
	struct weir_arena arena;
	bool ok;

	if (!token || strlen(token) < TOKEN_MIN)
		return http_layer_refuse(error, "make one with `openssl rand -hex 32`",
					 "the token of \"%s\" is shorter than %d characters",
					 user ? user : "", TOKEN_MIN);
	weir_arena_init(&arena, 0);
	ok = token_can_be_sent(&arena, token);
	weir_arena_fini(&arena);
	if (!ok)
		return http_layer_refuse(error, "letters, digits and -._~+/ may be in one",
					 "the token of \"%s\" cannot be sent", user ? user : "");
	if (bearer_grow(bearer))
		return http_layer_memory(error);
	bearer->tokens[bearer->n] = (struct token){
		.digest = http_digest(&bearer->key, token, strlen(token)),
		.user = weir_arena_strdup(&bearer->arena, user ? user : ""),
	};
	return bearer->tokens[bearer->n++].user ? 0 : http_layer_memory(error);
}

static int bearer_challenge(struct bearer *bearer, const char *realm, struct weir_error *error)
{
	bearer->challenge =
		weir_text_of(weir_arena_printf(&bearer->arena, "Bearer realm=\"%s\"", realm));
	bearer->challenge_wrong = weir_text_of(weir_arena_printf(
		&bearer->arena, "Bearer realm=\"%s\", error=\"invalid_token\"", realm));
	if (!bearer->challenge.data || !bearer->challenge_wrong.data)
		return http_layer_memory(error);
	return 0;
}

static int bearer_configure(struct bearer *bearer, const struct weir_http_bearer_conf *conf,
			    struct weir_error *error)
{
	const char *realm = conf->realm ? conf->realm : "restricted";
	int status;

	weir_arena_init(&bearer->arena, 0);
	bearer->hide = conf->hide;
	bearer->refused = conf->refused;
	status = http_credentials_check_realm(realm, error);
	if (!status && http_digest_key_init(&bearer->key))
		status = weir_error_set(error, -EIO, "there are no random numbers");
	for (size_t i = 0; i < conf->n_tokens && !status; i++)
		status = bearer_add(bearer, conf->tokens[i].user, conf->tokens[i].token, error);
	if (!status && conf->file)
		status = http_credentials_read(conf->file, bearer_add, bearer, error);
	if (!status && bearer->n == 0)
		status = http_layer_refuse(error, "name a file or tokens",
					   "bearer authentication without tokens refuses all");
	return status ? status : bearer_challenge(bearer, realm, error);
}

struct weir_http_service *weir_http_bearer_layer(struct weir_http_service *inner,
						 const struct weir_http_bearer_conf *conf,
						 struct weir_error *error)
{
	struct bearer *bearer = http_layer_new(sizeof(*bearer), &bearer_ops, inner, error);

	if (!bearer)
		return NULL;
	return http_layer_done(&bearer->svc, bearer_configure(bearer, conf, error));
}
