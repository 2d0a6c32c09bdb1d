/* SPDX-License-Identifier: MIT */
/*
 * One builder for each layer that calls go through: from the words of the configuration to the
 * library's.
 */

#include "daemon/stack_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>
#include <weir/http_content.h>
#include <weir/http_layer.h>
#include <weir/http_security.h>

#include "daemon/config_rows.h"

#define PAGE_BYTES_MAX 262144

/* What a builder is given. */
struct layer {
	const struct http_site *site;
	const struct weir_config_http_layer *conf;
	union http_layer_shared shared;
	struct weir_arena arena; /* lives while it is built */
};

typedef struct weir_http_service *http_builder_fn(struct weir_http_service *inner,
						  struct layer *layer, struct weir_error *error);

static const struct weir_metric_family refused_family = {
	.name = "weir_http_layer_refusals_total",
	.help = "Calls that a layer refused",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "route", "layer" },
};

static struct weir_counter *refused(const struct layer *layer)
{
	const char *values[] = { layer->site->listener, layer->site->route,
				 config_http_layer_table.keys[layer->conf->type].name };

	if (layer->site->metrics == NULL)
		return NULL;
	return weir_metrics_counter(layer->site->metrics, layer->site->worker, &refused_family,
				    values);
}

static struct weir_http_service *no_memory(struct weir_http_service *inner,
					   struct weir_error *error)
{
	weir_error_set(error, -ENOMEM, "out of memory");
	weir_http_service_free(inner);
	return NULL;
}

/* ---- dressing ----------------------------------------------------------------------------- */

static struct weir_http_service *build_request_id(struct weir_http_service *inner,
						  struct layer *layer, struct weir_error *error)
{
	const struct weir_http_request_id_conf conf = {
		.header = layer->conf->request_id.header,
		.replace = layer->conf->request_id.replace,
		.hide = layer->conf->request_id.hide,
		.traceparent = layer->conf->request_id.traceparent,
	};

	return weir_http_request_id_layer(inner, &conf, error);
}

static struct weir_http_service *build_access_log(struct weir_http_service *inner,
						  struct layer *layer, struct weir_error *error)
{
	const struct weir_http_access_log_conf conf = {
		.path = layer->site->trial ? NULL : layer->conf->access_log.file,
		.format = layer->conf->access_log.format,
		.line = layer->conf->access_log.line,
	};

	return weir_http_access_log_layer(inner, &conf, error);
}

static struct weir_http_service *build_metrics(struct weir_http_service *inner, struct layer *layer,
					       struct weir_error *error)
{
	const struct weir_http_metrics_conf conf = {
		.metrics = layer->site->metrics,
		.listener = layer->site->listener,
	};

	return weir_http_metrics_layer(inner, &conf, error);
}

static void fill_changes(struct weir_http_field_change *to,
			 const struct weir_config_field_change *from, uint32_t count, bool response)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		to[i].response = response;
		to[i].value = from[i].value;
		to[i].verb = WEIR_HTTP_FIELD_REMOVE;
		to[i].name = from[i].remove;
		if (from[i].set != NULL) {
			to[i].verb = WEIR_HTTP_FIELD_SET;
			to[i].name = from[i].set;
		} else if (from[i].add != NULL) {
			to[i].verb = WEIR_HTTP_FIELD_ADD;
			to[i].name = from[i].add;
		} else if (from[i].fallback != NULL) {
			to[i].verb = WEIR_HTTP_FIELD_DEFAULT;
			to[i].name = from[i].fallback;
		}
	}
}

static struct weir_http_service *build_headers(struct weir_http_service *inner, struct layer *layer,
					       struct weir_error *error)
{
	uint32_t n_request = layer->conf->headers.request_count;
	uint32_t n_response = layer->conf->headers.response_count;
	struct weir_http_field_change *changes;
	struct weir_http_fields_conf conf = { .n_changes = (size_t)n_request + n_response };

