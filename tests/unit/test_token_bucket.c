/* SPDX-License-Identifier: MIT */
/* Token buckets: pure, so time is a number. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <weir/token_bucket.h>

#define S 1000000000ull

static void burst_then_rate(void **state)
{
	const struct weir_token_rate rate = { .per_second = 10, .burst = 3 };
	struct weir_token_bucket bucket;
	int taken = 0;

	(void)state;
	weir_token_bucket_init(&bucket, &rate, 5 * S);
	for (int i = 0; i < 10; i++)
		taken += weir_token_bucket_take(&bucket, &rate, 5 * S, 1);
	assert_int_equal(taken, 3);
	/* Ten a second, whoever asks how often. */
	for (uint64_t ms = 1; ms <= 1000; ms++)
		taken += weir_token_bucket_take(&bucket, &rate, 5 * S + ms * 1000000, 1);
	assert_int_equal(taken, 13);
}

static void never_above_the_burst(void **state)
{
	const struct weir_token_rate rate = { .per_second = 1000, .burst = 5 };
	struct weir_token_bucket bucket;

	(void)state;
	weir_token_bucket_init(&bucket, &rate, 0);
	assert_true(weir_token_bucket_fill(&bucket, &rate, 1000 * S) <= 5);
	assert_true(weir_token_bucket_is_full(&bucket, &rate, 1000 * S));
	assert_true(weir_token_bucket_take(&bucket, &rate, 1000 * S, 5));
	assert_false(weir_token_bucket_take(&bucket, &rate, 1000 * S, 1));
	assert_false(weir_token_bucket_is_full(&bucket, &rate, 1000 * S));
}

static void time_going_back_changes_nothing(void **state)
{
	const struct weir_token_rate rate = { .per_second = 1, .burst = 1 };
	struct weir_token_bucket bucket;

	(void)state;
	weir_token_bucket_init(&bucket, &rate, 10 * S);
	assert_true(weir_token_bucket_take(&bucket, &rate, 10 * S, 1));
	assert_false(weir_token_bucket_take(&bucket, &rate, 3 * S, 1));
	/* And does not let the same second flow in twice. */
	assert_false(weir_token_bucket_take(&bucket, &rate, 10 * S + S / 2, 1));
	assert_true(weir_token_bucket_take(&bucket, &rate, 11 * S, 1));
}

static void when_is_when_a_take_succeeds(void **state)
{
	static const double rates[] = { 0.01, 1, 3, 7777, 1e6, 1e10 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(rates); i++) {
		const struct weir_token_rate rate = { .per_second = rates[i], .burst = 100 };
		struct weir_token_bucket bucket;
		uint64_t when;

		weir_token_bucket_init(&bucket, &rate, S);
		assert_true(weir_token_bucket_take(&bucket, &rate, S, 100));
		when = weir_token_bucket_when(&bucket, &rate, 50);
		assert_true(when > S);
		assert_true(weir_token_bucket_take(&bucket, &rate, when, 50));
		/* Not earlier than by a thousandth. */
		weir_token_bucket_init(&bucket, &rate, S);
		assert_true(weir_token_bucket_take(&bucket, &rate, S, 100));
		when = S + (when - S) / 1000 * 999;
		if (rates[i] < 1e9)
			assert_false(weir_token_bucket_take(&bucket, &rate, when, 50));
	}
}

static void debts_are_paid_first(void **state)
{
	const struct weir_token_rate rate = { .per_second = 10, .burst = 10 };
	struct weir_token_bucket bucket;

	(void)state;
	weir_token_bucket_init(&bucket, &rate, S);
	weir_token_bucket_charge(&bucket, 20);
	assert_false(weir_token_bucket_take(&bucket, &rate, 2 * S, 1));
	assert_int_equal(weir_token_bucket_when(&bucket, &rate, 10), 3 * S);
	assert_true(weir_token_bucket_take(&bucket, &rate, 3 * S, 10));
}

/* Looking often loses no fractions. */
static void small_steps_add_up(void **state)
{
	const struct weir_token_rate rate = { .per_second = 3, .burst = 1000 };
	struct weir_token_bucket bucket;

	(void)state;
	weir_token_bucket_init(&bucket, &rate, 0);
	weir_token_bucket_charge(&bucket, 1000);
	for (uint64_t i = 1; i <= 1000000; i++)
		weir_token_bucket_fill(&bucket, &rate, i * 100000); /* 100 s in all */
	assert_true(bucket.tokens > 299.99 && bucket.tokens < 300.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_then_rate),
		cmocka_unit_test(never_above_the_burst),
		cmocka_unit_test(time_going_back_changes_nothing),
		cmocka_unit_test(when_is_when_a_take_succeeds),
		cmocka_unit_test(debts_are_paid_first),
		cmocka_unit_test(small_steps_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
