/* SPDX-License-Identifier: MIT */
/*
 * Fields in an array, in order. Those of one known name form a chain through it (places, not
 * pointers, because the array may move); other names are few and searched for.
 */

#include <assert.h>
#include <errno.h>

#include <weir/headers.h>

#include "http/chars.h"

#define HEADERS_FIRST 16 /* fields that the first array holds */

void weir_headers_init(struct weir_headers *headers, struct weir_arena *arena)
{
	memset(headers, 0, sizeof(*headers));
	headers->arena = arena;
}

void weir_headers_clear(struct weir_headers *headers)
{
	headers->n = 0;
	memset(headers->first, 0, sizeof(headers->first));
}

int weir_headers_reserve(struct weir_headers *headers, unsigned n)
{
	unsigned capacity = headers->n + n;
	struct weir_header *fields;

	if (capacity > WEIR_HEADERS_MAX)
		return -E2BIG;
	if (capacity <= headers->capacity)
		return 0;
	capacity = WEIR_MAX(capacity, WEIR_MAX(HEADERS_FIRST, 2u * headers->capacity));
	capacity = WEIR_MIN(capacity, WEIR_HEADERS_MAX);
	fields = weir_arena_alloc(headers->arena, capacity * sizeof(*fields));
	if (!fields)
		return -ENOMEM;
	if (headers->n)
		memcpy(fields, headers->fields, headers->n * sizeof(*fields));
	headers->fields = fields;
	headers->capacity = (uint8_t)capacity;
	return 0;
}

/* Hangs the field at PLACE behind the others of its name. */
static void headers_link(struct weir_headers *headers, enum weir_header_id id, uint8_t place)
{
	uint8_t *link = &headers->first[id];

	while (*link)
		link = &headers->fields[*link - 1].next;
	*link = place + 1;
}

int weir_headers_add_as(struct weir_headers *headers, enum weir_header_id id, struct weir_text name,
			struct weir_text value)
{
	struct weir_header *field;
	int rc = headers->n < headers->capacity ? 0 : weir_headers_reserve(headers, 1);

	if (rc)
		return rc;
	field = &headers->fields[headers->n];
	field->name = name;
	field->value = value;
	field->id = id;
	field->next = 0;
	field->removed = false;
	if (id != WEIR_HEADER_OTHER)
		headers_link(headers, id, headers->n);
	headers->n++;
	return 0;
}

int weir_headers_add(struct weir_headers *headers, struct weir_text name, struct weir_text value)
{
	return weir_headers_add_as(headers, weir_header_id(name), name, value);
}

int weir_headers_add_id(struct weir_headers *headers, enum weir_header_id id,
			struct weir_text value)
{
	assert(id != WEIR_HEADER_OTHER);
	return weir_headers_add_as(headers, id, weir_header_name(id), value);
}

struct weir_header *weir_headers_find_id(const struct weir_headers *headers, enum weir_header_id id,
					 const struct weir_header *after)
{
	uint8_t place = after ? after->next : headers->first[id];

	while (place && headers->fields[place - 1].removed)
		place = headers->fields[place - 1].next;
	return place ? &headers->fields[place - 1] : NULL;
}

static struct weir_header *headers_find_other(const struct weir_headers *headers,
					      struct weir_text name,
					      const struct weir_header *after)
{
	struct weir_header *field = weir_headers_next(headers, after);

	while (field &&
	       (field->id != WEIR_HEADER_OTHER || !weir_text_is_equal_nocase(field->name, name)))
		field = weir_headers_next(headers, field);
	return field;
}

struct weir_header *weir_headers_find(const struct weir_headers *headers, struct weir_text name,
				      const struct weir_header *after)
{
	enum weir_header_id id = weir_header_id(name);

	if (id == WEIR_HEADER_OTHER)
		return headers_find_other(headers, name, after);
	return weir_headers_find_id(headers, id, after);
}

struct weir_text weir_headers_value(const struct weir_headers *headers, enum weir_header_id id)
{
	const struct weir_header *field = weir_headers_find_id(headers, id, NULL);

	return field ? field->value : (struct weir_text){ NULL, 0 };
}

void weir_headers_del_field(struct weir_headers *headers, struct weir_header *field)
{
	(void)headers;
	field->removed = true;
}

unsigned weir_headers_del(struct weir_headers *headers, struct weir_text name)
{
	struct weir_header *field = NULL;
	unsigned n = 0;

	while ((field = weir_headers_find(headers, name, field))) {
		weir_headers_del_field(headers, field);
		n++;
	}
	return n;
}

unsigned weir_headers_del_id(struct weir_headers *headers, enum weir_header_id id)
{
	struct weir_header *field = NULL;
	unsigned n = 0;

	while ((field = weir_headers_find_id(headers, id, field))) {
		weir_headers_del_field(headers, field);
		n++;
	}
	return n;
}

int weir_headers_set(struct weir_headers *headers, struct weir_text name, struct weir_text value)
{
	struct weir_header *first = weir_headers_find(headers, name, NULL);

	if (!first)
		return weir_headers_add(headers, name, value);
	weir_headers_del(headers, name);
	first->removed = false;
	first->value = value;
	return 0;
}

int weir_headers_set_id(struct weir_headers *headers, enum weir_header_id id,
			struct weir_text value)
{
	return weir_headers_set(headers, weir_header_name(id), value);
}

bool weir_headers_has_item(const struct weir_headers *headers, enum weir_header_id id,
			   struct weir_text item)
{
	const struct weir_header *field = NULL;

	while ((field = weir_headers_find_id(headers, id, field))) {
		struct weir_text list = field->value, element, parameters;

		while (weir_text_next_item(&list, &element)) {
			weir_text_split(element, ';', &element, &parameters);
			if (weir_text_is_equal_nocase(weir_text_trim(element), item))
				return true;
		}
	}
	return false;
}

/* Name and value in one piece of TO's arena. */
static int headers_copy_field(struct weir_headers *to, const struct weir_header *field)
{
	char *text = weir_arena_alloc(to->arena, field->name.size + field->value.size);

	if (!text)
		return -ENOMEM;
	memcpy(text, field->name.data, field->name.size);
	if (field->value.size)
		memcpy(text + field->name.size, field->value.data, field->value.size);
	return weir_headers_add_as(to, field->id, (struct weir_text){ text, field->name.size },
				   (struct weir_text){ text + field->name.size,
						       field->value.size });
}

int weir_headers_copy(struct weir_headers *to, const struct weir_headers *from)
{
	const struct weir_header *field = NULL;
	int rc = 0;

	while (!rc && (field = weir_headers_next(from, field)))
		rc = headers_copy_field(to, field);
	return rc;
}

bool weir_header_is_valid(struct weir_text name, struct weir_text value)
{
	return name.size > 0 && weir_chars_are(name.data, name.size, WEIR_CHAR_TOKEN) &&
	       weir_chars_are(value.data, value.size, WEIR_CHAR_VALUE);
}