	changes = weir_arena_zalloc(&layer->arena, conf.n_changes * sizeof(*changes));
	if (changes == NULL)
		return no_memory(inner, error);
	fill_changes(changes, layer->conf->headers.request, n_request, false);
	fill_changes(changes + n_request, layer->conf->headers.response, n_response, true);
	conf.changes = changes;
	return weir_http_fields_layer(inner, &conf, error);
}

static struct weir_http_service *build_normalise(struct weir_http_service *inner,
						 struct layer *layer, struct weir_error *error)
{
	const struct weir_http_normalise_conf conf = {
		.keep_slashes = layer->conf->normalise.keep_slashes,
		.refuse_encoded_slashes = layer->conf->normalise.refuse_encoded_slashes,
		.redirect = layer->conf->normalise.redirect,
		.refused = refused(layer),
	};

	return weir_http_normalise_layer(inner, &conf, error);
}

static struct weir_http_service *build_maintenance(struct weir_http_service *inner,
						   struct layer *layer, struct weir_error *error)
{
	const struct weir_http_maintenance_conf conf = {
		.file = layer->conf->maintenance.file,
		.retry_after_s = layer->conf->maintenance.retry_after_s,
		.type = layer->conf->maintenance.type,
		.page = layer->conf->maintenance.page,
		.except = (const char *const *)layer->conf->maintenance.except,
		.n_except = layer->conf->maintenance.except_count,
		.refused = refused(layer),
	};

	return weir_http_maintenance_layer(inner, &conf, error);
}

/* ---- limits ------------------------------------------------------------------------------- */

static struct weir_http_service *build_timeout(struct weir_http_service *inner, struct layer *layer,
					       struct weir_error *error)
{
	const struct weir_http_timeout_conf conf = {
		.response_ms = layer->conf->timeout.response_ms,
		.total_ms = layer->conf->timeout.total_ms,
		.refused = refused(layer),
	};

	return weir_http_timeout_layer(inner, &conf, error);
}

static struct weir_http_service *build_body_limit(struct weir_http_service *inner,
						  struct layer *layer, struct weir_error *error)
{
	const struct weir_http_body_limit_conf conf = {
		.max_bytes = layer->conf->body_limit.bytes,
		.refused = refused(layer),
	};

	return weir_http_body_limit_layer(inner, &conf, error);
}

static struct weir_http_service *build_concurrency(struct weir_http_service *inner,
						   struct layer *layer, struct weir_error *error)
{
	const struct weir_http_concurrency_conf conf = {
		.max = layer->conf->concurrency.calls,
		.queue = layer->conf->concurrency.queue,
		.queue_ms = layer->conf->concurrency.queue_ms,
		.shared = layer->shared.concurrency,
		.refused = refused(layer),
	};

	return weir_http_concurrency_layer(inner, &conf, error);
}

static struct weir_http_service *build_rate_limit(struct weir_http_service *inner,
						  struct layer *layer, struct weir_error *error)
{
	const struct weir_http_rate_limit_conf conf = {
		.rate = layer->conf->rate_limit.rate,
		.burst = layer->conf->rate_limit.burst,
		.key = layer->conf->rate_limit.key,
		.max_keys = layer->conf->rate_limit.max_keys,
		.shared = layer->shared.rate,
		.refused = refused(layer),
	};

	return weir_http_rate_limit_layer(inner, &conf, error);
}

static struct weir_http_service *build_shed(struct weir_http_service *inner, struct layer *layer,
					    struct weir_error *error)
{
	const struct weir_http_shed_conf conf = {
		.delay_ms = layer->conf->shed.delay_ms,
		.interval_ms = layer->conf->shed.interval_ms,
		.max_active = layer->conf->shed.calls,
		.retry_after_s = layer->conf->shed.retry_after_s,
		.refused = refused(layer),
	};

	return weir_http_shed_layer(inner, &conf, error);
}

