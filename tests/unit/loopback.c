/* SPDX-License-Identifier: MIT */

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/loop.h>

#include "loopback.h"

#define PORT_FIRST 20000
#define PORT_COUNT 12000

struct weir_address loopback_address(uint16_t port)
{
	struct weir_address address = { .size = sizeof(address.in) };

	address.in.sin_family = AF_INET;
	address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.in.sin_port = htons(port);
	return address;
}

static bool port_is_free(uint16_t port, int type)
{
	struct weir_address address = loopback_address(port);
	int fd = socket(AF_INET, type, 0);
	bool is_free = bind(fd, &address.sa, address.size) == 0;

	close(fd);
	return is_free;
}

/* Each process starts elsewhere, so that tests that run at one time do not meet. */
uint16_t loopback_port(void)
{
	static unsigned next;

	if (!next)
		next = (unsigned)getpid() * 37;
	for (unsigned i = 0; i < PORT_COUNT; i++) {
		uint16_t port = (uint16_t)(PORT_FIRST + next++ % PORT_COUNT);

		if (port_is_free(port, SOCK_STREAM) && port_is_free(port, SOCK_DGRAM))
			return port;
	}
	fail_msg("no port is free");
	return 0;
}

uint64_t loopback_ms(void)
{
	return weir_now() / 1000000;
}

void loopback_run(weir_task_fn *fn, void *arg)
{
	struct weir_loop_conf conf = { 0 };
	struct weir_loop *loop = weir_loop_new(&conf, NULL);
	struct weir_scope root;

	assert_non_null(loop);
	weir_scope_init_root(&root, loop);
	assert_int_equal(weir_scope_spawn(&root, "test", fn, arg, NULL), 0);
	assert_int_equal(weir_loop_run(loop), 0);
	assert_int_equal(root.first_error, 0);
	weir_scope_fini(&root);
	weir_loop_free(loop);
}
