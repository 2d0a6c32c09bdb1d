/* SPDX-License-Identifier: MIT */
/* The bandwidth layer: the pure pacing, then real flows on both paths that userspace has. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/layer.h>

#include "layer/bandwidth.h"
#include "stage.h"

#define MS 1000000ull
#define S  1000000000ull

/* ---- pacing, time is a number ---- */

static void burst_is_ten_parts_of_a_second(void **state)
{
	static const struct {
		uint64_t rate, burst;
		double expected_burst, expected_quantum;
	} cases[] = {
		{ 10485760, 0, 1048576, 104858 },
		{ 1000, 0, 16384, 10 },
		{ 1, 0, 16384, 1 },
		{ 1000000, 500, 500, 500 },
		{ 1000000, 1000000, 1000000, 10000 },
	};

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct bandwidth_rate rate;

		bandwidth_rate_init(&rate, cases[i].rate, cases[i].burst);
		assert_true(rate.rate.burst == cases[i].expected_burst);
		assert_true(rate.quantum == cases[i].expected_quantum);
	}
}

/* A source that always has bytes, read as a bridge would; returns the bytes until END and in
 * *WORST the most within any tenth of a second after the burst. */
static uint64_t simulate(uint64_t per_second, uint64_t end, uint64_t *worst, unsigned *reads)
{
	struct bandwidth_rate rates[2];
	struct bandwidth bandwidth;
	uint64_t now = S, total = 0, window[100] = { 0 };

	bandwidth_rate_init(&rates[0], per_second, 0);
	bandwidth_rate_init(&rates[1], 0, 0);
	bandwidth_init(&bandwidth, rates, now);
	*worst = 0;
	*reads = 0;
	while (now < S + end) {
		size_t budget = 65536;
		uint64_t when = bandwidth_pace_at(&bandwidth, WEIR_UP, &budget, now);

		if (when) {
			assert_true(when > now);
			now = (when + MS - 1) / MS * MS; /* the loop's timers */
			continue;
		}
		assert_in_range(budget, 1, 65536);
		bandwidth_paced(&bandwidth, WEIR_UP, budget);
		total += budget;
		(*reads)++;
		window[WEIR_MIN((now - S) / (100 * MS), (uint64_t)99)] += budget;
	}
	for (size_t i = 1; i < 99; i++)
		*worst = WEIR_MAX(*worst, window[i]);
	return total;
}

static void rate_holds_and_is_smooth(void **state)
{
	static const uint64_t rates[] = { 20000, 1 << 20, 10 << 20, 1 << 30 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(rates); i++) {
		double burst = WEIR_MAX((double)rates[i] / 10, 16384.0);
		uint64_t worst;
		unsigned reads;
		uint64_t total = simulate(rates[i], 9 * S, &worst, &reads);

		assert_true((double)total >= (double)rates[i] * 9 * 0.98);
		assert_true((double)total <= (double)rates[i] * 9 * 1.001 + burst);
		/* No tenth of a second takes much more than its share. */
		assert_true((double)worst <= (double)rates[i] / 10 * 1.15 + 1);
		/* Nor are there thousands of tiny reads. */
		assert_true(reads <= 9 * 100 + total / 16384 + 10);
	}
}

static void other_direction_is_free(void **state)
{
	struct bandwidth_rate rates[2];
	struct bandwidth bandwidth;
	size_t budget = 65536;

	(void)state;
	bandwidth_rate_init(&rates[WEIR_UP], 1, 0);
	bandwidth_rate_init(&rates[WEIR_DOWN], 0, 0);
	bandwidth_init(&bandwidth, rates, S);
	bandwidth_paced(&bandwidth, WEIR_DOWN, 1 << 30);
	assert_int_equal(bandwidth_pace_at(&bandwidth, WEIR_DOWN, &budget, S), 0);
	assert_int_equal(budget, 65536);
	assert_int_equal(bandwidth_pace_at(&bandwidth, WEIR_UP, &budget, S), 0);
	assert_int_equal(budget, 16384);
}

/* ---- real flows ---- */

static struct stage stage;
static struct gate gate;

static int setup(void **state)
{
	(void)state;
	stage_open(&stage);
	gate_init(&gate);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_close(&stage);
	return 0;
}

#define RATE  (4 << 20)
#define BYTES (2 << 20)

struct flow {
	enum weir_path path;
	enum weir_way way;
	struct pair_connector pair;
	struct stage_conn c;
};

static int flow_send(void *arg)
{
	struct weir_stream *stream = arg;
	char *data = calloc(1, BYTES);

	assert_int_equal(weir_stream_write(stream, data, BYTES), 0);
	assert_int_equal(weir_stream_shutdown(stream), 0);
	free(data);
	return 0;
}

static void flow_receive(struct weir_stream *stream)
{
	static char data[65536];
	size_t total = 0;
	ssize_t got;

	while ((got = weir_stream_read(stream, data, sizeof(data))) > 0)
		total += (size_t)got;
	assert_int_equal(got, 0);
	assert_int_equal(total, BYTES);
}

