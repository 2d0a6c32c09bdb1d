/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_LAYER_H
#define WEIR_HTTP_LAYER_H

/*
 * Layers of HTTP services that watch a call and dress its messages. More of them are in
 * weir/http_limit.h, weir/http_security.h, weir/http_content.h and weir/http_cache.h.
 *
 * All constructors follow weir/layer.h: they take over INNER in every case; given NULL they return
 * NULL; when they fail they free it, fill ERROR and return NULL. Configuration is copied, unless
 * a member says that it is borrowed. Zero means the default in parentheses.
 *
 * Templates are text with named fields in braces, "{{" for a brace:
 *
 *	{id} {request_id} {user} {listener} {route} {upstream} {endpoint} {attempts} {why}
 *	{client} the address alone; {network} the same, IPv6 cut to its /64
 *	{scheme} {host} without port {authority} {method} {path} {query} {target} {protocol}
 *	{status} {bytes} of body sent {request_bytes} {duration} {first_byte} in ms
 *	{time} as RFC 3339 has it {log_time} as the combined log format has it {reason}
 *	{request.NAME} {response.NAME} the first field of that name
 *
 * What is not known is "-" in logs, and empty everywhere else.
 */

#include <weir/call.h>
#include <weir/extension.h>
#include <weir/metrics.h>

/* What layers publish about a call. The values are `const char *`. */
extern const struct weir_extension_key weir_http_request_id_key;
extern const struct weir_extension_key weir_http_user_key; /* who was authenticated */

/* ------------------------------------------------------------------------------------------
 * Request id
 */

struct weir_http_request_id_conf {
	const char *header; /* ("X-Request-ID") */
	bool replace;	    /* never keep the one that the client sent */
	bool hide;	    /* do not tell the client in the response */
	bool traceparent;   /* also continue or begin a W3C trace; its trace-id is the id */
};

/* Keeps a well-formed id, or makes one of 128 random bits; sets it in the request and in the
 * response; publishes it. */
struct weir_http_service *weir_http_request_id_layer(struct weir_http_service *inner,
						     const struct weir_http_request_id_conf *conf,
						     struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Access log: one line a call, when its last byte is gone
 */

enum weir_http_log_format {
	WEIR_HTTP_LOG_COMBINED, /* the combined log format, and the duration in ms */
	WEIR_HTTP_LOG_JSON,
	WEIR_HTTP_LOG_TEMPLATE,
};

struct weir_http_access_log_conf {
	const char *path; /* file to append to, shared by all that name it; NULL: the process log */
	enum weir_http_log_format format;
	const char *line; /* the template; of WEIR_HTTP_LOG_TEMPLATE alone */
};

/* The files are reopened by weir_access_log_reopen(). */
struct weir_http_service *weir_http_access_log_layer(struct weir_http_service *inner,
						     const struct weir_http_access_log_conf *conf,
						     struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Metrics by route
 */

struct weir_http_metrics_conf {
	struct weir_metrics *metrics; /* borrowed; may be NULL */
	const char *listener;	      /* may be NULL */
};

/* weir_http_route_requests_total{listener,route,method,class}, _duration_seconds, _active,
 * _request_bytes_total and _response_bytes_total{listener,route}. */
struct weir_http_service *weir_http_metrics_layer(struct weir_http_service *inner,
						  const struct weir_http_metrics_conf *conf,
						  struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Header fields
 */

enum weir_http_field_verb {
	WEIR_HTTP_FIELD_SET,	 /* the only one of its name from now on */
	WEIR_HTTP_FIELD_ADD,	 /* one more */
	WEIR_HTTP_FIELD_DEFAULT, /* where there is none */
	WEIR_HTTP_FIELD_REMOVE,
};

struct weir_http_field_change {
	enum weir_http_field_verb verb;
	bool response;	   /* of the response; else of the request */
	const char *name;  /* not one that frames the message */
	const char *value; /* a template; not of WEIR_HTTP_FIELD_REMOVE */
};

struct weir_http_fields_conf {
	const struct weir_http_field_change *changes; /* applied in this order */
	size_t n_changes;
};

/* Changes of responses are made to refusals too. */
struct weir_http_service *weir_http_fields_layer(struct weir_http_service *inner,
						 const struct weir_http_fields_conf *conf,
						 struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Paths
 */

struct weir_http_normalise_conf {
	bool keep_slashes;	      /* do not make one of several */
	bool refuse_encoded_slashes;  /* %2F and %5C are 400 */
	bool redirect;		      /* answer 308 instead of rewriting, GET and HEAD alone */
	struct weir_counter *refused; /* may be NULL */
};

/* RFC 3986 section 6.2.2: dot segments removed, unreserved characters decoded, %xx in upper case.
 * 400 of a path that climbs above the root, has an encoded NUL or control character, or hides a
 * dot segment behind encoded slashes. */
struct weir_http_service *weir_http_normalise_layer(struct weir_http_service *inner,
						    const struct weir_http_normalise_conf *conf,
						    struct weir_error *error) WEIR_MUST_CHECK;

/* ------------------------------------------------------------------------------------------
 * Maintenance
 */

struct weir_http_maintenance_conf {
	const char *file;	      /* closed while it exists (looked at once a second); NULL */
	const atomic_bool *flag;      /* closed while it is true; borrowed; NULL */
	unsigned retry_after_s;	      /* (300) */
	const char *type;	      /* of the page ("text/html; charset=utf-8") */
	const char *page;	      /* NULL: a short text */
	const char *const *except;    /* paths, and what is under them, that stay open */
	size_t n_except;	      /* */
	struct weir_counter *refused; /* may be NULL */
};

/* 503 with Retry-After while closed. */
struct weir_http_service *weir_http_maintenance_layer(struct weir_http_service *inner,
						      const struct weir_http_maintenance_conf *conf,
						      struct weir_error *error) WEIR_MUST_CHECK;

#endif
