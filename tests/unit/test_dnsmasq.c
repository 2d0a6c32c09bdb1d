/* SPDX-License-Identifier: MIT */
/* The resolver against a name server that people use. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolver.h>

#include "loopback.h"

#define DNSMASQ "/usr/sbin/dnsmasq"

static pid_t dnsmasq_start(uint16_t port)
{
	char port_option[16];
	char *argv[] = {
		"dnsmasq",
		"--keep-in-foreground",
		"--no-resolv",
		"--no-hosts",
		"--conf-file=/dev/null",
		"--pid-file",
		"--user=",
		"--bind-interfaces",
		"--listen-address=127.0.0.1",
		port_option,
		"--local=/weir.test/",
		"--host-record=www.weir.test,127.0.0.1,::1,77",
		"--cname=alias.weir.test,www.weir.test",
		"--srv-host=_http._tcp.weir.test,www.weir.test,8080,1,5",
		NULL,
	};
	pid_t pid;

	snprintf(port_option, sizeof(port_option), "--port=%u", port);
	if (access(DNSMASQ, X_OK))
		return -1;
	pid = fork();
	if (pid == 0) {
		/* Also when an assertion ends this program. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(DNSMASQ, argv);
		_exit(127);
	}
	return pid;
}

/* Whether something is bound to the UDP port. */
static bool udp_is_served(uint16_t port)
{
	struct weir_address address = loopback_address(port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool served = bind(fd, &address.sa, address.size) != 0;

	close(fd);
	return served;
}

static void assert_resolves(struct weir_resolver *resolver, const char *text, const char *expected)
{
	char out[512] = "", address[WEIR_ADDRESS_TEXT];
	struct weir_resolved resolved;
	struct weir_target target;

	assert_int_equal(weir_target_parse(&target, text), 0);
	assert_int_equal(weir_resolve(resolver, &target, &resolved), 0);
	for (size_t i = 0; i < resolved.n; i++) {
		strcat(out, i ? " " : "");
		strcat(out, weir_address_format(&resolved.targets[i].address, address));
	}
	assert_string_equal(out, expected);
	assert_in_range(resolved.ttl_s, 0, 77);
	weir_resolved_fini(&resolved);
}

static int names(void *arg)
{
	struct weir_resolver_conf conf = { .servers = arg };
	struct weir_resolver *resolver = weir_resolver_new(weir_loop_current(), &conf, NULL);
	struct weir_resolved resolved;
	struct weir_target target;

	assert_non_null(resolver);
	assert_resolves(resolver, "www.weir.test:80", "[::1]:80 127.0.0.1:80");
	assert_resolves(resolver, "alias.weir.test:80", "[::1]:80 127.0.0.1:80");
	assert_resolves(resolver, "srv:_http._tcp.weir.test", "[::1]:8080 127.0.0.1:8080");
	assert_int_equal(weir_target_parse(&target, "no.weir.test:80"), 0);
	assert_int_equal(weir_resolve(resolver, &target, &resolved), WEIR_ERESOLVE);
	weir_resolver_free(resolver);
	return 0;
}

static void test_dnsmasq(void **state)
{
	uint16_t port = loopback_port();
	pid_t pid = dnsmasq_start(port);
	char servers[32];

	(void)state;
	if (pid < 0) {
		print_message("needs dnsmasq: there is no /usr/sbin/dnsmasq\n");
		skip();
	}
	for (int i = 0; i < 500 && !udp_is_served(port); i++)
		usleep(10000);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", port);
	loopback_run(names, servers);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dnsmasq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