static struct weir_http_service *build_retry(struct weir_http_service *inner, struct layer *layer,
					     struct weir_error *error)
{
	const struct weir_http_retry_conf conf = {
		.attempts = layer->conf->retry.attempts,
		.statuses = layer->conf->retry.statuses,
		.n_statuses = layer->conf->retry.statuses_count,
		.all_methods = layer->conf->retry.all_methods,
		.body_bytes = layer->conf->retry.body_bytes,
		.backoff_ms = layer->conf->retry.backoff_ms,
		.max_backoff_ms = layer->conf->retry.max_backoff_ms,
		.budget_percent = layer->conf->retry.budget_percent,
		.refused = refused(layer),
	};

	return weir_http_retry_layer(inner, &conf, error);
}

/* ---- who may ------------------------------------------------------------------------------ */

static struct weir_http_service *build_basic_auth(struct weir_http_service *inner,
						  struct layer *layer, struct weir_error *error)
{
	uint32_t n = layer->conf->basic_auth.users_count, i;
	struct weir_http_password *users;
	struct weir_http_basic_conf conf = {
		.realm = layer->conf->basic_auth.realm,
		.file = layer->conf->basic_auth.file,
		.n_passwords = n,
		.cache_ms = layer->conf->basic_auth.cache_ms,
		.max_checks = layer->conf->basic_auth.max_checks,
		.hide = layer->conf->basic_auth.hide,
		.refused = refused(layer),
	};

	/* Without its file there may be nobody to let in. */
	if (layer->site->trial && conf.file != NULL)
		return inner;
	users = weir_arena_zalloc(&layer->arena, n * sizeof(*users));
	if (users == NULL)
		return no_memory(inner, error);
	for (i = 0; i < n; i++)
		users[i] = (struct weir_http_password){
			.user = layer->conf->basic_auth.users[i].name,
			.hash = layer->conf->basic_auth.users[i].value
		};
	conf.passwords = users;
	return weir_http_basic_layer(inner, &conf, error);
}

static struct weir_http_service *build_bearer_auth(struct weir_http_service *inner,
						   struct layer *layer, struct weir_error *error)
{
	uint32_t n = layer->conf->bearer_auth.tokens_count, i;
	struct weir_http_token *tokens;
	struct weir_http_bearer_conf conf = {
		.realm = layer->conf->bearer_auth.realm,
		.file = layer->conf->bearer_auth.file,
		.n_tokens = n,
		.hide = layer->conf->bearer_auth.hide,
		.refused = refused(layer),
	};

	if (layer->site->trial && conf.file != NULL)
		return inner;
	tokens = weir_arena_zalloc(&layer->arena, n * sizeof(*tokens));
	if (tokens == NULL)
		return no_memory(inner, error);
	for (i = 0; i < n; i++)
		tokens[i] = (struct weir_http_token){
			.user = layer->conf->bearer_auth.tokens[i].name,
			.token = layer->conf->bearer_auth.tokens[i].value
		};
	conf.tokens = tokens;
	return weir_http_bearer_layer(inner, &conf, error);
}

static struct weir_http_service *build_cors(struct weir_http_service *inner, struct layer *layer,
					    struct weir_error *error)
{
	const struct weir_http_cors_conf conf = {
		.origins = (const char *const *)layer->conf->cors.origins,
		.n_origins = layer->conf->cors.origins_count,
		.methods = (const char *const *)layer->conf->cors.methods,
		.n_methods = layer->conf->cors.methods_count,
		.headers = (const char *const *)layer->conf->cors.headers,
		.n_headers = layer->conf->cors.headers_count,
		.expose = (const char *const *)layer->conf->cors.expose,
		.n_expose = layer->conf->cors.expose_count,
		.credentials = layer->conf->cors.credentials,
		.max_age_s = layer->conf->cors.max_age_s,
		.refused = refused(layer),
	};

	return weir_http_cors_layer(inner, &conf, error);
}

static const char *unless_off(const char *value)
{
	return value != NULL && strcmp(value, "off") == 0 ? "" : value;
}

