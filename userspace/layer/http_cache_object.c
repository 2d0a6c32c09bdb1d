/* SPDX-License-Identifier: MIT */

#include "layer/http_cache_object.h"

#include <stdlib.h>
#include <string.h>

#include <weir/buffer.h>

/* ---- variants ---- */

/* Digest of what REQUEST says in the fields that VARY names. */
static int variant_digest(struct weir_text vary, const struct weir_headers *request,
			  const struct http_digest_key *key, struct http_digest *digest)
{
	struct weir_buffer text = { 0 };
	struct weir_text name;
	int status = 0;

	while (!status && weir_text_next_item(&vary, &name)) {
		const struct weir_header *field = NULL;

		while (!status && (field = weir_headers_find(request, name, field)))
			status = weir_buffer_printf(&text, "%.*s,", WEIR_TEXT_ARGS(field->value));
		/* Values have no line ends, so fields stay apart. */
		if (!status)
			status = weir_buffer_append(&text, "\n", 1);
	}
	*digest =
		http_digest(key, text.data ? weir_buffer_head(&text) : "", weir_buffer_size(&text));
	weir_buffer_fini(&text);
	return status;
}

bool http_cache_object_matches(const struct http_cache_object *object,
			       const struct weir_headers *request,
			       const struct http_digest_key *key)
{
	struct http_digest digest;

	if (object->pass || !object->vary.data)
		return true;
	return variant_digest(object->vary, request, key, &digest) == 0 &&
	       http_digest_is_equal(&digest, &object->variant);
}

/* ---- making ---- */

/* Of the hop, or said anew for each answer. */
static bool field_is_kept(const struct weir_header *field)
{
	switch (field->id) {
	case WEIR_HEADER_AGE:
	case WEIR_HEADER_CONNECTION:
	case WEIR_HEADER_CONTENT_LENGTH:
	case WEIR_HEADER_KEEP_ALIVE:
	case WEIR_HEADER_PROXY_AUTHENTICATE:
	case WEIR_HEADER_PROXY_CONNECTION:
	case WEIR_HEADER_TE:
	case WEIR_HEADER_TRAILER:
	case WEIR_HEADER_TRANSFER_ENCODING:
	case WEIR_HEADER_UPGRADE:
		return false;
	default:
		return !weir_text_is_equal_nocase(field->name, WEIR_TEXT("Cache-Status"));
	}
}

static struct weir_text text_store(char **at, struct weir_text text)
{
	struct weir_text copy = { *at, text.size };

	if (text.size > 0)
		memcpy(*at, text.data, text.size);
	*at += text.size;
	return copy;
}

static void vary_measure(const struct weir_headers *headers, size_t *size)
{
	const struct weir_header *field = NULL;

	while ((field = weir_headers_find_id(headers, WEIR_HEADER_VARY, field)))
		*size += field->value.size + 1;
}

static struct weir_text vary_store(char **at, const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;
	struct weir_text vary = { 0 };

	while ((field = weir_headers_find_id(headers, WEIR_HEADER_VARY, field))) {
		if (!vary.data)
			vary.data = *at;
		text_store(at, field->value);
		text_store(at, WEIR_TEXT(","));
	}
	vary.size = vary.data ? (size_t)(*at - vary.data) : 0;
	return vary;
}

/* Fields and Vary, in one piece of memory behind the struct. */
static struct http_cache_object *object_alloc(const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;
	struct http_cache_object *object;
	size_t n = 0, size = 0;
	char *at;

	while ((field = weir_headers_next(headers, field))) {
		n += field_is_kept(field);
		size += field->name.size + field->value.size;
	}
	vary_measure(headers, &size);
	size += sizeof(*object) + n * sizeof(object->fields[0]);
	object = calloc(1, size);
	if (!object)
		return NULL;
	atomic_init(&object->references, 1);
	object->bytes = size;
	at = (char *)&object->fields[n];
	while ((field = weir_headers_next(headers, field))) {
		if (!field_is_kept(field))
			continue;
		object->fields[object->n].name = text_store(&at, field->name);
		object->fields[object->n].value = text_store(&at, field->value);
		object->fields[object->n++].id = field->id;
	}
	object->vary = vary_store(&at, headers);
	return object;
}

