/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' text format 0.0.4: families in order of registration, each with HELP and TYPE, its
 * series below it. Workers go on counting meanwhile: every number is right at some moment of the
 * call, and a histogram's count is the sum of the buckets that were read, so the two agree.
 */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/metrics_internal.h"

#define FORMAT_NUMBER 32

/* What is written, and the first thing that went wrong; later writes do nothing. */
struct text {
	struct weir_buffer *out;
	int status;
};

static void text_add(struct text *text, const char *data, size_t size)
{
	if (!text->status)
		text->status = weir_buffer_append(text->out, data, size);
}

static void text_puts(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

/* Bytes of the UTF-8 sequence at P (RFC 3629); 0 when it is none. */
static size_t utf8_size(const unsigned char *p)
{
	static const struct {
		unsigned char low, high; /* first byte */
		unsigned char size;
		unsigned char from, to; /* second byte: neither overlong nor surrogates */
	} forms[] = {
		{ 0x01, 0x7f, 1, 0x00, 0xff }, { 0xc2, 0xdf, 2, 0x80, 0xbf },
		{ 0xe0, 0xe0, 3, 0xa0, 0xbf }, { 0xe1, 0xec, 3, 0x80, 0xbf },
		{ 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf },
		{ 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf },
		{ 0xf4, 0xf4, 4, 0x80, 0x8f },
	};
	size_t i = 0;

	while (i < WEIR_ARRAY_SIZE(forms) && (*p < forms[i].low || *p > forms[i].high))
		i++;
	if (i == WEIR_ARRAY_SIZE(forms))
		return 0;
	if (forms[i].size > 1 && (p[1] < forms[i].from || p[1] > forms[i].to))
		return 0;
	for (size_t k = 2; k < forms[i].size; k++)
		if ((p[k] & 0xc0) != 0x80)
			return 0;
	return forms[i].size;
}

/* Label values and help texts; QUOTE is the character to escape beside backslash and newline.
 * The format is UTF-8: a byte that is not becomes U+FFFD, or a scraper drops the whole page. */
static void text_escape(struct text *text, const char *string, char quote)
{
	const char *p = string;

	while (*p) {
		size_t size = utf8_size((const unsigned char *)p);

		if (size == 0)
			text_puts(text, "\xef\xbf\xbd");
		else if (*p == '\n')
			text_puts(text, "\\n");
		else if (*p == '\\' || *p == quote)
			text_add(text, (const char[]){ '\\', *p }, 2);
		else
			text_add(text, p, size);
		p += WEIR_MAX(size, (size_t)1);
	}
}

static const char *number_format(char *number, double value)
{
	char *comma;

	if (isinf(value))
		return value > 0 ? "+Inf" : "-Inf";
	snprintf(number, FORMAT_NUMBER, "%.15g", value);
	/* The program around us may have set a locale. */
	comma = strchr(number, ',');
	if (comma)
		*comma = '.';
	return number;
}

/* ---- one series ---- */

/* SUFFIX and the bound LE (of histograms) may be NULL. */
static void line_begin(struct text *text, const struct metrics_family *family,
		       const struct metrics_series *series, const char *suffix, const char *le)
{
	const char *comma = "{";

	text_puts(text, family->family->name);
	if (suffix)
		text_puts(text, suffix);
	for (unsigned i = 0; series != family->overflow && i < family->n_labels; i++) {
		text_puts(text, comma);
		text_puts(text, family->family->labels[i]);
		text_puts(text, "=\"");
		text_escape(text, series->values[i], '"');
		text_puts(text, "\"");
		comma = ",";
	}
	if (series == family->overflow) {
		text_puts(text, "{overflow=\"true\"");
		comma = ",";
	}
	if (le) {
		text_puts(text, comma);
		text_puts(text, "le=\"");
		text_puts(text, le);
		text_puts(text, "\"");
		comma = ",";
	}
	text_puts(text, *comma == ',' ? "} " : " ");
}

static void line_end(struct text *text, const char *number)
{
	text_puts(text, number);
	text_puts(text, "\n");
}

static void counter_format(struct text *text, const struct weir_metrics *metrics,
			   const struct metrics_family *family, const struct metrics_series *series)
{
	char number[FORMAT_NUMBER];
	uint64_t sum = 0;

	for (unsigned i = 0; i < metrics->workers; i++)
		if (series->cells[i].any)
			sum += atomic_load_explicit(&series->cells[i].counter->value,
						    memory_order_relaxed);
	snprintf(number, sizeof(number), "%" PRIu64, sum);
	line_begin(text, family, series, NULL, NULL);
	line_end(text, number);
}

static void gauge_format(struct text *text, const struct weir_metrics *metrics,
			 const struct metrics_family *family, const struct metrics_series *series)
{
	char number[FORMAT_NUMBER];
	int64_t sum = 0;

	for (unsigned i = 0; i < metrics->workers; i++)
		if (series->cells[i].any)
			sum += atomic_load_explicit(&series->cells[i].gauge->value,
						    memory_order_relaxed);
	snprintf(number, sizeof(number), "%" PRIi64, sum);
	line_begin(text, family, series, NULL, NULL);
	line_end(text, number);
}

static uint64_t bucket_sum(const struct weir_metrics *metrics, const struct metrics_series *series,
			   size_t bucket)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < metrics->workers; i++)
		if (series->cells[i].any)
			sum += atomic_load_explicit(&series->cells[i].histogram->buckets[bucket],
						    memory_order_relaxed);
	return sum;
}