static struct weir_http_service *build_security_headers(struct weir_http_service *inner,
							struct layer *layer,
							struct weir_error *error)
{
	const struct weir_http_security_headers_conf conf = {
		.strict_transport = unless_off(layer->conf->security_headers.strict_transport),
		.content_type = unless_off(layer->conf->security_headers.content_type),
		.frame = unless_off(layer->conf->security_headers.frame),
		.referrer = unless_off(layer->conf->security_headers.referrer),
		.content_policy = unless_off(layer->conf->security_headers.content_policy),
		.permissions = unless_off(layer->conf->security_headers.permissions),
		.opener = unless_off(layer->conf->security_headers.opener),
		.replace = layer->conf->security_headers.replace,
	};

	return weir_http_security_headers_layer(inner, &conf, error);
}

static struct weir_http_service *build_redirect_https(struct weir_http_service *inner,
						      struct layer *layer, struct weir_error *error)
{
	const struct weir_http_redirect_https_conf conf = {
		.status = layer->conf->redirect_https.status,
		.port = (uint16_t)layer->conf->redirect_https.port,
		.host = layer->conf->redirect_https.host,
		.except = (const char *const *)layer->conf->redirect_https.except,
		.n_except = layer->conf->redirect_https.except_count,
	};

	return weir_http_redirect_https_layer(inner, &conf, error);
}

/* ---- content ------------------------------------------------------------------------------ */

static struct weir_http_service *build_compress(struct weir_http_service *inner,
						struct layer *layer, struct weir_error *error)
{
	const struct weir_http_compress_conf conf = {
		.codings = layer->conf->compress.codings,
		.types = (const char *const *)layer->conf->compress.types,
		.n_types = layer->conf->compress.types_count,
		.min_bytes = layer->conf->compress.min_bytes,
		.gzip_level = (int)layer->conf->compress.gzip_level,
		.brotli_level = (int)layer->conf->compress.brotli_level,
		.zstd_level = (int)layer->conf->compress.zstd_level,
	};

	return weir_http_compress_layer(inner, &conf, error);
}

static struct weir_http_service *build_decompress(struct weir_http_service *inner,
						  struct layer *layer, struct weir_error *error)
{
	const struct weir_http_decompress_conf conf = {
		.requests = layer->conf->decompress.requests,
		.codings = layer->conf->decompress.codings,
		.max_bytes = layer->conf->decompress.max_bytes,
		.max_ratio = layer->conf->decompress.max_ratio,
		.refused = refused(layer),
	};

	return weir_http_decompress_layer(inner, &conf, error);
}

static const char *read_page(struct weir_arena *arena, const char *path, struct weir_error *error)
{
	FILE *file = fopen(path, "re");
	char *text = weir_arena_alloc(arena, PAGE_BYTES_MAX + 1);
	size_t size;

	if (file == NULL || text == NULL) {
		weir_error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
		weir_error_remedy(error, "check the path and its permissions");
		if (file != NULL)
			fclose(file);
		return NULL;
	}
	size = fread(text, 1, PAGE_BYTES_MAX, file);
	text[size] = '\0';
	fclose(file);
	return text;
}

static struct weir_http_service *build_error_pages(struct weir_http_service *inner,
						   struct layer *layer, struct weir_error *error)
{
	const struct weir_config_error_page *from = layer->conf->error_pages.pages;
	uint32_t n = layer->conf->error_pages.pages_count, i;
	struct weir_http_error_page *pages;
	struct weir_http_error_pages_conf conf = { .n_pages = n,
						   .all = layer->conf->error_pages.all };

	pages = weir_arena_zalloc(&layer->arena, n * sizeof(*pages));
	if (pages == NULL)
		return no_memory(inner, error);
	for (i = 0; i < n; i++) {
		pages[i].status = from[i].status;
		pages[i].type = from[i].type;
		pages[i].content = from[i].content;
		if (from[i].file != NULL)
			pages[i].content = layer->site->trial
						   ? "-"
						   : read_page(&layer->arena, from[i].file, error);
		if (pages[i].content == NULL) {
			weir_http_service_free(inner);
			return NULL;
		}
	}
	conf.pages = pages;
	return weir_http_error_pages_layer(inner, &conf, error);
}