struct http_cache_object *http_cache_object_new(const struct weir_headers *request,
						const struct weir_response *response,
						const struct http_freshness *freshness,
						struct http_cache_blob *blob,
						const struct http_digest_key *key)
{
	struct http_cache_object *object = object_alloc(&response->headers);

	if (!object) {
		http_cache_blob_put(blob);
		return NULL;
	}
	object->blob = blob;
	object->bytes += blob ? blob->size + sizeof(*blob) : 0;
	object->status = response->status;
	object->freshness = *freshness;
	if (variant_digest(object->vary, request, key, &object->variant)) {
		http_cache_object_put(object);
		return NULL;
	}
	return object;
}

/* What a 304 cannot change: it describes the content, which stays. */
static bool field_is_renewed(enum weir_header_id id)
{
	return id != WEIR_HEADER_CONTENT_ENCODING && id != WEIR_HEADER_CONTENT_TYPE &&
	       id != WEIR_HEADER_CONTENT_RANGE && id != WEIR_HEADER_CONTENT_LENGTH;
}

static int fields_merge(struct weir_headers *headers, const struct http_cache_object *old,
			const struct weir_headers *fresh)
{
	const struct weir_header *field = NULL;
	int status = 0;

	for (size_t i = 0; i < old->n && !status; i++) {
		const struct http_cache_field *kept = &old->fields[i];

		if (!field_is_renewed(kept->id) || !weir_headers_find(fresh, kept->name, NULL))
			status = weir_headers_add(headers, kept->name, kept->value);
	}
	while (!status && (field = weir_headers_next(fresh, field)))
		if (field_is_renewed(field->id))
			status = weir_headers_add(headers, field->name, field->value);
	return status;
}

struct http_cache_object *http_cache_object_renew(const struct http_cache_object *old,
						  const struct weir_headers *request,
						  const struct weir_response *response,
						  const struct http_freshness *freshness,
						  const struct http_digest_key *key,
						  struct weir_arena *arena)
{
	struct weir_response merged;

	weir_response_init(&merged, arena);
	merged.status = old->status;
	if (fields_merge(&merged.headers, old, &response->headers))
		return NULL;
	if (old->blob)
		atomic_fetch_add_explicit(&old->blob->references, 1, memory_order_relaxed);
	return http_cache_object_new(request, &merged, freshness, old->blob, key);
}

struct http_cache_object *http_cache_object_pass(int64_t now, int64_t lifetime)
{
	struct http_cache_object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	atomic_init(&object->references, 1);
	object->bytes = sizeof(*object);
	object->pass = true;
	object->freshness = (struct http_freshness){ .received = now, .lifetime = lifetime };
	return object;
}

struct http_cache_object *http_cache_object_get(struct http_cache_object *object)
{
	atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
	return object;
}

void http_cache_object_put(struct http_cache_object *object)
{
	if (!object || atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
		return;
	http_cache_blob_put(object->blob);
	free(object);
}

/* ---- bodies ---- */

struct http_cache_blob *http_cache_blob_new(const void *data, size_t size)
{
	struct http_cache_blob *blob = malloc(sizeof(*blob) + size);

	if (!blob)
		return NULL;
	atomic_init(&blob->references, 1);
	blob->size = size;
	if (size > 0)
		memcpy(blob->data, data, size);
	return blob;
}

void http_cache_blob_put(struct http_cache_blob *blob)
{
	if (blob && atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel) == 1)
		free(blob);
}

struct weir_text http_cache_object_field(const struct http_cache_object *object,
					 enum weir_header_id id)
{
	for (size_t i = 0; i < object->n; i++)
		if (object->fields[i].id == id)
			return object->fields[i].value;
	return (struct weir_text){ 0 };
}
