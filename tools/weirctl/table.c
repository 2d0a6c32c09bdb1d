/* SPDX-License-Identifier: MIT */

#include "tools/weirctl/table.h"

#include <err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#define COLUMN_GAP    2
#define COLUMN_SHRUNK 15 /* no column is cut below this */
#define COLUMNS_MAX   20

void table_init(struct table *table, const struct column *columns, unsigned n)
{
	memset(table, 0, sizeof(*table));
	table->columns = columns;
	table->n_columns = n;
	weir_arena_init(&table->arena, 4096);
}

void table_fini(struct table *table)
{
	weir_arena_fini(&table->arena);
	free(table->cells);
	table_init(table, table->columns, table->n_columns);
}

/* Direction marks and separators turn what follows around or end the line; some C libraries call
 * them printable. */
static bool point_is_shown(wchar_t c)
{
	return iswprint((wint_t)c) && wcwidth(c) >= 0 && c != 0x61c && c != 0xfeff &&
	       !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2060 && c <= 0x206f);
}

unsigned text_clean(char *text)
{
	size_t left = strlen(text);
	mbstate_t state = { 0 };
	unsigned width = 0;

	while (left > 0) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, left, &state);

		if (n == 0 || n > left || !point_is_shown(c)) {
			*text = '?';
			memset(&state, 0, sizeof(state));
			width++;
			n = 1;
		} else {
			width += (unsigned)wcwidth(c);
		}
		text += n;
		left -= n;
	}
	return width;
}

/* How many bytes of TEXT fit into WIDTH columns. */
static size_t text_fit(const char *text, unsigned width)
{
	mbstate_t state = { 0 };
	size_t used = 0, left = strlen(text);

	while (left > 0) {
		wchar_t c;
		size_t n = mbrtowc(&c, text + used, left, &state);

		if (n == 0 || n > left)
			break;
		if ((unsigned)wcwidth(c) > width)
			break;
		width -= (unsigned)wcwidth(c);
		used += n;
		left -= n;
	}
	return used;
}

void table_add(struct table *table, enum tone tone, const char *format, ...)
{
	va_list args;
	char *text;

	if (table->n_cells == table->capacity) {
		table->capacity = table->capacity ? 2 * table->capacity : 64;
		table->cells = reallocarray(table->cells, table->capacity, sizeof(*table->cells));
		if (!table->cells)
			errx(EXIT_FAILURE, "out of memory");
	}
	va_start(args, format);
	text = weir_arena_vprintf(&table->arena, format, args);
	va_end(args);
	if (!text)
		errx(EXIT_FAILURE, "out of memory");
	table->cells[table->n_cells++] = (struct cell){
		.text = text,
		.width = text_clean(text),
		.tone = tone,
	};
}

size_t table_rows(const struct table *table)
{
	return table->n_cells / table->n_columns;
}

static const char *const tone_codes[] = { NULL, "32", "33", "31", "2", "1" };

static void tone_write(FILE *to, bool color, enum tone tone, const char *text, size_t size)
{
	bool is_toned = color && tone_codes[tone] && size > 0;

	if (is_toned)
		fprintf(to, "\033[%sm", tone_codes[tone]);
	fwrite(text, 1, size, to);
	if (is_toned)
		fputs("\033[0m", to);
}

void tone_print(FILE *to, bool color, enum tone tone, const char *text)
{
	tone_write(to, color, tone, text, strlen(text));
}

static void table_measure(const struct table *table, size_t rows, unsigned *widths)
{
	for (unsigned i = 0; i < table->n_columns; i++)
		widths[i] = (unsigned)strlen(table->columns[i].title);
	for (size_t i = 0; i < rows * table->n_columns; i++)
		widths[i % table->n_columns] =
			WEIR_MAX(widths[i % table->n_columns], table->cells[i].width);
}

/* Takes columns from the widest that may shrink until the line fits, as far as it can. */
static void table_shrink(const struct table *table, unsigned limit, unsigned *widths)
{
	unsigned total = COLUMN_GAP * (table->n_columns - 1);

	for (unsigned i = 0; i < table->n_columns; i++)
		total += widths[i];
	while (total > limit) {
		unsigned widest = table->n_columns;

		for (unsigned i = 0; i < table->n_columns; i++) {
			if (!table->columns[i].may_shrink || widths[i] <= COLUMN_SHRUNK)
				continue;
			if (widest == table->n_columns || widths[i] > widths[widest])
				widest = i;
		}
		if (widest == table->n_columns)
			return;
		widths[widest]--;
		total--;
	}
}

/* Prints CELL in a field of WIDTH (not 0), cut with "~" at its end. */
static void cell_print(const struct cell *cell, const struct column *column, unsigned width,
		       bool is_last, bool color, FILE *to)
{
	bool is_cut = cell->width > width;
	size_t size = is_cut ? text_fit(cell->text, width - 1) : strlen(cell->text);
	unsigned pad = is_cut ? 0 : width - cell->width;

	if (column->is_right)
		fprintf(to, "%*s", (int)pad, "");
	tone_write(to, color, cell->tone, cell->text, size);
	if (is_cut)
		fputc('~', to);
	if (!column->is_right && !is_last)
		fprintf(to, "%*s", (int)pad, "");
}

static void row_print(const struct table *table, const struct cell *cells, const unsigned *widths,
		      const struct table_look *look, FILE *to)
{
	unsigned left = look->width ? look->width : ~0u;

	for (unsigned i = 0; i < table->n_columns; i++) {
		unsigned gap = i ? COLUMN_GAP : 0;
		unsigned width = WEIR_MIN(widths[i], left > gap ? left - gap : 0);

		if (width == 0)
			break;
		fprintf(to, "%*s", (int)gap, "");
		cell_print(&cells[i], &table->columns[i], width, i + 1 == table->n_columns,
			   look->has_color, to);
		left -= gap + width;
	}
	fputs(look->eol ? look->eol : "\n", to);
}

void table_print(const struct table *table, const struct table_look *look, FILE *to)
{
	struct cell titles[COLUMNS_MAX];
	unsigned widths[COLUMNS_MAX];
	size_t rows = table_rows(table);

	if (look->max_rows)
		rows = WEIR_MIN(rows, look->max_rows);
	for (unsigned i = 0; i < table->n_columns; i++) {
		titles[i].text = table->columns[i].title;
		titles[i].width = (unsigned)strlen(titles[i].text);
		titles[i].tone = TONE_HEAD;
	}
	table_measure(table, rows, widths);
	if (look->width)
		table_shrink(table, look->width, widths);
	if (!look->is_untitled)
		row_print(table, titles, widths, look, to);
	for (size_t i = 0; i < rows; i++)
		row_print(table, table->cells + i * table->n_columns, widths, look, to);
}
