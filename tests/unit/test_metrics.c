/* SPDX-License-Identifier: MIT */
/* The registry, its cells, and the text that a scraper reads. */

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/metrics.h>

static const struct weir_metric_family requests = {
	.name = "weir_requests_total",
	.help = "Requests",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "listener", "code" },
};

static const struct weir_metric_family active = {
	.name = "weir_active",
	.help = "Active things",
	.type = WEIR_METRIC_GAUGE,
};

static const double bounds[] = { 0.005, 0.1, 1 };

static const struct weir_metric_family duration = {
	.name = "weir_duration_seconds",
	.help = "Durations",
	.type = WEIR_METRIC_HISTOGRAM,
	.labels = { "listener" },
	.bounds = bounds,
	.n_bounds = 3,
};

#define VALUES(...) ((const char *const[]){ __VA_ARGS__ })

static char *format(struct weir_metrics *metrics)
{
	struct weir_buffer buffer;

	weir_buffer_init(&buffer);
	assert_int_equal(weir_metrics_format(metrics, &buffer), 0);
	assert_int_equal(weir_buffer_append(&buffer, "", 1), 0);
	assert_int_equal(buffer.head, 0);
	return buffer.data; /* the caller frees it */
}

static void assert_format(struct weir_metrics *metrics, const char *expected)
{
	char *text = format(metrics);

	assert_string_equal(text, expected);
	free(text);
}

static void empty_registry_is_empty_text(void **state)
{
	struct weir_metrics *metrics = weir_metrics_new(3);

	(void)state;
	assert_format(metrics, "");
	weir_metrics_free(metrics);
}

static void counters_of_workers_are_summed(void **state)
{
	struct weir_metrics *metrics = weir_metrics_new(2);
	const char *const *values = VALUES("db", "ok");

	(void)state;
	weir_counter_add(weir_metrics_counter(metrics, 0, &requests, values), 3);
	weir_counter_add(weir_metrics_counter(metrics, 1, &requests, values), 4);
	weir_counter_add(weir_metrics_counter(metrics, 1, &requests, VALUES("web", NULL)), 1);
	assert_int_equal(weir_metrics_sum(metrics, &requests, values), 7);
	assert_int_equal(weir_metrics_sum(metrics, &requests, VALUES("db", "no")), 0);
	assert_format(metrics, "# HELP weir_requests_total Requests\n"
			       "# TYPE weir_requests_total counter\n"
			       "weir_requests_total{listener=\"db\",code=\"ok\"} 7\n"
			       "weir_requests_total{listener=\"web\",code=\"\"} 1\n");
	weir_metrics_free(metrics);
}

static void same_arguments_give_the_same_cell(void **state)
{
	static const struct weir_metric_family twin = {
		.name = "weir_requests_total",
		.help = "The same family in another file",
		.type = WEIR_METRIC_COUNTER,
		.labels = { "listener", "code" },
	};
	struct weir_metrics *metrics = weir_metrics_new(2);
	char heap[] = "db";
	struct weir_counter *cell = weir_metrics_counter(metrics, 0, &requests, VALUES("db", "a"));

	(void)state;
	assert_ptr_equal(cell, weir_metrics_counter(metrics, 0, &requests, VALUES(heap, "a")));
	heap[0] = 'x'; /* values were copied */
	assert_ptr_equal(cell, weir_metrics_counter(metrics, 0, &twin, VALUES("db", "a")));
	assert_ptr_not_equal(cell, weir_metrics_counter(metrics, 1, &requests, VALUES("db", "a")));
	assert_ptr_not_equal(cell, weir_metrics_counter(metrics, 0, &requests, VALUES("d", "ba")));
	weir_metrics_free(metrics);
}

