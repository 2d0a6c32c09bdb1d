/* SPDX-License-Identifier: MIT */
/* Places at endpoints: who is picked, who is left out, what reports lead to. Nothing connects. */

#include "upstream_rig.h"

#include <weir/balancer.h>

#include "upstream/measure.h"

#define PORT 1000 /* of the first endpoint */

struct desk {
	struct weir_upstream_conf conf;
	struct weir_endpoint_conf endpoints[SERVERS];
	struct weir_upstream *upstream;
	struct weir_balancer *balancer;
	struct weir_metrics *metrics;
	uint64_t identities[SERVERS];
};

static void desk_init(struct desk *desk)
{
	memset(desk, 0, sizeof(*desk));
	for (size_t i = 0; i < SERVERS; i++)
		desk->endpoints[i].target.address = loopback_address((uint16_t)(PORT + i));
	desk->conf.name = "app";
	desk->conf.endpoints = desk->endpoints;
	desk->conf.n_endpoints = SERVERS;
}

static size_t index_of(const struct weir_place *place)
{
	return weir_address_port(&place->target->address) - PORT;
}

/* Picks all, one after the other, to learn who they are. */
static void desk_meet(struct desk *desk)
{
	struct weir_search search;
	struct weir_place place;

	weir_search_init(&search, 1);
	for (size_t i = 0; i < desk->conf.n_endpoints; i++) {
		assert_int_equal(weir_balancer_pick(desk->balancer, &search, 0, &place), 0);
		assert_true(place.identity != 0);
		assert_int_equal(desk->identities[index_of(&place)], 0);
		desk->identities[index_of(&place)] = place.identity;
		weir_place_give(&place);
	}
	assert_int_equal(weir_balancer_pick(desk->balancer, &search, 0, &place), WEIR_ENOENDPOINT);
	weir_search_forget(&search);
	assert_int_equal(weir_balancer_pick(desk->balancer, &search, 0, &place), 0);
	weir_place_give(&place);
	weir_search_fini(&search);
}

static void desk_open(struct desk *desk)
{
	desk->metrics = weir_metrics_new(1);
	desk->upstream = weir_upstream_new(&desk->conf, NULL);
	assert_non_null(desk->upstream);
	desk->balancer = weir_balancer_new(desk->upstream, WEIR_LOAD_CALLS, desk->metrics, NULL);
	assert_non_null(desk->balancer);
	desk_meet(desk);
}

static void desk_close(struct desk *desk)
{
	weir_balancer_free(desk->balancer);
	weir_upstream_put(desk->upstream);
	weir_metrics_free(desk->metrics);
}

/* Picks once; a preferred identity may be 0. The index, or the status. */
static int visit(struct desk *desk, uint64_t key, uint64_t preferred, struct weir_place *place)
{
	struct weir_search search;
	int status;

	weir_search_init(&search, key);
	search.preferred = preferred;
	status = weir_balancer_pick(desk->balancer, &search, weir_now() + 1000000, place);
	weir_search_fini(&search);
	return status ? status : (int)index_of(place);
}

static int visit_once(struct desk *desk, uint64_t key, uint64_t preferred)
{
	struct weir_place place;
	int index = visit(desk, key, preferred, &place);

	if (index >= 0)
		weir_place_give(&place);
	return index;
}

static void report(struct desk *desk, size_t i, enum weir_outcome outcome, int status)
{
	struct weir_place place;

	assert_int_equal(visit(desk, 0, desk->identities[i], &place), i);
	weir_place_report(&place, outcome, status);
	weir_place_give(&place);
}

static void on_info(void *ctx, const struct weir_endpoint_info *info)
{
	struct weir_endpoint_info *infos = ctx;

	infos[weir_address_port(&info->address) - PORT] = *info;
}

static struct weir_endpoint_info info(struct desk *desk, size_t i)
{
	struct weir_endpoint_info infos[SERVERS] = { 0 };

	weir_upstream_each(desk->upstream, on_info, infos);
	return infos[i];
}

/* ------------------------------------------------------------------------------------------
 * Picking
 */

static int places_run(void *arg)
{
	const char *labels[] = { "app", NULL };
	struct weir_place places[2];
	char text[WEIR_ADDRESS_TEXT];
	struct desk desk;

	(void)arg;
	desk_init(&desk);
	desk_open(&desk);
	for (size_t i = 0; i < SERVERS; i++)
		assert_int_equal(info(&desk, i).active, 0);
	assert_int_equal(visit(&desk, 0, desk.identities[1], &places[0]), 1);
	assert_int_equal(visit(&desk, 0, desk.identities[1], &places[1]), 1);
	assert_int_equal(info(&desk, 1).active, 2);
	labels[1] = weir_address_format(&desk.endpoints[1].target.address, text);
	assert_string_equal(places[0].name, text);
	assert_int_equal(weir_metrics_sum(desk.metrics, &weir_measure_calls, labels), 2);
	weir_place_connected(&places[0], 1000000);
	assert_int_equal(weir_metrics_sum(desk.metrics, &weir_measure_connected, labels), 1);
	/* A place outlives its balancer. */
	weir_place_give(&places[0]);
	weir_balancer_free(desk.balancer);
	desk.balancer = NULL;
	assert_int_equal(info(&desk, 1).active, 1);
	weir_place_give(&places[1]);
	assert_int_equal(info(&desk, 1).active, 0);
	assert_int_equal(weir_metrics_sum(desk.metrics, &weir_measure_calls, labels), 0);
	desk_close(&desk);
	return 0;
}

