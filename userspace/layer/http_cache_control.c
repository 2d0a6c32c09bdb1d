/* SPDX-License-Identifier: MIT */

#include "layer/http_cache_control.h"

/* Digits alone; quoted ones are read, too. What is no number is 0: the response is stale. */
static int64_t seconds_parse(struct weir_text text)
{
	int64_t seconds = 0;

	if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"')
		text = (struct weir_text){ text.data + 1, text.size - 2 };
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		seconds = seconds * 10 + (text.data[i] - '0');
		if (seconds > HTTP_SECONDS_MAX)
			seconds = HTTP_SECONDS_MAX;
	}
	return seconds;
}

/* The smaller one of two that were said. */
static void seconds_set(int64_t *seconds, struct weir_text text)
{
	int64_t value = seconds_parse(text);

	if (*seconds < 0 || value < *seconds)
		*seconds = value;
}

static void directive_take(struct http_cache_control *control, struct weir_text name,
			   struct weir_text value)
{
	const struct {
		struct weir_text name;
		bool *flag;
		int64_t *seconds;
	} directives[] = {
		{ WEIR_TEXT("no-store"), &control->no_store, NULL },
		{ WEIR_TEXT("no-cache"), &control->no_cache, NULL },
		{ WEIR_TEXT("private"), &control->is_private, NULL },
		{ WEIR_TEXT("public"), &control->is_public, NULL },
		{ WEIR_TEXT("must-revalidate"), &control->must_revalidate, NULL },
		{ WEIR_TEXT("proxy-revalidate"), &control->must_revalidate, NULL },
		{ WEIR_TEXT("only-if-cached"), &control->only_if_cached, NULL },
		{ WEIR_TEXT("max-age"), NULL, &control->max_age },
		{ WEIR_TEXT("s-maxage"), NULL, &control->s_maxage },
		{ WEIR_TEXT("min-fresh"), NULL, &control->min_fresh },
		{ WEIR_TEXT("stale-while-revalidate"), NULL, &control->stale_while_revalidate },
		{ WEIR_TEXT("stale-if-error"), NULL, &control->stale_if_error },
	};

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(directives); i++) {
		if (!weir_text_is_equal_nocase(name, directives[i].name))
			continue;
		if (directives[i].flag)
			*directives[i].flag = true;
		else
			seconds_set(directives[i].seconds, value);
	}
	if (!weir_text_is_equal_nocase(name, WEIR_TEXT("max-stale")))
		return;
	if (value.data)
		seconds_set(&control->max_stale, value);
	else if (control->max_stale < 0)
		control->max_stale = HTTP_SECONDS_MAX;
}

void http_cache_control_read(struct http_cache_control *control, const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;
	struct weir_text list, item, name, value;
	bool any = false;

	*control = (struct http_cache_control){
		.max_age = -1,
		.s_maxage = -1,
		.min_fresh = -1,
		.max_stale = -1,
		.stale_while_revalidate = -1,
		.stale_if_error = -1,
	};
	while ((field = weir_headers_find_id(headers, WEIR_HEADER_CACHE_CONTROL, field))) {
		any = true;
		list = field->value;
		while (weir_text_next_item(&list, &item)) {
			weir_text_split(item, '=', &name, &value);
			directive_take(control, weir_text_trim(name), weir_text_trim(value));
		}
	}
	if (!any && weir_headers_has_item(headers, WEIR_HEADER_PRAGMA, WEIR_TEXT("no-cache")))
		control->no_cache = true;
}