static struct weir_http_service *build_cache(struct weir_http_service *inner, struct layer *layer,
					     struct weir_error *error)
{
	const struct weir_http_cache_conf conf = {
		.cache = layer->shared.cache,
		.metrics = layer->site->metrics,
		.name = layer->conf->cache.name,
		.default_s = layer->conf->cache.default_s,
		.stale_while_revalidate_s = layer->conf->cache.stale_while_revalidate_s,
		.stale_if_error_s = layer->conf->cache.stale_if_error_s,
		.lock_ms = layer->conf->cache.lock_ms,
		.obey_reload = layer->conf->cache.obey_reload,
		.hide = layer->conf->cache.hide,
	};

	return weir_http_cache_layer(inner, &conf, error);
}

/* ---- all of them -------------------------------------------------------------------------- */

static http_builder_fn *const builders[WEIR_CONFIG_HTTP_LAYER_COUNT] = {
	[WEIR_CONFIG_HTTP_REQUEST_ID] = build_request_id,
	[WEIR_CONFIG_HTTP_ACCESS_LOG] = build_access_log,
	[WEIR_CONFIG_HTTP_METRICS] = build_metrics,
	[WEIR_CONFIG_HTTP_HEADERS] = build_headers,
	[WEIR_CONFIG_HTTP_NORMALISE] = build_normalise,
	[WEIR_CONFIG_HTTP_MAINTENANCE] = build_maintenance,
	[WEIR_CONFIG_HTTP_TIMEOUT] = build_timeout,
	[WEIR_CONFIG_HTTP_BODY_LIMIT] = build_body_limit,
	[WEIR_CONFIG_HTTP_CONCURRENCY] = build_concurrency,
	[WEIR_CONFIG_HTTP_RATE_LIMIT] = build_rate_limit,
	[WEIR_CONFIG_HTTP_SHED] = build_shed,
	[WEIR_CONFIG_HTTP_RETRY] = build_retry,
	[WEIR_CONFIG_HTTP_BASIC_AUTH] = build_basic_auth,
	[WEIR_CONFIG_HTTP_BEARER_AUTH] = build_bearer_auth,
	[WEIR_CONFIG_HTTP_CORS] = build_cors,
	[WEIR_CONFIG_HTTP_SECURITY_HEADERS] = build_security_headers,
	[WEIR_CONFIG_HTTP_REDIRECT_HTTPS] = build_redirect_https,
	[WEIR_CONFIG_HTTP_COMPRESS] = build_compress,
	[WEIR_CONFIG_HTTP_DECOMPRESS] = build_decompress,
	[WEIR_CONFIG_HTTP_ERROR_PAGES] = build_error_pages,
	[WEIR_CONFIG_HTTP_CACHE] = build_cache,
};

static union http_layer_shared find_shared(const struct http_shared_list *shared,
					   const struct weir_config_http_layer *conf)
{
	size_t i;

	for (i = 0; shared != NULL && i < shared->n; i++) {
		if (shared->list[i].conf == conf)
			return shared->list[i].object;
	}
	return (union http_layer_shared){ NULL };
}

struct weir_http_service *http_layer_build(struct weir_http_service *inner,
					   const struct http_site *site,
					   const struct weir_config_http_layer *conf,
					   struct weir_error *error)
{
	struct layer layer = { .site = site, .conf = conf };

	if (inner == NULL)
		return NULL;
	weir_arena_init(&layer.arena, 0);
	layer.shared = find_shared(site->shared, conf);
	inner = builders[conf->type](inner, &layer, error);
	weir_arena_fini(&layer.arena);
	if (inner == NULL && error != NULL && error->line == 0)
		weir_error_at(error, conf->place.file, conf->place.line);
	return inner;
}
