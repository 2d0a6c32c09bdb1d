/* SPDX-License-Identifier: MIT */
/*
 * Active checks: one task an endpoint. The first check follows at once, give or take the jitter,
 * so that a start or a new address is judged soon; jitter keeps checks of many endpoints, and of
 * many proxies, apart.
 */

#include <errno.h>
#include <stdlib.h>

#include <weir/connector.h>
#include <weir/error.h>
#include <weir/log.h>
#include <weir/stream.h>

#include "upstream/keeper.h"
#include "upstream/measure.h"
#include "upstream/mix.h"

struct check {
	struct weir_keeper *keeper;	/* counted */
	struct weir_endpoint *endpoint; /* counted */
};

/* 0 ... jitter of the interval. */
static uint64_t check_jitter_ms(struct check *check)
{
	const struct weir_upstream_conf *conf = &check->keeper->upstream->conf;
	uint64_t most = conf->health.interval_ms * conf->health.jitter_percent / 100;

	return weir_mix_below(&check->keeper->random, most + 1);
}

/* An interval, give or take half of the jitter. */
static uint64_t check_pause_ms(struct check *check)
{
	const struct weir_upstream_conf *conf = &check->keeper->upstream->conf;
	uint64_t most = conf->health.interval_ms * conf->health.jitter_percent / 100;

	return conf->health.interval_ms - most / 2 + check_jitter_ms(check);
}

/* Connects and closes. */
static int check_connect(struct check *check)
{
	struct weir_stream *stream;
	int status =
		weir_connect(check->keeper->connector, NULL, &check->endpoint->target, &stream);

	if (!status)
		weir_stream_close(stream);
	return status;
}

/* -ETIMEDOUT after the timeout. */
static int check_once(struct check *check)
{
	struct weir_keeper *keeper = check->keeper;
	struct weir_scope scope;
	int status;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, keeper->upstream->conf.health.timeout_ms);
	weir_scope_enter(&scope);
	if (keeper->upstream->check.path)
		status = weir_keeper_http_check(keeper, check->endpoint);
	else
		status = check_connect(check);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return status;
}

static void check_count(const struct check *check, int status)
{
	const struct weir_keeper *keeper = check->keeper;
	const char *const labels[] = { weir_upstream_name(keeper->upstream), check->endpoint->name,
				       status ? "failed" : "passed" };

	weir_counter_add(weir_metrics_counter(keeper->metrics, keeper->worker, &weir_measure_checks,
					      labels),
			 1);
}

static bool check_is_wanted(const struct check *check)
{
	const struct weir_set *set = check->keeper->upstream->set;

	for (size_t i = 0; i < set->n; i++)
		if (set->members[i].endpoint == check->endpoint)
			return true;
	return false;
}

static int check_run(void *arg)
{
	struct check *check = arg;
	int status = weir_task_sleep_ms(check_jitter_ms(check));

	while (!status && check_is_wanted(check)) {
		int result = check_once(check);

		status = weir_task_check();
		if (status)
			break;
		/* What fails here for want of descriptors or memory is no verdict. */
		if (!weir_measure_is_local(result)) {
			check_count(check, result);
			weir_upstream_checked(check->keeper->upstream, check->endpoint, result);
		}
		status = weir_task_sleep_ms(check_pause_ms(check));
	}
	weir_endpoint_put(check->endpoint);
	weir_keeper_put(check->keeper);
	free(check);
	return 0;
}

int weir_keeper_check(struct weir_keeper *keeper, struct weir_endpoint *endpoint)
{
	struct check *check;
	int status;

	if (!keeper->upstream->conf.health.tcp && !keeper->upstream->check.path)
		return 0;
	check = malloc(sizeof(*check));
	if (!check)
		return -ENOMEM;
	*check = (struct check){ .keeper = keeper, .endpoint = endpoint };
	status = weir_scope_spawn(keeper->scope, "check", check_run, check, NULL);
	if (status) {
		free(check);
		return status;
	}
	/* Of the task, which runs later. */
	weir_endpoint_get(endpoint);
	keeper->references++;
	return 0;
}
