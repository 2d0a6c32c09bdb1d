/* SPDX-License-Identifier: MIT */
/*
 * The nearest word by edit distance (with swaps of neighbours counted as one).
 */

#include "daemon/config_suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 40

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
	return WEIR_MIN(WEIR_MIN(a, b), c);
}

/* UINT_MAX / 2 when a word is too long to be a slip of the finger. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);
	unsigned *row, *above, *second;
	size_t i, j;

	if (na > WORD_MAX || nb > WORD_MAX)
		return UINT32_MAX / 2;
	for (j = 0; j <= nb; j++)
		rows[0][j] = (unsigned)j;
	for (i = 1; i <= na; i++) {
		row = rows[i % 3];
		above = rows[(i - 1) % 3];
		second = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (j = 1; j <= nb; j++) {
			unsigned same = tolower((unsigned char)a[i - 1]) ==
					tolower((unsigned char)b[j - 1]);

			row[j] = smallest(row[j - 1] + 1, above[j] + 1, above[j - 1] + !same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = WEIR_MIN(row[j], second[j - 2] + 1);
		}
	}
	return rows[na % 3][nb];
}

void config_suggest_init(struct config_suggest *suggest, const char *wrong)
{
	*suggest = (struct config_suggest){ .wrong = wrong, .distance = UINT32_MAX };
}

void config_suggest_add(struct config_suggest *suggest, const char *word)
{
	unsigned d = distance(suggest->wrong, word);
	size_t used = strlen(suggest->all);

	if (d < suggest->distance) {
		suggest->distance = d;
		suggest->best = word;
	}
	snprintf(suggest->all + used, sizeof(suggest->all) - used, "%s%s",
		 used == 0 ? "write one of: " : ", ", word);
}

const char *config_suggest_text(struct config_suggest *suggest)
{
	size_t size = strlen(suggest->wrong);

	if (suggest->best == NULL || suggest->distance > WEIR_MAX(size / 3, 1))
		return suggest->all;
	snprintf(suggest->all, sizeof(suggest->all), "did you mean \"%s\"?", suggest->best);
	return suggest->all;
}