static double histogram_sum(const struct weir_metrics *metrics, const struct metrics_series *series)
{
	double sum = 0;

	for (unsigned i = 0; i < metrics->workers; i++)
		if (series->cells[i].any)
			sum += atomic_load_explicit(&series->cells[i].histogram->sum,
						    memory_order_relaxed);
	return sum;
}

static void histogram_format(struct text *text, const struct weir_metrics *metrics,
			     const struct metrics_family *family,
			     const struct metrics_series *series)
{
	const struct weir_metric_family *about = family->family;
	char number[FORMAT_NUMBER], count[FORMAT_NUMBER];
	uint64_t cumulative = 0;

	for (size_t i = 0; i <= about->n_bounds; i++) {
		cumulative += bucket_sum(metrics, series, i);
		snprintf(count, sizeof(count), "%" PRIu64, cumulative);
		line_begin(text, family, series, "_bucket",
			   i < about->n_bounds ? number_format(number, about->bounds[i]) : "+Inf");
		line_end(text, count);
	}
	line_begin(text, family, series, "_sum", NULL);
	line_end(text, number_format(number, histogram_sum(metrics, series)));
	line_begin(text, family, series, "_count", NULL);
	line_end(text, count);
}

static void series_format(struct text *text, const struct weir_metrics *metrics,
			  const struct metrics_family *family, const struct metrics_series *series)
{
	switch (family->family->type) {
	case WEIR_METRIC_COUNTER:
		counter_format(text, metrics, family, series);
		break;
	case WEIR_METRIC_GAUGE:
		gauge_format(text, metrics, family, series);
		break;
	case WEIR_METRIC_HISTOGRAM:
		histogram_format(text, metrics, family, series);
		break;
	}
}

/* ---- the page ---- */

static void family_format(struct text *text, const struct weir_metrics *metrics,
			  const struct metrics_family *family)
{
	static const char *const types[] = {
		[WEIR_METRIC_COUNTER] = "counter",
		[WEIR_METRIC_GAUGE] = "gauge",
		[WEIR_METRIC_HISTOGRAM] = "histogram",
	};
	const struct weir_list *link;

	text_puts(text, "# HELP ");
	text_puts(text, family->family->name);
	text_puts(text, " ");
	text_escape(text, family->family->help, '\\');
	text_puts(text, "\n# TYPE ");
	text_puts(text, family->family->name);
	text_puts(text, " ");
	line_end(text, types[family->family->type]);
	for (link = family->series.next; link != &family->series; link = link->next)
		series_format(text, metrics, family,
			      weir_container_of(link, struct metrics_series, link));
	if (family->overflow)
		series_format(text, metrics, family, family->overflow);
}

int weir_metrics_format(struct weir_metrics *metrics, struct weir_buffer *out)
{
	struct text text = { .out = out };
	const struct weir_list *link;

	if (!metrics)
		return 0;
	pthread_mutex_lock(&metrics->lock);
	for (link = metrics->families.next; link != &metrics->families; link = link->next)
		family_format(&text, metrics, weir_container_of(link, struct metrics_family, link));
	pthread_mutex_unlock(&metrics->lock);
	return text.status;
}