static void places_are_counted(void **state)
{
	(void)state;
	loopback_run(places_run, NULL);
}

static int least_run(void *arg)
{
	struct weir_place held[3];
	struct desk desk;

	(void)arg;
	desk_init(&desk);
	desk.conf.n_endpoints = 2;
	desk.conf.balance = WEIR_BALANCE_LEAST_CONNECTIONS;
	desk_open(&desk);
	for (size_t k = 0; k < 3; k++)
		assert_int_equal(visit(&desk, 0, desk.identities[0], &held[k]), 0);
	for (unsigned k = 0; k < 20; k++)
		assert_int_equal(visit_once(&desk, 0, 0), 1);
	for (size_t k = 0; k < 3; k++)
		weir_place_give(&held[k]);
	desk_close(&desk);
	return 0;
}

static void least_requests_counts_calls(void **state)
{
	(void)state;
	loopback_run(least_run, NULL);
}

static const enum weir_balance hashes[] = {
	WEIR_BALANCE_RING_HASH,
	WEIR_BALANCE_MAGLEV,
	WEIR_BALANCE_SOURCE_HASH,
};

static int keys_run(void *arg)
{
	uint64_t key = weir_search_key("session-7", 9);
	struct weir_address a = loopback_address(1), b = loopback_address(2);
	struct desk desk;
	int index;

	(void)arg;
	assert_true(key != weir_search_key("session-8", 9));
	assert_int_equal(weir_search_key_of(&a), weir_search_key_of(&b));
	for (size_t h = 0; h < WEIR_ARRAY_SIZE(hashes); h++) {
		unsigned seen = 0;

		desk_init(&desk);
		desk.conf.balance = hashes[h];
		desk_open(&desk);
		index = visit_once(&desk, key, 0);
		for (unsigned k = 0; k < 10; k++)
			assert_int_equal(visit_once(&desk, key, 0), index);
		for (unsigned k = 0; k < 100; k++)
			seen |= 1u << visit_once(&desk, weir_search_key(&k, sizeof(k)), 0);
		assert_int_equal(seen, (1u << SERVERS) - 1);
		desk_close(&desk);
	}
	return 0;
}

static void a_key_stays_where_it_is(void **state)
{
	(void)state;
	loopback_run(keys_run, NULL);
}

static int preferred_run(void *arg)
{
	struct weir_place place;
	struct desk desk;

	(void)arg;
	desk_init(&desk);
	desk.endpoints[2].backup = true;
	desk.conf.limit.connections = 1;
	desk_open(&desk);
	for (unsigned k = 0; k < 5; k++)
		assert_int_equal(visit_once(&desk, 0, desk.identities[0]), 0);
	/* A backup too, because the session is there; who is unknown is ignored. */
	assert_int_equal(visit_once(&desk, 0, desk.identities[2]), 2);
	assert_in_range(visit_once(&desk, 0, 4711), 0, 1);
	/* Full, or not to be used: another one. */
	assert_int_equal(visit(&desk, 0, desk.identities[0], &place), 0);
	assert_int_equal(visit_once(&desk, 0, desk.identities[0]), 1);
	weir_place_give(&place);
	assert_int_equal(weir_upstream_set_draining(desk.upstream, info(&desk, 0).name, true), 0);
	assert_int_equal(visit_once(&desk, 0, desk.identities[0]), 1);
	desk_close(&desk);
	return 0;
}

static void a_preferred_endpoint_is_kept_while_usable(void **state)
{
	(void)state;
	loopback_run(preferred_run, NULL);
}

static int full_run(void *arg)
{
	const char *const labels[] = { "app", weir_error_name(WEIR_ELIMIT) };
	struct weir_place places[SERVERS], late;
	struct desk desk;

	(void)arg;
	desk_init(&desk);
	desk.conf.limit.connections = 1;
	desk_open(&desk);
	for (size_t i = 0; i < SERVERS; i++)
		assert_true(visit(&desk, 0, 0, &places[i]) >= 0);
	assert_int_equal(visit(&desk, 0, 0, &late), WEIR_ELIMIT);
	assert_int_equal(weir_metrics_sum(desk.metrics, &weir_measure_refused, labels), 1);
	for (size_t i = 0; i < SERVERS; i++)
		weir_place_give(&places[i]);
	desk_close(&desk);
	return 0;
}

