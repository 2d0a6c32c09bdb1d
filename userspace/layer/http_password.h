/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_HTTP_PASSWORD_H
#define WEIR_LAYER_HTTP_PASSWORD_H

/*
 * Checks passwords against hashes of crypt(5) without standing still: a hash that takes 100 ms is
 * made by one of libuv's threads while the task is parked. What was right is remembered for a
 * time, what was wrong for a second, and calls with the same password at the same time share one
 * hash. Of one worker.
 */

#include <weir/error.h>
#include <weir/list.h>
#include <weir/text.h>

#include "layer/http_credentials.h"

#define HTTP_PASSWORD_SLOTS 1024

struct http_password_slot {
	struct http_digest digest;
	uint64_t expires_ns; /* 0: nothing here */
	bool right;
};

struct http_passwords {
	struct http_digest_key key;
	uint64_t cache_ns;
	uint32_t max_checks;
	uint32_t checks;	  /* hashed, or in libuv's queue, now */
	struct weir_list running; /* struct check, of each password that is being hashed */
	struct http_password_slot *slots;
};

/* 0, or what ERROR says. */
int http_passwords_init(struct http_passwords *passwords, uint64_t cache_ms, uint32_t max_checks,
			struct weir_error *error) WEIR_MUST_CHECK;
void http_passwords_fini(struct http_passwords *passwords);

/* Whether HASH is one that can be checked. 0, or what ERROR says. */
int http_password_check_hash(const char *user, const char *hash, struct weir_error *error)
	WEIR_MUST_CHECK;

/* 1: PASSWORD is the one that HASH was made of; 0: it is not; WEIR_EQUEUE: too many are being
 * hashed. With KNOWN false nobody has that name: it takes as long and is 0. PASSWORD is
 * terminated. Parks. */
int http_password_verify(struct http_passwords *passwords, struct weir_text user,
			 struct weir_text password, const char *hash, bool known) WEIR_MUST_CHECK;

#endif
