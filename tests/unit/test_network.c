/* SPDX-License-Identifier: MIT */
/* Ranges of addresses: a table of what is in them, and of what is none. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <weir/network.h>

static void addresses_are_in_or_out(void **state)
{
	static const struct {
		const char *network, *address;
		bool in;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1:80", true },
		{ "10.0.0.0/8", "11.0.0.1:80", false },
		{ "10.0.0.1/8", "10.2.3.4:80", true }, /* bits that do not count are none */
		{ "192.0.2.128/25", "192.0.2.128:1", true },
		{ "192.0.2.128/25", "192.0.2.127:1", false },
		{ "192.0.2.7", "192.0.2.7:1", true },
		{ "192.0.2.7", "192.0.2.6:1", false },
		{ "0.0.0.0/0", "8.8.8.8:1", true },
		{ "0.0.0.0/0", "[2001:db8::1]:1", false },
		{ "0.0.0.0/0", "[::ffff:8.8.8.8]:1", true },
		{ "::ffff:10.0.0.0/104", "10.1.1.1:1", true },
		{ "::/0", "[2001:db8::1]:1", true },
		{ "::/0", "1.2.3.4:1", false },
		{ "2001:db8::/33", "[2001:db8:7fff::1]:1", true },
		{ "2001:db8::/33", "[2001:db8:8000::1]:1", false },
		{ "::1", "[::1]:1", true },
		{ "unix", "unix:/x", true },
		{ "unix", "127.0.0.1:1", false },
		{ "::/0", "unix:/x", false },
	};
	struct weir_network network;
	struct weir_address address;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		assert_int_equal(weir_network_parse(&network, cases[i].network), 0);
		assert_int_equal(weir_address_parse(&address, cases[i].address), 0);
		if (weir_network_contains(&network, &address) != cases[i].in)
			fail_msg("%s in %s: should be %d", cases[i].address, cases[i].network,
				 cases[i].in);
	}
}

static void what_is_no_network_contains_nothing(void **state)
{
	static const char *const wrong[] = { "",	 "10.0.0.0/33", "10.0.0.0/",
					     "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/8 ",
					     "::/129",	 "example.com", "/8",
					     "unix/8",	 "10.0.0.0:80", "[::1]",
					     "1.2.3.4/a" };
	struct weir_address address;
	struct weir_network network;

	(void)state;
	assert_int_equal(weir_address_parse(&address, "10.0.0.1:80"), 0);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(wrong); i++) {
		if (weir_network_parse(&network, wrong[i]) == 0)
			fail_msg("'%s' is a network", wrong[i]);
		assert_false(weir_network_contains(&network, &address));
	}
}

static void no_address_is_in_no_network(void **state)
{
	struct weir_address nothing = { 0 };
	struct weir_network list[2];

	(void)state;
	assert_int_equal(weir_network_parse(&list[0], "0.0.0.0/0"), 0);
	assert_int_equal(weir_network_parse(&list[1], "unix"), 0);
	assert_false(weir_networks_contain(list, 2, &nothing));
	assert_false(weir_networks_contain(NULL, 0, &nothing));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_in_or_out),
		cmocka_unit_test(what_is_no_network_contains_nothing),
		cmocka_unit_test(no_address_is_in_no_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
