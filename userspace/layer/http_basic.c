/* SPDX-License-Identifier: MIT */
/*
 * basic authentication (RFC 7617). Who has no account is hashed for as long as who has one, so
 * that time does not tell names.
 */

#include <weir/http_security.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer/http_answer.h"
#include "layer/http_credentials.h"
#include "layer/http_password.h"

#define CACHE_MS 300000
#define CHECKS	 16

struct account {
	const char *user, *hash;
};

struct basic {
	struct weir_http_service svc;
	struct weir_arena arena;
	struct weir_text challenge;
	struct account *accounts; /* sorted */
	size_t n, capacity;
	struct http_passwords passwords;
	bool hide;
	struct weir_counter *refused;
};

/* ---- calls ---- */

static int account_compare(const void *a, const void *b)
{
	return strcmp(((const struct account *)a)->user, ((const struct account *)b)->user);
}

static int basic_check(struct basic *basic, struct weir_call *call, const char **user)
{
	struct weir_text name, password;
	const struct account *account;
	int status;

	status = http_credentials_basic(http_credentials_of(call), &call->arena, &name, &password);
	if (status)
		return status == -EINVAL ? 0 : status;
	account = bsearch(&(struct account){ .user = name.data }, basic->accounts, basic->n,
			  sizeof(*account), account_compare);
	status = http_password_verify(&basic->passwords, name, password,
				      account ? account->hash : basic->accounts[0].hash,
				      account != NULL);
	if (account)
		*user = account->user;
	return status;
}

static int basic_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct basic *basic = weir_container_of(svc, struct basic, svc);
	const char *user = NULL;
	int status = basic_check(basic, call, &user);

	if (status < 0 && status != WEIR_EQUEUE)
		return status;
	if (status != 1)
		http_count(basic->refused, 1);
	if (status == WEIR_EQUEUE)
		return http_refuse_until(call, 503, "password_queue", 1);
	if (status == 0)
		return http_credentials_refuse(call, basic->challenge);
	status = http_credentials_accept(call, user, basic->hide);
	return status ? status : weir_handle(svc->inner, call);
}

static void basic_free(struct weir_http_service *svc)
{
	struct basic *basic = weir_container_of(svc, struct basic, svc);

	http_passwords_fini(&basic->passwords);
	weir_arena_fini(&basic->arena);
	free(basic->accounts);
	free(basic);
}

static const struct weir_http_ops basic_ops = {
	.name = "basic_auth",
	.handle = basic_handle,
	.free = basic_free,
};

/* ---- configuration ---- */

static int basic_grow(struct basic *basic)
{
	size_t capacity = basic->capacity ? basic->capacity * 2 : 8;
	struct account *accounts;

	if (basic->n < basic->capacity)
		return 0;
	accounts = reallocarray(basic->accounts, capacity, sizeof(*accounts));
	if (!accounts)
		return -ENOMEM;
	basic->accounts = accounts;
	basic->capacity = capacity;
	return 0;
}

static int basic_add(void *ctx, const char *user, const char *hash, struct weir_error *error)
{
	struct basic *basic = ctx;
	struct account account;

	if (!user || !*user || strchr(user, ':'))
		return http_layer_refuse(error, "a colon ends the name in what clients send",
					 "\"%s\" is no name of a user", user ? user : "");
	if (http_password_check_hash(user, hash ? hash : "", error))
		return WEIR_ECONFIG;
	account.user = weir_arena_strdup(&basic->arena, user);
	account.hash = weir_arena_strdup(&basic->arena, hash);
	if (!account.user || !account.hash || basic_grow(basic))
		return http_layer_memory(error);
	basic->accounts[basic->n++] = account;
	return 0;
}

static int basic_sort(struct basic *basic, struct weir_error *error)
{
	if (basic->n == 0)
		return http_layer_refuse(error, "name a file or passwords",
					 "basic authentication without users refuses all");
	qsort(basic->accounts, basic->n, sizeof(*basic->accounts), account_compare);
	for (size_t i = 1; i < basic->n; i++)
		if (strcmp(basic->accounts[i - 1].user, basic->accounts[i].user) == 0)
			return http_layer_refuse(error, "keep one of them",
						 "\"%s\" has two passwords",
						 basic->accounts[i].user);
	return 0;
}

static int basic_configure(struct basic *basic, const struct weir_http_basic_conf *conf,
			   struct weir_error *error)
{
	const char *realm = conf->realm ? conf->realm : "restricted";
	int status;

	weir_arena_init(&basic->arena, 0);
	basic->hide = conf->hide;
	basic->refused = conf->refused;
	status = http_credentials_check_realm(realm, error);
	for (size_t i = 0; i < conf->n_passwords && !status; i++)
		status = basic_add(basic, conf->passwords[i].user, conf->passwords[i].hash, error);
	if (!status && conf->file)
		status = http_credentials_read(conf->file, basic_add, basic, error);
	if (!status)
		status = basic_sort(basic, error);
	if (!status)
		status = http_passwords_init(&basic->passwords,
					     conf->cache_ms ? conf->cache_ms : CACHE_MS,
					     conf->max_checks ? conf->max_checks : CHECKS, error);
	if (status)
		return status;
	basic->challenge = weir_text_of(
		weir_arena_printf(&basic->arena, "Basic realm=\"%s\", charset=\"UTF-8\"", realm));
	return basic->challenge.data ? 0 : http_layer_memory(error);
}

struct weir_http_service *weir_http_basic_layer(struct weir_http_service *inner,
						const struct weir_http_basic_conf *conf,
						struct weir_error *error)
{
	struct basic *basic = http_layer_new(sizeof(*basic), &basic_ops, inner, error);

	if (!basic)
		return NULL;
	return http_layer_done(&basic->svc, basic_configure(basic, conf, error));
}
