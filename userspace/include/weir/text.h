/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

/*
 * A view of some bytes that belong to somebody else; no terminator. Protocol text is ASCII:
 * case is folded for A to Z alone, whatever the locale.
 */

#include <stdbool.h>
#include <string.h>

#include <weir/base.h>

struct weir_text {
	const char *data; /* borrowed; NULL: there is none, which differs from an empty one */
	size_t size;
};

#define WEIR_TEXT(literal) ((struct weir_text){ "" literal, sizeof(literal) - 1 })

/* For printf's "%.*s". */
#define WEIR_TEXT_ARGS(text) (int)(text).size, (text).data ? (text).data : ""

/* TERMINATED may be NULL: none. */
static inline struct weir_text weir_text_of(const char *terminated)
{
	return (struct weir_text){ terminated, terminated ? strlen(terminated) : 0 };
}

static inline bool weir_text_is_equal(struct weir_text a, struct weir_text b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool weir_text_is_equal_nocase(struct weir_text a, struct weir_text b);
bool weir_text_has_prefix(struct weir_text text, struct weir_text prefix);
bool weir_text_has_suffix_nocase(struct weir_text text, struct weir_text suffix);

/* Without spaces and tabs at both ends (OWS, RFC 9110 section 5.6.3). */
struct weir_text weir_text_trim(struct weir_text text);

/* Takes the next element of a comma-separated list (RFC 9110 section 5.6.1) from LIST into
 * ITEM, trimmed. Commas in quoted strings do not separate; empty elements are skipped. False
 * at the end. */
bool weir_text_next_item(struct weir_text *list, struct weir_text *item);

/* Splits TEXT at the first C: *HEAD before it, *TAIL after it. False, with all in HEAD and no
 * TAIL, when there is none. */
bool weir_text_split(struct weir_text text, char c, struct weir_text *head, struct weir_text *tail);

/* Decimal digits alone, nothing else, no overflow. 0 or -EINVAL. */
int weir_text_parse_u64(struct weir_text text, uint64_t *value) WEIR_MUST_CHECK;

#endif