static void workers_do_not_share_cache_lines(void **state)
{
	struct weir_metrics *metrics = weir_metrics_new(2);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		char name[16];
		uintptr_t a, b;

		snprintf(name, sizeof(name), "%d", i);
		a = (uintptr_t)weir_metrics_counter(metrics, 0, &requests, VALUES(name, ""));
		b = (uintptr_t)weir_metrics_counter(metrics, 1, &requests, VALUES(name, ""));
		assert_true(a / 64 != b / 64);
	}
	weir_metrics_free(metrics);
}

static void gauges_go_down(void **state)
{
	struct weir_metrics *metrics = weir_metrics_new(2);
	struct weir_gauge *a = weir_metrics_gauge(metrics, 0, &active, NULL);
	struct weir_gauge *b = weir_metrics_gauge(metrics, 1, &active, NULL);

	(void)state;
	weir_gauge_add(a, 5);
	weir_gauge_add(a, -2);
	weir_gauge_set(b, -10);
	assert_int_equal(weir_metrics_sum(metrics, &active, NULL), -7);
	assert_format(metrics, "# HELP weir_active Active things\n# TYPE weir_active gauge\n"
			       "weir_active -7\n");
	weir_metrics_free(metrics);
}

static void histograms_are_cumulative(void **state)
{
	struct weir_metrics *metrics = weir_metrics_new(2);
	struct weir_histogram *a = weir_metrics_histogram(metrics, 0, &duration, VALUES("db"));
	struct weir_histogram *b = weir_metrics_histogram(metrics, 1, &duration, VALUES("db"));

	(void)state;
	weir_histogram_add(a, 0.005); /* a bound belongs to its bucket */
	weir_histogram_add(a, 0.0625);
	weir_histogram_add(b, 0.125);
	weir_histogram_add(b, 100);
	weir_histogram_add(b, NAN);
	assert_format(metrics, "# HELP weir_duration_seconds Durations\n"
			       "# TYPE weir_duration_seconds histogram\n"
			       "weir_duration_seconds_bucket{listener=\"db\",le=\"0.005\"} 1\n"
			       "weir_duration_seconds_bucket{listener=\"db\",le=\"0.1\"} 2\n"
			       "weir_duration_seconds_bucket{listener=\"db\",le=\"1\"} 3\n"
			       "weir_duration_seconds_bucket{listener=\"db\",le=\"+Inf\"} 4\n"
			       "weir_duration_seconds_sum{listener=\"db\"} 100.1925\n"
			       "weir_duration_seconds_count{listener=\"db\"} 4\n");
	assert_int_equal(weir_metrics_sum(metrics, &duration, VALUES("db")), 0);
	weir_metrics_free(metrics);
}