static void full_endpoints_refuse(void **state)
{
	(void)state;
	loopback_run(full_run, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Reports
 */

/* Reports until there have been enough; the state before and after the last one. */
static void assert_ejects_at(struct desk *desk, size_t i, enum weir_outcome outcome, unsigned n)
{
	for (unsigned k = 1; k < n; k++)
		report(desk, i, outcome, -ECONNRESET);
	assert_int_equal(info(desk, i).state, WEIR_ENDPOINT_HEALTHY);
	report(desk, i, outcome, -ECONNRESET);
	assert_int_equal(info(desk, i).state, WEIR_ENDPOINT_EJECTED);
}

struct row {
	enum weir_outcome outcome;
	unsigned failures, server_errors, gateway_errors; /* configured */
	unsigned enough;
};

static const struct row rows[] = {
	{ WEIR_OUTCOME_CONNECT, 3, 0, 0, 3 },	    { WEIR_OUTCOME_RESET, 2, 5, 5, 2 },
	{ WEIR_OUTCOME_TIMEOUT, 0, 4, 0, 4 },	    { WEIR_OUTCOME_TIMEOUT, 0, 0, 3, 3 },
	{ WEIR_OUTCOME_SERVER_ERROR, 1, 3, 1, 3 },  { WEIR_OUTCOME_GATEWAY_ERROR, 1, 5, 2, 2 },
	{ WEIR_OUTCOME_GATEWAY_ERROR, 1, 2, 0, 2 },
};

static int ejection_run(void *arg)
{
	const char *labels[] = { "app", NULL };

	(void)arg;
	for (size_t r = 0; r < WEIR_ARRAY_SIZE(rows); r++) {
		char text[WEIR_ADDRESS_TEXT];
		struct desk desk;

		desk_init(&desk);
		desk.conf.ejection.failures = rows[r].failures;
		desk.conf.ejection.server_errors = rows[r].server_errors;
		desk.conf.ejection.gateway_errors = rows[r].gateway_errors;
		desk_open(&desk);
		assert_ejects_at(&desk, 0, rows[r].outcome, rows[r].enough);
		labels[1] = weir_address_format(&desk.endpoints[0].target.address, text);
		assert_int_equal(weir_metrics_sum(desk.metrics, &weir_measure_ejections, labels),
				 1);
		for (unsigned k = 0; k < 10; k++)
			assert_true(visit_once(&desk, 0, 0) > 0);
		desk_close(&desk);
	}
	return 0;
}

static void failures_in_a_row_eject(void **state)
{
	(void)state;
	loopback_run(ejection_run, NULL);
}

static int mercy_run(void *arg)
{
	struct desk desk;

	(void)arg;
	desk_init(&desk);
	desk.conf.ejection.failures = 2;
	desk.conf.ejection.server_errors = 3;
	desk.conf.ejection.gateway_errors = 2;
	desk_open(&desk);
	for (unsigned k = 0; k < 10; k++) {
		/* Success ends every row, a server error that of gateway errors, any response
		 * that of failures. */
		report(&desk, 0, WEIR_OUTCOME_GATEWAY_ERROR, 0);
		report(&desk, 0, WEIR_OUTCOME_SERVER_ERROR, 0);
		report(&desk, 0, WEIR_OUTCOME_SUCCESS, 0);
		report(&desk, 0, WEIR_OUTCOME_RESET, -ECONNRESET);
		report(&desk, 0, WEIR_OUTCOME_SERVER_ERROR, 0);
		report(&desk, 0, WEIR_OUTCOME_SUCCESS, 0);
	}
	/* This host's own trouble is nobody's fault. */
	for (unsigned k = 0; k < 5; k++)
		report(&desk, 0, WEIR_OUTCOME_CONNECT, -EMFILE);
	assert_int_equal(info(&desk, 0).state, WEIR_ENDPOINT_HEALTHY);
	assert_int_equal(info(&desk, 0).failures, 10);
	assert_int_equal(info(&desk, 0).total, 50);
	/* And the last healthy one stays. */
	for (size_t i = 1; i < SERVERS; i++)
		assert_int_equal(
			weir_upstream_set_draining(desk.upstream, info(&desk, i).name, true), 0);
	for (unsigned k = 0; k < 5; k++)
		report(&desk, 0, WEIR_OUTCOME_RESET, -ECONNRESET);
	assert_int_equal(info(&desk, 0).state, WEIR_ENDPOINT_HEALTHY);
	desk_close(&desk);
	return 0;
}

static void rows_end(void **state)
{
	(void)state;
	loopback_run(mercy_run, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_are_counted),
		cmocka_unit_test(least_requests_counts_calls),
		cmocka_unit_test(a_key_stays_where_it_is),
		cmocka_unit_test(a_preferred_endpoint_is_kept_while_usable),
		cmocka_unit_test(full_endpoints_refuse),
		cmocka_unit_test(failures_in_a_row_eject),
		cmocka_unit_test(rows_end),
	};

	return cmocka_run_group_tests_name("balancer", tests, NULL, NULL);
}
