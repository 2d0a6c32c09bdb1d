/* SPDX-License-Identifier: MIT */
/*
 * The ledger sees sockets end: what the other programs believe when it says that nothing was left.
 */

#include <string.h>
#include <unistd.h>

#include "tests/bpf/ledger.h"
#include "tests/bpf/rig.h"

#define PAIRS 20

static void test_sees_sockets_end(void **state)
{
	unsigned long before;
	int fd[2];

	(void)state;
	if (ledger_open()) {
		print_message("needs %s: the ledger does not load\n", geteuid() ? "root" : "bpf");
		skip();
	}
	before = ledger_gone();
	for (int i = 0; i < PAIRS; i++) {
		assert_int_equal(rig_socket_pair(i % 2 ? AF_INET6 : AF_INET, fd), 0);
		ledger_watch(fd[0]);
		ledger_watch(fd[1]);
		/* Unread, so that one of them ends with something on its account. */
		assert_int_equal(send(fd[0], "rest", 4, MSG_NOSIGNAL), 4);
		close(fd[1]);
		close(fd[0]);
	}
	assert_int_equal(ledger_uneven(), 0);
	assert_int_equal(ledger_gone() - before, 2 * PAIRS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sees_sockets_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