/* What a label value may hold, and what must come out. */
static void bad_label_values_are_escaped(void **state)
{
	static const struct {
		const char *value, *expected;
	} cases[] = {
		{ "a\"b", "a\\\"b" },
		{ "a\\b", "a\\\\b" },
		{ "a\nb", "a\\nb" },
		{ "\\n", "\\\\n" },
		{ "a\tb", "a\tb" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xf0\x9f\x90\x9f", "\xf0\x9f\x90\x9f" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "a\xc3", "a\xef\xbf\xbd" },				    /* cut off */
		{ "\xc3(", "\xef\xbf\xbd(" },				    /* no continuation */
		{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },		    /* overlong */
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* surrogate */
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct weir_metrics *metrics = weir_metrics_new(1);
		char expected[128];
		char *text;

		weir_metrics_histogram(metrics, 0, &duration, VALUES(cases[i].value));
		text = format(metrics);
		snprintf(expected, sizeof(expected),
			 "weir_duration_seconds_count{listener=\"%s\"} 0\n", cases[i].expected);
		assert_non_null(strstr(text, expected));
		free(text);
		weir_metrics_free(metrics);
	}
}

static void help_is_escaped(void **state)
{
	static const struct weir_metric_family odd = {
		.name = "weir_odd",
		.help = "one\\two \"three\"\nfour",
		.type = WEIR_METRIC_GAUGE,
	};
	struct weir_metrics *metrics = weir_metrics_new(1);

	(void)state;
	weir_metrics_gauge(metrics, 0, &odd, NULL);
	assert_format(metrics, "# HELP weir_odd one\\\\two \"three\"\\nfour\n"
			       "# TYPE weir_odd gauge\nweir_odd 0\n");
	weir_metrics_free(metrics);
}

static void one_series_too_many_overflows(void **state)
{
	struct weir_metrics *metrics = weir_metrics_new(2);
	struct weir_counter *cell;
	char name[16], *text;

	(void)state;
	for (int i = 0; i < WEIR_METRICS_SERIES_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		weir_counter_add(weir_metrics_counter(metrics, 0, &requests, VALUES(name, "")), 1);
	}
	cell = weir_metrics_counter(metrics, 1, &requests, VALUES("more", ""));
	weir_counter_add(cell, 1);
	weir_counter_add(weir_metrics_counter(metrics, 1, &requests, VALUES("and more", "")), 1);
	assert_ptr_equal(cell, weir_metrics_counter(metrics, 1, &requests, VALUES("more", "")));
	/* Those that came before stay. */
	weir_counter_add(weir_metrics_counter(metrics, 1, &requests, VALUES("7", "")), 5);
	assert_int_equal(weir_metrics_sum(metrics, &requests, VALUES("7", "")), 6);
	text = format(metrics);
	assert_non_null(strstr(text, "\nweir_requests_total{overflow=\"true\"} 2\n"));
	assert_null(strstr(text, "more"));
	free(text);
	weir_metrics_free(metrics);
}

static void without_registry_cells_take_anything(void **state)
{
	struct weir_histogram *histogram;

	(void)state;
	weir_counter_add(weir_metrics_counter(NULL, 900, &requests, VALUES("a", "b")), 1);
	weir_gauge_set(weir_metrics_gauge(NULL, 1, &active, NULL), 1);
	histogram = weir_metrics_histogram(NULL, 2, &duration, VALUES("a"));
	weir_histogram_add(histogram, 1);
	assert_int_equal(weir_metrics_sum(NULL, &active, NULL), 0);
	assert_format(NULL, "");
	weir_metrics_free(NULL);
}

/* ---- many threads ---- */

#define WRITES 20000

struct writer {
	pthread_t thread;
	struct weir_metrics *metrics;
	unsigned worker;
};

static void *write_all(void *arg)
{
	struct writer *writer = arg;

	for (int i = 0; i < WRITES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i % 50);
		weir_counter_add(weir_metrics_counter(writer->metrics, writer->worker, &requests,
						      VALUES(name, "")),
				 1);
		weir_histogram_add(weir_metrics_histogram(writer->metrics, writer->worker,
							  &duration, VALUES(name)),
				   0.25);
	}
	return NULL;
}

static void anyone_reads_while_workers_write(void **state)
{
	struct weir_metrics *metrics = weir_metrics_new(2);
	struct writer writers[2];
	int64_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		writers[i] = (struct writer){ .metrics = metrics, .worker = i };
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]),
				 0);
	}
	for (int i = 0; i < 50; i++)
		free(format(metrics));
	for (unsigned i = 0; i < 2; i++)
		pthread_join(writers[i].thread, NULL);
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		sum += weir_metrics_sum(metrics, &requests, VALUES(name, ""));
	}
	assert_int_equal(sum, 2 * WRITES);
	weir_metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_registry_is_empty_text),
		cmocka_unit_test(counters_of_workers_are_summed),
		cmocka_unit_test(same_arguments_give_the_same_cell),
		cmocka_unit_test(workers_do_not_share_cache_lines),
		cmocka_unit_test(gauges_go_down),
		cmocka_unit_test(histograms_are_cumulative),
		cmocka_unit_test(bad_label_values_are_escaped),
		cmocka_unit_test(help_is_escaped),
		cmocka_unit_test(one_series_too_many_overflows),
		cmocka_unit_test(without_registry_cells_take_anything),
		cmocka_unit_test(anyone_reads_while_workers_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
