/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_TABLE_H
#define WEIRCTL_TABLE_H

/*
 * Aligned columns of text. What comes from outside may hold anything: characters that are not
 * printable are shown as '?', so that no name can act on the terminal.
 */

#include <stdbool.h>
#include <stdio.h>
#include <weir/arena.h>

enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM, TONE_HEAD };

struct column {
	const char *title;
	bool is_right;	 /* numbers */
	bool may_shrink; /* cut first when the terminal is narrow */
};

struct cell {
	const char *text;
	unsigned width; /* columns of a terminal */
	enum tone tone;
};

struct table {
	const struct column *columns; /* borrowed */
	unsigned n_columns;
	size_t n_cells;
	size_t capacity;
	struct cell *cells;
	struct weir_arena arena; /* of their texts */
};

void table_init(struct table *table, const struct column *columns, unsigned n);
void table_fini(struct table *table);

/* The next cell, row after row. Ends the process when memory is out. */
void table_add(struct table *table, enum tone tone, const char *format, ...) WEIR_PRINTF(3, 4);

size_t table_rows(const struct table *table);

struct table_look {
	bool has_color;
	unsigned width;	  /* lines are cut to it; 0: they are not */
	size_t max_rows;  /* 0: all */
	const char *eol;  /* NULL: "\n" */
	bool is_untitled; /* no line of titles */
};

/* The titles and the rows. */
void table_print(const struct table *table, const struct table_look *look, FILE *to);

/* Replaces in place what must not reach a terminal: controls, direction marks, what is no text.
 * Returns the width of what is left. */
unsigned text_clean(char *text);

/* Prints TEXT in its tone when COLOR. */
void tone_print(FILE *to, bool color, enum tone tone, const char *text);

#endif
