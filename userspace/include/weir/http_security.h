/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_SECURITY_H
#define WEIR_HTTP_SECURITY_H

/*
 * Layers of HTTP services about who may call, and what browsers are told. Their constructors
 * follow weir/http_layer.h. Counters may be NULL.
 */

#include <weir/call.h>
#include <weir/metrics.h>

/* ------------------------------------------------------------------------------------------
 * Basic authentication (RFC 7617)
 */

struct weir_http_password {
	const char *user; /* without ":" */
	const char *hash; /* of crypt(5): bcrypt "$2y$", yescrypt "$y$", SHA "$5$", "$6$" */
};

struct weir_http_basic_conf {
	const char *realm; /* ("restricted") */
	const char *file;  /* lines of user:hash, as htpasswd -B writes them; NULL: none */
	const struct weir_http_password *passwords;
	size_t n_passwords;
	uint64_t cache_ms;   /* a password that was right is not hashed again (5 min) */
	uint32_t max_checks; /* being hashed at one time for this worker; more are 503 (16) */
	bool hide;	     /* do not pass Authorization on */
	struct weir_counter *refused;
};

/* 401. Passwords are hashed by libuv's threads: a worker does not stand still for them. Publishes
 * weir_http_user_key. */
struct weir_http_service *weir_http_basic_layer(struct weir_http_service *inner,
						const struct weir_http_basic_conf *conf,
						struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Bearer authentication (RFC 6750) with fixed tokens
 */

struct weir_http_token {
	const char *user;  /* what the token is published and logged as */
	const char *token; /* of at least 16 characters */
};

struct weir_http_bearer_conf {
	const char *realm; /* ("restricted") */
	const char *file;  /* lines of user:token; NULL: none */
	const struct weir_http_token *tokens;
	size_t n_tokens;
	bool hide; /* do not pass Authorization on */
	struct weir_counter *refused;
};

struct weir_http_service *weir_http_bearer_layer(struct weir_http_service *inner,
						 const struct weir_http_bearer_conf *conf,
						 struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Cross-origin resource sharing (Fetch standard, section 3.2)
 */

struct weir_http_cors_conf {
	/* "https://app.example"; with "*." before the host every host under it; or "*": all. */
	const char *const *origins;
	size_t n_origins;
	const char *const *methods; /* (GET, HEAD, POST) */
	size_t n_methods;
	const char *const *headers; /* of requests, "*" for all (the safelisted ones) */
	size_t n_headers;
	const char *const *expose; /* of responses (the safelisted ones) */
	size_t n_expose;
	bool credentials;	      /* not with "*" as origin */
	uint64_t max_age_s;	      /* of a preflight's answer (600) */
	struct weir_counter *refused; /* preflights of others */
};

/* Answers preflights itself. */
struct weir_http_service *weir_http_cors_layer(struct weir_http_service *inner,
					       const struct weir_http_cors_conf *conf,
					       struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * What browsers are told
 */

/* NULL means the default in parentheses, "" that it is not sent. */
struct weir_http_security_headers_conf {
	const char *strict_transport; /* over https alone ("max-age=31536000") */
	const char *content_type;     /* X-Content-Type-Options ("nosniff") */
	const char *frame;	      /* X-Frame-Options ("SAMEORIGIN") */
	const char *referrer;	      /* Referrer-Policy ("strict-origin-when-cross-origin") */
	const char *content_policy;   /* Content-Security-Policy (not sent) */
	const char *permissions;      /* Permissions-Policy (not sent) */
	const char *opener;	      /* Cross-Origin-Opener-Policy (not sent) */
	bool replace;		      /* what the inner service says, too */
};

struct weir_http_service *weir_http_security_headers_layer(
	struct weir_http_service *inner, const struct weir_http_security_headers_conf *conf,
	struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * To https
 */

struct weir_http_redirect_https_conf {
	unsigned status;  /* 301, 302, 307 or 308 (308) */
	uint16_t port;	  /* (443) */
	const char *host; /* (the request's) */
	const char *const *
		except; /* paths, and what is under them, that stay: "/.well-known/acme-challenge" */
	size_t n_except;
};

/* Redirects what did not come by https. */
struct weir_http_service *weir_http_redirect_https_layer(
	struct weir_http_service *inner, const struct weir_http_redirect_https_conf *conf,
	struct weir_error *error) WEIR_MUST_CHECK;

#endif
