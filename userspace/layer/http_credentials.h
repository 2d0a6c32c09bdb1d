/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_CREDENTIALS_H
#define WEIR_LAYER_HTTP_CREDENTIALS_H

/* What Authorization says (RFC 9110 section 11.4), and what two layers do with it. */

#include <weir/call.h>
#include <weir/error.h>

/* RFC 7617: "Basic" and base64 of user ":" password, decoded into ARENA, both terminated. Control
 * characters, an empty user, padding that is wrong and more than 1 KiB are -EINVAL. */
int http_credentials_basic(struct weir_text value, struct weir_arena *arena, struct weir_text *user,
			   struct weir_text *password) WEIR_MUST_CHECK;
/* RFC 6750 section 2.1: "Bearer" and a token. 0 or -EINVAL. */
int http_credentials_bearer(struct weir_text value, struct weir_text *token) WEIR_MUST_CHECK;

/* The only Authorization of CALL; no data when there is none, or more than one. */
struct weir_text http_credentials_of(const struct weir_call *call);
/* 401 with CHALLENGE, which outlives the call. */
int http_credentials_refuse(struct weir_call *call, struct weir_text challenge) WEIR_MUST_CHECK;
/* Publishes USER; with HIDE nobody inside sees Authorization. */
int http_credentials_accept(struct weir_call *call, const char *user, bool hide) WEIR_MUST_CHECK;

/* A realm that fits between quotes. 0, or what ERROR says. */
int http_credentials_check_realm(const char *realm, struct weir_error *error) WEIR_MUST_CHECK;
/* Calls FN for each line "name:secret" of the file at PATH; empty ones and those that start with
 * '#' are skipped. 0; what FN returned; or what ERROR says. */
int http_credentials_read(const char *path,
			  int (*fn)(void *ctx, const char *name, const char *secret,
				    struct weir_error *error),
			  void *ctx, struct weir_error *error) WEIR_MUST_CHECK;

/* Two keyed hashes of TEXT: what is compared and remembered in place of a secret. */
struct http_digest {
	uint64_t half[2];
};
struct http_digest_key {
	uint64_t half[2][2];
};
int http_digest_key_init(struct http_digest_key *key) WEIR_MUST_CHECK; /* random; 0 or -EIO */
struct http_digest http_digest(const struct http_digest_key *key, const char *data, size_t size);
/* In a time that does not depend on where they differ. */
bool http_digest_is_equal(const struct http_digest *a, const struct http_digest *b);

#endif
