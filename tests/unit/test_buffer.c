/* SPDX-License-Identifier: MIT */

/* A queue of bytes against a plain model, and its bounds. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/buffer.h>

static void test_bytes_come_out_as_they_went_in(void **state)
{
	struct weir_buffer buffer = { 0 };
	unsigned char in = 0, out = 0;
	size_t model = 0;

	(void)state;
	srand(1);
	for (int round = 0; round < 5000; round++) {
		char chunk[700];
		size_t put = (size_t)rand() % sizeof(chunk), take = (size_t)rand() % 700;

		for (size_t i = 0; i < put; i++)
			chunk[i] = (char)in++;
		assert_int_equal(weir_buffer_append(&buffer, chunk, put), 0);
		model += put;
		assert_int_equal(weir_buffer_size(&buffer), model);
		take = WEIR_MIN(take, model);
		for (size_t i = 0; i < take; i++)
			assert_int_equal((unsigned char)weir_buffer_head(&buffer)[i], out++);
		weir_buffer_consume(&buffer, take);
		model -= take;
	}
	weir_buffer_fini(&buffer);
	assert_null(buffer.data);
}

static void test_a_steady_queue_does_not_grow(void **state)
{
	struct weir_buffer buffer;
	char chunk[100] = { 0 };

	(void)state;
	weir_buffer_init(&buffer);
	for (int round = 0; round < 10000; round++) {
		assert_int_equal(weir_buffer_append(&buffer, chunk, sizeof(chunk)), 0);
		if (round > 0)
			weir_buffer_consume(&buffer, sizeof(chunk));
	}
	assert_in_range(buffer.capacity, 200, 512);
	weir_buffer_fini(&buffer);
}

static void test_reserve_and_commit(void **state)
{
	struct weir_buffer buffer = { 0 };

	(void)state;
	assert_null(weir_buffer_head(&buffer));
	assert_int_equal(weir_buffer_append(&buffer, NULL, 0), 0);
	assert_int_equal(weir_buffer_reserve(&buffer, 0), 0);
	assert_int_equal(weir_buffer_reserve(&buffer, 1000), 0);
	memset(weir_buffer_tail(&buffer), 'x', 1000);
	weir_buffer_commit(&buffer, 1000);
	assert_int_equal(weir_buffer_size(&buffer), 1000);
	weir_buffer_consume(&buffer, 5000);
	assert_int_equal(weir_buffer_size(&buffer), 0);
	assert_int_equal(weir_buffer_append(&buffer, "ab", 2), 0);
	weir_buffer_clear(&buffer);
	assert_int_equal(weir_buffer_size(&buffer), 0);
	assert_true(buffer.capacity >= 1000);
	assert_int_equal(weir_buffer_reserve(&buffer, SIZE_MAX), -ENOMEM);
	assert_int_equal(weir_buffer_reserve(&buffer, SIZE_MAX / 3), -ENOMEM);
	weir_buffer_fini(&buffer);
}

static void test_printf(void **state)
{
	struct weir_buffer buffer = { 0 };

	(void)state;
	assert_int_equal(weir_buffer_printf(&buffer, "%s", ""), 0);
	assert_int_equal(weir_buffer_printf(&buffer, "%d+%d", 1, 2), 0);
	assert_int_equal(weir_buffer_printf(&buffer, "=%0500d", 3), 0);
	assert_int_equal(weir_buffer_size(&buffer), 3 + 501);
	assert_memory_equal(weir_buffer_head(&buffer), "1+2=000", 7);
	weir_buffer_fini(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_come_out_as_they_went_in),
		cmocka_unit_test(test_a_steady_queue_does_not_grow),
		cmocka_unit_test(test_reserve_and_commit),
		cmocka_unit_test(test_printf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