static int flow_main(void *arg)
{
	struct flow *flow = arg;
	struct weir_bandwidth_conf conf = {
		.upload = flow->way == WEIR_UP ? RATE : 0,
		.download = flow->way == WEIR_DOWN ? RATE : 0,
	};
	struct weir_forward_conf forward = {
		.connector = pair_connector_init(&flow->pair, STAGE_TCP),
		.bridge = { .paths = WEIR_PATH_BIT(flow->path) },
	};
	struct weir_service *svc =
		weir_bandwidth_layer(weir_forward_service(&forward, NULL), &conf, NULL);
	struct weir_stream *from, *to;
	uint64_t began = weir_now(), took;

	assert_non_null(svc);
	stage_connect(&flow->c, svc, STAGE_TCP, NULL);
	assert_false(stage_is_over(&flow->c));
	from = flow->way == WEIR_UP ? flow->c.peer : flow->pair.origin;
	to = flow->way == WEIR_UP ? flow->pair.origin : flow->c.peer;
	assert_int_equal(weir_scope_spawn(&flow->c.scope, "send", flow_send, from, NULL), 0);
	flow_receive(to);
	took = weir_now() - began;
	/* Half a second's worth; a tenth of a second's goes at once. Not much slower either,
	 * where nothing slows the machine: sanitizers do. */
	assert_in_range(took, 390 * MS, 3000 * MS);
	assert_int_equal(weir_stream_shutdown(to), 0);
	assert_int_equal(stage_finish(&flow->c), 0);
	assert_int_equal(flow->c.conn.result.path, flow->path);
	weir_stream_close(flow->pair.origin);
	weir_service_free(svc);
	return 0;
}

static void flows_keep_the_rate(void **state)
{
	struct flow flow;

	(void)state;
	for (int path = WEIR_PATH_COPY; path <= WEIR_PATH_SPLICE; path++) {
		for (int way = 0; way < 2; way++) {
			flow.path = (enum weir_path)path;
			flow.way = (enum weir_way)way;
			stage_run(&stage, flow_main, &flow);
		}
	}
}

/* A kernel data plane that would take any flow. */
static int carried;

static bool plane_can(struct weir_offload *offload, struct weir_bridge *bridge, const char **why)
{
	(void)offload, (void)bridge, (void)why;
	return true;
}

static int plane_carry(struct weir_offload *offload, struct weir_bridge *bridge, const char **why)
{
	(void)offload, (void)bridge;
	carried++;
	*why = "the test wants it back";
	return -EOPNOTSUPP;
}

static int kernel_main(void *arg)
{
	static const struct weir_offload_ops ops = { .can = plane_can, .carry = plane_carry };
	struct weir_offload plane = { .ops = &ops };
	const bool *limited = arg;
	struct weir_bandwidth_conf conf = { .upload = 1 << 30 };
	struct pair_connector pair;
	struct weir_forward_conf forward = {
		.connector = pair_connector_init(&pair, STAGE_TCP),
		.bridge = { .paths = WEIR_PATH_BIT(WEIR_PATH_COPY) |
				     WEIR_PATH_BIT(WEIR_PATH_SOCKMAP),
			    .offload = &plane },
	};
	struct weir_service *svc = weir_forward_service(&forward, NULL);
	struct stage_conn c;

	if (*limited)
		svc = weir_bandwidth_layer(svc, &conf, NULL);
	carried = 0;
	stage_connect(&c, svc, STAGE_TCP, NULL);
	assert_false(stage_is_over(&c));
	assert_int_equal(weir_stream_shutdown(c.peer), 0);
	assert_int_equal(weir_stream_shutdown(pair.origin), 0);
	assert_int_equal(stage_finish(&c), 0);
	assert_int_equal(carried, *limited ? 0 : 1);
	assert_string_equal(c.conn.result.why,
			    *limited ? "the bandwidth is limited" : "the test wants it back");
	weir_stream_close(pair.origin);
	weir_service_free(svc);
	return 0;
}

static void limits_keep_flows_off_the_kernel(void **state)
{
	bool limited = false;

	(void)state;
	stage_run(&stage, kernel_main, &limited);
	limited = true;
	stage_run(&stage, kernel_main, &limited);
}

static void mistakes_free_the_inner_one(void **state)
{
	struct weir_bandwidth_conf conf = { .burst = 5 };
	struct weir_error error = { 0 };

	(void)state;
	assert_null(weir_bandwidth_layer(&gate.svc, &conf, &error));
	assert_int_equal(error.status, WEIR_ECONFIG);
	assert_true(error.message[0] && error.remedy[0]);
	assert_int_equal(gate.freed, 1);
	conf.upload = 1;
	assert_null(weir_bandwidth_layer(NULL, &conf, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_is_ten_parts_of_a_second),
		cmocka_unit_test(rate_holds_and_is_smooth),
		cmocka_unit_test(other_direction_is_free),
		cmocka_unit_test_setup_teardown(flows_keep_the_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_keep_flows_off_the_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_free_the_inner_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
