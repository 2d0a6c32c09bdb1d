/* SPDX-License-Identifier: MIT */
/* Limits of what is under way, and the budget of retries. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <weir/breaker.h>

static void limits_refuse_one_more(void **state)
{
	const struct weir_breaker_conf conf = { .calls = 2, .pending = 1, .retries = 2 };
	struct weir_breaker *breaker = weir_breaker_new(&conf);

	(void)state;
	assert_non_null(breaker);
	assert_int_equal(weir_breaker_begin_call(breaker), WEIR_BREAKER_GO);
	assert_int_equal(weir_breaker_begin_call(breaker), WEIR_BREAKER_GO);
	assert_int_equal(weir_breaker_begin_call(breaker), WEIR_BREAKER_CALLS);
	weir_breaker_end_call(breaker);
	assert_int_equal(weir_breaker_begin_call(breaker), WEIR_BREAKER_GO);
	assert_int_equal(weir_breaker_begin_pending(breaker), WEIR_BREAKER_GO);
	assert_int_equal(weir_breaker_begin_pending(breaker), WEIR_BREAKER_PENDING);
	weir_breaker_end_pending(breaker);
	assert_int_equal(weir_breaker_begin_pending(breaker), WEIR_BREAKER_GO);
	assert_int_equal(weir_breaker_begin_retry(breaker), WEIR_BREAKER_GO);
	assert_int_equal(weir_breaker_begin_retry(breaker), WEIR_BREAKER_GO);
	assert_int_equal(weir_breaker_begin_retry(breaker), WEIR_BREAKER_RETRIES);
	weir_breaker_end_retry(breaker);
	assert_int_equal(weir_breaker_begin_retry(breaker), WEIR_BREAKER_GO);
	assert_ptr_equal(weir_breaker_get(breaker), breaker);
	weir_breaker_put(breaker);
	weir_breaker_put(breaker);
	weir_breaker_put(NULL);
}

static unsigned retries_allowed(struct weir_breaker *breaker)
{
	unsigned n = 0;

	while (n < 1000 && weir_breaker_begin_retry(breaker) == WEIR_BREAKER_GO)
		n++;
	for (unsigned i = 0; i < n; i++)
		weir_breaker_end_retry(breaker);
	return n;
}

static void retries_have_a_budget(void **state)
{
	const struct weir_breaker_conf none = { .budget_percent = 101 };
	struct weir_breaker *breaker = weir_breaker_new(NULL);

	(void)state;
	/* At least three; then a fifth of what is under way. */
	assert_int_equal(retries_allowed(breaker), 3);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(weir_breaker_begin_call(breaker), WEIR_BREAKER_GO);
	assert_int_equal(retries_allowed(breaker), 20);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(weir_breaker_begin_retry(breaker), WEIR_BREAKER_GO);
	assert_int_equal(weir_breaker_begin_retry(breaker), WEIR_BREAKER_BUDGET);
	weir_breaker_put(breaker);
	breaker = weir_breaker_new(&none);
	assert_int_equal(retries_allowed(breaker), 1000);
	weir_breaker_put(breaker);
}

static void verdicts_have_names(void **state)
{
	(void)state;
	assert_string_equal(weir_breaker_verdict_name(WEIR_BREAKER_CALLS), "calls");
	assert_string_equal(weir_breaker_verdict_name(WEIR_BREAKER_BUDGET), "budget");
	assert_string_equal(weir_breaker_verdict_name(WEIR_BREAKER_VERDICTS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_refuse_one_more),
		cmocka_unit_test(retries_have_a_budget),
		cmocka_unit_test(verdicts_have_names),
	};

	return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
