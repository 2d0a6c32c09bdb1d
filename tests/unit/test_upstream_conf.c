/* SPDX-License-Identifier: MIT */
/* Each mistake in an upstream's configuration is refused in words that name it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <weir/connector.h>
#include <weir/error.h>
#include <weir/upstream.h>

#include "loopback.h"

static void mistakes_are_named(void **state)
{
	struct weir_endpoint_conf endpoints[2] = { 0 };
	struct weir_upstream_conf conf = { .name = "db", .endpoints = endpoints };
	struct weir_error error;

	(void)state;
	endpoints[0].target.address = loopback_address(1);
	endpoints[1].target.address = loopback_address(1);
	weir_error_init(&error);
	assert_null(weir_upstream_new(&conf, &error));
	assert_int_equal(error.status, WEIR_ECONFIG);
	assert_non_null(strstr(error.message, "0 endpoints"));
	conf.n_endpoints = 2;
	assert_null(weir_upstream_new(&conf, &error));
	assert_non_null(strstr(error.message, "127.0.0.1:1 is listed twice"));
	conf.n_endpoints = 1;
	endpoints[0].weight = WEIR_WEIGHT_MAX + 1;
	assert_null(weir_upstream_new(&conf, &error));
	assert_non_null(strstr(error.message, "too large"));
	endpoints[0].weight = 0;
	conf.limit.queue = 1;
	assert_null(weir_upstream_new(&conf, &error));
	assert_non_null(strstr(error.message, "queue"));
	conf.limit.queue = 0;
	conf.attempts = WEIR_ATTEMPTS_MAX + 1;
	assert_null(weir_upstream_new(&conf, &error));
	assert_non_null(strstr(error.message, "attempts"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
