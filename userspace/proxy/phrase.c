/* SPDX-License-Identifier: MIT */
/*
 * A list of pieces, each plain text or a field; filled by measuring and then copying.
 */

#include "proxy/phrase.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/forwarded.h>
#include <weir/match.h>

#define PIECES_MAX 32

enum field {
	FIELD_PLAIN, /* text as it is */
	FIELD_SCHEME,
	FIELD_HOST,
	FIELD_AUTHORITY,
	FIELD_PATH,
	FIELD_QUERY,
	FIELD_URI,
	FIELD_REST,
	FIELD_PARAM, /* text is its name */
};

static const char *const field_names[] = {
	[FIELD_SCHEME] = "scheme", [FIELD_HOST] = "host",   [FIELD_AUTHORITY] = "authority",
	[FIELD_PATH] = "path",	   [FIELD_QUERY] = "query", [FIELD_URI] = "uri",
	[FIELD_REST] = "rest",
};

struct piece {
	enum field field;
	struct weir_text text;
};

struct phrase {
	char *text; /* what pieces point into */
	size_t n;
	struct piece pieces[PIECES_MAX];
};

/* ---- reading ------------------------------------------------------------------------------ */

static int phrase_wrong(struct weir_error *error, const char *text, const char *why,
			const char *remedy)
{
	weir_error_remedy(error, "%s", remedy);
	return weir_error_set(error, WEIR_ECONFIG, "\"%.200s\" %s", text, why);
}

static int add_piece(struct phrase *phrase, enum field field, struct weir_text text,
		     struct weir_error *error)
{
	if (text.size == 0)
		return 0;
	if (phrase->n == PIECES_MAX)
		return phrase_wrong(error, phrase->text, "has too many fields",
				    "write a shorter one");
	phrase->pieces[phrase->n++] = (struct piece){ field, text };
	return 0;
}

static enum field field_of(struct weir_text name)
{
	enum field field;

	for (field = FIELD_SCHEME; field < FIELD_PARAM; field++) {
		if (weir_text_is_equal(name, weir_text_of(field_names[field])))
			return field;
	}
	return FIELD_PARAM;
}

/* What stands at *AT, which is advanced: "{{", a field, or text up to the next brace. */
static int read_piece(struct phrase *phrase, const char **at, struct weir_error *error)
{
	size_t size = strcspn(*at, "{}");
	const char *start = *at, *end;
	struct weir_text name;

	if (size > 0) {
		*at += size;
		return add_piece(phrase, FIELD_PLAIN, (struct weir_text){ start, size }, error);
	}
	if (start[0] == start[1]) {
		*at += 2;
		return add_piece(phrase, FIELD_PLAIN, (struct weir_text){ start, 1 }, error);
	}
	end = start[0] == '{' ? strpbrk(start + 1, "{}") : NULL;
	if (!end || *end != '}' || end == start + 1)
		return phrase_wrong(error, phrase->text, "has a { or } that encloses no name",
				    "write {{ or }} for the character itself");
	name = (struct weir_text){ start + 1, (size_t)(end - start - 1) };
	*at = end + 1;
	return add_piece(phrase, field_of(name), name, error);
}

/* Anything else would break the header field or the request line that it is for. */
static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text == 127)
			return false;
	}
	return true;
}

struct phrase *phrase_new(const char *text, struct weir_error *error)
{
	struct phrase *phrase = NULL;
	const char *at;

	if (!is_printable(text)) {
		phrase_wrong(error, text, "has a space, control or non-ASCII character",
			     "write it percent-encoded: %20 for a space");
		return NULL;
	}
	phrase = calloc(1, sizeof(*phrase));
	if (phrase)
		phrase->text = strdup(text);
	if (!phrase || !phrase->text) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto err;
	}
	for (at = phrase->text; *at;) {
		if (read_piece(phrase, &at, error) < 0)
			goto err;
	}
	return phrase;
err:
	phrase_free(phrase);
	return NULL;
}

void phrase_free(struct phrase *phrase)
{
	if (!phrase)
		return;
	free(phrase->text);
	free(phrase);
}

/* ---- filling ------------------------------------------------------------------------------ */

static struct weir_text host_alone(struct weir_text authority)
{
	struct weir_text host;
	uint16_t port;

	return weir_authority_parse(authority, &host, &port) == 0 ? host : (struct weir_text){ 0 };
}

static struct weir_text value_of(const struct piece *piece, struct weir_call *call,
				 const struct weir_match_params *params)
{
	switch (piece->field) {
	case FIELD_PLAIN:
		return piece->text;
	case FIELD_SCHEME:
		return weir_client_scheme(call);
	case FIELD_HOST:
		return host_alone(call->request.authority);
	case FIELD_AUTHORITY:
		return call->request.authority;
	case FIELD_PATH:
	case FIELD_URI:
		return call->request.path;
	case FIELD_QUERY:
		return call->request.query;
	case FIELD_REST:
		return params ? params->rest : (struct weir_text){ 0 };
	default:
		return weir_match_param(params, piece->text);
	}
}

static char *put(char *out, struct weir_text text)
{
	return text.size > 0 ? mempcpy(out, text.data, text.size) : out;
}

struct weir_text phrase_fill(const struct phrase *phrase, struct weir_call *call)
{
	const struct weir_match_params *params =
		weir_extension_find(&call->extensions, &weir_match_params_key);
	struct weir_text query = call->request.query;
	size_t size = 0, i;
	char *text, *end;

	for (i = 0; i < phrase->n; i++)
		size += value_of(&phrase->pieces[i], call, params).size +
			(phrase->pieces[i].field == FIELD_URI ? query.size + 1 : 0);
	text = weir_arena_alloc(&call->arena, size + 1);
	if (!text)
		return (struct weir_text){ 0 };
	end = text;
	for (i = 0; i < phrase->n; i++) {
		end = put(end, value_of(&phrase->pieces[i], call, params));
		if (phrase->pieces[i].field == FIELD_URI && query.data) {
			*end++ = '?';
			end = put(end, query);
		}
	}
	return (struct weir_text){ text, (size_t)(end - text) };
}
